//! The threads of the data plane: one single-threaded runtime for each core, told what to do by channels.

use std::future::Future;
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::LocalOptions;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tokio::time::error::Elapsed;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::acceptor::Acceptor;
use crate::proxy::plan::Plan;
use crate::proxy::worker::Worker;
use crate::server::deadline::PERIOD;
use crate::server::listener;
use crate::server::tls::Tls;
use crate::telemetry::metrics::Connections;
use crate::web::client_address::TrustedProxies;

/// One listener as a worker has it.
pub struct Socket {
    /// This worker's own socket.
    pub listener: TcpListener,
    /// Counts its connections.
    pub connections: Connections,
    /// The most connections that this process has descriptors for.
    pub most: usize,
    /// What TLS is served by; `None` in clear.
    pub tls: Option<Arc<Tls>>,
    /// Peers that say by the PROXY protocol who the client is.
    pub balancers: TrustedProxies,
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
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .build_local(LocalOptions::default());
            match runtime {
                Ok(runtime) => runtime.block_on(run(make(), sockets, received)),
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
                let (worker, tasks) = (Rc::clone(&worker), connections.clone());
                let Socket { connections, most, tls, balancers, .. } = socket;
                let acceptor = Acceptor::new(worker, tasks, connections, most, tls, balancers);
                let connected = move |stream, peer| acceptor.take(stream, peer);
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
                    let cut = drain(&worker, &accepting, &connections, grace, &mut ticks).await;
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

/// How long clients may take to send the request that they were promised to be able to send.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// Lets connections finish; gives how many were cut.
async fn drain(
    worker: &Worker,
    accepting: &TaskTracker,
    connections: &TaskTracker,
    grace: Duration,
    ticks: &mut tokio::time::Interval,
) -> usize {
    worker.drain.start(&worker.deadlines);
    accepting.close();
    connections.close();
    let ended = async {
        accepting.wait().await;
        connections.wait().await;
    };
    let mut ended = pin!(ended);
    // Those without a request must not be among those that are cut.
    let first = LAST_REQUESTS.min(grace / 2);
    if ticking(worker, ended.as_mut(), first, ticks).await.is_ok() {
        return 0;
    }
    worker.drain.end_idle(&worker.deadlines);
    match ticking(worker, ended, grace - first, ticks).await {
        Ok(()) => 0,
        Err(_) => connections.len(),
    }
}

/// Waits for `what` and goes on ticking.
async fn ticking(
    worker: &Worker,
    mut what: Pin<&mut impl Future<Output = ()>>,
    within: Duration,
    ticks: &mut tokio::time::Interval,
) -> Result<(), Elapsed> {
    let waiting = async {
        loop {
            tokio::select! {
                () = what.as_mut() => return,
                _ = ticks.tick() => worker.tick(),
            }
        }
    };
    tokio::time::timeout(within, waiting).await
}
