//! The servers behind: choosing one, sending a request, trying again where that is safe.
//!
//! Everything here belongs to one worker, and nothing is locked; what all workers know of the servers is in [`fleet`].

mod balance;
pub mod checks;
pub mod chunked;
mod connections;
mod endpoint;
mod exchange;
pub mod failure;
pub mod fleet;
pub mod head;
mod http2;
mod idle;
mod protocols;
pub mod resolve;
mod retries;
mod room;
#[cfg(test)]
mod tests;
mod whereabouts;
mod wire;

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body::Body;

pub use endpoint::{Endpoint, Held};
pub use exchange::Patience;
use failure::{BodyFailure, Failure};
pub use head::Head;
pub use protocols::Exchange;

use balance::{Choice, Dice};
use fleet::{Fault, Group};
use retries::Budget;
use wire::Look;

use crate::config::{self, Balance, Retries, UpstreamProtocol};
use crate::message::framing::{Asked, Framing};
use crate::server::deadline::Deadlines;
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
    /// How it is sent again; `None` = as the upstream says.
    pub retries: Option<Retries>,
    /// What tells its endpoint, where the upstream goes by that.
    pub key: Option<u64>,
}

/// An answer whose fields have come.
#[derive(Debug)]
pub struct Answer<B: 'static> {
    pub head: Head,
    pub exchange: Exchange<B>,
    pub endpoint: Held,
}

/// An attempt that failed for good.
#[derive(Debug)]
pub struct Undelivered {
    pub failure: Failure,
    /// `None` when none was asked.
    pub endpoint: Option<Held>,
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
    /// What all workers know of it.
    group: Arc<Group>,
    /// In the order of the group's.
    endpoints: Vec<Rc<Endpoint>>,
    balance: Balance,
    dice: Dice,
    budget: Budget,
    /// Those of requests that are sent again otherwise.
    budgets: Box<[Budget]>,
}

impl Upstream {
    /// Makes what `config` names, to which some requests come with `own` retries, taking over the endpoints, with their
    /// connections, that `old` has already.
    #[must_use]
    pub fn build(
        (config, own): (&config::Upstream, &[Retries]),
        group: &Arc<Group>,
        old: &[Rc<Self>],
        deadlines: &Rc<Deadlines>,
    ) -> Rc<Self> {
        let endpoint = |(member, bound): (_, &Option<_>)| {
            let mut old = old.iter().flat_map(|upstream| &upstream.endpoints);
            // What was verified in another way before is to be verified anew.
            let known = old.find(|endpoint| {
                let same = Arc::ptr_eq(&endpoint.member, member) && endpoint.connector == group.connector;
                same && endpoint.is_bounded_by(bound.as_ref())
            });
            let new = || {
                let member = (Arc::clone(member), bound.clone());
                Rc::new(Endpoint::of(member, group.connector.clone(), Rc::clone(deadlines)))
            };
            known.map_or_else(new, Rc::clone)
        };
        Rc::new(Self {
            name: config.name.clone(),
            complaints: Pace::default(),
            deadlines: Rc::clone(deadlines),
            protocol: config.protocol,
            endpoints: group.members.iter().zip(&group.connections).map(endpoint).collect(),
            group: Arc::clone(group),
            balance: config.balance.clone(),
            dice: Dice::new(deadlines.coarse_now().0 ^ balance::hash(config.name.as_bytes())),
            budget: Budget::new(config.retries),
            budgets: own.iter().copied().map(Budget::new).collect(),
        })
    }

    /// Its endpoints that none of `others` has.
    pub fn left_by<'a>(&'a self, others: &'a [Rc<Self>]) -> impl Iterator<Item = Rc<Endpoint>> + 'a {
        let stays = |endpoint: &&Rc<Endpoint>| {
            let mut theirs = others.iter().flat_map(|upstream| &upstream.endpoints);
            theirs.any(|other| Rc::ptr_eq(other, endpoint))
        };
        self.endpoints.iter().filter(move |endpoint| !stays(endpoint)).map(Rc::clone)
    }

