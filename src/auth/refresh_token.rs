//! Refresh tokens, which are made like all secrets, but that those of one session begin alike: with when it began.
//!
//! A store has its digests in order. Where each stands anywhere, a login and a refresh read and write pages that nobody
//! else wants, and the more tokens there are, the more that costs. So a digest begins as its token does: a session's
//! tokens stand side by side, and those of new sessions at the end.

use super::random::{Random, RandomFailed};
use super::token::{BASE62, HashedToken, Kind, PlainToken, Prefix, SECRET_AND_CHECKSUM_LEN};
use crate::clock::Timestamp;

/// Of the 32 characters of a secret; the other 27 are random, about 160 bit.
const LEN: usize = 5;

/// How the tokens of one session begin: with the second in which it began, in base62, modulo 29 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning([u8; LEN]);

impl Beginning {
    /// Of a session that begins `at` this time.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        let mut rest = at.millis().div_euclid(1000);
        let mut text = [b'0'; LEN];
        for place in text.iter_mut().rev() {
            let digit = usize::try_from(rest.rem_euclid(62)).unwrap_or_default();
            *place = BASE62.get(digit).copied().unwrap_or(b'0');
            rest = rest.div_euclid(62);
        }
        Self(text)
    }

    /// Of a token, whose form was judged.
    #[must_use]
    pub fn of(token: &str) -> Self {
        let secret =
            token.len().checked_sub(SECRET_AND_CHECKSUM_LEN).and_then(|start| token.as_bytes().get(start..));
        Self(secret.and_then(<[u8]>::first_chunk).copied().unwrap_or([b'0'; LEN]))
    }

    /// Makes a token that begins so.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn token(self, prefix: &Prefix, random: &dyn Random) -> Result<PlainToken, RandomFailed> {
        PlainToken::beginning(prefix, Kind::RefreshToken, &self.0, random)
    }

    /// The same as a number, smaller for what began before.
    fn number(self) -> u32 {
        let digit =
            |byte: &u8| BASE62.iter().position(|known| known == byte).and_then(|at| at.try_into().ok());
        self.0.iter().fold(0, |number, byte| number * 62 + digit(byte).unwrap_or(0_u32))
    }
}

/// What is stored of a token: how it begins, and all but four bytes of its SHA-256.
#[must_use]
pub fn digest(token: &str) -> HashedToken {
    HashedToken::of(token.as_bytes()).behind(Beginning::of(token).number())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::random::System;
    use super::super::token::is_well_formed;
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_123);

    fn token(at: Timestamp) -> PlainToken {
        Beginning::at(at).token(&Prefix::default(), &System::default()).unwrap()
    }

    #[test]
    fn a_token_has_the_form_of_its_kind_and_is_made_once() {
        let [one, other] = [token(NOW), token(NOW)];
        assert!(is_well_formed(&Prefix::default(), Kind::RefreshToken, one.expose()));
        assert_ne!(one.expose(), other.expose());
        assert_eq!(Beginning::of(one.expose()), Beginning::at(NOW));
    }

    #[test]
    fn it_begins_with_the_second_in_which_its_session_began() {
        assert_eq!(u64::from(Beginning::at(NOW).number()), 1_800_000_000 % 62_u64.pow(5));
        assert_eq!(Beginning::at(Timestamp(999)), Beginning(*b"00000"));
        assert_eq!(Beginning::at(Timestamp(61_000)), Beginning(*b"0000z"));
        assert_eq!(Beginning::at(Timestamp(-1)), Beginning(*b"zzzzz"), "a clock that is wrong");
    }

    #[test]
    fn digests_of_a_session_stand_together_and_behind_those_of_earlier_ones() {
        let hex = |seconds: u64| digest(token(NOW.after(Duration::from_secs(seconds))).expose()).hex();
        let first: Vec<_> = (0..8).map(|_| hex(0)).collect();
        let next: Vec<_> = (0..8).map(|_| hex(1)).collect();
        assert!(first.iter().all(|first| next.iter().all(|next| first < next)), "{first:?} {next:?}");
        assert!(first.iter().all(|digest| digest[..8] == first[0][..8]));
    }

    #[test]
    fn a_digest_tells_all_of_a_token_apart() {
        let token = token(NOW);
        let full = HashedToken::of(token.expose().as_bytes()).hex();
        assert_eq!(digest(token.expose()).hex()[8..], full[..56]);
    }

    #[test]
    fn words_that_are_no_tokens_have_a_digest_too() {
        for word in ["", "kw_rt_", "é", &"é".repeat(30)] {
            assert_eq!(digest(word).hex().len(), 64);
        }
    }
}
