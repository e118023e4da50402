//! One server of an upstream, as one worker sees it: connecting, and the connections that wait to be used again.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::failure::Failure;
use super::http2::Links;
use super::wire::{Look, Wire};
use crate::clock::Tick;
use crate::config;
use crate::server::deadline::Deadlines;
use crate::server::tls::Connector;
use crate::server::transport::Transport;
use crate::telemetry::pace::Pace;
use crate::web::forwarded::Scheme;

/// The most unused connections that one worker keeps to one endpoint.
const IDLE_MAX: usize = 1024;
/// How long an endpoint that could not be connected to is tried last.
const PUT_ASIDE: Duration = Duration::from_secs(1);

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
    idle: RefCell<Vec<Wire>>,
    /// Its connections of HTTP/2.
    pub(super) links: Links,
    aside_until: Cell<Tick>,
    deadlines: Rc<Deadlines>,
}

impl Endpoint {
    /// An endpoint without connections.
    #[must_use]
    pub fn new(place: config::Endpoint, connector: Option<Connector>, deadlines: Rc<Deadlines>) -> Self {
        let host =
            if place.host.contains(':') { format!("[{}]", place.host) } else { place.host.to_string() };
        let authority = match place.port {
            port if port == place.scheme.port() => host,
            port => format!("{host}:{port}"),
        };
        let links = Links::new(place.clone(), connector.clone(), Rc::clone(&deadlines));
        Self {
            place,
            connector,
            links,
            authority: authority.into(),
            complaints: Pace::default(),
            idle: RefCell::default(),
            aside_until: Cell::new(Tick(0)),
            deadlines,
        }
    }

    /// The unused connection that was used last, if one is still good.
    pub(super) fn checkout(&self, look: Look) -> Option<Wire> {
        loop {
            let mut wire = self.idle.borrow_mut().pop()?;
            if wire.is_quiet(look) {
                return Some(wire);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub fn give_back(&self, mut wire: Wire) {
        wire.used = true;
        wire.timer.clear();
        wire.shrink();
        wire.idle_since = self.deadlines.coarse_now();
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_MAX {
            idle.push(wire);
        }
    }

    /// Makes a connection.
    pub(super) async fn connect(&self, within: Duration) -> Result<Wire, Failure> {
        let connecting = connect(&self.place, self.connector.as_ref());
        let stream = match tokio::time::timeout(within, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(self.put_aside(Failure::Connect(error))),
            Err(_) => return Err(self.put_aside(Failure::ConnectTimeout)),
        };
        Ok(Wire::new(stream, self.deadlines.timer()))
    }

    pub(super) fn put_aside(&self, failure: Failure) -> Failure {
        self.aside_until.set(self.deadlines.coarse_now().after(PUT_ASIDE));
        failure
    }

    /// Until when it is tried last; the past, if it is not.
    pub(super) fn aside_until(&self) -> Tick {
        let until = self.aside_until.get();
        if until > self.deadlines.coarse_now() { until } else { Tick(0) }
    }

    /// Closes unused connections that the other side closed, or that nobody needed for `after`.
    pub fn sweep(&self, after: Duration) {
        let now = self.deadlines.coarse_now();
        if let Some(failures) = self.complaints.left_out(now) {
            tracing::warn!(endpoint = &*self.authority, failures, "more requests failed at this endpoint");
        }
        self.links.sweep(now, after);
        self.idle
            .borrow_mut()
            .retain_mut(|wire| now.since(wire.idle_since) < after && wire.is_quiet(Look::Known));
    }
}

/// Makes a connection, and makes it secure.
pub(super) async fn connect(
    place: &config::Endpoint,
    connector: Option<&Connector>,
) -> io::Result<Transport> {
    let stream = TcpStream::connect((&*place.host, place.port)).await?;
    stream.set_nodelay(true)?;
    match connector {
        Some(connector) => connector.secure(stream, &place.host).await,
        None if place.scheme == Scheme::Http => Ok(Transport::Clear(stream)),
        // What is meant for TLS never goes out in clear.
        None => Err(io::Error::other("there is nothing to make the connection secure by")),
    }
}
