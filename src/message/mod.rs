//! What may be forwarded: one strict reading of a message, or a refusal, for every version of HTTP.
//!
//! Owns framing, the authority, the canonical path and the fate of fields. Pure functions on the types of `http`; knows
//! nothing of sockets, routes or configuration.

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

use crate::auth::refusal::Refusal;
use fields::Connection;
use framing::{Framing, InDoubt, Protocol};
use host::{FieldRule, Host};
use target::Path;

pub mod fields;
pub mod framing;
pub mod host;
mod names;
pub mod subprotocol;
pub mod target;
pub mod trailers;
pub mod upgrade;

#[cfg(test)]
mod tests;

/// The sizes that a request may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of request line and fields together.
    pub headers: usize,
    /// Number of fields.
    pub header_count: usize,
    /// Bytes of the target.
    pub target: usize,
}

/// What one reading of a request found. Everything after it relies on this, never on the request again.
#[derive(Clone, Debug)]
pub struct Admission<'a> {
    /// Who the request is for.
    pub host: Host<'a>,
    /// The path that is matched and forwarded.
    pub path: Path<'a>,
    /// The query as sent, without `?`.
    pub query: Option<&'a str>,
    /// Where the body ends.
    pub framing: Framing,
    /// What belongs to the client's connection.
    pub connection: Connection<'a>,
    /// The protocol that the client asks to change to; only HTTP/1.1 without a body can.
    pub upgrade: Option<&'a HeaderValue>,
}

/// Whether a body comes with a request, as only its transport can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// None does.
    None,
    /// One follows, which may turn out to be empty.
    Follows,
}

impl Admission<'_> {
    /// Takes note of what the transport told of the body: over HTTP/2 the fields alone do not.
    ///
    /// # Errors
    /// When there is one where none can be, or none where one was told of.
    pub fn knows_body(&mut self, body: Body, method: &Method) -> Result<(), Refusal> {
        match body {
            // The next request would be taken for it.
            Body::None if matches!(self.framing, Framing::Length(1..)) => {
                return Err(Refusal::BadRequest(NO_BODY));
            }
            Body::None => self.framing = self.framing.without_body(method),
            Body::Follows if *method == Method::TRACE => return Err(Refusal::BadRequest(TRACE_BODY)),
            Body::Follows => {}
        }
        Ok(())
    }
}

const CONNECT: &str = "CONNECT is not served here. Send the request itself.";
const NOT_A_PATH: &str = "The request target is not a path or an http URL. Send a path.";
const QUERY: &str = "The query has bytes outside ASCII. Write them as %XX.";
const VERSION: &str = "This version of HTTP is not served here.";
const H2C: &str = "Upgrade to HTTP/2 is not served here. Start with HTTP/2 instead.";
const EXPECTATION: &str = "The Expect field holds something else than 100-continue. Leave it out.";
const NO_BODY: &str = "The Content-Length field tells of a body, and none can follow here. Leave it out.";
const TOO_MANY: &str =
    "The Connection or the Trailer field has too many elements. Name only what is there, once.";
const TRACE_BODY: &str = "A TRACE request has no body. Leave it out.";
const PADDED: &str = "A field's value begins or ends with white space, which HTTP/2 forbids. Leave it out.";
const CONNECTION_FIELD: &str = "The request has a connection field, which HTTP/2 does not have.";
const NO_NAME: &str = "The request has a field name with a quotation mark, which no name has. Leave it out.";

/// Reads a request's head once.
///
/// # Errors
/// The refusal of whatever has more than one reading or is over a limit; the connection must then be closed (HTTP/1) or
/// the stream ended, for where the body ends may be in doubt.
pub fn admit<'a>(parts: &'a Parts, limits: &Limits) -> Result<Admission<'a>, Refusal> {
    let protocol = protocol(parts.version)?;
    if parts.method == Method::CONNECT {
        return Err(Refusal::BadRequest(CONNECT));
    }
    let target_bytes = target_length(&parts.uri);
    if target_bytes > limits.target {
        return Err(Refusal::TargetTooLong);
    }
    if parts.headers.len() > limits.header_count {
        return Err(Refusal::HeadersTooLarge);
    }
    check_form(&parts.uri, protocol)?;
    let line_bytes = parts.method.as_str().len() + target_bytes;
    let fields = Reading::of(&parts.headers, protocol, limits.headers.saturating_sub(line_bytes))?;
    let framing = fields.framing.request(protocol)?;
    let has_body = fields.body(framing);
    if parts.method == Method::TRACE && has_body {
        return Err(Refusal::BadRequest(TRACE_BODY));
    }
    let rule = if protocol == Protocol::Http2 { FieldRule::Optional } else { FieldRule::Required };
    let host = host::of(&parts.uri, fields.host, rule).ok_or(Refusal::InvalidHost)?;
    let path = target::canonical(parts.uri.path()).map_err(Refusal::AmbiguousPath)?;
    let query = parts.uri.query();
    if query.is_some_and(|query| !query.is_ascii()) {
        return Err(Refusal::BadRequest(QUERY));
    }
    let may_upgrade = protocol == Protocol::Http11 && !has_body && fields.connection.offers_upgrade();
    Ok(Admission {
        host,
        path,
        query,
        framing,
        connection: fields.connection,
        upgrade: fields.upgrade.filter(|_| may_upgrade),
    })
}

