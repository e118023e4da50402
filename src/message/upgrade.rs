//! Leaving HTTP for another protocol (RFC 9110 §7.8, RFC 8441): which requests may ask for it, and which answers grant it.
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
use crate::auth::random::{Random, RandomFailed};
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

/// The fields that a WebSocket is opened with over HTTP/1.1 alone.
pub const KEY_FIELD: &str = "sec-websocket-key";
/// See [`KEY_FIELD`].
pub const ACCEPT_FIELD: &str = "sec-websocket-accept";

/// A request to leave HTTP, as far as its fields tell.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What for, as the client wrote it.
    pub protocol: &'a HeaderValue,
    /// Its method.
    pub method: &'a Method,
    /// Its fields.
    pub headers: &'a HeaderMap,
    /// How it asks.
    pub opening: Opening,
}

/// How a client asks to leave HTTP.
#[derive(Clone, Copy, Debug)]
pub enum Opening {
    /// By the fields of HTTP/1.1.
    Fields,
    /// By a stream of HTTP/2 (RFC 8441): the key is made for its upstream.
    Stream(Key),
}

/// What a WebSocket is opened with over HTTP/1.1, so that only who speaks it can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key([u8; KEY]);

impl Key {
    /// A key that nobody used.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn fresh(random: &dyn Random) -> Result<Self, RandomFailed> {
        let mut bytes = [0; 16];
        random.fill(&mut bytes)?;
        let mut key = [b'='; KEY];
        // It fits: four characters for each three bytes.
        let _ = STANDARD.encode_slice(bytes, &mut key);
        Ok(Self(key))
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let key: [u8; KEY] = value.try_into().ok()?;
        let digits = key.strip_suffix(b"==")?;
        let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        digits.iter().all(digit).then_some(Self(key))
    }

    /// What answers it (RFC 6455 §4.2.2).
    fn accept(self) -> String {
        let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[&self.0, GUID].concat());
        STANDARD.encode(sum.as_ref())
    }
}

/// A request to leave HTTP that may be passed on.
#[derive(Debug)]
pub struct Upgrade<'a> {
    /// As the client wrote it.
    protocol: &'a HeaderValue,
    opening: Opening,
    handshake: Option<Handshake<'a>>,
}

/// What a WebSocket is opened with.
#[derive(Debug)]
struct Handshake<'a> {
    key: Key,
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
    /// Reads a request; `None` when it is to be answered as if it had not asked, as every server may do: because the
    /// route does not allow the protocol, or it is not asked for in the way it is opened.
    ///
    /// # Errors
    /// When it is the handshake of a WebSocket, and broken.
    pub fn read(
        asked: Asked<'a>,
        allowed: &[Box<str>],
        subprotocols: Subprotocols,
    ) -> Result<Option<Self>, Refusal> {
        let Asked { protocol, method, headers, opening } = asked;
        if !allowed.iter().any(|known| protocol.as_bytes().eq_ignore_ascii_case(known.as_bytes())) {
            return Ok(None);
        }
        if !protocol.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes()) {
            let opens = matches!(*method, Method::GET | Method::POST);
            return Ok(opens.then_some(Self { protocol, opening, handshake: None }));
        }
        if method != Method::GET || only(headers, "sec-websocket-version") != Some(VERSION.as_bytes()) {
            return Ok(None);
        }
        let key = match opening {
            Opening::Fields => only(headers, KEY_FIELD).and_then(Key::parse),
            Opening::Stream(key) => Some(key),
        };
        let key = key.ok_or(Refusal::BadRequest(BAD_KEY))?;
        let offer = match subprotocols {
            Subprotocols::Names => None,
            Subprotocols::MayCarryCredential => Some(Offer::read(headers)?),
        };
        Ok(Some(Self { protocol, opening, handshake: Some(Handshake { key, headers, offer }) }))
    }

    /// Whether a stream of HTTP/2 asks.
    #[must_use]
    pub const fn is_by_stream(&self) -> bool {
        matches!(self.opening, Opening::Stream(_))
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
        if let (Opening::Stream(key), Some(_)) = (self.opening, &self.handshake) {
            field(KEY_FIELD, &key.0);
        }
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
        match self.opening {
            Opening::Fields => {
                answer.insert(http::header::CONNECTION, HeaderValue::from_static("upgrade"));
                answer.insert(http::header::UPGRADE, self.protocol.clone());
            }
            Opening::Stream(_) => drop(answer.remove(ACCEPT_FIELD)),
        }
        Ok(())
    }
}

impl Handshake<'_> {
    fn grant(&self, answer: &mut HeaderMap) -> Result<(), InDoubt> {
        if only(answer, ACCEPT_FIELD) != Some(self.key.accept().as_bytes()) {
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

/// The value of a field that is there once.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none()).map(HeaderValue::as_bytes)
}
