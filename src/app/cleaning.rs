//! Removing what has been dead for long, a few rows at a time: keys and sessions after `keys.keep_dead`, what nobody can
//! ask for any more, and what was used of days that are over.

use std::sync::Arc;
use std::time::Duration;

use super::running::Core;
use crate::clock::{Clock, Tick, Timestamp};
use crate::issuer::rotation::REMEMBERED;
use crate::limits;
use crate::store::{Answer, Origin, Store, StoreError};

/// Between two rounds.
const PERIOD: Duration = Duration::from_secs(600);
/// Rows in one transaction: short enough that no other writer waits long.
const BATCH: u32 = 500;
/// Between two batches: other processes get their turn, and no change is told faster than servers read them.
const PAUSE: Duration = Duration::from_millis(100);
/// By so much more than time has passed the wall clock may go on between two rounds.
const JUMP: Duration = Duration::from_hours(1);

pub(super) async fn run(core: Arc<Core>) {
    let stop = core.draining.clone();
    let rounds = async {
        let mut last = Moment::of(&core.clock);
        loop {
            tokio::time::sleep(PERIOD).await;
            let keep = core.config.load().keys.keep_dead;
            round(&*core.store, &core.clock, &mut last, keep).await;
        }
    };
    stop.run_until_cancelled(rounds).await;
}

/// When a round began, by both clocks.
#[derive(Clone, Copy)]
struct Moment {
    wall: Timestamp,
    tick: Tick,
}

impl Moment {
    fn of(clock: &Clock) -> Self {
        Self { wall: clock.now(), tick: clock.tick() }
    }

    /// How much further than time the wall clock has gone since `earlier`.
    fn ahead_of(self, earlier: Self) -> Duration {
        earlier.wall.until(self.wall).saturating_sub(self.tick.since(earlier.tick))
    }
}

/// Cleans, unless the clock jumped ahead since the `last` round: by a wrong clock nearly all is dead, and what is removed
/// never comes back. One that is still there by the next round is right.
async fn round(store: &dyn Store, clock: &Clock, last: &mut Moment, keep: Duration) {
    let now = Moment::of(clock);
    let ahead = now.ahead_of(std::mem::replace(last, now));
    if ahead > JUMP {
        let seconds = ahead.as_secs();
        tracing::warn!(seconds, "the clock jumped ahead; what is dead by it is removed in the next round");
        return;
    }
    clean(store, clock, now.wall, keep).await;
}

/// Removes all that has been dead for longer than `keep` at `now`. A kind that cannot be removed keeps no other.
async fn clean(store: &dyn Store, clock: &Clock, now: Timestamp, keep: Duration) {
    let origin = &Origin { actor: "keyward".to_owned(), via: "clean-up".to_owned() };
    let before = now.before(keep);
    told("keys", batches(|| store.remove_dead_keys(before, BATCH, clock.now(), origin)).await);
    told("sessions", batches(|| store.remove_dead_sessions(before, BATCH, clock.now(), origin)).await);
    told("leftovers", batches(|| store.remove_leftovers(now.before(REMEMBERED), BATCH)).await);
    told("days", batches(|| store.remove_day_counts(limits::kept(now), BATCH)).await);
}

fn told(what: &'static str, outcome: Result<(), StoreError>) {
    if let Err(error) = outcome {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, what, "what is dead could not be removed; trying again later");
    }
}

