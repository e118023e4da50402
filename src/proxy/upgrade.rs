//! Asking an upstream to leave HTTP, and judging what it answers.

use http::header::EXPECT;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};

use super::request_body::RequestBody;
use super::ticket::Ticket;
use super::tunnel::Kind;
use super::upstream::Answer;
use super::upstream::failure::Failure;
use crate::auth::random::System;
use crate::auth::refusal::Refusal;
use crate::config::{Route, WebsocketCredential};
use crate::message::Admission;
use crate::message::upgrade::{self, Asked, Opening, Subprotocols, Upgrade};
use crate::server::carrier::Carrier;

/// Reads a CONNECT of RFC 8441 as the request that would ask for the same over HTTP/1.1: it is matched, judged and
/// forwarded as such. Its key is Keyward's (RFC 8441 §5).
pub fn unfold(carrier: &Carrier, parts: &mut Parts) {
    if carrier.protocol().is_some() {
        parts.method = Method::GET;
        parts.headers.remove(upgrade::KEY_FIELD);
        parts.headers.remove(upgrade::ACCEPT_FIELD);
        // What comes behind it is the protocol that is asked for, and no body to wait with.
        parts.headers.remove(EXPECT);
    }
}

const NOT_OPENED: &str = "The protocol that this CONNECT asks for is not opened here, or not in this way. Send a plain request instead.";

/// What the upstream is to be asked for on behalf of a request that asks for `protocol`.
///
/// # Errors
/// When it is the handshake of a WebSocket, and broken; or a CONNECT, which has no plain request to fall back to.
pub fn asked<'a>(
    protocol: &'a HeaderValue,
    parts: &'a Parts,
    admission: &Admission<'_>,
    route: &Route,
    carrier: &Carrier,
) -> Result<Option<Box<Upgrade<'a>>>, Refusal> {
    if carrier.protocol().is_none() {
        return over_http1(protocol, parts, admission, route);
    }
    let key = upgrade::Key::fresh(&System::default()).map_err(|_| Refusal::Overloaded)?;
    match read(protocol, parts, route, Opening::Stream(key))? {
        None => Err(Refusal::BadRequest(NOT_OPENED)),
        asked => Ok(asked),
    }
}

/// The same for a request over HTTP/1.1, whose only `Upgrade` field is `protocol`.
///
/// # Errors
/// When it is the handshake of a WebSocket, and broken.
pub fn over_http1<'a>(
    protocol: &'a HeaderValue,
    parts: &'a Parts,
    admission: &Admission<'_>,
    route: &Route,
) -> Result<Option<Box<Upgrade<'a>>>, Refusal> {
    if admission.connection.asks_to_close() {
        return Ok(None);
    }
    read(protocol, parts, route, Opening::Fields)
}

fn read<'a>(
    protocol: &'a HeaderValue,
    parts: &'a Parts,
    route: &Route,
    opening: Opening,
) -> Result<Option<Box<Upgrade<'a>>>, Refusal> {
    let subprotocols = match route.websocket_credential {
        WebsocketCredential::None => Subprotocols::Names,
        WebsocketCredential::Subprotocol => Subprotocols::MayCarryCredential,
    };
    let asked = Asked { protocol, method: &parts.method, headers: &parts.headers, opening };
    Ok(Upgrade::read(asked, &route.upgrades, subprotocols)?.map(Box::new))
}

/// What an upgrade opens.
#[must_use]
pub fn kind(upgrade: &Upgrade<'_>) -> Kind {
    if upgrade.is_websocket() { Kind::WebSocket } else { Kind::Opaque }
}

/// Judges what a request that asked for `upgrade` was answered: anything but a 101 is an answer like any other.
///
/// # Errors
/// When it is a 101 that does not answer what was asked.
pub fn judged(
    upgrade: &Upgrade<'_>,
    mut answer: Answer<RequestBody>,
    ticket: &Ticket,
) -> Result<Answer<RequestBody>, Refusal> {
    match judge(upgrade, &mut answer) {
        Ok(Outcome::Tunnel) => Ok(answer),
        Ok(Outcome::Answer) => {
            ticket.becomes_no_tunnel();
            Ok(answer)
        }
        Err(why) => {
            let failure = Failure::Malformed(why);
            let endpoint = &answer.endpoint;
            ticket.undelivered(&failure, &endpoint.authority, &endpoint.complaints);
            Err(failure.refusal())
        }
    }
}

enum Outcome {
    Tunnel,
    Answer,
}

fn judge(upgrade: &Upgrade<'_>, answer: &mut Answer<RequestBody>) -> Result<Outcome, &'static str> {
    let head = &mut answer.head;
    if head.status != StatusCode::SWITCHING_PROTOCOLS {
        // To a CONNECT every success would say that it is granted (RFC 9110 §9.3.6).
        let misread = head.status.is_success() && upgrade.is_by_stream();
        return if misread {
            Err("it answers a request for a tunnel as any other")
        } else {
            Ok(Outcome::Answer)
        };
    }
    upgrade.grant(head.protocol.as_deref(), &mut head.headers).map_err(|why| why.0)?;
    if answer.exchange.has_sent_all() {
        Ok(Outcome::Tunnel)
    } else {
        Err("it answers before it has the whole request")
    }
}
