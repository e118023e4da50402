//! Single flight: however many workers miss the same credential, the store is asked once.
//!
//! Runs on the control runtime. A flight belongs to nobody who waits for it: a client that goes away cancels nothing.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::entry::{Denial, Loaded, Standing, Valid};
use super::lookup::{Landed, Lookup, Unanswered};
use super::question::{Blame, Question};
use super::shared::Shared;
use super::stats::{Layer, Outcome};
use crate::auth::token::HashedToken;
use crate::store::SharedStore;

/// Questions that may wait for the loader to take them.
pub(super) const ASKS: usize = 16 * 1024;

/// Different credentials that may be looked up at once; more are answered that nobody can tell.
const FLIGHTS: usize = 16 * 1024;

/// What workers send.
#[derive(Debug)]
pub(super) enum Ask {
    /// Somebody waits.
    Load { question: Question, reply: oneshot::Sender<Landed> },
    /// Nobody waits; the entry will end soon.
    Refresh(Arc<Valid>),
}

#[derive(Debug, Default)]
struct Flight {
    waiting: Vec<oneshot::Sender<Landed>>,
    /// Whose failure it is, if it is one.
    blames: Vec<Blame>,
    refreshing: Option<Arc<Valid>>,
}

/// The task that owns all flights.
pub(super) struct Loader {
    asks: mpsc::Receiver<Ask>,
    flights: HashMap<HashedToken, Flight>,
    landing: JoinSet<(HashedToken, Landed)>,
    lookup: Lookup,
    shared: Arc<Shared>,
}

impl Loader {
    pub(super) fn new(asks: mpsc::Receiver<Ask>, store: SharedStore, shared: Arc<Shared>) -> Self {
        let lookup = Lookup::new(store, Arc::clone(&shared));
        Self { asks, flights: HashMap::new(), landing: JoinSet::new(), lookup, shared }
    }

    /// Serves until no worker is left.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                Some(landed) = self.landing.join_next() => {
                    if let Ok((digest, landed)) = landed {
                        self.land(&digest, &landed);
                    }
                }
                ask = self.asks.recv() => match ask {
                    Some(Ask::Load { question, reply }) => self.load(question, reply),
                    Some(Ask::Refresh(entry)) => self.refresh(entry),
                    None => return,
                },
            }
        }
    }

    fn load(&mut self, question: Question, reply: oneshot::Sender<Landed>) {
        let digest = question.digest;
        if let Some(flight) = self.flights.get_mut(&digest) {
            self.shared.totals.add(Layer::Positive, Outcome::Joined, 1);
            flight.waiting.push(reply);
            flight.blames.extend(question.blame);
        } else if let Some(loaded) = self.just_landed(&digest) {
            self.shared.totals.add(Layer::Positive, Outcome::Joined, 1);
            self.count_failures(&digest, question.blame, &loaded);
            // Nobody to answer is nobody to tell.
            let _ = reply.send(Ok(loaded));
        } else if self.flights.len() < FLIGHTS {
            let blames = question.blame.into_iter().collect();
            self.take_off(question, Flight { waiting: vec![reply], blames, refreshing: None });
        } else {
            let _ = reply.send(Err(Unanswered));
        }
    }

    /// What a flight brought that landed after the question was sent and before it was read.
    fn just_landed(&self, digest: &HashedToken) -> Option<Loaded> {
        let shared = &*self.shared;
        let view = shared.view(shared.clock.tick(), shared.clock.now());
        let caches = shared.caches.load();
        let good = |entry: &Arc<Valid>| {
            matches!(entry.standing(&shared.marks, &view), Standing::Fresh | Standing::Ageing)
        };
        let refused = |entry: &Arc<Denial>| entry.refused(&shared.marks, &view).is_some();
        let valid = caches.valid(digest).filter(good).map(Loaded::Valid);
        valid.or_else(|| caches.refused(digest).filter(refused).map(Loaded::Refused))
    }

    fn refresh(&mut self, entry: Arc<Valid>) {
        let digest = *entry.digest();
        if let Some(flight) = self.flights.get_mut(&digest) {
            flight.refreshing = Some(entry);
        } else if self.flights.len() < FLIGHTS {
            self.take_off(entry.question(), Flight { refreshing: Some(entry), ..Flight::default() });
        } else {
            entry.release_refresh();
        }
    }

    fn take_off(&mut self, question: Question, flight: Flight) {
        let digest = question.digest;
        self.flights.insert(digest, flight);
        let lookup = self.lookup.clone();
        self.landing.spawn(async move {
            let landed = AssertUnwindSafe(lookup.run(question)).catch_unwind().await;
            (digest, landed.unwrap_or(Err(Unanswered)))
        });
    }

    /// Counts against whoever asked, before he is told.
    fn count_failures(&self, digest: &HashedToken, blames: impl IntoIterator<Item = Blame>, loaded: &Loaded) {
        if loaded.is_unknown() {
            for Blame { client, limit } in blames {
                self.shared.failures.failed(client, digest.short(), limit, self.shared.clock.tick());
            }
        }
    }

    fn land(&mut self, digest: &HashedToken, landed: &Landed) {
        let Some(flight) = self.flights.remove(digest) else { return };
        if let (Some(entry), Err(Unanswered)) = (flight.refreshing, landed) {
            entry.release_refresh();
        }
        if let Ok(loaded) = landed {
            self.count_failures(digest, flight.blames, loaded);
        }
        for reply in flight.waiting {
            // A client that went away leaves a closed channel.
            let _ = reply.send(landed.clone());
        }
    }
}
