//! `kill -9` in the middle of refreshes: a session has one living refresh token, and it is the last that was
//! acknowledged or the one that was under way.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use keyward::config::Synchronous;
use keyward::store::sqlite::{Open, SqliteStore};
use keyward::store::{Refresh, Refreshed, Store};

use super::super::{Place, sample};
use super::{CHILD_PLACE, READY, ROUNDS_PER_STORE, ack_file, acknowledge, acknowledged_in, child};
use super::{integrity, kill_when_ready, rounds};
use crate::support::chaos;

/// Sessions that are refreshed at once.
const SESSIONS: usize = 4;

/// The exchange of a session's token number `number`, answered again however late.
fn step(session: &str, number: u32) -> Refresh {
    let token = |number| sample::digest(&format!("{session}/{number}"));
    Refresh {
        presented: if number == 0 { sample::digest(session) } else { token(number) },
        presented_plain: sample::digest("as before"),
        successor: token(number + 1),
        idle: Duration::from_secs(50),
        reuse_window: Duration::from_secs(100),
        from: "192.0.2.7".to_owned(),
        at: sample::at(5_000),
    }
}

#[tokio::test]
async fn no_acknowledged_pair_is_lost_and_no_session_has_two() {
    let (mut acknowledged, mut under_way) = (0, 0);
    let mut place = Place::new();
    for round in 0..rounds() {
        if round % ROUNDS_PER_STORE == 0 {
            place = Place::filled(0).await;
        }
        let before = acknowledged_in(&place.path()).len();
        let refresher = child("store::kill::refresh::refresher", &place.path());
        kill_when_ready(refresher, chaos::moment(5_000..300_000)).await;
        acknowledged += acknowledged_in(&place.path()).len() - before;
        under_way += compare(&place.path()).await;
        integrity(&place.path()).await;
    }
    println!(
        "kill -9 of refreshes: {} rounds, {acknowledged} acknowledged pairs, {under_way} under way and done",
        rounds()
    );
    assert!(acknowledged > 0, "it was always killed before it had refreshed anything");
}

/// How many exchanges were done that nobody was told of.
async fn compare(path: &Path) -> u32 {
    let alive = alive(path).await;
    let store = SqliteStore::open(path, Synchronous::Full, Open::Existing).await.unwrap();
    let mut under_way = 0;
    for (session, last) in last_acknowledged(path) {
        // The client that was cut off asks again for what it has last: it gets its successor, the same if there is one.
        let again = store.refresh(&step(&session, last), &sample::origin()).await.unwrap();
        assert_eq!(alive[&session].len(), 1, "{session}: {alive:?}");
        let next = step(&session, last).successor.hex();
        match again {
            Refreshed::Fresh(..) => assert_eq!(alive[&session], [step(&session, last).presented.hex()]),
            Refreshed::Again(..) => {
                assert_eq!(alive[&session], [next]);
                under_way += 1;
            }
            Refreshed::Refused(refusal) => panic!("{session}/{last} was acknowledged and lost: {refusal:?}"),
        }
        let session = store.session(&session).await.unwrap();
        assert_eq!(session.ended, None);
    }
    // They are done with; the next round has its own.
    store.close().await;
    std::fs::remove_file(ack_file(path)).unwrap();
    under_way
}

/// Of each session the number of the last token that its client was handed.
fn last_acknowledged(path: &Path) -> BTreeMap<String, u32> {
    let mut last = BTreeMap::new();
    for line in acknowledged_in(path) {
        let (session, number) = line.split_once(' ').unwrap();
        let number: u32 = number.parse().unwrap();
        last.entry(session.to_owned()).and_modify(|last| *last = number.max(*last)).or_insert(number);
    }
    last
}

/// Of each session the digests of its living refresh tokens.
async fn alive(path: &Path) -> BTreeMap<String, Vec<String>> {
    use sqlx::{ConnectOptions, Connection, Row};
    let mut conn = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let statement = "SELECT session_id, digest FROM refresh_tokens WHERE used_at IS NULL";
    let mut alive: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in sqlx::query(statement).fetch_all(&mut conn).await.unwrap() {
        alive.entry(row.get("session_id")).or_default().push(row.get("digest"));
    }
    conn.close().await.unwrap();
    alive
}

#[test]
#[ignore = "the child of no_acknowledged_pair_is_lost_and_no_session_has_two"]
fn refresher() {
    refresh_until_killed(Path::new(&std::env::var(CHILD_PLACE).unwrap()));
}

#[tokio::main(flavor = "current_thread")]
async fn refresh_until_killed(path: &Path) {
    let store = SqliteStore::open(path, Synchronous::Full, Open::Existing).await.unwrap();
    let mut acks = OpenOptions::new().create(true).append(true).open(ack_file(path)).unwrap();
    let first = store.latest().await.unwrap().0;
    let sessions: Vec<String> = (0..SESSIONS).map(|number| format!("s{first}-{number}")).collect();
    for session in &sessions {
        sample::start_session(&store, session, "account-001").await;
        acknowledge(&mut acks, &format!("{session} 0"));
    }
    println!("\n{READY}");
    for number in 0.. {
        let at_once = sessions.iter().map(|session| {
            let (store, step) = (&store, step(session, number));
            async move { (session, store.refresh(&step, &sample::origin()).await.unwrap()) }
        });
        for (session, outcome) in futures_util::future::join_all(at_once).await {
            assert!(matches!(outcome, Refreshed::Fresh(..)), "{outcome:?}");
            acknowledge(&mut acks, &format!("{session} {}", number + 1));
        }
    }
}
