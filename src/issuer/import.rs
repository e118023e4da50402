//! Keys that customers have from elsewhere: digests, a line each, all taken or none.

use std::collections::HashMap;

use serde::Deserialize;

use super::error::{IssueError, LineProblem, Problem};
use super::keys::{Expiry, kept};
use super::{Issuer, address, text};
use crate::auth::scope::ScopeSet;
use crate::auth::token::HashedToken;
use crate::clock::Timestamp;
use crate::limits::Overrides;
use crate::store::{Account, ApiKey, ImportedKey, Imports, Key, KeyForm, Origin, Seq};

/// Most keys at once: they are one transaction, and others wait for its end.
pub const LINES_MAX: usize = 10_000;
/// Most problems that are told.
const PROBLEMS_MAX: usize = 100;
/// Most characters of what keys begin with.
const PREFIX_MAX: usize = 32;
/// Characters of a key that may be shown.
const LAST_MAX: usize = 4;
/// The longest credential (section 5 of the contract).
const KEY_MAX: u32 = 8 * 1024;

/// One line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// SHA-256 of the whole key, in hexadecimal.
    digest: String,
    prefix: String,
    last4: String,
    name: String,
    account: String,
    #[serde(default)]
    scopes: Vec<String>,
    expires_at: String,
    /// Of the whole key, in bytes; without it keys of any length are looked up.
    length: Option<u32>,
    #[serde(default)]
    allowed_addresses: Vec<String>,
}

/// Why some of the keys that were imported may be refused all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// They begin as those that are made here.
    #[error("a key that begins with {0}_ is taken for one that was made here, and is refused")]
    Own(String),
    /// They begin as tokens.
    #[error("a key of three parts with dots between that begins with eyJ is taken for a JWT, and is refused")]
    Token,
}

/// Accounts by how lines name them.
type Accounts = HashMap<String, Option<Account>>;

impl Issuer {
    /// Takes keys over from elsewhere: JSON Lines with `digest` (SHA-256 in hexadecimal), `prefix`, `last4`, `name`,
    /// `account` (id or address), `scopes`, `expires_at`, and perhaps `length` and `allowed_addresses`. Gives the keys.
    ///
    /// # Errors
    /// [`IssueError::Import`] with every line that is wrong, in which case nothing was taken, or the store's.
    pub async fn import_keys(&self, lines: &str, origin: &Origin) -> Result<Vec<Key>, IssueError> {
        let now = self.clock.now();
        let mut problems = Vec::new();
        let mut accounts = Accounts::new();
        let mut first_at: HashMap<HashedToken, usize> = HashMap::new();
        let (mut keys, mut places) = (Vec::new(), Vec::new());
        // What some editors and shells begin a file with is no part of its first line.
        let lines = lines.strip_prefix('\u{feff}').unwrap_or(lines);
        let filled = lines.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
        for (text, number) in filled {
            if keys.len() >= LINES_MAX {
                problems.push(LineProblem { line: number, problem: Problem::TooManyLines });
                break;
            }
            match self.line(text, &mut accounts, now).await? {
                Err(found) => {
                    problems.extend(found.into_iter().map(|problem| LineProblem { line: number, problem }));
                }
                Ok(key) => match first_at.insert(key.key.digest, number) {
                    Some(first) => {
                        problems.push(LineProblem { line: number, problem: Problem::DigestTwice(first) });
                    }
                    None => {
                        keys.push(key);
                        places.push(number);
                    }
                },
            }
        }
        if problems.is_empty() { self.take(keys, &places, origin).await } else { Err(told(problems)) }
    }

    async fn take(
        &self,
        keys: Vec<ImportedKey>,
        places: &[usize],
        origin: &Origin,
    ) -> Result<Vec<Key>, IssueError> {
        match self.store.import_keys(&keys, origin).await? {
            Imports::Kept(Seq(last)) => {
                let forms: Vec<_> = keys.iter().map(|imported| imported.form.clone()).collect();
                self.changes.imported(&forms);
                let first = last - i64::try_from(keys.len()).unwrap_or(0) + 1;
                for (seq, imported) in (first..).zip(&keys) {
                    self.tell_of_key(Seq(seq), &imported.key);
                }
                Ok(keys.into_iter().map(|imported| imported.key.key).collect())
            }
            Imports::Taken(positions) => {
                let lines = positions.into_iter().filter_map(|position| places.get(position));
                Err(told(
                    lines.map(|line| LineProblem { line: *line, problem: Problem::DigestKnown }).collect(),
                ))
            }
        }
    }

    /// Reads one line; all that is wrong with it, or the key.
    async fn line(
        &self,
        text: &str,
        accounts: &mut Accounts,
        now: Timestamp,
    ) -> Result<Result<ImportedKey, Vec<Problem>>, IssueError> {
        let line: Line = match serde_json::from_str(text) {
            Ok(line) => line,
            Err(error) => return Ok(Err(vec![Problem::NotALine(reason(&error))])),
        };
        if !accounts.contains_key(&line.account) {
            let found = match self.store.account(&line.account).await.map_err(IssueError::from) {
                Ok(account) => Some(account),
                Err(IssueError::NotFound(_)) => None,
                Err(other) => return Err(other),
            };
            accounts.insert(line.account.clone(), found);
        }
        let owner = accounts.get(&line.account).and_then(Option::as_ref);
        self.imported(&line, owner, now)
    }

