//! What is done with a connection that was accepted: served, or turned away when there are too many.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use hyper::server::conn::http1;
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use crate::auth::refusal::Refusal;
use crate::config::Max;
use crate::proxy::worker::{Gauge, Shared, Worker};
use crate::proxy::{gateway, unread};
use crate::server::conn::Conn;
use crate::server::connection::{self, Protocols, Unread};
use crate::server::date::Dates;
use crate::server::proxy_protocol::{self, Source, Unknown};
use crate::server::tls::Tls;
use crate::server::{http2, turn_away};
use crate::telemetry::metrics::Connections;
use crate::web::client_address::{Trust, TrustedProxies};
use crate::web::forwarded::Scheme;

/// Connections that are turned away gently at once: those beyond may be reset before they see why.
const TURNED_AWAY: usize = 32;

/// In place of a handshake: a fatal alert, internal_error (RFC 8446 §6.2).
const NO_HANDSHAKE: &[u8] = &[21, 3, 3, 0, 2, 2, 80];

/// Takes what one listener of one worker accepts.
pub struct Acceptor {
    worker: Rc<Worker>,
    tasks: TaskTracker,
    connections: Connections,
    /// The most connections that this process has descriptors for.
    most: usize,
    tls: Option<Arc<Tls>>,
    /// Peers that say by the PROXY protocol who the client is.
    balancers: TrustedProxies,
    dates: Rc<Dates>,
    spare: Rc<http2::Spare>,
}

/// Bytes that a connection of HTTP/1 may have waiting either way: all of a head, and of an answer no more than its client
/// takes.
fn buffered(max: &Max) -> usize {
    const LEAST: usize = 32 * 1024;
    (max.headers + max.target + 1024).max(LEAST)
}

impl Acceptor {
    pub fn new(
        worker: Rc<Worker>,
        tasks: TaskTracker,
        connections: Connections,
        most: usize,
        tls: Option<Arc<Tls>>,
        balancers: TrustedProxies,
    ) -> Self {
        let dates = Rc::new(Dates::new(worker.clock.clone()));
        Self { worker, tasks, connections, most, tls, balancers, dates, spare: Rc::default() }
    }

    /// Serves the connection, or turns it away.
    pub fn take(&self, mut stream: TcpStream, peer: SocketAddr) {
        let state = self.worker.state();
        let most = state.plan.config.max.connections.min(self.most);
        let Some(place) = Place::take(&self.worker, |shared| &shared.connections, most) else {
            return self.turn_away(stream, peer.ip());
        };
        let (Ok(local), Ok(())) = (stream.local_addr(), stream.set_nodelay(true)) else { return };
        let (worker, open) = (Rc::clone(&self.worker), self.connections.open());
        let scheme = if self.tls.is_some() { Scheme::Https } else { Scheme::Http };
        let limits = state.plan.connection;
        let of = move |worker: &Worker, peer| {
            Conn::new(peer, local, scheme, limits, &worker.deadlines, Rc::clone(&worker.drain))
        };
        let conn = of(&worker, peer);
        let announced = self.balancers.trust(peer.ip()) == Trust::Trusted;
        let protocols = self.protocols(&state.plan.config.max);
        self.tasks.spawn_local(async move {
            let conn = match announced {
                false => conn,
                // Boxed, lest every connection has room for it.
                true => match Box::pin(client(&worker, &mut stream, &conn)).await {
                    Some(client) => of(&worker, client),
                    None => return,
                },
            };
            let peer = conn.peer.ip();
            let handle = |carrier, request| gateway::handle(Rc::clone(&worker), carrier, request);
            let unread = |unread| unread::refuse_unread(&worker, peer, unread);
            connection::serve(stream, conn, &protocols, handle, unread).await;
            drop((place, open));
        });
    }

    fn protocols(&self, max: &Max) -> Protocols {
        let mut http1 = http1::Builder::new();
        http1
            .header_read_timeout(None)
            // The connection's driver sees the client go.
            .half_close(true)
            .max_header_size(max.headers)
            .max_buf_size(buffered(max))
            .max_headers(max.header_count);
        let http2 = http2::Settings {
            streams: max.streams,
            headers: u32::try_from(max.headers).unwrap_or(u32::MAX),
            dates: Rc::clone(&self.dates),
            spare: Rc::clone(&self.spare),
        };
        Protocols { http1, http2, tls: self.tls.clone() }
    }

    fn turn_away(&self, stream: TcpStream, client: IpAddr) {
        let worker = &self.worker;
        let mut answer = unread::refuse(worker, client, &Refusal::TooManyConnections);
        if self.tls.is_some() {
            // A handshake for who is turned away would cost more than a request.
            answer = NO_HANDSHAKE.to_vec();
        }
        let Some(place) = Place::take(worker, |shared| &shared.turned_away, TURNED_AWAY) else {
            let _ = stream.try_write(&answer);
            return;
        };
        self.tasks.spawn_local(async move {
            turn_away(stream.into(), &answer).await;
            drop(place);
        });
    }
}

/// One of those that may be there at once; given back however its task ends.
struct Place {
    worker: Rc<Worker>,
    gauge: fn(&Shared) -> &Gauge,
}

impl Place {
    fn take(worker: &Rc<Worker>, gauge: fn(&Shared) -> &Gauge, most: usize) -> Option<Self> {
        let entered = gauge(&worker.shared).try_enter(most);
        entered.then(|| Self { worker: Rc::clone(worker), gauge })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        (self.gauge)(&self.worker.shared).leave();
    }
}

/// Who the client is, as the peer says; the connection ends where it does not.
async fn client(worker: &Worker, stream: &mut TcpStream, conn: &Conn) -> Option<SocketAddr> {
    match proxy_protocol::read(stream, conn).await {
        Ok(Source::Client(client)) => Some(client),
        Ok(Source::Peer) => Some(conn.peer),
        Err(Unknown::Gone) => None,
        Err(Unknown::Malformed(why)) => {
            if worker.shared.unannounced.may_warn(worker.clock.tick()) {
                tracing::warn!(
                    peer = %conn.peer,
                    why,
                    "this peer is in `proxy_protocol.from` of a listener and does not speak the PROXY protocol"
                );
            }
            let answer = unread::refuse_unread(worker, conn.peer.ip(), Unread::Unannounced);
            let _ = stream.try_write(&answer);
            None
        }
    }
}
