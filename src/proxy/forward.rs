//! What the upstream receives: the request as sent, less what may not pass, plus what Keyward says.

use http::header::{TE, TRAILER};
use http::request::Parts;
use http::{HeaderValue, Version};

use super::plan::Plan;
use super::upstream::Endpoint;
use crate::auth::principal::Principal;
use crate::auth::refusal::Refusal;
use crate::authenticator::Valid;
use crate::config::{HostField, Route};
use crate::message::Admission;
use crate::message::fields::Fate;
use crate::message::framing::Framing;
use crate::message::trailers::{self, Nominated};
use crate::web::client_address::Trust;
use crate::web::forwarded::Arrival;
use crate::web::request_id::{self, RequestId};
use crate::web::traceparent;

/// One request, ready to be written to whichever endpoint is chosen.
pub struct Forward<'a> {
    pub parts: &'a Parts,
    pub route: &'a Route,
    pub framing: Framing,
    plan: &'a Plan,
    admission: &'a Admission<'a>,
    principal: Option<&'a Principal>,
    arrival: Arrival<'a>,
    request_id: &'a RequestId,
    traced: bool,
}

impl<'a> Forward<'a> {
    /// Gathers what the request is written from.
    ///
    /// # Errors
    /// When the route is not one of the plan's, which a compiled table rules out.
    pub fn new(
        plan: &'a Plan,
        route: usize,
        parts: &'a Parts,
        admission: &'a Admission<'a>,
        caller: Option<&'a Valid>,
        arrival: Arrival<'a>,
        request_id: &'a RequestId,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            parts,
            route: plan.route(route).ok_or(Refusal::NoRoute)?,
            framing: admission.framing,
            plan,
            admission,
            principal: caller.map(Valid::principal),
            arrival,
            request_id,
            traced: traceparent::is_well_formed(&parts.headers),
        })
    }

    /// Writes the request's line and fields.
    pub fn write(&self, out: &mut Vec<u8>, endpoint: &Endpoint) {
        out.reserve(1024);
        self.write_line(out);
        let host = match &self.route.host {
            HostField::Client => self.admission.host.sent().as_bytes(),
            HostField::Upstream => endpoint.authority.as_bytes(),
            HostField::Fixed(name) => name.as_bytes(),
        };
        field(out, "host", host);
        self.write_passing(out);
        self.write_identity(out);
        self.arrival.write(&self.parts.headers, |name, value| field(out, name, value));
        field(out, request_id::FIELD, self.request_id.as_bytes());
        match self.framing {
            Framing::None => {}
            Framing::Length(length) => field(out, "content-length", decimal(length, &mut [0; 20])),
            Framing::Chunked => field(out, "transfer-encoding", b"chunked"),
        }
        out.extend_from_slice(b"\r\n");
    }

    fn write_line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.parts.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.admission.path.as_str().as_bytes());
        if let Some(query) = self.admission.query {
            out.push(b'?');
            out.extend_from_slice(query.as_bytes());
        }
        out.extend_from_slice(b" HTTP/1.1\r\n");
    }

    /// The client's fields that may pass. What Keyward says itself is written after, so that `Connection` cannot
    /// remove any of it.
    fn write_passing(&self, out: &mut Vec<u8>) {
        let mut spoken_of = false;
        for (name, value) in &self.parts.headers {
            let passes = match self.plan.fields.fate(name) {
                Fate::Pass => true,
                Fate::Credential => self.route.forward_credential,
                Fate::Forwarding => self.arrival.trust == Trust::Trusted,
                Fate::Trace => self.traced,
                Fate::Te | Fate::Trailer => {
                    spoken_of = true;
                    false
                }
                Fate::HopByHop
                | Fate::Framing
                | Fate::Host
                | Fate::Expect
                | Fate::Identity
                | Fate::Forwarded
                | Fate::RequestId
                | Fate::Disguised => false,
            };
            if passes && !self.admission.connection.names(name) {
                field(out, name.as_str(), value.as_bytes());
            }
        }
        if spoken_of {
            self.write_about_trailers(out);
        }
    }

    /// Whether the client takes trailers, and which it will send.
    fn write_about_trailers(&self, out: &mut Vec<u8>) {
        let headers = &self.parts.headers;
        if self.takes_trailers() {
            // RFC 9110 §10.1.4: on HTTP/1.1 it concerns the connection.
            field(out, "connection", b"te");
            field(out, "te", b"trailers");
        }
        let nominated = Nominated::of(headers);
        if self.framing == Framing::Chunked && !nominated.has(&TRAILER) {
            let fields = headers.get_all(TRAILER).into_iter().map(HeaderValue::as_bytes);
            let passes = |name: &_| trailers::passes_up(name, &self.plan.fields);
            if let Some(names) = trailers::announcement(fields, &nominated, passes) {
                field(out, "trailer", names.as_bytes());
            }
        }
    }

    fn takes_trailers(&self) -> bool {
        let mut said = self.parts.headers.get_all(TE).into_iter();
        self.parts.version != Version::HTTP_10 && said.any(|value| trailers::accepted(value.as_bytes()))
    }

    /// Who is asking. An anonymous request carries none of these: whatever the client sent under their names has not
    /// passed.
    fn write_identity(&self, out: &mut Vec<u8>) {
        let Some(principal) = self.principal else { return };
        let names = &self.plan.config.identity_headers;
        let identity = &principal.identity;
        field(out, names.subject.as_str(), identity.account().as_bytes());
        field(out, names.credential.as_str(), identity.credential().as_bytes());
        if let Some(client) = identity.client() {
            field(out, names.client.as_str(), client.as_bytes());
        }
        if !identity.scopes().is_empty() {
            field(out, names.scopes.as_str(), identity.scopes().as_bytes());
        }
        field(out, names.method.as_str(), principal.method.as_str().as_bytes());
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
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
