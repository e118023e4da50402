//! Removing what has been dead for long, a few rows at a time: keys and sessions after `keys.keep_dead`, what nobody can
//! ask for any more, and what was used of days that are over.

use std::sync::Arc;
use std::time::Duration;

use super::running::Core;
use crate::clock::{Clock, Timestamp};
use crate::issuer::rotation::REMEMBERED;
use crate::limits;
use crate::store::{Answer, Origin, Store, StoreError};

/// Between two rounds.
const PERIOD: Duration = Duration::from_secs(600);
/// Rows in one transaction: short enough that no other writer waits long.
const BATCH: u32 = 500;

pub(super) async fn run(core: Arc<Core>) {
    let stop = core.draining.clone();
    let rounds = async {
        loop {
            tokio::time::sleep(PERIOD).await;
            let keep = core.config.load().keys.keep_dead;
            if let Err(error) = clean(&*core.store, &core.clock, keep).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "what is dead could not be removed; trying again later");
            }
        }
    };
    stop.run_until_cancelled(rounds).await;
}

/// Removes all that has been dead for longer than `keep`.
async fn clean(store: &dyn Store, clock: &Clock, keep: Duration) -> Result<(), StoreError> {
    let origin = &Origin { actor: "keyward".to_owned(), via: "clean-up".to_owned() };
    batches(clock, keep, |before, now| store.remove_dead_keys(before, BATCH, now, origin)).await?;
    batches(clock, keep, |before, now| store.remove_dead_sessions(before, BATCH, now, origin)).await?;
    batches(clock, REMEMBERED, |before, _| store.remove_leftovers(before, BATCH)).await?;
    batches(clock, Duration::ZERO, |_, now| store.remove_day_counts(limits::kept(now), BATCH)).await
}

/// Removes what was dead for longer than `keep`, batch by batch.
async fn batches<'a>(
    clock: &Clock,
    keep: Duration,
    remove: impl Fn(Timestamp, Timestamp) -> Answer<'a, u32>,
) -> Result<(), StoreError> {
    let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    loop {
        let now = clock.now();
        let removed = remove(Timestamp(now.millis().saturating_sub(keep)), now).await?;
        if removed < BATCH {
            return Ok(());
        }
    }
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

    #[tokio::test]
    async fn what_is_dead_for_long_goes_and_all_else_stays() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.db");
        let store = SqliteStore::open(&path, Synchronous::Normal, Open::Create).await.unwrap();
        let (id, email) = ("a".to_owned(), "a@b".to_owned());
        let account = NewAccount { id, email, scopes: None, password: None, created_at: START };
        store.create_account(&account, &origin()).await.unwrap();
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

        clean(&store, &Clock::manual(now), 7 * DAY).await.unwrap();
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
}
