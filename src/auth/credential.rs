//! Reading a credential out of header fields, and telling by its form what it is.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::bytes::all;
use super::token::Prefix;

/// The longest `Authorization` value that is read, in bytes.
pub const CREDENTIAL_MAX: usize = 8 * 1024;

/// Why a presented credential cannot be read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// More than one field or source carries one.
    Several,
    /// `Bearer` with more than one word.
    SeveralWords,
    /// The lone word `Bearer` or `Basic`.
    SchemeAlone,
    /// Bytes outside visible ASCII.
    NotVisibleAscii,
    /// More than [`CREDENTIAL_MAX`] bytes.
    TooLong,
    /// Nothing stands behind the name that a subprotocol carries a credential under.
    EmptySubprotocol,
    /// `Basic` is configured, and its value is not a key as user name with an empty password.
    BadBasic,
}

impl Malformed {
    /// What is wrong and what to do, for the client.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Several => "The request carries more than one credential. Send exactly one.",
            Self::SeveralWords => {
                "The Authorization field has more than one word after Bearer. Send: Authorization: Bearer YOUR_KEY"
            }
            Self::SchemeAlone => {
                "The Authorization field names a scheme but holds no credential. Send: Authorization: Bearer YOUR_KEY"
            }
            Self::NotVisibleAscii => {
                "The credential has characters that no credential contains (spaces, control or non-ASCII bytes). Copy it again."
            }
            Self::TooLong => "The credential is longer than 8 KiB. Copy it again.",
            Self::EmptySubprotocol => {
                "The subprotocol keyward.bearer. holds no credential. Offer: keyward.bearer.YOUR_KEY"
            }
            Self::BadBasic => {
                "The Basic credential cannot be read. Send the API key as user name and an empty password."
            }
        }
    }
}

/// What one header field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// Nothing, or white space.
    Empty,
    /// A scheme that is not read here; named when it is a registered one, else unnamed, for the first word could be
    /// a secret.
    OtherScheme(Option<&'static str>),
    /// One credential.
    Word(&'a str),
    /// The decoded user name of `Basic`.
    Decoded(String),
}

/// Whether `Basic` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basic {
    /// A key as user name with an empty password is a credential.
    Read,
    /// `Basic` is another scheme.
    Ignored,
}

/// Schemes that may be named back to the client.
const KNOWN_SCHEMES: [&str; 16] = [
    "Basic",
    "Digest",
    "Negotiate",
    "NTLM",
    "DPoP",
    "GNAP",
    "HOBA",
    "Mutual",
    "OAuth",
    "Hawk",
    "Token",
    "ApiKey",
    "PrivateToken",
    "SCRAM-SHA-256",
    "vapid",
    "AWS4-HMAC-SHA256",
];

/// Reads the value of one `Authorization` field.
///
/// # Errors
/// When it is no credential and no other scheme either.
pub fn read_authorization(value: &[u8], basic: Basic) -> Result<Field<'_>, Malformed> {
    let value = value.trim_ascii();
    let Some((scheme, rest)) = split_word(visible(value)?) else {
        return Ok(Field::Empty);
    };
    if rest.is_empty() {
        return match scheme {
            lone if is(lone, "bearer") || is(lone, "basic") => Err(Malformed::SchemeAlone),
            word => Ok(Field::Word(word)),
        };
    }
    if is(scheme, "bearer") {
        return if rest.contains(' ') { Err(Malformed::SeveralWords) } else { Ok(Field::Word(rest)) };
    }
    if is(scheme, "basic") && basic == Basic::Read {
        return decode_basic(rest).map(Field::Decoded).ok_or(Malformed::BadBasic);
    }
    Ok(Field::OtherScheme(KNOWN_SCHEMES.into_iter().find(|known| is(scheme, known))))
}

/// Reads the value of a configured field that holds a bare credential.
///
/// # Errors
/// When it holds more than one word or illegal bytes.
pub fn read_bare(value: &[u8]) -> Result<Field<'_>, Malformed> {
    match split_word(visible(value.trim_ascii())?) {
        None => Ok(Field::Empty),
        Some((word, "")) => Ok(Field::Word(word)),
        Some(_) => Err(Malformed::SeveralWords),
    }
}

fn visible(value: &[u8]) -> Result<&str, Malformed> {
    if value.len() > CREDENTIAL_MAX {
        return Err(Malformed::TooLong);
    }
    if !all(value, |byte| matches!(byte, b' '..=b'~')) {
        return Err(Malformed::NotVisibleAscii);
    }
    std::str::from_utf8(value).map_err(|_| Malformed::NotVisibleAscii)
}

