//! Who waits for a password's work, whose turn it is, and the rank of the thread that does it.
//!
//! A crowd of strangers keeps nobody from logging in who is known: they have a lane of their own, and no more of them than
//! there are threads stand before the next one who is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::clock::Clock;
use crate::issuer::IssueError;

/// Of each lane, how many may wait or be at work for each thread. At 20 ms each, the last waits a second and a half.
pub(super) const WAITING: usize = 64;

/// Work that took this long, fifty times what it takes, had hardly a turn.
const STARVED: Duration = Duration::from_secs(1);
/// For how many after such a one a rank is chosen that gets its turns. At most a minute's work.
const AT_A_RANK: u32 = 64;
/// A tenth of what a worker gets on a processor that both want.
const NICE: i32 = 10;

/// Whose password it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Of somebody who comes from where the account lately came from, is logged in, or has a link that is good.
    Known,
    /// Anybody's.
    Stranger,
}

/// Lets a few at once do their work.
#[derive(Debug)]
pub(super) struct Desk {
    clock: Clock,
    known: Lane,
    strangers: Lane,
    /// Places for those at work, in the order in which they asked.
    turns: Arc<Semaphore>,
    /// How many are still to be given a rank.
    raised: Arc<AtomicU32>,
}

#[derive(Debug)]
struct Lane {
    /// Those who wait or are at work.
    places: Arc<Semaphore>,
    /// Those who may ask for a turn.
    next: Arc<Semaphore>,
}

/// What one holds until the work is done.
#[derive(Debug)]
struct Turn(#[expect(dead_code, reason = "held, not looked at")] [OwnedSemaphorePermit; 3]);

impl Desk {
    pub(super) fn new(concurrent: usize, clock: Clock) -> Self {
        let places = concurrent.saturating_mul(WAITING + 1);
        Self {
            clock,
            known: Lane::new(places, places),
            strangers: Lane::new(places, concurrent),
            turns: Arc::new(Semaphore::new(concurrent)),
            raised: Arc::default(),
        }
    }

    /// Does `work` when its turn has come, unless too many wait already.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        whose: Whose,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, IssueError> {
        let turn = self.turn(whose).await?;
        let (clock, raised) = (self.clock.clone(), Arc::clone(&self.raised));
        let (done, outcome) = oneshot::channel();
        // What is held goes along: a caller who leaves frees no core before the work is done.
        let working = move || {
            let began = clock.tick();
            yield_to_others(&raised);
            let result = work();
            if clock.tick().since(began) >= STARVED {
                raised.store(AT_A_RANK, Ordering::Relaxed);
            }
            // Before it is told: whoever hears of it finds the place free.
            drop::<Turn>(turn);
            let _ = done.send(result);
        };
        // A thread of its own, a thousandth of the work, because it cannot take its rank back afterwards.
        std::thread::Builder::new()
            .name("password".to_owned())
            .spawn(working)
            .map_err(|_| IssueError::Busy)?;
        outcome.await.map_err(|_| IssueError::Busy)
    }

    async fn turn(&self, whose: Whose) -> Result<Turn, IssueError> {
        let lane = match whose {
            Whose::Known => &self.known,
            Whose::Stranger => &self.strangers,
        };
        let place = Arc::clone(&lane.places).try_acquire_owned().map_err(|_| IssueError::Busy)?;
        // No semaphore is ever closed.
        let next = Arc::clone(&lane.next).acquire_owned().await.map_err(|_| IssueError::Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| IssueError::Busy)?;
        Ok(Turn([place, next, turn]))
    }
}

impl Lane {
    fn new(places: usize, next: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), next: Arc::new(Semaphore::new(next)) }
    }
}

/// A request waits for no password: the kernel takes an idle thread's processor at once for whatever else wants it, where
/// the last of the ordinary ranks would keep it for milliseconds. On a machine that is never idle it would get no turn at
/// all, so that after one that starved the next have a low rank instead.
fn yield_to_others(raised: &AtomicU32) {
    let one_less = |left: u32| left.checked_sub(1);
    if raised.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
        if let Err(error) = rustix::process::nice(NICE) {
            tracing::debug!(%error, "a password is checked at the rank of all else");
        }
        return;
    }
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let lowest = thread_priority::ThreadPriority::Min;
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), lowest, idle) {
        tracing::debug!(%error, "a password is checked at the rank of all else");
    }
}

