//! Passwords: what may be one, how it is kept, how one is checked.
//!
//! A check costs the same whoever logs in: for who has no password, or is not there at all, the work is done on a hash
//! that nothing matches. It runs on a thread of its own, a few at once, so that logins cost the proxy nothing.

mod common;
mod desk;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use self::desk::Desk;
pub(super) use self::desk::Whose;
use super::error::{IssueError, Problem};
use crate::auth::random::Random;
use crate::auth::unicode;
use crate::clock::Clock;
use crate::config;

/// Most bytes of a password: a passphrase of many words fits.
pub const BYTES_MAX: usize = 1_000;

/// OWASP's first recommendation for argon2id (Password Storage Cheat Sheet): 19 MiB, two passes, one lane. A graphics
/// card's memory, not its cores, bounds how many it tries at once; a core of ours needs some 20 ms. Not a setting,
/// because work that differs from account to account tells which accounts there are.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Bytes of a salt (RFC 9106 §3.1).
const SALT_LEN: usize = 16;

/// What those are checked against who have no password: of the same cost, and no password's.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
                       AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password in clear, gone from memory with its last holder.
pub(super) type Plain = Zeroizing<String>;

/// Hashes a few at once.
#[derive(Debug)]
pub(super) struct Hasher {
    desk: Desk,
    /// How often argon2 has run.
    runs: Arc<AtomicU64>,
}

/// Whether a password is the one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Verdict {
    Right,
    Wrong,
}

impl Hasher {
    pub(super) fn new(concurrent: usize, clock: Clock) -> Self {
        Self { desk: Desk::new(concurrent.max(1), clock), runs: Arc::default() }
    }

    /// Whether `password` is what `stored` was made of; with nothing stored it never is, after the same work.
    pub(super) async fn check(
        &self,
        whose: Whose,
        password: Plain,
        stored: Option<String>,
    ) -> Result<Verdict, IssueError> {
        self.run(whose, move || verify(&password, stored.as_deref())).await
    }

    /// What is kept of a password: a PHC string.
    pub(super) async fn hash(&self, password: Plain, random: &dyn Random) -> Result<String, IssueError> {
        let mut salt = [0; SALT_LEN];
        random.fill(&mut salt)?;
        // Who may set one has shown it by a password, a link or the command.
        self.run(Whose::Known, move || hash(&password, &salt)).await?
    }

    /// How often argon2 has run.
    #[cfg(test)]
    pub(super) fn runs(&self) -> u64 {
        self.runs.load(Ordering::SeqCst)
    }

    /// Keeps others from work until it is dropped.
    #[cfg(test)]
    pub(super) async fn occupy(&self) -> tokio::sync::OwnedSemaphorePermit {
        self.desk.occupy().await
    }

    /// Whether a stranger who comes now is refused.
    #[cfg(test)]
    pub(super) fn is_full(&self) -> bool {
        self.desk.places() == 0
    }

    /// Whether a stranger waits or is at work.
    #[cfg(test)]
    pub(super) fn is_awaited(&self) -> bool {
        self.desk.places() < desk::WAITING + 1
    }

