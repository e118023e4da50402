//! One form for text that can be written in several: a keyboard, a file name or a phone decides which, not its author.

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// `text` with every letter in one piece (NFC, Unicode Standard Annex 15): as it is kept.
#[must_use]
pub fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// By what email addresses are compared: composed, letter case aside.
#[must_use]
pub fn folded(email: &str) -> String {
    composed(&composed(email).to_lowercase())
}

/// By what passwords are compared (NFKC; NIST SP 800-63B §3.1.1.2).
#[must_use]
pub fn password(given: &str) -> Zeroizing<String> {
    // Never grown, so that no copy of it is left behind.
    let mut normal = Zeroizing::new(String::with_capacity(given.nfkc().map(char::len_utf8).sum()));
    normal.extend(given.nfkc());
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPOSED: &str = "J\u{fc}rgen@example.com";
    const DECOMPOSED: &str = "Ju\u{308}rgen@example.com";

    #[test]
    fn an_address_is_one_however_it_is_written() {
        assert_eq!(composed(DECOMPOSED), COMPOSED);
        for written in [COMPOSED, DECOMPOSED, "JU\u{308}RGEN@EXAMPLE.COM", "J\u{dc}RGEN@example.com"] {
            assert_eq!(folded(written), "j\u{fc}rgen@example.com");
        }
        assert_eq!(folded("A@Example.com"), "a@example.com");
    }

    #[test]
    fn a_password_is_one_however_it_is_written_and_keeps_its_case() {
        assert_eq!(*password("Pa\u{308}sswort \u{ff11}"), *"P\u{e4}sswort 1");
        assert_eq!(*password("Correct horse"), *"Correct horse");
    }
}
