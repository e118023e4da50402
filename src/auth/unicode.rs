//! One form for text that can be written in several: a keyboard, a file name or a phone decides which, not its author.

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// `text` with every letter in one piece (NFC, Unicode Standard Annex 15): as it is kept.
#[must_use]
pub fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// By what email addresses are compared: letter case and the width of letters aside (NFKC), every letter in one piece, the
/// domain as people read it (RFC 5890 §2.3.2.1). So no two accounts have addresses that only a machine tells apart.
#[must_use]
pub fn folded(email: &str) -> String {
    let plain: String = email.nfkc().collect::<String>().to_lowercase().nfkc().collect();
    with_domain(&plain, idna::domain_to_unicode)
}

/// All forms under which an address may be known: folded, as it was kept before there was one form, with its domain in
/// ASCII, and with its letters taken apart.
#[must_use]
pub fn spellings(email: &str) -> [String; 4] {
    let folded = folded(email);
    let ascii = |domain: &str| {
        let read = idna::domain_to_ascii(domain);
        (read.as_deref().unwrap_or_default().to_owned(), read.map(|_| ()))
    };
    let [in_ascii, apart] = [with_domain(&folded, ascii), folded.nfd().collect()];
    [folded, email.to_lowercase(), in_ascii, apart]
}

/// The address with its domain in another form, or as it is where the domain is none.
fn with_domain<E>(email: &str, form: impl Fn(&str) -> (String, Result<(), E>)) -> String {
    let Some((local, domain)) = email.rsplit_once('@') else { return email.to_owned() };
    match form(domain) {
        (other, Ok(())) => format!("{local}@{other}"),
        (_, Err(_)) => email.to_owned(),
    }
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
    fn a_domain_is_one_in_either_alphabet_and_a_letter_in_either_width() {
        const READ: &str = "ann@m\u{fc}ller.example";
        for written in [
            READ,
            "ann@mu\u{308}ller.example",
            "ann@M\u{dc}LLER.example",
            "Ann@xn--mller-kva.example",
            "ANN@XN--MLLER-KVA.EXAMPLE",
            "\u{ff41}nn@m\u{fc}ller\u{3002}example",
        ] {
            assert_eq!(folded(written), READ, "{written}");
        }
        assert_ne!(folded("ann@fa\u{df}.example"), folded("ann@fass.example"), "two domains");
        assert_eq!(folded("ann@xn--a.example"), "ann@xn--a.example", "in no alphabet");
        for nothing in ["", "@", "ann", "ann@", "a@b@xn--mller-kva.example"] {
            assert!(folded(nothing).starts_with(nothing.split('@').next().unwrap()), "{nothing}");
        }
    }

    #[test]
    fn an_address_is_found_as_it_was_kept_before() {
        let [folded, given, ascii, apart] = spellings("J\u{fc}rgen@M\u{fc}ller.example");
        assert_eq!(
            (&*folded, &*given),
            ("j\u{fc}rgen@m\u{fc}ller.example", "j\u{fc}rgen@m\u{fc}ller.example")
        );
        assert_eq!(ascii, "j\u{fc}rgen@xn--mller-kva.example");
        assert_eq!(apart, "ju\u{308}rgen@mu\u{308}ller.example");
    }

    #[test]
    fn a_password_is_one_however_it_is_written_and_keeps_its_case() {
        assert_eq!(*password("Pa\u{308}sswort \u{ff11}"), *"P\u{e4}sswort 1");
        assert_eq!(*password("Correct horse"), *"Correct horse");
    }
}
