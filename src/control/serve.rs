//! Connections of the control plane → hyper, each bounded in time and all of them in number.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Waiting after the system refused to accept, out of descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
const MAX_HEADERS: usize = 100;
const MAX_HEADER_SIZE: usize = 16 << 10;

/// What bounds the connections of one listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// At once; for a further one the oldest has to go, so that nobody can keep others out by holding them.
    pub connections: usize,
    /// A request's fields, and between requests.
    pub head: Duration,
    /// A whole connection. After it the request in flight is the last one.
    pub life: Duration,
    /// The last request, after `life` or when the listener is stopped.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            head: Duration::from_secs(30),
            life: Duration::from_secs(300),
            grace: Duration::from_secs(5),
        }
    }
}

/// Something that connections come from.
pub trait Accept: Send {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection; `None` = one that was turned away. Giving up on the future loses no connection.
    fn accept(&self) -> impl Future<Output = io::Result<Option<Self::Io>>> + Send;
}

impl Accept for TcpListener {
    type Io = TcpStream;

    async fn accept(&self) -> io::Result<Option<TcpStream>> {
        let (stream, _) = Self::accept(self).await?;
        // A peer that is gone already shows itself in the first read.
        let _ = stream.set_nodelay(true);
        Ok(Some(stream))
    }
}

/// A bound listener made ready for [`serve`]. Only within a runtime.
///
/// # Errors
/// When the system refuses.
pub fn tcp(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Serves `router` until `stop`, then lets requests in flight finish within `limits.grace`.
pub async fn serve(listener: impl Accept, router: Router, stop: CancellationToken, limits: Limits) {
    let tasks = TaskTracker::new();
    // The oldest first.
    let mut open: VecDeque<(CancellationToken, DropGuard)> = VecDeque::new();
    while let Some(io) = stop.run_until_cancelled(next(&listener)).await {
        open.retain(|(ended, _)| !ended.is_cancelled());
        while open.len() >= limits.connections {
            // Its guard tells it to finish.
            open.pop_front();
        }
        let (ended, last) = (CancellationToken::new(), stop.child_token());
        open.push_back((ended.clone(), last.clone().drop_guard()));
        let served = connection(io, router.clone(), last, limits);
        tasks.spawn(async move {
            served.await;
            ended.cancel();
        });
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

async fn next<L: Accept>(listener: &L) -> L::Io {
    loop {
        match listener.accept().await {
            Ok(Some(io)) => return io,
            Ok(None) => {}
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the control plane cannot accept connections"
                );
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether only the connection is lost, and the next can be accepted at once.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}

/// Errors of a connection are its client's: nothing is logged for them.
async fn connection<I>(io: I, router: Router, stop: CancellationToken, limits: Limits)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEADER_SIZE)
        .serve_connection(TokioIo::new(io), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => {}
        () = tokio::time::sleep(limits.life) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(limits.grace, connection).await;
}