#[cfg(test)]
impl Desk {
    /// Keeps others from work until it is dropped.
    pub(super) async fn occupy(&self) -> OwnedSemaphorePermit {
        let all = u32::try_from(self.turns.available_permits()).unwrap();
        Arc::clone(&self.turns).acquire_many_owned(all).await.unwrap()
    }

    /// How many more strangers may come.
    pub(super) fn places(&self) -> usize {
        self.strangers.places.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::task::JoinHandle;

    use super::*;
    use crate::clock::Timestamp;

    /// Somebody who comes now, and says when the work is done.
    fn comes(
        desk: &Arc<Desk>,
        whose: Whose,
        name: &'static str,
        order: &Arc<Mutex<Vec<&'static str>>>,
    ) -> JoinHandle<()> {
        let (desk, order) = (Arc::clone(desk), Arc::clone(order));
        tokio::spawn(async move { desk.run(whose, move || order.lock().unwrap().push(name)).await.unwrap() })
    }

    #[tokio::test]
    async fn more_than_can_wait_are_refused_and_who_leaves_frees_nothing_early() {
        let desk = Arc::new(Desk::new(1, Clock::manual(Timestamp(0))));
        let busy = desk.occupy().await;
        let order = Arc::default();
        let waiting: Vec<_> =
            (0..=WAITING).map(|_| comes(&desk, Whose::Stranger, "stranger", &order)).collect();
        while desk.places() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(desk.run(Whose::Stranger, || ()).await, Err(IssueError::Busy)));
        drop(busy);
        for waited in waiting {
            waited.await.unwrap();
        }
        assert_eq!((order.lock().unwrap().len(), desk.turns.available_permits()), (65, 1));
    }

    #[tokio::test]
    async fn before_who_is_known_no_more_strangers_stand_than_threads() {
        let desk = Arc::new(Desk::new(1, Clock::manual(Timestamp(0))));
        let busy = desk.occupy().await;
        let order = Arc::default();
        let mut all: Vec<_> =
            (0..=WAITING).map(|_| comes(&desk, Whose::Stranger, "stranger", &order)).collect();
        while desk.places() > 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..3 {
            all.push(comes(&desk, Whose::Known, "known", &order));
            tokio::task::yield_now().await;
        }
        drop(busy);
        for done in all {
            done.await.unwrap();
        }
        assert_eq!(
            order.lock().unwrap().get(..5).unwrap(),
            ["stranger", "known", "known", "known", "stranger"]
        );
    }

    /// The scheduling policy and the niceness of the calling thread (proc(5)).
    #[cfg(target_os = "linux")]
    fn rank() -> (String, String) {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let fields: Vec<_> = fields.split_whitespace().collect();
        (fields[38].to_owned(), fields[16].to_owned())
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_password_yields_to_everything_unless_it_starves() {
        const IDLE: &str = "5";
        let clock = Clock::manual(Timestamp(0));
        let desk = Desk::new(1, clock.clone());
        assert_eq!(desk.run(Whose::Stranger, rank).await.unwrap().0, IDLE);
        desk.raised.store(2, Ordering::Relaxed);
        // What runs the tests may have a rank already.
        let low = (rank().1.parse::<i32>().unwrap() + NICE).min(19).to_string();
        for _ in 0..2 {
            assert_eq!(desk.run(Whose::Stranger, rank).await.unwrap(), ("0".to_owned(), low.clone()));
        }
        assert_eq!(desk.run(Whose::Stranger, rank).await.unwrap().0, IDLE);
        desk.run(Whose::Stranger, move || clock.advance(STARVED)).await.unwrap();
        assert_eq!(desk.raised.load(Ordering::Relaxed), AT_A_RANK);
    }
}
