//! Reading a credential: `auth::credential`, `auth::token` and `decision` beside readers that take their time.

use std::path::Path;

use http::{HeaderMap, HeaderValue};
use keyward::auth::credential::{self, Basic, CREDENTIAL_MAX, Field, Form, Malformed};
use keyward::auth::token::{self, HashedToken, Kind, Prefix};
use keyward::config;
use keyward::decision::{Decision, Presented};

use super::pieces::Manner;

/// Takes the input's rest as values of fields, one a line: `Authorization`, and a field that holds a bare credential where
/// the line begins with `=`.
pub fn run(data: &[u8]) {
    let Some((manner, rest)) = Manner::split(data) else { return };
    let basic = if manner.first() { Basic::Read } else { Basic::Ignored };
    let prefix = Prefix::parse(if manner.second() { "acme1" } else { "kw" }).expect("a prefix");
    for line in rest.split(|byte| *byte == b'\n') {
        let read = credential::read_authorization(line, basic);
        assert_eq!(read, slowly(line, basic), "{}", line.escape_ascii());
        match read {
            Ok(Field::Word(word)) => judge_word(word, &prefix),
            Ok(Field::Decoded(word)) => judge_word(&word, &prefix),
            _ => {}
        }
        judge_bare(line);
    }
    judge_several(rest, basic);
    judge_tokens(rest, &prefix);
}

/// What an `Authorization` value holds, by the words of the contract.
fn slowly(value: &[u8], basic: Basic) -> Result<Field<'_>, Malformed> {
    let value = value.trim_ascii();
    if value.len() > CREDENTIAL_MAX {
        return Err(Malformed::TooLong);
    }
    let text = std::str::from_utf8(value).map_err(|_| Malformed::NotVisibleAscii)?;
    if text.chars().any(|c| !matches!(c, ' '..='~')) {
        return Err(Malformed::NotVisibleAscii);
    }
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let scheme = words.first().map(|word| word.to_lowercase());
    match (scheme.as_deref(), &*words) {
        (None, _) => Ok(Field::Empty),
        (Some("bearer" | "basic"), [_]) => Err(Malformed::SchemeAlone),
        (_, [word]) | (Some("bearer"), [_, word]) => Ok(Field::Word(word)),
        (Some("bearer"), _) => Err(Malformed::SeveralWords),
        (Some("basic"), [_, pair @ ..]) if basic == Basic::Read => match pair {
            [pair] => user_of(pair).map(Field::Decoded).ok_or(Malformed::BadBasic),
            _ => Err(Malformed::BadBasic),
        },
        (Some(scheme), _) => {
            // Only a name from a fixed list may be told: any other could be a secret.
            let told = match credential::read_authorization(value, basic) {
                Ok(Field::OtherScheme(told)) => told,
                other => panic!("another scheme, and it is read as {other:?}"),
            };
            assert!(told.is_none_or(|told| told.eq_ignore_ascii_case(scheme)), "{told:?}");
            Ok(Field::OtherScheme(told))
        }
    }
}

/// The user name in a Basic credential whose password is empty.
fn user_of(text: &str) -> Option<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut bytes) = (String::new(), Vec::new());
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    for digit in digits.bytes() {
        bits.push_str(&format!("{:06b}", ALPHABET.iter().position(|known| *known == digit)?));
    }
    let spare = bits.len() % 8;
    let canonical = text.len().is_multiple_of(4) && padding < 3 && spare < 6 && padding * 2 == spare;
    if !canonical || bits[bits.len() - spare..].contains('1') {
        return None;
    }
    for byte in bits.as_bytes().chunks_exact(8) {
        bytes.push(u8::from_str_radix(std::str::from_utf8(byte).ok()?, 2).ok()?);
    }
    let pair = String::from_utf8(bytes).ok()?;
    let (user, password) = pair.split_once(':')?;
    (password.is_empty() && !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_graphic()))
        .then(|| user.to_owned())
}

fn judge_word(word: &str, prefix: &Prefix) {
    assert!(!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic()));
    let ours = word.starts_with(&format!("{}_", prefix.as_str()));
    let parts: Vec<&str> = word.split('.').collect();
    let three = parts.len() == 3
        && parts.concat().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    match credential::form(word, prefix) {
        Form::Ours => assert!(ours),
        Form::Jwt => assert!(!ours && three && parts[0].len() > 1),
        Form::Opaque => assert!(!ours),
    }
    assert_eq!(token::is_well_formed(prefix, Kind::ApiKey, word), is_token(prefix, word), "{word}");
    let digest = HashedToken::of(word.as_bytes());
    assert_eq!(HashedToken::from_hex(&digest.hex()), Some(digest));
    assert_eq!(format!("{digest:?}"), "HashedToken(…)");
}