    fn imported(
        &self,
        line: &Line,
        owner: Option<&Account>,
        now: Timestamp,
    ) -> Result<Result<ImportedKey, Vec<Problem>>, IssueError> {
        let mut problems = Vec::new();
        if owner.is_none() {
            problems.push(Problem::UnknownAccount(line.account.clone()));
        }
        let digest = kept(digest(&line.digest).map(Some), &mut problems);
        self.judge_form(line, &mut problems);
        if problems.is_empty() && is_whole_key(line, digest) {
            problems.push(Problem::WholeKey);
        }
        let name = kept(text::name(&line.name), &mut problems);
        let scopes = owner
            .map_or_else(ScopeSet::default, |owner| kept(self.granted(&line.scopes, owner), &mut problems));
        let expires_at = kept(self.moment(&line.expires_at, now).map(Some), &mut problems);
        let allowed_addresses = address::read(&line.allowed_addresses, &mut problems);
        let (Some(owner), Some(digest), Some(expires_at), true) =
            (owner, digest, expires_at, problems.is_empty())
        else {
            return Ok(Err(problems));
        };
        let key = Key {
            id: self.id(now)?,
            account_id: owner.id.clone(),
            name,
            prefix: line.prefix.clone(),
            last4: line.last4.clone(),
            scopes,
            allowed_addresses,
            limits: Overrides::default(),
            created_at: now,
            expires_at,
            last_used_at: None,
            revoked_at: None,
            replaced_by: None,
            counts_as: None,
        };
        let form = KeyForm { prefix: line.prefix.clone(), length: line.length };
        Ok(Ok(ImportedKey { key: ApiKey { key, digest }, form }))
    }

    fn judge_form(&self, line: &Line, problems: &mut Vec<Problem>) {
        let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if line.prefix.len() > PREFIX_MAX || !visible(&line.prefix) {
            problems.push(Problem::KeyPrefix);
        }
        if self.keys.prefix.claims(&line.prefix) {
            problems.push(Problem::OwnPrefix);
        }
        if line.last4.len() > LAST_MAX || !visible(&line.last4) {
            problems.push(Problem::Last4);
        }
        if line.length.is_some_and(|length| !(1..=KEY_MAX).contains(&length)) {
            problems.push(Problem::KeyLength);
        }
    }

    /// What may be taken for something else of keys that begin like these, so that it is never looked up: what they go
    /// on with only who has them knows.
    #[must_use]
    pub fn doubts(&self, keys: &[Key]) -> Vec<Doubt> {
        let begins_with = |start: &str| keys.iter().any(|key| key.prefix == start);
        let own = Some(self.keys.prefix.as_str()).filter(|own| begins_with(own));
        let token = keys.iter().any(|key| key.prefix.starts_with("eyJ"));
        own.map(|own| Doubt::Own(own.to_owned())).into_iter().chain(token.then_some(Doubt::Token)).collect()
    }

    fn moment(&self, text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
        let at = Timestamp::parse(text).ok_or_else(|| Problem::NotATime(text.to_owned()))?;
        self.expiry(Expiry::At(at), now)
    }
}

/// Whether what a line shows of its key is all of it: there would be nothing secret about it.
fn is_whole_key(line: &Line, digest: Option<HashedToken>) -> bool {
    let (prefix, last4) = (&*line.prefix, &*line.last4);
    let shown = prefix.len() + last4.len();
    if line.length.and_then(|length| usize::try_from(length).ok()).is_some_and(|length| length <= shown) {
        return true;
    }
    // Without a length the digest tells, however far the one reaches into the other.
    let joined = (0..=last4.len()).filter_map(|common| {
        let (front, back) = last4.split_at_checked(common)?;
        prefix.ends_with(front).then(|| format!("{prefix}{back}"))
    });
    joined
        .chain([prefix.to_owned(), last4.to_owned()])
        .any(|text| Some(HashedToken::of(text.as_bytes())) == digest)
}

fn digest(text: &str) -> Result<HashedToken, Problem> {
    let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    HashedToken::from_hex(text).filter(|_| hex).ok_or(Problem::Digest)
}

/// What the reader says, without its count of lines and columns, for there is one line, and without what it quotes of
/// the line, which may be a key.
fn reason(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let said = said.rsplit_once(" at line ").map_or(&*said, |(said, _)| said);
    match said.rsplit_once(", expected ") {
        Some((found, expected)) if found.starts_with("unknown field") => {
            format!("it has an unknown member, expected {expected}")
        }
        Some((found, expected))
            if found.starts_with("invalid type") || found.starts_with("invalid value") =>
        {
            format!("a value is of the wrong type, expected {expected}")
        }
        _ => said.to_owned(),
    }
}

fn told(mut problems: Vec<LineProblem>) -> IssueError {
    let more = problems.len().saturating_sub(PROBLEMS_MAX);
    problems.truncate(PROBLEMS_MAX);
    IssueError::Import { problems, more }
}
