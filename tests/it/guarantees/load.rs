//! Clients that ask again and again and note whatever goes wrong.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::task::JoinSet;

use crate::support::raw::Raw;
use crate::support::within;

/// A running load.
pub struct Load {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    clients: JoinSet<Tally>,
}

/// What became of it.
#[derive(Debug, Default)]
pub struct Tally {
    pub statuses: BTreeMap<u16, usize>,
    /// Answers that were the last on their connection, by their word.
    pub last: usize,
    /// Requests without a whole answer.
    pub failed: Vec<String>,
    /// Clients that ended because nobody listened any more.
    pub refused: usize,
}

impl Tally {
    fn add(&mut self, other: Self) {
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.last += other.last;
        self.failed.extend(other.failed);
        self.refused += other.refused;
    }
}

impl Load {
    /// So many clients, each on a connection that it keeps, or on a new one for each request.
    pub fn start(to: SocketAddr, clients: usize, request: &str, keep: bool) -> Self {
        let (stop, answers) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut tasks = JoinSet::new();
        for _ in 0..clients {
            tasks.spawn(client(to, request.to_owned(), keep, Arc::clone(&stop), Arc::clone(&answers)));
        }
        Self { stop, answers, clients: tasks }
    }

    /// Waits for so many more answers.
    pub async fn until_answers(&self, more: usize) {
        let goal = self.answers.load(Ordering::SeqCst) + more;
        within("answers under load", async {
            while self.answers.load(Ordering::SeqCst) < goal {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Lets each client finish what it does.
    pub async fn stop(self) -> Tally {
        self.stop.store(true, Ordering::SeqCst);
        self.ended().await
    }

    /// Waits until nobody listens any more.
    pub async fn ended(self) -> Tally {
        let tallies = within("the end of the load", self.clients.join_all()).await;
        tallies.into_iter().fold(Tally::default(), |mut all, tally| {
            all.add(tally);
            all
        })
    }
}

async fn client(
    to: SocketAddr,
    request: String,
    keep: bool,
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
) -> Tally {
    let mut tally = Tally::default();
    let mut connection = None;
    while !stop.load(Ordering::SeqCst) {
        let mut raw = match connection.take() {
            Some(raw) => raw,
            None => match Raw::try_connect(to).await {
                Ok(raw) => raw,
                Err(_) => {
                    tally.refused += 1;
                    break;
                }
            },
        };
        let sent = raw.try_send(&request).await;
        match raw.answer("GET").await {
            Ok(response) => {
                answers.fetch_add(1, Ordering::SeqCst);
                *tally.statuses.entry(response.status).or_default() += 1;
                let last = response.header("connection") == Some("close");
                tally.last += usize::from(last);
                connection = (keep && !last).then_some(raw);
            }
            Err(broken) => tally.failed.push(format!("{sent:?}, {broken:?}")),
        }
    }
    tally
}