    async fn run<T: Send + 'static>(
        &self,
        whose: Whose,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, IssueError> {
        let runs = Arc::clone(&self.runs);
        let counted = move || {
            runs.fetch_add(1, Ordering::SeqCst);
            work()
        };
        self.desk.run(whose, counted).await
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or(Params::DEFAULT);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &str, salt: &[u8]) -> Result<String, IssueError> {
    let hash: Result<PasswordHash, _> = argon2().hash_password_with_salt(password.as_bytes(), salt);
    // Only for want of 19 MiB.
    hash.map(|hash| hash.to_string()).map_err(|_| IssueError::Busy)
}

fn verify(password: &str, stored: Option<&str>) -> Verdict {
    let known = stored.and_then(|stored| PasswordHash::new(stored).ok()).filter(is_bearable);
    let against = known.as_ref().map_or_else(|| PasswordHash::new(NOBODYS), |known| Ok(known.clone()));
    let matches =
        against.is_ok_and(|against| argon2().verify_password(password.as_bytes(), &against).is_ok());
    if matches && known.is_some() { Verdict::Right } else { Verdict::Wrong }
}

/// A check takes its costs from what is stored; an alien hand may have written any.
fn is_bearable(stored: &PasswordHash) -> bool {
    Params::try_from(stored).is_ok_and(|params| {
        params.m_cost() <= 16 * MEMORY_KIB && params.t_cost() <= 16 && params.p_cost() <= 4
    })
}

/// Whether what was given may be the password of the account with this address.
pub(super) fn judge(given: &str, email: &str, rules: &config::Passwords) -> Result<(), Problem> {
    if let Some(control) = given.chars().find(|c| c.is_control()) {
        return Err(Problem::PasswordCharacter(control));
    }
    let password = &*unicode::password(given);
    // One character may stand for eighteen, and two for one.
    let have = password.chars().count().min(given.chars().count());
    if have < rules.min_length {
        return Err(Problem::PasswordTooShort { have, least: rules.min_length });
    }
    if password.len() > BYTES_MAX {
        return Err(Problem::PasswordTooLong);
    }
    if common::is_common(password) {
        return Err(Problem::PasswordCommon);
    }
    let (folded, email) = (password.to_lowercase(), email.to_lowercase());
    let is_email = folded == email || email.split_once('@').is_some_and(|(local, _)| folded == local);
    if is_email { Err(Problem::PasswordIsEmail) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::random::System;

    fn plain(text: &str) -> Plain {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_kept_as_argon2id_with_a_salt_of_its_own() {
        let hasher = Hasher::new(1, Clock::system());
        let kept = hasher.hash(plain("correct horse"), &System::default()).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, hasher.hash(plain("correct horse"), &System::default()).await.unwrap());
        let right = hasher.check(Whose::Stranger, plain("correct horse"), Some(kept.clone())).await.unwrap();
        assert_eq!(right, Verdict::Right);
        for wrong in ["correct horse ", "", "Correct horse"] {
            assert_eq!(
                hasher.check(Whose::Stranger, plain(wrong), Some(kept.clone())).await.unwrap(),
                Verdict::Wrong
            );
        }
    }

    #[tokio::test]
    async fn without_a_password_the_same_work_is_done_and_nothing_matches() {
        let hasher = Hasher::new(1, Clock::system());
        for (runs, stored) in (1..).zip([None, Some(""), Some("plain text"), Some(NOBODYS)]) {
            let verdict = hasher.check(Whose::Stranger, plain("x"), stored.map(str::to_owned)).await.unwrap();
            assert_eq!((verdict, hasher.runs()), (Verdict::Wrong, runs));
        }
        let stored = PasswordHash::new(NOBODYS).unwrap();
        assert_eq!(Params::try_from(&stored).unwrap().m_cost(), MEMORY_KIB, "the same work");
    }

    #[tokio::test]
    async fn a_hash_that_an_alien_hand_made_costly_is_not_worked_on() {
        let costly = Params::new(8, 17, 1, None).unwrap();
        let costly = Argon2::new(Algorithm::Argon2id, Version::V0x13, costly);
        let stored: PasswordHash = costly.hash_password_with_salt(b"x", &[7; SALT_LEN]).unwrap();
        let verdict = Hasher::new(1, Clock::system())
            .check(Whose::Stranger, plain("x"), Some(stored.to_string()))
            .await
            .unwrap();
        assert_eq!(verdict, Verdict::Wrong);
    }

    #[test]
    fn a_password_is_long_rare_and_not_the_address() {
        let rules = config::Passwords { min_length: 8, concurrent: 1 };
        let judge = |password: &str| judge(password, "Jane.Margaret@example.com", &rules);
        for good in ["xkJ7#qz!", "żółta łódź", "correct horse battery staple", &"ab1".repeat(333)] {
            assert_eq!(judge(good), Ok(()), "{good}");
        }
        assert_eq!(judge("żółtałó"), Err(Problem::PasswordTooShort { have: 7, least: 8 }));
        assert_eq!(
            judge("\u{fdfa}"),
            Err(Problem::PasswordTooShort { have: 1, least: 8 }),
            "eighteen letters in one"
        );
        let marks = "x7q#o\u{308}u\u{308}";
        assert_eq!(marks.chars().count(), 8);
        assert_eq!(
            judge(&marks[1..]),
            Err(Problem::PasswordTooShort { have: 5, least: 8 }),
            "two that are one"
        );
        for control in ['\n', '\0', '\t', '\r', '\u{1b}', '\u{7f}', '\u{85}'] {
            assert_eq!(judge(&format!("xkJ7#qz!{control}")), Err(Problem::PasswordCharacter(control)));
        }
        assert_eq!(judge(&"abc".repeat(334)), Err(Problem::PasswordTooLong));
        assert_eq!(judge("PassWord"), Err(Problem::PasswordCommon));
        assert_eq!(judge("jane.MARGARET"), Err(Problem::PasswordIsEmail));
        assert_eq!(judge("jane.margaret@EXAMPLE.com"), Err(Problem::PasswordIsEmail));
    }
}