impl From<InDoubt> for Refusal {
    fn from(why: InDoubt) -> Self {
        Self::BadRequest(why.0)
    }
}

fn protocol(version: Version) -> Result<Protocol, Refusal> {
    match version {
        Version::HTTP_11 => Ok(Protocol::Http11),
        Version::HTTP_2 => Ok(Protocol::Http2),
        Version::HTTP_10 => Ok(Protocol::Http10),
        _ => Err(Refusal::BadRequest(VERSION)),
    }
}

fn target_length(uri: &Uri) -> usize {
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    authority + uri.path_and_query().map_or(0, |target| target.as_str().len())
}

/// Origin form and absolute form pass; asterisk form (`OPTIONS *`, `PRI *`) and authority form do not.
fn check_form(uri: &Uri, protocol: Protocol) -> Result<(), Refusal> {
    let scheme = match uri.scheme_str() {
        None => uri.authority().is_none(),
        Some(scheme) => matches!(scheme, "http" | "https"),
    };
    // A URL may do without a path before its query, `:path` may not (RFC 9113 §8.3.1).
    let has_path = protocol != Protocol::Http2
        || uri.path_and_query().is_some_and(|target| target.as_str().starts_with('/'));
    if scheme && has_path && uri.path().starts_with('/') {
        Ok(())
    } else {
        Err(Refusal::BadRequest(NOT_A_PATH))
    }
}

/// Whether white space stands at either end: no part of the value in HTTP/1.1, and forbidden in HTTP/2 (RFC 9113 §8.2.1).
const fn is_padded(value: &[u8]) -> bool {
    matches!(value, [b' ' | b'\t', ..] | [.., b' ' | b'\t'])
}

/// What the fields say that matters here, gathered in one pass.
#[derive(Default)]
struct Reading<'a> {
    host: Option<&'a [u8]>,
    framing: framing::Fields,
    connection: Connection<'a>,
    /// The value of the only `Upgrade` field.
    upgrade: Option<&'a HeaderValue>,
    upgrades: u8,
    expects: bool,
    /// Elements of `Connection` and of `Trailer`.
    elements: usize,
}

/// As many elements as those two fields may have together: each is held against each.
const ELEMENTS_MAX: usize = 64;

impl<'a> Reading<'a> {
    fn of(headers: &'a HeaderMap, protocol: Protocol, bytes_allowed: usize) -> Result<Self, Refusal> {
        let mut reading = Self::default();
        let mut bytes = 0;
        for (name, value) in headers {
            // With ": " and the line's end.
            bytes += name.as_str().len() + value.len() + 4;
            if protocol == Protocol::Http2 && is_padded(value.as_bytes()) {
                return Err(Refusal::BadRequest(PADDED));
            }
            reading.field(headers, protocol, name, value)?;
        }
        if bytes > bytes_allowed { Err(Refusal::HeadersTooLarge) } else { Ok(reading) }
    }

    fn field(
        &mut self,
        headers: &'a HeaderMap,
        protocol: Protocol,
        name: &HeaderName,
        value: &'a HeaderValue,
    ) -> Result<(), Refusal> {
        let bytes = name.as_str().as_bytes();
        match name.as_str() {
            "host" if self.host.is_some() => return Err(Refusal::InvalidHost),
            "host" => self.host = Some(value.as_bytes()),
            "content-length" => self.framing.request_length(value.as_bytes())?,
            "te" if protocol == Protocol::Http2 && value != "trailers" => {
                return Err(Refusal::BadRequest(CONNECTION_FIELD));
            }
            "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade"
                if protocol == Protocol::Http2 =>
            {
                return Err(Refusal::BadRequest(CONNECTION_FIELD));
            }
            "transfer-encoding" => self.framing.coding(value.as_bytes())?,
            "connection" => {
                self.count(value)?;
                self.connection.note(headers, value.as_bytes());
            }
            "trailer" => self.count(value)?,
            "upgrade" if framing::offers_h2c(value.as_bytes()) => return Err(Refusal::BadRequest(H2C)),
            "upgrade" => {
                self.upgrades = self.upgrades.saturating_add(1);
                self.upgrade = (self.upgrades == 1).then_some(value);
            }
            "expect" if framing::is_continue(value.as_bytes()) => self.expects = true,
            "expect" => return Err(Refusal::BadRequest(EXPECTATION)),
            // h2 takes it for a token's character.
            _ if protocol == Protocol::Http2 && bytes.contains(&b'"') => {
                return Err(Refusal::BadRequest(NO_NAME));
            }
            _ => framing::undisguised(bytes)?,
        }
        Ok(())
    }

    fn count(&mut self, value: &HeaderValue) -> Result<(), Refusal> {
        self.elements += names::elements(value.as_bytes()).take(ELEMENTS_MAX + 1).count();
        if self.elements > ELEMENTS_MAX { Err(Refusal::BadRequest(TOO_MANY)) } else { Ok(()) }
    }

    /// Whether a body follows; on HTTP/2 without a length it may.
    fn body(&self, framing: Framing) -> bool {
        !matches!(framing, Framing::None | Framing::Length(0)) && (self.framing.is_given() || self.expects)
    }
}
