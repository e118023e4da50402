//! The secrets that are made here: `kw_sk_` + 32 random characters + 6 of checksum, all base62.
//!
//! The prefix lets secret scanners find them, the checksum refuses junk before anything is looked up, and only a
//! [`HashedToken`] is ever stored or cached.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

use super::bytes::all;
use super::random::{Random, RandomFailed};

/// In the order of their bytes: texts of one length sort like the numbers that they are.
pub(super) const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SECRET_LEN: usize = 32;
const CHECKSUM_LEN: usize = 6;
pub(super) const SECRET_AND_CHECKSUM_LEN: usize = SECRET_LEN + CHECKSUM_LEN;
const PREFIX_MAX: usize = 16;
/// The longest token of ours: prefix, `_`, kind, `_`, secret, checksum.
pub const TOKEN_MAX: usize = PREFIX_MAX + 1 + 2 + 1 + SECRET_LEN + CHECKSUM_LEN;

/// What a secret is for. A token of one kind is never accepted where another is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A long-lived key of an account.
    ApiKey,
    /// What a new pair of tokens is got with, once.
    RefreshToken,
    /// What a new password is set with, once.
    ResetLink,
}

impl Kind {
    /// The two letters between the prefix and the secret.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "sk",
            Self::RefreshToken => "rt",
            Self::ResetLink => "rl",
        }
    }

    /// What one is and where it belongs, for who sent it where it does not.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::ApiKey => "This is an API key. Send it with a request: Authorization: Bearer YOUR_KEY",
            Self::RefreshToken => {
                "This is a refresh token. Exchange it by POST /user/token/refresh, and send the access token of the answer."
            }
            Self::ResetLink => "This is the secret of a reset link. Open that link in a browser.",
        }
    }
}

/// Whether a text, which stands where no secret belongs, may hold one all the same, made here or elsewhere: an error is not
/// to quote it.
#[must_use]
pub fn may_hold_secret(text: &str) -> bool {
    /// As many letters and digits in a row as no word has.
    const LONG: usize = 24;
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|run| run.len() >= LONG)
}

/// The configurable first part of every secret made here, `kw` by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(Box<str>);

impl Prefix {
    /// Lower-case letters and digits, first a letter, at most 16.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase());
        let reads_well = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        (starts_well && reads_well && text.len() <= PREFIX_MAX).then(|| Self(text.into()))
    }

    /// The prefix without its underscore.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `word` claims to have been made here: it starts with the prefix and `_`.
    #[must_use]
    pub fn claims(&self, word: &str) -> bool {
        word.strip_prefix(&*self.0).is_some_and(|rest| rest.starts_with('_'))
    }

    /// The part of a secret that may be shown to people: `kw_sk_`.
    #[must_use]
    pub fn shown(&self, kind: Kind) -> String {
        format!("{}_{}_", self.0, kind.as_str())
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("kw".into())
    }
}

/// A secret in clear. Printed once, when made; `Debug` shows nothing of it.
#[derive(Clone)]
pub struct PlainToken(Zeroizing<String>);

impl PlainToken {
    /// Makes a fresh secret of about 190 bit.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn generate(prefix: &Prefix, kind: Kind, random: &dyn Random) -> Result<Self, RandomFailed> {
        Self::beginning(prefix, kind, &[], random)
    }

    /// The same, where the secret's first characters are given and add nothing to it.
    pub(super) fn beginning(
        prefix: &Prefix,
        kind: Kind,
        given: &[u8],
        random: &dyn Random,
    ) -> Result<Self, RandomFailed> {
        let mut text = Zeroizing::new(String::with_capacity(TOKEN_MAX));
        text.push_str(&prefix.shown(kind));
        let secret_end = text.len() + SECRET_LEN;
        text.extend(given.iter().map(|byte| char::from(*byte)));
        let mut pool = Zeroizing::new([0_u8; 64]);
        while text.len() < secret_end {
            random.fill(&mut *pool)?;
            // 248 = 4 × 62: bytes above it would favour the first characters.
            let fair = pool.iter().filter(|byte| **byte < 248);
            for byte in fair.take(secret_end - text.len()) {
                text.push(digit(u32::from(*byte)));
            }
        }
        let sum = checksum(text.as_bytes());
        text.extend(sum.iter().map(|byte| char::from(*byte)));
        Ok(Self(text))
    }

    /// The clear text, for the one place that hands it to its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    #[must_use]
    pub fn hashed(&self) -> HashedToken {
        HashedToken::of(self.0.as_bytes())
    }

    /// The last four characters, by which people tell keys apart.
    #[must_use]
    pub fn last4(&self) -> &str {
        self.0.get(self.0.len().saturating_sub(4)..).unwrap_or_default()
    }
}

impl fmt::Debug for PlainToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainToken(…)")
    }
}

/// The SHA-256 of a secret: all that is stored and cached. `Debug` shows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HashedToken([u8; 32]);