/// Whether a word is a key: its parts, its length and its checksum.
fn is_token(prefix: &Prefix, word: &str) -> bool {
    let start = format!("{}_sk_", prefix.as_str());
    let Some(secret) = word.strip_prefix(&start) else { return false };
    secret.len() == 38
        && secret.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && word.ends_with(&checksum(&word[..word.len() - 6]))
}

/// CRC-32 bit by bit, in six digits of base 62.
fn checksum(text: &str) -> String {
    let mut sum = u32::MAX;
    for byte in text.bytes() {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (if sum & 1 == 1 { 0xEDB8_8320 } else { 0 });
        }
    }
    let (mut rest, mut digits) = (!sum, Vec::new());
    for _ in 0..6 {
        digits.push(base62(rest as usize));
        rest /= 62;
    }
    digits.iter().rev().collect()
}

fn base62(value: usize) -> char {
    let digits = ('0'..='9').chain('A'..='Z').chain('a'..='z');
    digits.cycle().nth(value % 62).unwrap_or_default()
}

/// A key made of the input is well-formed, and is not when any character is another.
fn judge_tokens(data: &[u8], prefix: &Prefix) {
    let secret: String = (0..32).map(|at| base62(usize::from(data.get(at).copied().unwrap_or(7)))).collect();
    let body = format!("{}_sk_{secret}", prefix.as_str());
    let word = body.clone() + &checksum(&body);
    assert!(token::is_well_formed(prefix, Kind::ApiKey, &word), "{word}");
    let by = data.get(32).map_or('x', |by| base62(usize::from(*by)));
    for at in 0..word.len() {
        let mut other = word.clone();
        other.replace_range(at..=at, by.encode_utf8(&mut [0; 4]));
        assert_eq!(token::is_well_formed(prefix, Kind::ApiKey, &other), other == word, "{other}");
    }
}

fn judge_bare(value: &[u8]) {
    let words: Vec<&[u8]> =
        value.trim_ascii().split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect();
    match credential::read_bare(value) {
        Ok(Field::Empty) => assert!(words.is_empty()),
        Ok(Field::Word(word)) => assert_eq!(words, [word.as_bytes()]),
        Ok(other) => panic!("a bare field has no scheme: {other:?}"),
        Err(Malformed::SeveralWords) => assert!(words.len() > 1),
        Err(_) => {
            assert!(value.len() > CREDENTIAL_MAX || value.iter().any(|byte| !matches!(byte, b' '..=b'~')));
        }
    }
}

thread_local! {
    static DECISIONS: [Decision; 2] = ["false", "true"].map(|basic| {
        let text = format!("credentials: {{ basic: {basic}, headers: [X-Api-Key] }}");
        let loaded = config::parse(&text, "fuzz.yaml", Path::new(""), &|_| None).expect("it is valid");
        Decision::compile(&loaded.config)
    });
}

/// However many fields there are, one credential comes of them at most.
fn judge_several(data: &[u8], basic: Basic) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let (name, value) = match line.strip_prefix(b"=") {
            Some(bare) => ("x-api-key", bare),
            None => ("authorization", line),
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    let fields: Vec<_> =
        headers.get_all("authorization").iter().map(|value| slowly(value.as_bytes(), basic)).collect();
    let bare = headers.get_all("x-api-key").iter().map(|value| credential::read_bare(value.as_bytes()));
    let all: Vec<_> = fields.iter().cloned().chain(bare).collect();
    let words = || all.iter().filter(|read| matches!(read, Ok(Field::Word(_) | Field::Decoded(_))));
    let expected_to_fail = fields.len() > 1 || all.iter().any(Result::is_err) || words().count() > 1;
    DECISIONS.with(|decisions| {
        match decisions[usize::from(basic == Basic::Read)].presented(&headers, Ok(None)) {
            Err(_) => assert!(expected_to_fail, "refused for nothing"),
            Ok(Presented::Nothing(_)) => assert!(!expected_to_fail && words().count() == 0),
            Ok(Presented::One(word)) => {
                assert!(!expected_to_fail);
                let one = match words().next() {
                    Some(Ok(Field::Word(word))) => (*word).to_owned(),
                    Some(Ok(Field::Decoded(word))) => word.clone(),
                    other => panic!("a credential out of {other:?}"),
                };
                assert_eq!(*word, one);
            }
        }
    });
}
