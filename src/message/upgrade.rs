//! Leaving HTTP/1.1 for another protocol (RFC 9110 §7.8): which requests may ask for it, and which answers grant it.
//!
//! Of WebSocket (RFC 6455) the whole handshake is judged, in both directions; of other protocols only that the answer
//! names the one that was asked for. What is not granted is HTTP as before, and nothing here changes where it ends.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Method};

use super::framing::InDoubt;
use super::names::elements;
use super::subprotocol::{self, Offer};
use crate::auth::credential::Malformed;
use crate::auth::refusal::Refusal;

#[cfg(test)]
mod tests;

const WEBSOCKET: &str = "websocket";
/// The one version of the protocol (RFC 6455 §4.1).
const VERSION: &str = "13";
/// What an endpoint that speaks the protocol appends to the key (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The length of a key: 16 bytes in base64.
const KEY: usize = 24;

const BAD_KEY: &str = "The Sec-WebSocket-Key of the handshake is missing, repeated, or not 16 bytes in base64. Send exactly one.";

const NOT_NAMED: InDoubt = InDoubt("it switches protocols without naming the one that was asked for");
const WRONG_ACCEPT: InDoubt = InDoubt("its Sec-WebSocket-Accept is not the answer to the key");
const NOT_OFFERED: InDoubt = InDoubt("it selects a subprotocol that was not offered");

/// A request to leave HTTP that may be passed on.
#[derive(Debug)]
pub struct Upgrade<'a> {
    /// As the client wrote it.
    protocol: &'a HeaderValue,
    handshake: Option<Handshake<'a>>,
}

/// What a WebSocket is opened with.
#[derive(Debug)]
struct Handshake<'a> {
    key: [u8; KEY],
    headers: &'a HeaderMap,
    /// Where a subprotocol may be a credential: what is offered besides.
    offer: Option<Offer<'a>>,
}

/// Whether a subprotocol may be a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subprotocols {
    /// They are names and nothing else.
    Names,
    /// One of them may be.
    MayCarryCredential,
}

impl<'a> Upgrade<'a> {
    /// Reads the request that has the only `Upgrade` field `protocol`; `None` when it is to be answered as if it had
    /// none, as every server may do: because the route does not allow the protocol, or it is not asked for in the way
    /// it is opened.
    ///
    /// # Errors
    /// When it is the handshake of a WebSocket, and broken.
    pub fn read(
        protocol: &'a HeaderValue,
        method: &Method,
        headers: &'a HeaderMap,
        allowed: &[Box<str>],
        subprotocols: Subprotocols,
    ) -> Result<Option<Self>, Refusal> {
        if !allowed.iter().any(|known| protocol.as_bytes().eq_ignore_ascii_case(known.as_bytes())) {
            return Ok(None);
        }
        if !protocol.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes()) {
            let opens = matches!(*method, Method::GET | Method::POST);
            return Ok(opens.then_some(Self { protocol, handshake: None }));
        }
        if method != Method::GET || only(headers, "sec-websocket-version") != Some(VERSION.as_bytes()) {
            return Ok(None);
        }
        let key = only(headers, "sec-websocket-key").and_then(key).ok_or(Refusal::BadRequest(BAD_KEY))?;
        let offer = match subprotocols {
            Subprotocols::Names => None,
            Subprotocols::MayCarryCredential => Some(Offer::read(headers)?),
        };
        Ok(Some(Self { protocol, handshake: Some(Handshake { key, headers, offer }) }))
    }

    /// Whether it opens a WebSocket.
    #[must_use]
    pub const fn is_websocket(&self) -> bool {
        self.handshake.is_some()
    }

    /// The credential among the subprotocols, where it may be there.
    ///
    /// # Errors
    /// When there are several, or one that cannot be read.
    pub fn credential(&self) -> Result<Option<&'a str>, Malformed> {
        match self.handshake.as_ref().and_then(|handshake| handshake.offer.as_ref()) {
            Some(offer) => offer.credential(),
            None => Ok(None),
        }
    }

    /// Gives `field` what the upstream is to be told besides the fields that pass.
    pub fn write(&self, mut field: impl FnMut(&str, &[u8])) {
        field("connection", b"Upgrade");
        field("upgrade", self.protocol.as_bytes());
        let offer = self.handshake.as_ref().and_then(|handshake| handshake.offer.as_ref());
        if let Some(names) = offer.and_then(Offer::forwarded) {
            field(subprotocol::FIELD, names.as_bytes());
        }
    }

    /// Judges the 101 that was answered: `announced` is the protocol it names, `answer` has its other fields, to which
    /// those that the client waits for are added.
    ///
    /// # Errors
    /// When it is no answer to this request: its connection is neither HTTP nor what was asked for.
    pub fn grant(&self, announced: Option<&[u8]>, answer: &mut HeaderMap) -> Result<(), InDoubt> {
        if !announced.is_some_and(|named| named.eq_ignore_ascii_case(self.protocol.as_bytes())) {
            return Err(NOT_NAMED);
        }
        if let Some(handshake) = &self.handshake {
            handshake.grant(answer)?;
        }
        answer.insert(http::header::CONNECTION, HeaderValue::from_static("upgrade"));
        answer.insert(http::header::UPGRADE, self.protocol.clone());
        Ok(())
    }
}

impl Handshake<'_> {
    fn grant(&self, answer: &mut HeaderMap) -> Result<(), InDoubt> {
        if only(answer, "sec-websocket-accept") != Some(accept(&self.key).as_bytes()) {
            return Err(WRONG_ACCEPT);
        }
        let mut selected = answer.get_all(subprotocol::FIELD).iter();
        match (selected.next(), selected.next(), &self.offer) {
            (None, _, offer) => {
                if offer.as_ref().is_some_and(Offer::has_stand_in) {
                    answer.insert(subprotocol::FIELD, HeaderValue::from_static(subprotocol::STAND_IN));
                }
                Ok(())
            }
            (Some(name), None, Some(offer)) if offer.has(name.as_bytes()) => Ok(()),
            (Some(name), None, None) if offered(self.headers, name.as_bytes()) => Ok(()),
            (Some(_), ..) => Err(NOT_OFFERED),
        }
    }
}

fn offered(headers: &HeaderMap, name: &[u8]) -> bool {
    headers
        .get_all(subprotocol::FIELD)
        .iter()
        .flat_map(|value| elements(value.as_bytes()))
        .any(|it| it == name)
}

/// The protocol that an answer names, if it names exactly one and its `Connection` means it.
pub fn announced<'a>(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Option<&'a [u8]> {
    let (mut named, mut meant) = (None, false);
    for (name, value) in fields {
        if name.eq_ignore_ascii_case(b"upgrade") {
            if named.replace(value).is_some() {
                return None;
            }
        } else if name.eq_ignore_ascii_case(b"connection") {
            meant |= elements(value).any(|option| option.eq_ignore_ascii_case(b"upgrade"));
        }
    }
    named.filter(|_| meant)
}

/// What answers a key (RFC 6455 §4.2.2).
fn accept(key: &[u8; KEY]) -> String {
    let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID].concat());
    STANDARD.encode(sum.as_ref())
}

fn key(value: &[u8]) -> Option<[u8; KEY]> {
    let key: [u8; KEY] = value.try_into().ok()?;
    let digits = key.strip_suffix(b"==")?;
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    digits.iter().all(digit).then_some(key)
}

/// The value of a field that is there once.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none()).map(HeaderValue::as_bytes)
}
