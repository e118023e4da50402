//! Very many rows that are dead: each step of their clean-up takes as many as it may, however many there are, and whoever
//! writes comes in between.
//!
//! `KEYWARD_DEAD_ROWS=1000000 cargo test --test it store::dead -- --nocapture` is the long run, minutes of it.

use std::time::Duration;

use keyward::clock::Clock;
use keyward::store::sqlite::SqliteStore;
use keyward::store::{Refresh, Refreshed, Store};
use sqlx::Connection as _;

use super::{Place, sample};
use crate::support::sql;

/// As many rows as the server removes in one step.
const BATCH: u32 = 500;

fn rows() -> u32 {
    std::env::var("KEYWARD_DEAD_ROWS").map_or(3_000, |rows| rows.parse().expect("a number of rows"))
}

/// So many dead keys, and dead sessions with a used token each.
async fn fill(place: &Place, rows: u32) {
    let mut conn = sql::raw(&place.path()).await;
    for statement in [
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
         INSERT INTO sessions (id, account_id, created_at, last_used_at, expires_at, ends_at, ended_at, ended_by, dead_at, \
         address, agent, subscriber) \
         SELECT printf('dead-%08d', i), 'account-001', 1, 1, 2, 3, 2, 'revoked', 2, '', '', '' FROM n",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
         INSERT INTO refresh_tokens (digest, session_id, created_at, expires_at, used_at, successor) \
         SELECT lower(hex(randomblob(32))), printf('dead-%08d', i), 1, 2, 1, lower(hex(randomblob(32))) FROM n",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
         INSERT INTO api_keys (id, account_id, digest, name, prefix, last4, scopes, allowed_addresses, created_at, \
         expires_at, revoked_at) \
         SELECT printf('dead-%08d', i), 'account-001', lower(hex(randomblob(32))), 'dead', 'kw_sk_', 'wxyz', '', '', 1, 2, 1 \
         FROM n",
    ] {
        sqlx::query(statement).bind(rows).execute(&mut conn).await.unwrap();
    }
    conn.close().await.unwrap();
}

/// One step of a session that lives.
async fn refresh(store: &SqliteStore, number: u32) {
    let token = |number: u32| sample::digest(&if number == 0 { "s".to_owned() } else { number.to_string() });
    let step = Refresh {
        presented: token(number),
        presented_plain: sample::digest("as before"),
        successor: token(number + 1),
        idle: Duration::from_secs(5),
        reuse_window: Duration::ZERO,
        from: String::new(),
        at: sample::at(5_000),
    };
    let outcome = store.refresh(&step, &sample::origin()).await.unwrap();
    assert!(matches!(outcome, Refreshed::Fresh(..)), "{outcome:?}");
}

#[tokio::test]
async fn however_many_rows_are_dead_a_step_takes_a_batch_and_lets_others_write() {
    let place = Place::filled(1).await;
    fill(&place, rows()).await;
    let store = place.open().await;
    sample::start_session(&store, "s", "account-001").await;
    let clock = Clock::system();
    let (mut steps, mut slowest) = (0, Duration::ZERO);
    let (before, now, origin) = (sample::at(1_000), sample::at(5_000), sample::origin());
    // Of a session its row and its token's.
    for (all, keys) in [(rows() * 2, false), (rows(), true)] {
        let mut removed = 0;
        loop {
            let began = clock.tick();
            let step = match keys {
                true => store.remove_dead_keys(before, BATCH, now, &origin).await.unwrap(),
                false => store.remove_dead_sessions(before, BATCH, now, &origin).await.unwrap(),
            };
            slowest = slowest.max(clock.tick().since(began));
            assert!(step <= BATCH, "{step}");
            removed += step;
            refresh(&store, steps).await;
            steps += 1;
            if step < BATCH {
                break;
            }
        }
        assert_eq!(removed, all);
    }
    assert!(steps >= rows() * 3 / BATCH);
    assert_eq!(store.keys(None, None, 9).await.unwrap().items.len(), 1, "what lives stays");
    assert_eq!(store.session("s").await.unwrap().ended, None);
    println!("clean-up: {} rows in {steps} steps, the slowest took {slowest:?}", rows() * 3);
}