impl HashedToken {
    /// Hashes a presented credential.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, token).as_ref());
        Self(bytes)
    }

    /// The same behind a number, which all but its last four bytes follow. Tables that take a digest's first bytes for
    /// random are not for it.
    pub(super) fn behind(self, number: u32) -> Self {
        let mut bytes = [0; 32];
        let (front, rest) = bytes.split_at_mut(4);
        front.copy_from_slice(&number.to_be_bytes());
        rest.iter_mut().zip(self.0).for_each(|(byte, digest)| *byte = digest);
        Self(bytes)
    }

    /// The raw digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Lower-case hexadecimal, as the store keeps it.
    #[must_use]
    pub fn hex(&self) -> String {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let nibbles = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        nibbles.filter_map(|nibble| HEX.get(usize::from(nibble))).map(|byte| char::from(*byte)).collect()
    }

    /// Reads what [`hex`](Self::hex) wrote.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// The first eight bytes as a number: as good as random, so tables can use it without hashing again.
    #[must_use]
    pub const fn short(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Debug for HashedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedToken(…)")
    }
}

/// Whether `word` has the kind, the length and the checksum of a secret made here with `prefix`. Costs no look-up.
#[must_use]
pub fn is_well_formed(prefix: &Prefix, kind: Kind, word: &str) -> bool {
    let Some(secret) = word
        .strip_prefix(prefix.as_str())
        .and_then(|rest| rest.strip_prefix('_'))
        .and_then(|rest| rest.strip_prefix(kind.as_str()))
        .and_then(|rest| rest.strip_prefix('_'))
    else {
        return false;
    };
    let bytes = word.as_bytes();
    secret.len() == SECRET_AND_CHECKSUM_LEN
        && all(secret.as_bytes(), |byte| byte.is_ascii_alphanumeric())
        && bytes.split_last_chunk::<CHECKSUM_LEN>().is_some_and(|(body, sum)| checksum(body) == *sum)
}

/// CRC-32 of `body` in six base62 characters, left-padded with `0`.
fn checksum(body: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut rest = crc32fast::hash(body);
    let mut text = [b'0'; CHECKSUM_LEN];
    for place in text.iter_mut().rev() {
        *place = digit(rest) as u8;
        rest /= 62;
    }
    text
}

fn digit(value: u32) -> char {
    BASE62.get(value as usize % 62).map_or('0', |byte| char::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::super::random::System;
    use super::*;

    fn fresh() -> PlainToken {
        PlainToken::generate(&Prefix::default(), Kind::ApiKey, &System::default()).unwrap()
    }

    #[test]
    fn a_secret_is_told_from_words_by_its_length() {
        for kind in [Kind::ApiKey, Kind::RefreshToken, Kind::ResetLink] {
            let token = PlainToken::generate(&Prefix::default(), kind, &System::default()).unwrap();
            assert!(may_hold_secret(token.expose()));
            assert!(may_hold_secret(&format!("\"{}\": ", token.expose())));
        }
        assert!(may_hold_secret("eyJhbGciOiJFZERTQSJ9eyJh.x"));
        for text in
            ["", "allowed_addresses", "first.last@sub.example.com", "01a3185c-5000-73c0-b954-626744fd9b7f"]
        {
            assert!(!may_hold_secret(text), "{text}");
        }
    }

    #[test]
    fn a_fresh_key_has_the_promised_form_and_passes_its_own_check() {
        let key = fresh();
        assert_eq!(key.expose().len(), "kw_sk_".len() + 38);
        assert!(key.expose().starts_with("kw_sk_"));
        assert!(is_well_formed(&Prefix::default(), Kind::ApiKey, key.expose()));
        assert_ne!(key.expose(), fresh().expose());
    }

    #[test]
    fn the_checksum_is_crc32_in_base62_padded_with_zeros() {
        // CRC-32 of "123456789" is 0xCBF43926 = 3421780262, in base62 3JZ2ZS padded to six.
        let sum = checksum(b"123456789");
        let value = sum
            .iter()
            .fold(0_u64, |value, byte| value * 62 + BASE62.iter().position(|c| c == byte).unwrap() as u64);
        assert_eq!(value, 0xCBF4_3926);
        assert_eq!(&checksum(b""), b"000000");
    }

    #[test]
    fn any_changed_character_is_refused() {
        let key = fresh();
        for at in 0..key.expose().len() {
            let mut bytes = key.expose().as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            let word = String::from_utf8(bytes).unwrap();
            assert!(!is_well_formed(&Prefix::default(), Kind::ApiKey, &word), "changed at {at}");
        }
        let word = key.expose();
        assert!(!is_well_formed(&Prefix::default(), Kind::ApiKey, &word[..word.len() - 1]));
        assert!(!is_well_formed(&Prefix::default(), Kind::ApiKey, &format!("{word}0")));
        assert!(!is_well_formed(&Prefix::parse("acme").unwrap(), Kind::ApiKey, word));
    }

    #[test]
    fn debug_shows_nothing() {
        let key = fresh();
        assert_eq!(format!("{key:?} {:?}", key.hashed()), "PlainToken(…) HashedToken(…)");
    }

    #[test]
    fn a_digest_survives_hexadecimal() {
        let hash = HashedToken::of(b"abc");
        assert_eq!(hash.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(HashedToken::from_hex(&hash.hex()), Some(hash));
        assert_eq!(HashedToken::from_hex("zz"), None);
    }

    #[test]
    fn a_prefix_is_short_lower_case_and_starts_with_a_letter() {
        for good in ["kw", "acme2", "a"] {
            assert!(Prefix::parse(good).is_some(), "{good}");
        }
        for bad in ["", "KW", "2a", "a_b", "a-b", "abcdefghijklmnopq"] {
            assert!(Prefix::parse(bad).is_none(), "{bad}");
        }
    }
}
