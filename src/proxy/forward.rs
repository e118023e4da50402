//! What the upstream receives: the request as sent, less what may not pass, plus what Keyward says.

mod http2;

use http::header::{COOKIE, TE, TRAILER};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Version};

use super::plan::Plan;
use super::upstream::failure::Failure;
use super::upstream::{Endpoint, WriteHead};
use crate::auth::principal::Principal;
use crate::authenticator::Valid;
use crate::config::{HostField, Route, WebsocketCredential};
use crate::message::Admission;
use crate::message::fields::Fate;
use crate::message::framing::{Asked, Framing};
use crate::message::trailers::{self, Nominated};
use crate::message::upgrade::Upgrade;
use crate::web::client_address::Trust;
use crate::web::cookies;
use crate::web::forwarded::Arrival;
use crate::web::request_id::{self, RequestId};
use crate::web::traceparent;

/// The field of an assertion; no configuration renames it, for its name is part of what backends check.
static ASSERTION: HeaderName = HeaderName::from_static("x-auth-assertion");

/// One request, ready to be written to whichever endpoint is chosen.
pub struct Forward<'a> {
    pub parts: &'a Parts,
    pub route: &'a Route,
    pub framing: Framing,
    /// The path that is asked for.
    pub path: &'a str,
    /// The protocol that HTTP is to be left for.
    pub upgrade: Option<&'a Upgrade<'a>>,
    /// What its upstream is told of the principal, signed.
    pub assertion: Option<&'a str>,
    plan: &'a Plan,
    admission: &'a Admission<'a>,
    principal: Option<&'a Principal>,
    arrival: Arrival<'a>,
    request_id: &'a RequestId,
    traced: bool,
}

impl<'a> Forward<'a> {
    /// Gathers what the request is written from.
    #[must_use]
    pub fn new(
        plan: &'a Plan,
        route: &'a Route,
        parts: &'a Parts,
        admission: &'a Admission<'a>,
        caller: Option<&'a Valid>,
        arrival: Arrival<'a>,
        request_id: &'a RequestId,
    ) -> Self {
        Self {
            parts,
            route,
            framing: admission.framing,
            path: admission.path.as_str(),
            upgrade: None,
            assertion: None,
            plan,
            admission,
            principal: caller.map(Valid::principal),
            arrival,
            request_id,
            traced: traceparent::is_well_formed(&parts.headers),
        }
    }