    /// Sends a request, once there is room for it, and waits for its answer's fields.
    pub async fn send<B, W>(&self, outgoing: Outgoing<'_, B, W>) -> Result<Answer<B>, Undelivered>
    where
        B: Body<Data = Bytes, Error = BodyFailure> + Unpin + 'static,
        W: WriteHead,
    {
        let Some(room) = &self.group.room else { return self.deliver(outgoing).await };
        let place = Box::pin(room.place(outgoing.connect)).await;
        let place = place.map_err(|failure| Undelivered { failure, endpoint: None })?;
        let mut answer = Box::pin(self.deliver(outgoing)).await?;
        answer.endpoint.occupies(place);
        Ok(answer)
    }

    /// Sends a request and waits for its answer's fields.
    ///
    /// A failed connect goes on to another endpoint, since nothing was sent. A request on a connection that turns out
    /// to have been closed meanwhile is sent once more, on a new one, if it is idempotent (RFC 9110 §9.2.2) and nothing
    /// of its body was taken; one whose new connection ends without a byte of an answer is sent to another endpoint,
    /// within what `retries` allows.
    async fn deliver<B, W>(&self, mut outgoing: Outgoing<'_, B, W>) -> Result<Answer<B>, Undelivered>
    where
        B: Body<Data = Bytes, Error = BodyFailure> + Unpin + 'static,
        W: WriteHead,
    {
        let budget = self.budget(outgoing.retries);
        budget.earn();
        if self.protocol == UpstreamProtocol::Http2 {
            return Box::pin(http2::send(self, outgoing, budget)).await;
        }
        let asked = outgoing.asked;
        let mut choice = Choice::new(self, outgoing.key);
        let look = if outgoing.method.is_idempotent() { Look::Known } else { Look::Ask };
        let (mut again, mut retried) = (false, 0);
        loop {
            let endpoint = Held::new(choice.endpoint(self));
            let mut wire = match endpoint.wire(look, again || retried > 0, outgoing.connect).await {
                Ok(wire) => wire,
                Err(failure) => {
                    self.failed(&endpoint, &failure);
                    if !choice.pass_over(self) {
                        return Err(self.unreached(failure, endpoint));
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
                Ok(head) => {
                    self.answered(&endpoint, head.status.as_u16());
                    return Ok(Answer { head, exchange: Exchange::Http1(exchange), endpoint });
                }
                Err(failure) => failure,
            };
            let stale = failure.is_silent_close() && exchange.was_used() && !again;
            if !stale {
                self.failed(&endpoint, &failure);
            }
            let harmless = failure.is_silent_close() && outgoing.method.is_idempotent();
            match exchange.into_untouched() {
                Some(body)
                    if harmless && (stale || self.goes_elsewhere(&mut choice, &mut retried, budget)) =>
                {
                    outgoing.body = body;
                    again |= stale;
                }
                _ => return Err(Undelivered { failure, endpoint: Some(endpoint) }),
            }
        }
    }

    fn budget(&self, own: Option<Retries>) -> &Budget {
        own.and_then(|own| self.budgets.iter().find(|budget| budget.is_of(own))).unwrap_or(&self.budget)
    }

    /// None of the endpoints was reached. Where each was known not to be fit, that is what the client is told.
    fn unreached(&self, failure: Failure, endpoint: Held) -> Undelivered {
        let none_is_fit = self.group.is_down(self.deadlines.coarse_now());
        Undelivered { failure: failure.where_none_is_fit(none_is_fit), endpoint: Some(endpoint) }
    }

    /// Whether a request that failed may be sent to another endpoint; `choice` is that one then.
    fn goes_elsewhere(&self, choice: &mut Choice, retried: &mut u32, budget: &Budget) -> bool {
        let now = self.deadlines.coarse_now();
        let goes = choice.pass_over(self) && budget.spend(*retried, now);
        if goes {
            *retried += 1;
            self.group.retries.fetch_add(1, Ordering::Relaxed);
        }
        goes
    }

    /// The endpoint answered with this status.
    fn answered(&self, endpoint: &Held, status: u16) {
        match self.group.counts_as_failure(status) {
            true => self.group.failed(&endpoint.member, Fault::Status, self.deadlines.coarse_now()),
            // What follows is a tunnel, whose end is anybody's.
            false if status == 101 => endpoint.member.succeeded(),
            false => endpoint.answers_well(),
        }
    }

    /// The endpoint did not answer, or not to the end. Whether that is its fault is the failure's to say.
    pub fn failed(&self, endpoint: &Endpoint, failure: &Failure) {
        if let Some(fault) = failure.fault() {
            self.group.failed(&endpoint.member, fault, self.deadlines.coarse_now());
        }
    }

    /// Closes unused connections that are of no more use, and tells how many failures were not told. For the worker's tick.
    pub fn sweep(&self, after: Duration) {
        if let Some(failures) = self.complaints.left_out(self.deadlines.coarse_now()) {
            tracing::warn!(upstream = &*self.name, failures, "more requests failed at this upstream");
        }
        self.group.tell_returned(self.deadlines.coarse_now());
        for endpoint in &self.endpoints {
            endpoint.sweep(after);
        }
    }
}
