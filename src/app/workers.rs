//! The threads of the data plane: one single-threaded runtime for each core, told what to do by channels.

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::refusal::Refusal;
use crate::proxy::gateway;
use crate::proxy::plan::Plan;
use crate::proxy::worker::Worker;
use crate::server::conn::Conn;
use crate::server::connection;
use crate::server::deadline::PERIOD;
use crate::server::listener;
use crate::telemetry::metrics::Connections;

/// One listener as a worker has it.
pub struct Socket {
    /// This worker's own socket.
    pub listener: TcpListener,
    /// Counts its connections.
    pub connections: Connections,
}

enum Command {
    Adopt(Arc<Plan>, oneshot::Sender<()>),
    Drain(Duration, oneshot::Sender<usize>),
}

/// A running worker.
pub struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    /// Starts worker `number`; `make` builds it on its own thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        number: usize,
        sockets: Vec<Socket>,
        make: impl FnOnce() -> Rc<Worker> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (commands, received) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
            match runtime {
                Ok(runtime) => LocalSet::new().block_on(&runtime, run(make(), sockets, received)),
                Err(error) => tracing::error!(%error, "a worker has no runtime"),
            }
        })?;
        Ok(Self { commands, thread: Mutex::new(Some(thread)) })
    }

    /// Hands the worker a new plan; done when requests that begin are handled by it.
    pub async fn adopt(&self, plan: Arc<Plan>) {
        let (done, adopted) = oneshot::channel();
        if self.commands.send(Command::Adopt(plan, done)).is_ok() {
            let _ = adopted.await;
        }
    }

    /// Whether the thread is there.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Lets the worker finish what it has, for at most `grace`; gives how many connections were cut.
    pub async fn drain(&self, grace: Duration) -> usize {
        let (done, drained) = oneshot::channel();
        let cut = match self.commands.send(Command::Drain(grace, done)) {
            Ok(()) => drained.await.unwrap_or_default(),
            Err(_) => 0,
        };
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        cut
    }
}

async fn run(worker: Rc<Worker>, sockets: Vec<Socket>, mut commands: mpsc::UnboundedReceiver<Command>) {
    let stop = CancellationToken::new();
    let (accepting, connections) = (TaskTracker::new(), TaskTracker::new());
    for socket in sockets {
        match tokio::net::TcpListener::from_std(socket.listener) {
            Ok(listener) => {
                let connected = acceptor(Rc::clone(&worker), connections.clone(), socket.connections);
                accepting.spawn_local(listener::accept(listener, stop.clone(), connected));
            }
            Err(error) => tracing::error!(%error, "a worker cannot use its listening socket"),
        }
    }
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => worker.tick(),
            command = commands.recv() => match command {
                Some(Command::Adopt(plan, done)) => {
                    worker.adopt(plan);
                    let _ = done.send(());
                }
                Some(Command::Drain(grace, done)) => {
                    stop.cancel();
                    accepting.close();
                    accepting.wait().await;
                    let cut = drain(&worker, &connections, grace, &mut ticks).await;
                    worker.tick();
                    let _ = done.send(cut);
                    return;
                }
                // Whoever could command is gone: the process is ending without a drain.
                None => return,
            },
        }
    }
}

async fn drain(
    worker: &Worker,
    connections: &TaskTracker,
    grace: Duration,
    ticks: &mut tokio::time::Interval,
) -> usize {
    worker.drain.start(&worker.deadlines);
    connections.close();
    let ended = tokio::time::timeout(grace, async {
        loop {
            tokio::select! {
                () = connections.wait() => return,
                _ = ticks.tick() => worker.tick(),
            }
        }
    });
    match ended.await {
        Ok(()) => 0,
        Err(_) => connections.len(),
    }
}

/// What is done with each connection that is accepted.
fn acceptor(
    worker: Rc<Worker>,
    tasks: TaskTracker,
    connections: Connections,
) -> impl FnMut(TcpStream, std::net::SocketAddr) {
    move |stream, peer| {
        let state = worker.state();
        let max = &state.plan.config.max;
        if worker.shared.connections.count() >= max.connections {
            let id = worker.request_ids.make(worker.clock.now());
            let _ = stream.try_write(&state.plan.raw_answer(&Refusal::Overloaded, &id));
            return;
        }
        let (Ok(local), Ok(())) = (stream.local_addr(), stream.set_nodelay(true)) else { return };
        let limits = state.plan.connection;
        let conn = Conn::new(peer, local, limits, &worker.deadlines, Rc::clone(&worker.drain));
        let http = protocol(max.headers, max.header_count);
        let open = connections.open();
        let worker = Rc::clone(&worker);
        worker.shared.connections.enter();
        tasks.spawn_local(async move {
            // Boxed, because hyper keeps room for a whole request's future in every connection, idle ones too.
            let service = service_fn(|request| {
                Box::pin(gateway::handle(Rc::clone(&worker), Rc::clone(&conn), request))
            });
            let slow_head = || {
                let id = worker.request_ids.make(worker.clock.now());
                state.plan.raw_answer(&Refusal::RequestTimeout, &id)
            };
            connection::serve(stream, &conn, &http, service, slow_head).await;
            worker.shared.connections.leave();
            drop(open);
        });
    }
}

/// HTTP/1.1 without a timer of its own: [`Conn`] keeps the time.
fn protocol(header_bytes: usize, header_count: usize) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.header_read_timeout(None).max_header_size(header_bytes).max_headers(header_count);
    http
}
