//! A scripted upstream on bare sockets. It keeps no rule that its script does not keep, and shows every byte it received.
//!
//! ```ignore
//! let upstream = Upstream::answering(|request| match request.target.as_str() {
//!     "/slow" => Answer::ok("late").after(&gate),
//!     _ => Answer::echo(),
//! }).await;
//! …
//! assert_eq!(upstream.requests()[0].header("x-auth-method"), Some("api_key"));
//! ```

mod answer;
mod connection;
mod received;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

pub use answer::{Answer, Gate};
pub use received::Received;

use super::raw::Ending;

/// How a new connection is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// Its requests are read and answered.
    Serve,
    /// It is ended by FIN at once.
    Close,
    /// It is ended by RST at once.
    Reset,
    /// It is kept, nothing is ever read.
    Ignore,
}

type Script = dyn Fn(&Received) -> Answer + Send + Sync;
type Greet = dyn Fn(usize) -> Greeting + Send + Sync;

/// A running upstream; ends with its test.
pub struct Upstream {
    address: SocketAddr,
    record: Record,
    accepting: tokio::task::JoinHandle<()>,
}

/// What has come in so far.
#[derive(Default)]
pub struct Seen {
    pub connections: Vec<Connection>,
    /// Over all connections, in order of their heads' arrival.
    pub requests: Vec<Received>,
}

/// One accepted connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Every byte received, the first 8 MiB of them.
    pub raw: Vec<u8>,
    /// How many were received.
    pub bytes: u64,
    /// How many were sent.
    pub sent: u64,
    /// How the other side ended it, once it did.
    pub ended: Option<Ending>,
    /// Whether this side closed it.
    pub closed: bool,
}

impl Seen {
    /// How many connections neither side has ended.
    pub fn open(&self) -> usize {
        self.connections.iter().filter(|connection| connection.ended.is_none() && !connection.closed).count()
    }
}

type Record = super::record::Record<Seen>;

impl Upstream {
    /// Answers every request with a description of it.
    pub async fn echo() -> Self {
        Self::answering(|_| Answer::echo()).await
    }

    /// Answers every request alike.
    pub async fn always(answer: Answer) -> Self {
        Self::answering(move |_| answer.clone()).await
    }

    /// Answers in this order; whoever asks more often is told so by a 599.
    pub async fn in_order(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers: Vec<Answer> = answers.into_iter().collect();
        Self::answering(move |request| {
            let beyond = || Answer::new(599).body("the script is over");
            answers.get(request.number).cloned().unwrap_or_else(beyond)
        })
        .await
    }

    /// Answers as the script says.
    pub async fn answering(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        Self::greeting(|_| Greeting::Serve, script).await
    }

    /// Meets the n-th connection (from 0) as `greet` says, and answers as the script says.
    pub async fn greeting(
        greet: impl Fn(usize) -> Greeting + Send + Sync + 'static,
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::on(listener, greet, script)
    }

    /// Answers as the script says, at this address.
    pub async fn at(
        address: SocketAddr,
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("the address is free");
        Self::on(listener, |_| Greeting::Serve, script)
    }

    fn on(
        listener: TcpListener,
        greet: impl Fn(usize) -> Greeting + Send + Sync + 'static,
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let record = Record::new();
        let accepting = tokio::spawn(accept(listener, record.clone(), Arc::new(greet), Arc::new(script)));
        Self { address, record, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Received> {
        self.record.lock().requests.clone()
    }

    /// The only request there was.
    #[track_caller]
    pub fn only_request(&self) -> Received {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:#?}");
        requests.into_iter().next().unwrap()
    }

    /// How many bytes were sent over all connections.
    pub fn sent(&self) -> u64 {
        self.record.lock().connections.iter().map(|connection| connection.sent).sum()
    }

    /// Every connection so far.
    pub fn connections(&self) -> Vec<Connection> {
        self.record.lock().connections.clone()
    }

    /// Waits until what has come in is as described, and returns what the description found.
    pub async fn until<T>(&self, what: &str, found: impl FnMut(&Seen) -> Option<T>) -> T {
        self.record.until(what, found).await
    }

    /// Waits for so many requests' heads.
    pub async fn until_requests(&self, count: usize) {
        self.until(&format!("{count} requests at the upstream"), |seen| {
            (seen.requests.len() >= count).then_some(())
        })
        .await;
    }

    /// Waits until no connection is open.
    pub async fn until_all_closed(&self) {
        self.until("the end of every connection at the upstream", |seen| (seen.open() == 0).then_some(()))
            .await;
    }

    /// Stops listening and breaks every connection off: what follows is refused.
    pub async fn stop(self) -> SocketAddr {
        self.accepting.abort();
        // The listener and all connections are dropped with the task.
        while !self.accepting.is_finished() {
            tokio::task::yield_now().await;
        }
        self.address
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, record: Record, greet: Arc<Greet>, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("accepting goes on");
        stream.set_nodelay(true).unwrap();
        let number = record.write(|seen| {
            seen.connections.push(Connection {
                raw: Vec::new(),
                bytes: 0,
                sent: 0,
                ended: None,
                closed: false,
            });
            seen.connections.len() - 1
        });
        match greet(number) {
            Greeting::Serve => {
                connections.spawn(connection::serve(stream, number, record.clone(), script.clone()));
            }
            Greeting::Close => {
                drop(stream);
                record.write(|seen| seen.connections[number].closed = true);
            }
            Greeting::Reset => {
                connection::reset_on_drop(&stream);
                drop(stream);
                record.write(|seen| seen.connections[number].closed = true);
            }
            Greeting::Ignore => {
                connections.spawn(async move {
                    std::future::pending::<()>().await;
                    drop(stream);
                });
            }
        }
    }
}

/// An address at which nobody listens.
pub async fn refusing() -> SocketAddr {
    Upstream::echo().await.stop().await
}

/// An address at which connecting never ends: its queue is full and nobody accepts.
pub struct Blackhole {
    address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Blackhole {
    /// Fills the queue until a connection hangs.
    pub async fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(connected) =
            tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
        {
            queue.push(connected.expect("the queue takes a connection or lets it hang"));
            assert!(queue.len() < 100, "the queue has no end");
        }
        Self { address, _listener: listener, _queue: queue }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
