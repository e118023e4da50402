//! What a connection's client showed of itself, as far as a request's route wants to know.

use std::rc::Rc;

use super::ticket::Ticket;
use super::worker::Worker;
use crate::auth::certificate::Shown;
use crate::auth::principal::Method;
use crate::auth::refusal::Refusal;
use crate::authenticator::Valid;
use crate::config::Route;
use crate::server::carrier::Carrier;
use crate::server::tls;

/// The certificate that a request on a route with these rules may be judged by.
pub fn shown<'t>(rules: &Route, ticket: &'t Ticket) -> Option<Shown<'t>> {
    let shown = ticket.carrier.shown().filter(|_| rules.certificate)?;
    Some(shown.now(ticket.arrived().1))
}

/// The certificate by which `entry` was validated, if it was by one.
pub fn validated(entry: &Valid, carrier: &Carrier) -> Option<Rc<tls::Shown>> {
    carrier.shown().filter(|_| entry.principal().method == Method::Certificate).map(Rc::clone)
}

/// Tells of a certificate that stands for several accounts: its client can do nothing about it.
pub fn warn_of_several(worker: &Worker, refusal: &Refusal, shown: Option<Shown<'_>>) {
    let shown = shown.filter(|_| *refusal == Refusal::AmbiguousCertificate);
    let Some(Shown { certificate, .. }) = shown else { return };
    if worker.shared.ambiguous.may_warn(worker.clock.tick()) {
        tracing::warn!(
            listener = &*certificate.listener,
            sha256 = certificate.id(),
            "the names in a client's certificate stand for more than one of `client_accounts`, so it is refused"
        );
    }
}
