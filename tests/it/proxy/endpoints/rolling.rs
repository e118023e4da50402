//! Three servers that are restarted one after the other while clients go on.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::http::Client;
use crate::support::within;

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It accepts no more, finishes what it has and closes what is idle.
    Graceful,
    /// As by `kill -9`.
    Killed,
}

/// A server that counts what it answered.
struct Server {
    address: SocketAddr,
    answered: watch::Sender<usize>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("the address is free again");
        let address = listener.local_addr().unwrap();
        let (answered, stop) = (watch::Sender::new(0), CancellationToken::new());
        let task = tokio::spawn(serve(listener, answered.clone(), stop.clone()));
        Self { address, answered, stop, task }
    }

    /// Waits until it has answered so many more.
    async fn answers(&self, more: usize) {
        let mut answered = self.answered.subscribe();
        let goal = *answered.borrow() + more;
        within("answers of a server", answered.wait_for(|count| *count >= goal)).await.unwrap();
    }

    async fn end(self, how: End) -> SocketAddr {
        match how {
            End::Graceful => self.stop.cancel(),
            End::Killed => self.task.abort(),
        }
        let _ = within("the end of a server", self.task).await;
        self.address
    }
}

async fn serve(listener: TcpListener, answered: watch::Sender<usize>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let (stream, _) = accepted.unwrap();
        let (answered, stop) = (answered.clone(), stop.clone());
        connections.spawn(async move {
            let service = service_fn(move |_| {
                answered.send_modify(|count| *count += 1);
                async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"well")))) }
            });
            let mut connection =
                std::pin::pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            tokio::select! {
                _ = connection.as_mut() => {}
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Asks until it is told to stop; gives how often it did.
async fn ask(to: SocketAddr, stop: Arc<AtomicBool>) -> usize {
    let mut client = Client::new(to);
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let response = client.get("/").await;
        assert_eq!(response.status, 200, "request {count}: {response:?}");
        count += 1;
    }
    count
}

async fn all_are_restarted(how: End) {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(Server::start(free).await);
    }
    let urls: Vec<String> = servers.iter().map(|server| format!("http://{}", server.address)).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let gateway = Gateway::builder()
        .endpoints("api", &urls)
        .sharing("ejection: { for: 200ms, slow_start: 200ms }")
        .workers(2)
        .yaml(PUBLIC)
        .start()
        .await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        clients.spawn(ask(gateway.public(), stop.clone()));
    }
    for index in 0..3 {
        servers[index].answers(50).await;
        let address = servers.swap_remove(index).end(how).await;
        for server in &servers {
            server.answers(50).await;
        }
        servers.push(Server::start(address).await);
        servers.swap(index, 2);
        servers[index].answers(50).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut requests = 0;
    while let Some(asked) = clients.join_next().await {
        requests += asked.expect("no request failed");
    }
    assert!(requests > 600, "{requests}");
}

#[tokio::test]
async fn no_request_fails_while_the_servers_are_restarted_one_after_the_other() {
    all_are_restarted(End::Graceful).await;
}

#[tokio::test]
async fn no_request_that_may_be_sent_again_fails_while_the_servers_are_killed_one_after_the_other() {
    all_are_restarted(End::Killed).await;
}