/// The first word and what follows its spaces; `None` for nothing.
fn split_word(value: &str) -> Option<(&str, &str)> {
    match value.split_once(' ') {
        _ if value.is_empty() => None,
        None => Some((value, "")),
        Some((first, rest)) => Some((first, rest.trim_start_matches(' '))),
    }
}

fn is(word: &str, scheme: &str) -> bool {
    word.eq_ignore_ascii_case(scheme)
}

fn decode_basic(text: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    let pair = String::from_utf8(bytes).ok()?;
    let user = pair.strip_suffix(':')?;
    let legal = !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    legal.then(|| user.to_owned())
}

/// What a credential is, by its form alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// It claims to be made here: our prefix and `_`.
    Ours,
    /// Three base64url parts, the first a JSON object.
    Jwt,
    /// Anything else.
    Opaque,
}

/// Tells the form of a credential.
#[must_use]
pub fn form(word: &str, prefix: &Prefix) -> Form {
    if prefix.claims(word) {
        return Form::Ours;
    }
    if is_jwt(word) { Form::Jwt } else { Form::Opaque }
}

fn is_jwt(word: &str) -> bool {
    let mut parts = word.split('.');
    let (Some(head), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    all(word.as_bytes(), base64url)
        && URL_SAFE_NO_PAD
            .decode(head)
            .is_ok_and(|json| json.trim_ascii().starts_with(b"{") && json.trim_ascii().ends_with(b"}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &[u8]) -> Result<Field<'_>, Malformed> {
        read_authorization(value, Basic::Ignored)
    }

    #[test]
    fn a_credential_is_one_word_with_or_without_bearer() {
        for value in ["Bearer abc", "bearer abc", "BEARER   abc", "  Bearer abc  ", "abc", " abc\t"] {
            assert_eq!(read(value.as_bytes()), Ok(Field::Word("abc")), "{value:?}");
        }
    }

    #[test]
    fn nothing_is_no_credential() {
        for value in ["", " ", "\t "] {
            assert_eq!(read(value.as_bytes()), Ok(Field::Empty), "{value:?}");
        }
    }

    #[test]
    fn other_schemes_are_named_only_when_registered() {
        assert_eq!(read(b"Basic dTpw"), Ok(Field::OtherScheme(Some("Basic"))));
        assert_eq!(read(b"digest username=x, realm=y"), Ok(Field::OtherScheme(Some("Digest"))));
        assert_eq!(read(b"kw_sk_secret extra"), Ok(Field::OtherScheme(None)));
    }

    #[test]
    fn what_cannot_be_read_is_malformed() {
        for (value, why) in [
            (&b"Bearer"[..], Malformed::SchemeAlone),
            (b"basic", Malformed::SchemeAlone),
            (b"Bearer a b", Malformed::SeveralWords),
            (b"Bearer a\tb", Malformed::NotVisibleAscii),
            (b"Bearer a\x00", Malformed::NotVisibleAscii),
            (b"Bearer \xc3\xa9", Malformed::NotVisibleAscii),
            (&[b'a'; CREDENTIAL_MAX + 1], Malformed::TooLong),
        ] {
            assert_eq!(read(value), Err(why), "{value:?}");
        }
    }

    #[test]
    fn basic_carries_a_key_as_user_name_where_configured() {
        let read = |value| read_authorization(value, Basic::Read);
        assert_eq!(read(b"Basic a3dfc2tfeDo="), Ok(Field::Decoded("kw_sk_x".into())));
        for bad in ["Basic a3dfc2tfeDpw", "Basic Og==", "Basic !!", "Basic a3c="] {
            assert_eq!(read(bad.as_bytes()), Err(Malformed::BadBasic), "{bad}");
        }
    }

    #[test]
    fn a_bare_field_holds_one_word() {
        assert_eq!(read_bare(b" key "), Ok(Field::Word("key")));
        assert_eq!(read_bare(b"a b"), Err(Malformed::SeveralWords));
    }

    #[test]
    fn the_form_tells_what_it_is() {
        let prefix = Prefix::default();
        for (word, expected) in [
            ("kw_sk_x", Form::Ours),
            ("kw_", Form::Ours),
            ("kwx", Form::Opaque),
            ("eyJhbGciOiJub25lIn0.e30.", Form::Jwt),
            ("eyJhbGciOiJub25lIn0.e30", Form::Opaque),
            ("a.b.c", Form::Opaque),
            ("e30=.e30.x", Form::Opaque),
        ] {
            assert_eq!(form(word, &prefix), expected, "{word}");
        }
    }
}