/// Removes batch by batch.
async fn batches<'a>(remove: impl Fn() -> Answer<'a, u32>) -> Result<(), StoreError> {
    while remove().await? == BATCH {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::auth::scope::ScopeSet;
    use crate::auth::token::HashedToken;
    use crate::config::Synchronous;
    use crate::limits::{DayCount, Overrides};
    use crate::store::sqlite::{Open, SqliteStore};
    use crate::store::{ApiKey, Key, NewAccount, NewSession, ResetLink, Session};

    const DAY: Duration = Duration::from_hours(24);
    const START: Timestamp = Timestamp(1_793_491_200_000);

    fn origin() -> Origin {
        Origin { actor: String::new(), via: String::new() }
    }

    fn digest(name: &str) -> HashedToken {
        HashedToken::of(name.as_bytes())
    }

    fn session(id: &str, days: u32) -> NewSession {
        let ends = START.after(days * DAY);
        let session = Session {
            id: id.to_owned(),
            account_id: "a".to_owned(),
            created_at: START,
            last_used_at: START,
            expires_at: ends,
            ends_at: ends,
            ended: None,
            address: String::new(),
            agent: String::new(),
        };
        let (refresh, subscriber) = (digest(id), String::new());
        NewSession { session, refresh, password: None, subscriber, most: u32::MAX }
    }

    fn key(id: &str, days: u32) -> ApiKey {
        let key = Key {
            id: id.to_owned(),
            account_id: "a".to_owned(),
            name: String::new(),
            prefix: String::new(),
            last4: String::new(),
            scopes: ScopeSet::default(),
            allowed_addresses: Vec::new(),
            limits: Overrides::default(),
            created_at: START,
            expires_at: START.after(days * DAY),
            last_used_at: None,
            revoked_at: None,
            replaced_by: None,
            counts_as: None,
        };
        ApiKey { key, digest: digest(id) }
    }

    /// With account `a`.
    async fn store(place: &tempfile::TempDir) -> SqliteStore {
        let path = place.path().join("a.db");
        let store = SqliteStore::open(&path, Synchronous::Normal, Open::Create).await.unwrap();
        let (id, email) = ("a".to_owned(), "a@b".to_owned());
        let account = NewAccount { id, email, scopes: None, password: None, created_at: START };
        store.create_account(&account, &origin()).await.unwrap();
        store
    }

    #[tokio::test]
    async fn what_is_dead_for_long_goes_and_all_else_stays() {
        let place = tempfile::tempdir().unwrap();
        let store = store(&place).await;
        for (name, days) in [("long dead", 1), ("just dead", 5), ("alive", 99)] {
            store.create_key(&key(name, days), &origin()).await.unwrap();
            store.start_session(&session(name, days), &origin()).await.unwrap();
        }
        // More than one batch.
        for number in 0..BATCH {
            store.start_session(&session(&format!("more {number}"), 1), &origin()).await.unwrap();
        }
        let link = ResetLink {
            digest: digest("link"),
            account_id: "a".to_owned(),
            created_at: START,
            expires_at: START.after(DAY),
        };
        store.create_reset_link(&link, &origin()).await.unwrap();
        let now = START.after(10 * DAY);
        let today = limits::day(now);
        let days = [today - 400, today - 2, today - 1, today, today + 1, today + 2, today + 400];
        let count =
            |day: &u32, account| DayCount { account, subject: limits::Subject::Account, day: *day, used: 1 };
        let counts: Vec<_> =
            (0..=u128::from(BATCH)).flat_map(|id| days.iter().map(move |day| count(day, id))).collect();
        store.note(&[], &counts).await.unwrap();

        clean(&store, &Clock::manual(now), now, 7 * DAY).await;
        for (name, stays) in [("long dead", false), ("more 7", false), ("just dead", true), ("alive", true)] {
            assert_eq!(store.session(name).await.is_ok(), stays, "session {name}");
        }
        let keys = store.keys(None, None, 9).await.unwrap().items;
        assert_eq!(keys.iter().map(|key| &*key.id).collect::<Vec<_>>(), ["alive", "just dead"]);
        assert_eq!(store.reset_link(digest("link")).await.unwrap(), None);
        let left = store.day_counts(0, None, u32::MAX).await.unwrap().items;
        let left: BTreeMap<u32, usize> = left.iter().fold(BTreeMap::new(), |mut left, count| {
            *left.entry(count.day).or_default() += 1;
            left
        });
        let each = BATCH as usize + 1;
        assert_eq!(left, BTreeMap::from([(today - 1, each), (today, each)]));
    }

    #[tokio::test(start_paused = true)]
    async fn between_two_batches_others_get_their_turn() {
        let began = tokio::time::Instant::now();
        let left = std::sync::atomic::AtomicU32::new(2 * BATCH + 1);
        let remove = || -> Answer<'_, u32> {
            let gone = left.load(std::sync::atomic::Ordering::Relaxed).min(BATCH);
            left.fetch_sub(gone, std::sync::atomic::Ordering::Relaxed);
            Box::pin(async move { Ok(gone) })
        };
        batches(remove).await.unwrap();
        assert_eq!((left.into_inner(), began.elapsed()), (0, 2 * PAUSE));
    }

    #[tokio::test]
    async fn a_kind_that_cannot_be_removed_keeps_no_other() {
        let place = tempfile::tempdir().unwrap();
        let store = store(&place).await;
        store.create_key(&key("dead", 1), &origin()).await.unwrap();
        store.start_session(&session("dead", 1), &origin()).await.unwrap();
        let file = sqlx::sqlite::SqliteConnectOptions::new().filename(place.path().join("a.db"));
        let mut conn = sqlx::ConnectOptions::connect(&file).await.unwrap();
        let broken = "CREATE TRIGGER no BEFORE DELETE ON api_keys BEGIN SELECT RAISE(ABORT, 'no'); END";
        sqlx::query(broken).execute(&mut conn).await.unwrap();
        let now = START.after(10 * DAY);
        clean(&store, &Clock::manual(now), now, 7 * DAY).await;
        assert!(store.key("dead").await.is_ok());
        assert!(store.session("dead").await.is_err());
    }

    #[tokio::test]
    async fn a_clock_that_jumps_ahead_removes_nothing_before_it_has_stayed() {
        let place = tempfile::tempdir().unwrap();
        let store = store(&place).await;
        store.create_key(&key("a key", 1), &origin()).await.unwrap();
        let clock = Clock::manual(START);
        let mut last = Moment::of(&clock);
        // For one round it was wrong, and was set right.
        for wall in [START.after(400 * DAY), START] {
            clock.advance(PERIOD);
            clock.set_wall(wall);
            round(&store, &clock, &mut last, DAY).await;
            assert!(store.key("a key").await.is_ok());
        }
        // By more than it may, and it stays.
        clock.advance(3 * DAY - JUMP);
        clock.set_wall(START.after(3 * DAY + Duration::from_millis(1)));
        round(&store, &clock, &mut last, DAY).await;
        assert!(store.key("a key").await.is_ok());
        clock.advance(PERIOD);
        round(&store, &clock, &mut last, DAY).await;
        assert!(store.key("a key").await.is_err(), "it has stayed");
        store.create_key(&key("another", 1), &origin()).await.unwrap();
        clock.advance(PERIOD);
        clock.set_wall(clock.now().after(JUMP));
        round(&store, &clock, &mut last, DAY).await;
        assert!(store.key("another").await.is_err(), "clocks are set a little");
    }
}
