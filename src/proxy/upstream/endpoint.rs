//! One server of an upstream, as one worker sees it: connecting, and the connections that wait to be used again.

use std::cell::Cell;
use std::io;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::connections::{Connections, Place};
use super::failure::Failure;
use super::fleet::Member;
use super::http2::Links;
use super::idle::{Found, Idle};
use super::wire::{Look, Wire};
use crate::config::{self, UpstreamProtocol};
use crate::server::deadline::Deadlines;
use crate::server::tls::Connector;
use crate::server::transport::Transport;
use crate::telemetry::pace::Pace;
use crate::web::forwarded::Scheme;

/// One server, with this worker's unused connections to it.
#[derive(Debug)]
pub struct Endpoint {
    /// Where it is.
    pub place: config::Endpoint,
    /// `host:port`, as a `Host` field has it.
    pub authority: Box<str>,
    /// What makes connections to it secure; `None` in clear.
    pub(super) connector: Option<Connector>,
    /// What is told of its failures.
    pub complaints: Pace,
    /// Its connections of HTTP/1.1 that wait to be used again.
    pub(super) idle: Idle,
    /// Its connections of HTTP/2.
    pub(super) links: Links,
    /// What all workers know of it.
    pub(super) member: Arc<Member>,
    /// How often its name had ceased to lead to an address when its connections were last looked through.
    losses: Cell<usize>,
    deadlines: Rc<Deadlines>,
}

impl Endpoint {
    /// An endpoint without connections, of which no other worker knows.
    #[must_use]
    pub fn new(place: config::Endpoint, connector: Option<Connector>, deadlines: Rc<Deadlines>) -> Self {
        Self::of((Arc::new(Member::new(place)), None), connector, deadlines)
    }

    /// An endpoint without connections, of which there may be so many.
    #[must_use]
    pub fn of(
        (member, bound): (Arc<Member>, Option<Arc<Connections>>),
        connector: Option<Connector>,
        deadlines: Rc<Deadlines>,
    ) -> Self {
        let way = (Arc::clone(&member), connector.clone());
        Self {
            place: member.place.clone(),
            links: Links::new(way, bound.clone(), Rc::clone(&deadlines)),
            connector,
            authority: member.authority.clone(),
            complaints: Pace::default(),
            idle: Idle::new(bound),
            losses: Cell::new(member.losses()),
            member,
            deadlines,
        }
    }

    /// Whether its connections are those that this bounds.
    pub(super) fn is_bounded_by(&self, bound: Option<&Arc<Connections>>) -> bool {
        self.idle.is_bounded_by(bound)
    }

    /// Whether a request would have to wait for no other.
    pub(super) fn has_room(&self, protocol: UpstreamProtocol) -> bool {
        match protocol {
            UpstreamProtocol::Http1 => self.idle.has_room(),
            UpstreamProtocol::Http2 => self.links.have_room(),
        }
    }

    /// A connection for one request: one that waits to be used again, or a `new` one.
    pub(super) async fn wire(&self, look: Look, new: bool, within: Duration) -> Result<Wire, Failure> {
        match self.idle.find(look, new, within).await? {
            Found::Wire(wire) => Ok(wire),
            Found::Leave(place) => {
                let mut wire = Box::pin(self.connect(within)).await?;
                wire.place = place;
                Ok(wire)
            }
        }
    }

    /// Keeps a connection for the next request.
    pub fn give_back(&self, mut wire: Wire) {
        // Of one that never moved nothing is asked.
        if self.member.losses() > 0 && !self.member.is_still_at(wire.peer()) {
            return;
        }
        wire.used = true;
        wire.timer.clear();
        wire.shrink();
        wire.idle_since = self.deadlines.coarse_now();
        self.idle.keep(wire);
    }

    /// Makes a connection.
    async fn connect(&self, within: Duration) -> Result<Wire, Failure> {
        let connecting = connect(&self.member, self.connector.as_ref());
        let stream = match tokio::time::timeout(within, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(self.put_aside(Failure::Connect(error))),
            Err(_) => return Err(self.put_aside(Failure::ConnectTimeout)),
        };
        Ok(Wire::new(stream, self.deadlines.timer()))
    }

    pub(super) fn put_aside(&self, failure: Failure) -> Failure {
        self.member.put_aside(self.deadlines.coarse_now());
        failure
    }

    /// Ends its connections, those that are in use when that is over.
    pub fn let_go(&self) {
        self.links.retire();
        self.idle.clear();
    }

    /// Closes unused connections that the other side closed, or that nobody needed for `after`.
    pub fn sweep(&self, after: Duration) {
        let now = self.deadlines.coarse_now();
        if let Some(failures) = self.complaints.left_out(now) {
            tracing::warn!(endpoint = &*self.authority, failures, "more requests failed at this endpoint");
        }
        let losses = self.member.losses();
        if self.losses.replace(losses) != losses {
            self.let_go();
        }
        self.links.sweep(now, after);
        self.idle.sweep(now, after);
    }
}

/// Makes a connection, and makes it secure.
pub(super) async fn connect(member: &Member, connector: Option<&Connector>) -> io::Result<Transport> {
    let stream = member.connect().await?;
    stream.set_nodelay(true)?;
    match connector {
        Some(connector) => connector.secure(stream, &member.place.host).await,
        None if member.place.scheme == Scheme::Http => Ok(Transport::Clear(stream)),
        // What is meant for TLS never goes out in clear.
        None => Err(io::Error::other("there is nothing to make the connection secure by")),
    }
}

/// An endpoint that a request is under way to.
#[derive(Debug)]
pub struct Held {
    endpoint: Rc<Endpoint>,
    /// Its place among those that may be under way, where they are counted.
    place: Option<OwnedSemaphorePermit>,
    /// That of its connection, once it left HTTP.
    connection: Option<Place>,
    /// Whether it has answered with a status that counts as no failure.
    well: Cell<bool>,
}

impl Held {
    pub(super) fn new(endpoint: &Rc<Endpoint>) -> Self {
        endpoint.member.enter();
        Self { endpoint: Rc::clone(endpoint), place: None, connection: None, well: Cell::new(false) }
    }

    /// Keeps this place until the request is over.
    pub(super) fn occupies(&mut self, place: OwnedSemaphorePermit) {
        self.place = Some(place);
    }

    /// Its status is no failure. Whether its answer is none is seen at the answer's end.
    pub(super) fn answers_well(&self) {
        self.well.set(true);
    }

    /// Its answer has come whole.
    pub fn succeeded(&self) {
        if self.well.get() {
            self.member.succeeded();
        }
    }

    /// Keeps the place of its connection as long.
    pub fn connected_by(&mut self, place: Option<Place>) {
        self.connection = place;
    }
}

impl Deref for Held {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.endpoint.member.leave();
    }
}
