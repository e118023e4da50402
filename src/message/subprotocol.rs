//! The subprotocols that the handshake of a WebSocket offers (RFC 6455 §11.3.4), and the credential that one of them may
//! be: a browser's WebSocket can set no other field.
//!
//! `keyward.bearer.KEY` never goes on, neither up nor back. A browser ends the connection when it offered subprotocols
//! and none was selected, so a page whose backend knows none offers `keyward` too, which is selected here.

use http::HeaderMap;

use super::names::elements;
use crate::auth::credential::{CREDENTIAL_MAX, Malformed};
use crate::auth::refusal::Refusal;

/// The field they stand in.
pub const FIELD: &str = "sec-websocket-protocol";
/// Selected here when it was offered and the upstream selected none.
pub const STAND_IN: &str = "keyward";
/// Stands before the credential.
const BEARER: &str = "keyward.bearer.";

const NOT_NAMES: &str =
    "The Sec-WebSocket-Protocol field holds something else than names parted by commas. Send names alone.";

/// What a handshake offers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Offer<'a> {
    /// The names that go on.
    names: Vec<&'a str>,
    credentials: Vec<&'a str>,
    stand_in: bool,
}

impl<'a> Offer<'a> {
    /// Reads what is offered.
    ///
    /// # Errors
    /// When it has something that is no name: what another parser would take for the end of a credential is unknown.
    pub fn read(headers: &'a HeaderMap) -> Result<Self, Refusal> {
        let mut offer = Self::default();
        for element in headers.get_all(FIELD).iter().flat_map(|value| elements(value.as_bytes())) {
            let name = name(element).ok_or(Refusal::BadRequest(NOT_NAMES))?;
            match name.strip_prefix(BEARER) {
                Some(credential) => offer.credentials.push(credential),
                None if name == STAND_IN => offer.stand_in = true,
                None => offer.names.push(name),
            }
        }
        Ok(offer)
    }

    /// The credential.
    ///
    /// # Errors
    /// When there are several, or one that cannot be read.
    pub fn credential(&self) -> Result<Option<&'a str>, Malformed> {
        match *self.credentials {
            [] => Ok(None),
            [""] => Err(Malformed::EmptySubprotocol),
            [word] if word.len() > CREDENTIAL_MAX => Err(Malformed::TooLong),
            [word] => Ok(Some(word)),
            _ => Err(Malformed::Several),
        }
    }

    /// What the upstream is offered; `None` when nothing is left.
    #[must_use]
    pub fn forwarded(&self) -> Option<String> {
        (!self.names.is_empty()).then(|| self.names.join(", "))
    }

    /// Whether the upstream was offered `name`.
    pub(super) fn has(&self, name: &[u8]) -> bool {
        self.names.iter().any(|offered| offered.as_bytes() == name)
    }

    /// Whether [`STAND_IN`] was offered.
    pub(super) const fn has_stand_in(&self) -> bool {
        self.stand_in
    }
}

/// A name: a token (RFC 9110 §5.6.2).
fn name(element: &[u8]) -> Option<&str> {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    std::str::from_utf8(element).ok().filter(|name| name.bytes().all(|byte| legal(&byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(FIELD, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_credential_is_taken_out_and_the_rest_goes_on_in_order() {
        for (values, credential, forwarded, stand_in) in [
            (&[][..], Ok(None), None, false),
            (&["chat"], Ok(None), Some("chat"), false),
            (&["keyward.bearer.kw_sk_x"], Ok(Some("kw_sk_x")), None, false),
            (&["b, keyward.bearer.k ,a", "keyward"], Ok(Some("k")), Some("b, a"), true),
            (&["b", "keyward.bearer.k"], Ok(Some("k")), Some("b"), false),
            (&["Keyward.bearer.k"], Ok(None), Some("Keyward.bearer.k"), false),
            (&["keyward.bearer.a.b-c_d"], Ok(Some("a.b-c_d")), None, false),
            (&["keyward.bearer."], Err(Malformed::EmptySubprotocol), None, false),
            (&["keyward.bearer.a, keyward.bearer.a"], Err(Malformed::Several), None, false),
            (&["keyward.bearer.a", "x, keyward.bearer."], Err(Malformed::Several), Some("x"), false),
        ] {
            let headers = fields(values);
            let offer = Offer::read(&headers).unwrap();
            assert_eq!(offer.credential(), credential, "{values:?}");
            assert_eq!(offer.forwarded().as_deref(), forwarded, "{values:?}");
            assert_eq!(offer.has_stand_in(), stand_in, "{values:?}");
        }
        let long = format!("keyward.bearer.{}", "a".repeat(CREDENTIAL_MAX + 1));
        assert_eq!(Offer::read(&fields(&[&long])).unwrap().credential(), Err(Malformed::TooLong));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for value in ["\"a, keyward.bearer.k\"", "a b", "a;b", "keyward.bearer.a/b", "\u{e4}"] {
            assert_eq!(Offer::read(&fields(&[value])), Err(Refusal::BadRequest(NOT_NAMES)), "{value}");
        }
    }

    #[test]
    fn what_may_be_selected_is_what_was_passed_on() {
        let headers = fields(&["chat, keyward.bearer.k, keyward"]);
        let offer = Offer::read(&headers).unwrap();
        assert!(offer.has(b"chat"));
        for never in [&b"keyward"[..], b"keyward.bearer.k", b"Chat", b"", b"chat, chat"] {
            assert!(!offer.has(never));
        }
    }
}