    /// What its answer can be.
    #[must_use]
    pub fn asked(&self) -> Asked {
        match self.upgrade {
            Some(_) => Asked::Upgrade,
            None if self.parts.method == Method::HEAD => Asked::Head,
            None => Asked::Other,
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.principal.map(|principal| principal.identity.account())
    }

    /// What the upstream is to take the request for.
    fn host<'b>(&'b self, endpoint: &'b Endpoint) -> &'b [u8] {
        match &self.route.host {
            HostField::Client => self.admission.host.sent().as_bytes(),
            HostField::Upstream => endpoint.authority.as_bytes(),
            HostField::Fixed(name) => name.as_bytes(),
        }
    }

    fn write_line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.parts.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.path.as_bytes());
        if let Some(query) = self.admission.query {
            out.push(b'?');
            out.extend_from_slice(query.as_bytes());
        }
        out.extend_from_slice(b" HTTP/1.1\r\n");
    }

    /// The client's fields that may pass. What Keyward says itself is written after, so that `Connection` cannot
    /// remove any of it.
    fn write_passing(&self, out: &mut Vec<u8>) {
        let crumbled = self.parts.version == Version::HTTP_2;
        let (mut about_trailers, mut crumbs) = (false, false);
        for (name, value) in &self.parts.headers {
            let fate = self.plan.fields.fate(name);
            about_trailers |= matches!(fate, Fate::Te | Fate::Trailer);
            match self.passes(fate, name) {
                true if name == COOKIE && crumbled => crumbs = true,
                true if name == COOKIE => {
                    let rest = cookies::passing(value.as_bytes());
                    rest.iter().for_each(|rest| field(out, name.as_str(), rest));
                }
                true => field(out, name.as_str(), value.as_bytes()),
                false => {}
            }
        }
        if crumbs {
            self.write_crumbs(out);
        }
        // What leaves HTTP has no trailers, and one `Connection` field alone.
        if about_trailers && self.upgrade.is_none() {
            self.write_about_trailers(out);
        }
    }

    fn passes(&self, fate: Fate, name: &HeaderName) -> bool {
        let passes = match fate {
            Fate::Pass => true,
            Fate::Credential => self.route.forward_credential,
            Fate::Forwarding => self.arrival.trust == Trust::Trusted,
            Fate::Trace => self.traced,
            Fate::Subprotocol => self.route.websocket_credential == WebsocketCredential::None,
            Fate::HopByHop
            | Fate::Te
            | Fate::Trailer
            | Fate::Framing
            | Fate::Host
            | Fate::Expect
            | Fate::Identity
            | Fate::Forwarded
            | Fate::RequestId
            | Fate::Disguised => false,
        };
        passes && !self.admission.connection.names(name) && !self.is_the_routes(name)
    }

    /// Whether a field with this name is the route's to say.
    fn is_the_routes(&self, name: &HeaderName) -> bool {
        self.route.extras.as_ref().is_some_and(|extras| extras.request_fields.concern(name))
    }

    /// What the route says. Written after what the client sent, so that `Connection` cannot remove any of it.
    fn said_by_route(&self) -> impl Iterator<Item = &(HeaderName, HeaderValue)> {
        self.route.extras.iter().flat_map(|extras| &extras.request_fields.set)
    }

    /// Whether the client takes trailers, and which it will send.
    fn write_about_trailers(&self, out: &mut Vec<u8>) {
        if self.takes_trailers() {
            // RFC 9110 §10.1.4: on HTTP/1.1 it concerns the connection.
            field(out, "connection", b"te");
            field(out, "te", b"trailers");
        }
        let follow = self.framing == Framing::Chunked;
        if let Some(names) = follow.then(|| self.announced_trailers()).flatten() {
            field(out, "trailer", names.as_bytes());
        }
    }

    fn takes_trailers(&self) -> bool {
        let mut said = self.parts.headers.get_all(TE).into_iter();
        self.parts.version != Version::HTTP_10 && said.any(|value| trailers::accepted(value.as_bytes()))
    }

    fn announced_trailers(&self) -> Option<HeaderValue> {
        let headers = &self.parts.headers;
        let fields = headers.get_all(TRAILER).into_iter().map(HeaderValue::as_bytes);
        let nominated = Nominated::of(headers);
        let passes =
            |name: &HeaderName| trailers::passes_up(name, &self.plan.fields) && !self.is_the_routes(name);
        trailers::announcement(fields, &nominated, passes).filter(|_| !nominated.has(&TRAILER))
    }

    /// The crumbs that HTTP/2 may break a `Cookie` into, as the one field that HTTP/1.1 knows (RFC 9113 §8.2.3).
    fn write_crumbs(&self, out: &mut Vec<u8>) {
        let crumbs = self.parts.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
        let mut crumbs = crumbs.filter_map(cookies::passing);
        let Some(first) = crumbs.next() else { return };
        out.extend_from_slice(b"cookie: ");
        out.extend_from_slice(&first);
        for crumb in crumbs {
            out.extend_from_slice(b"; ");
            out.extend_from_slice(&crumb);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Who is asking. An anonymous request carries none of these: whatever the client sent under their names has not
    /// passed.
    fn identify(&self, mut field: impl FnMut(&HeaderName, &str)) {
        let Some(principal) = self.principal else { return };
        let names = &self.plan.config.identity_headers;
        let identity = &principal.identity;
        field(&names.subject, identity.account());
        field(&names.credential, identity.credential());
        if let Some(client) = identity.client() {
            field(&names.client, client);
        }
        if !identity.scopes().is_empty() {
            field(&names.scopes, identity.scopes());
        }
        field(&names.method, principal.method.as_str());
        if let Some(assertion) = self.assertion {
            field(&ASSERTION, assertion);
        }
    }
}

impl WriteHead for &Forward<'_> {
    fn http1(&self, out: &mut Vec<u8>, endpoint: &Endpoint) {
        out.reserve(1024);
        self.write_line(out);
        field(out, "host", self.host(endpoint));
        self.write_passing(out);
        self.said_by_route().for_each(|(name, value)| field(out, name.as_str(), value.as_bytes()));
        self.identify(|name, value| field(out, name.as_str(), value.as_bytes()));
        self.arrival.write(&self.parts.headers, |name, value| field(out, name, value));
        field(out, request_id::FIELD, self.request_id.as_bytes());
        match self.framing {
            Framing::None => {}
            Framing::Length(length) => field(out, "content-length", decimal(length, &mut [0; 20])),
            Framing::Chunked => field(out, "transfer-encoding", b"chunked"),
        }
        if let Some(upgrade) = self.upgrade {
            upgrade.write(|name, value| field(out, name, value));
        }
        out.extend_from_slice(b"\r\n");
    }

    fn http2(&self, endpoint: &Endpoint) -> Result<Request<()>, Failure> {
        self.to_http2(endpoint).map_err(|_| Failure::Malformed("the request has no form in HTTP/2"))
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// `number` in decimal digits, in `buffer`.
fn decimal(mut number: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut first = buffer.len();
    for (at, place) in buffer.iter_mut().enumerate().rev() {
        *place = b'0' + (number % 10) as u8;
        first = at;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    buffer.get(first..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_whole() {
        for number in [0, 7, 10, 1234567890, u64::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }
}
