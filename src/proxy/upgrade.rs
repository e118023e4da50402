//! Asking an upstream to leave HTTP, and judging what it answers.

use http::request::Parts;
use http::{HeaderValue, StatusCode};

use super::request_body::RequestBody;
use super::ticket::Ticket;
use super::tunnel::Kind;
use super::upstream::Answer;
use super::upstream::failure::Failure;
use crate::auth::refusal::Refusal;
use crate::config::{Route, WebsocketCredential};
use crate::message::Admission;
use crate::message::upgrade::{Subprotocols, Upgrade};

/// What the upstream is to be asked for on behalf of a request whose only `Upgrade` field is `protocol`.
///
/// # Errors
/// When it is the handshake of a WebSocket, and broken.
pub fn asked<'a>(
    protocol: &'a HeaderValue,
    parts: &'a Parts,
    admission: &Admission<'_>,
    route: Option<&Route>,
) -> Result<Option<Box<Upgrade<'a>>>, Refusal> {
    let Some(route) = route.filter(|_| !admission.connection.asks_to_close()) else { return Ok(None) };
    let subprotocols = match route.websocket_credential {
        WebsocketCredential::None => Subprotocols::Names,
        WebsocketCredential::Subprotocol => Subprotocols::MayCarryCredential,
    };
    let upgrade = Upgrade::read(protocol, &parts.method, &parts.headers, &route.upgrades, subprotocols)?;
    Ok(upgrade.map(Box::new))
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
    ticket: &mut Ticket,
) -> Result<Answer<RequestBody>, Refusal> {
    if answer.head.status != StatusCode::SWITCHING_PROTOCOLS {
        ticket.becomes_no_tunnel();
        return Ok(answer);
    }
    let head = &mut answer.head;
    let granted = upgrade.grant(head.protocol.as_deref(), &mut head.headers).map_err(|why| why.0);
    let early = "it answers before it has the whole request";
    match granted.and_then(|()| if answer.exchange.has_sent_all() { Ok(()) } else { Err(early) }) {
        Ok(()) => Ok(answer),
        Err(why) => {
            let failure = Failure::Malformed(why);
            let endpoint = &answer.endpoint;
            ticket.undelivered(&failure, &endpoint.authority, &endpoint.complaints);
            Err(failure.refusal())
        }
    }
}
