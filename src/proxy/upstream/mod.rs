//! The servers behind: choosing one, sending a request, trying again where that is safe.
//!
//! Everything here belongs to one worker; nothing is shared, nothing locked.

pub mod chunked;
mod endpoint;
mod exchange;
pub mod failure;
pub mod head;
mod http2;
mod protocols;
#[cfg(test)]
mod tests;
mod wire;

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body::Body;

pub use endpoint::Endpoint;
pub use exchange::Patience;
use failure::{BodyFailure, Failure};
pub use head::Head;
pub use protocols::Exchange;

use wire::Look;

use crate::config::{self, UpstreamProtocol};
use crate::message::framing::{Asked, Framing};
use crate::server::deadline::Deadlines;
use crate::server::tls::Connector;
use crate::telemetry::pace::Pace;

/// Writes a request's fields. They are written anew for each attempt, since they can name the endpoint.
pub trait WriteHead {
    /// As HTTP/1.1 has them, the request line included.
    fn http1(&self, out: &mut Vec<u8>, endpoint: &Endpoint);

    /// As HTTP/2 has them.
    ///
    /// # Errors
    /// When HTTP/2 has no form for them, which admission rules out.
    fn http2(&self, endpoint: &Endpoint) -> Result<Request<()>, Failure>;
}

/// What is to be sent.
pub struct Outgoing<'a, B, W> {
    pub method: &'a Method,
    pub asked: Asked,
    pub framing: Framing,
    pub body: Option<B>,
    pub head: W,
    pub patience: Patience,
    /// Limit for making a connection.
    pub connect: Duration,
}

/// An answer whose fields have come.
#[derive(Debug)]
pub struct Answer<B: 'static> {
    pub head: Head,
    pub exchange: Exchange<B>,
    pub endpoint: Rc<Endpoint>,
}

/// An attempt that failed for good.
#[derive(Debug)]
pub struct Undelivered {
    pub failure: Failure,
    pub endpoint: Rc<Endpoint>,
}

/// A named group of servers, as one worker sees it.
#[derive(Debug)]
pub struct Upstream {
    /// Its name in logs and metrics.
    pub name: std::sync::Arc<str>,
    /// What is told of failures that are no one endpoint's.
    pub complaints: Pace,
    deadlines: Rc<Deadlines>,
    protocol: UpstreamProtocol,
    endpoints: Vec<Rc<Endpoint>>,
    next: Cell<usize>,
}

impl Upstream {
    /// Makes what `config` names, taking over the endpoints, with their connections, that `old` has already.
    #[must_use]
    pub fn build(
        config: &config::Upstream,
        connector: Option<&Connector>,
        old: &[Rc<Self>],
        deadlines: &Rc<Deadlines>,
    ) -> Rc<Self> {
        let known = |place: &config::Endpoint| {
            let mut all = old.iter().flat_map(|upstream| &upstream.endpoints);
            // What was verified in another way before is to be verified anew.
            all.find(|endpoint| endpoint.place == *place && endpoint.connector.as_ref() == connector)
        };
        let new = |place: &config::Endpoint| {
            Rc::new(Endpoint::new(place.clone(), connector.cloned(), Rc::clone(deadlines)))
        };
        let endpoint = |place: &config::Endpoint| known(place).map_or_else(|| new(place), Rc::clone);
        Rc::new(Self {
            name: config.name.clone(),
            complaints: Pace::default(),
            deadlines: Rc::clone(deadlines),
            protocol: config.protocol,
            endpoints: config.endpoints.iter().map(endpoint).collect(),
            next: Cell::new(0),
        })
    }

    /// Sends a request and waits for its answer's fields.
    ///
    /// A failed connect goes on to the next endpoint, since nothing was sent. A request on a connection that turns
    /// out to have been closed meanwhile is sent once more, on a new one, if it is idempotent (RFC 9110 §9.2.2) and
    /// nothing of its body was taken.
    pub async fn send<B, W>(&self, mut outgoing: Outgoing<'_, B, W>) -> Result<Answer<B>, Undelivered>
    where
        B: Body<Data = Bytes, Error = BodyFailure> + Unpin + 'static,
        W: WriteHead,
    {
        if self.protocol == UpstreamProtocol::Http2 {
            return Box::pin(http2::send(self, outgoing)).await;
        }
        let asked = outgoing.asked;
        let first = self.turn();
        let look = if outgoing.method.is_idempotent() { Look::Known } else { Look::Ask };
        let mut failed = 0;
        let mut again = false;
        loop {
            let endpoint = self.choose(first, failed);
            let pooled = if again { None } else { endpoint.checkout(look) };
            let connected = match pooled {
                Some(wire) => Ok(wire),
                None => Box::pin(endpoint.connect(outgoing.connect)).await,
            };
            let mut wire = match connected {
                Ok(wire) => wire,
                Err(failure) => {
                    failed += 1;
                    if failed >= self.endpoints.len() {
                        return Err(Undelivered { failure, endpoint });
                    }
                    continue;
                }
            };
            wire.out.clear();
            wire.sent = 0;
            outgoing.head.http1(&mut wire.out, &endpoint);
            let (body, framing) = (outgoing.body.take(), outgoing.framing);
            let mut exchange = Box::new(exchange::Exchange::new(wire, body, framing, outgoing.patience));
            let failure = match poll_fn(|cx| exchange.poll_head(cx, asked)).await {
                Ok(head) => return Ok(Answer { head, exchange: Exchange::Http1(exchange), endpoint }),
                Err(failure) => failure,
            };
            let stale = failure.is_silent_close() && exchange.was_used() && !again;
            match exchange.into_untouched() {
                Some(body) if stale && outgoing.method.is_idempotent() => {
                    outgoing.body = body;
                    again = true;
                }
                _ => return Err(Undelivered { failure, endpoint }),
            }
        }
    }

    /// The endpoint that is next in turn.
    fn turn(&self) -> usize {
        let first = self.next.get();
        self.next.set(first.wrapping_add(1));
        first
    }

    /// The endpoint for the attempt after `failed` others: in turn, those that could not be connected to lately last,
    /// and of these the one that failed first.
    fn choose(&self, first: usize, failed: usize) -> Rc<Endpoint> {
        let count = self.endpoints.len();
        let turn = |step: usize| self.endpoints.get(first.wrapping_add(step) % count.max(1));
        let best = (failed..failed + count).filter_map(turn).min_by_key(|endpoint| endpoint.aside_until());
        #[expect(clippy::expect_used, reason = "the configuration refuses an upstream without endpoints")]
        Rc::clone(best.expect("an upstream has an endpoint"))
    }

    /// Closes unused connections that are of no more use, and tells how many failures were not told. For the worker's tick.
    pub fn sweep(&self, after: Duration) {
        if let Some(failures) = self.complaints.left_out(self.deadlines.coarse_now()) {
            tracing::warn!(upstream = &*self.name, failures, "more requests failed at this upstream");
        }
        for endpoint in &self.endpoints {
            endpoint.sweep(after);
        }
    }
}
