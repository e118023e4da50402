//! What is done with a connection that was accepted: served, or turned away when there are too many.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use crate::auth::refusal::Refusal;
use crate::proxy::gateway;
use crate::proxy::worker::Worker;
use crate::server::conn::Conn;
use crate::server::connection;
use crate::telemetry::metrics::{Connections, OpenConnection};

/// Connections that one worker turns away gently at once. Beyond these the flood is cut off without a word.
const TURNED_AWAY: usize = 64;

/// Takes what one listener of one worker accepts.
pub struct Acceptor {
    worker: Rc<Worker>,
    tasks: TaskTracker,
    connections: Connections,
    turned_away: Rc<Cell<usize>>,
    /// The most connections that this process has descriptors for.
    most: usize,
}

impl Acceptor {
    pub fn new(worker: Rc<Worker>, tasks: TaskTracker, connections: Connections, most: usize) -> Self {
        Self { worker, tasks, connections, turned_away: Rc::default(), most }
    }

    /// Serves the connection, or turns it away.
    pub fn take(&self, stream: TcpStream, peer: SocketAddr) {
        let state = self.worker.state();
        let most = state.plan.config.max.connections.min(self.most);
        let Some(place) = Place::take(&self.worker, &self.connections, most) else {
            return self.turn_away(stream);
        };
        let (Ok(local), Ok(())) = (stream.local_addr(), stream.set_nodelay(true)) else { return };
        let worker = Rc::clone(&self.worker);
        let conn = Conn::new(peer, local, state.plan.connection, &worker.deadlines, Rc::clone(&worker.drain));
        let max = &state.plan.config.max;
        let http = protocol(max.headers, max.header_count);
        self.tasks.spawn_local(async move {
            // Boxed, because hyper keeps room for a whole request's future in every connection, idle ones too.
            let service = service_fn(|request| {
                Box::pin(gateway::handle(Rc::clone(&worker), Rc::clone(&conn), request))
            });
            let slow_head = || {
                let id = worker.request_ids.make(worker.clock.now());
                state.plan.raw_answer(&Refusal::RequestTimeout, &id)
            };
            connection::serve(stream, &conn, &http, service, slow_head).await;
            drop(place);
        });
    }

    fn turn_away(&self, stream: TcpStream) {
        if self.turned_away.get() >= TURNED_AWAY {
            return;
        }
        let id = self.worker.request_ids.make(self.worker.clock.now());
        let answer = self.worker.state().plan.raw_answer(&Refusal::Overloaded, &id);
        let counted = Counted::one_more(&self.turned_away);
        self.tasks.spawn_local(async move {
            connection::turn_away(stream, &answer).await;
            drop(counted);
        });
    }
}

/// One of the connections that may be open at once; given back however its task ends.
struct Place {
    worker: Rc<Worker>,
    _open: OpenConnection,
}

impl Place {
    fn take(worker: &Rc<Worker>, connections: &Connections, most: usize) -> Option<Self> {
        let entered = worker.shared.connections.try_enter(most);
        entered.then(|| Self { worker: Rc::clone(worker), _open: connections.open() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.worker.shared.connections.leave();
    }
}

struct Counted(Rc<Cell<usize>>);

impl Counted {
    fn one_more(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// HTTP/1.1 without a timer of its own: [`Conn`] keeps the time.
fn protocol(header_bytes: usize, header_count: usize) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.header_read_timeout(None).max_header_size(header_bytes).max_headers(header_count);
    http
}
