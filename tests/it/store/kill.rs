//! `kill -9` at a random moment of writing: nothing acknowledged is lost, nothing is half there.
//!
//! The writer is a child of this binary. It notes each acknowledged change in a file, with fsync, and the parent
//! compares. `KEYWARD_KILL_ROUNDS=200 cargo test --test it kill:: -- --nocapture` is the long run.

mod refresh;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keyward::clock::{Clock, Timestamp};
use keyward::config::Synchronous;
use keyward::store::sqlite::{Open, SqliteStore};
use keyward::store::{Seq, Store};

use super::{Place, sample};
use crate::support::chaos;

const CHILD_PLACE: &str = "KEYWARD_TEST_KILL_PLACE";
/// Rounds on one store before a fresh one is taken, so that comparing stays quick.
const ROUNDS_PER_STORE: u32 = 10;
const READY: &str = "ready to be killed";

fn rounds() -> u32 {
    chaos::rounds(20)
}

fn child(test: &str, path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(CHILD_PLACE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits until the child says that it is at it, then a little, then kills it.
async fn kill_when_ready(mut child: Child, after: Duration) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(READY)), "the child ended before it was ready");
    tokio::time::sleep(after).await;
    assert_eq!(child.try_wait().unwrap(), None, "the child ended by itself");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn nothing_acknowledged_is_lost() {
    let clock = Clock::system();
    let (mut acknowledged, mut slowest) = (0, Duration::ZERO);
    let mut place = Place::new();
    for round in 0..rounds() {
        if round % ROUNDS_PER_STORE == 0 {
            place = Place::filled(0).await;
        }
        let before = acknowledged_in(&place.path()).len();
        let delay = chaos::moment(5_000..500_000);
        kill_when_ready(child("store::kill::writer", &place.path()), delay).await;

        let start = clock.tick();
        let store = SqliteStore::open(&place.path(), Synchronous::Full, Open::Existing).await.unwrap();
        slowest = slowest.max(clock.tick().since(start));
        let acks = acknowledged_in(&place.path());
        acknowledged += acks.len() - before;
        compare(&store, &acks, round % ROUNDS_PER_STORE + 1).await;
        store.close().await;
        integrity(&place.path()).await;
    }
    println!(
        "kill -9: {} rounds, {acknowledged} acknowledged changes, none lost; slowest reopening {slowest:?}",
        rounds()
    );
}

/// What is acknowledged is there, what is there fits the audit log row by row, and each kill left at most the one change
/// that was under way unacknowledged.
async fn compare(store: &SqliteStore, acks: &BTreeSet<String>, kills: u32) {
    let keys = store.keys(None, None, u32::MAX).await.unwrap().items;
    let log = store.audit(Seq(1), u32::MAX).await.unwrap();
    let mut done = BTreeSet::new();
    let mut from_keys = BTreeMap::new();
    for key in &keys {
        let found = store.find_key(sample::digest(&key.id)).await.unwrap().key.unwrap().0;
        assert_eq!(&found, key);
        from_keys.insert(("api_key.created".to_owned(), key.id.clone()), key.created_at);
        done.insert(format!("created {}", key.id));
        if let Some(at) = key.revoked_at {
            from_keys.insert(("api_key.revoked".to_owned(), key.id.clone()), at);
            done.insert(format!("revoked {}", key.id));
        }
    }
    let from_log: BTreeMap<_, _> =
        log.iter().map(|row| ((row.action.clone(), row.id.clone()), row.at)).collect();
    assert_eq!(from_log.len(), log.len(), "a change is told twice");
    assert_eq!(from_log, from_keys);
    assert!(log.iter().map(|row| row.seq.0).eq(2..=i64::try_from(log.len()).unwrap() + 1));
    let lost: Vec<_> = acks.difference(&done).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let beyond = done.difference(acks).count();
    assert!(beyond <= kills as usize, "{beyond} changes nobody was told of, after {kills} kills");
}

async fn integrity(path: &Path) {
    use sqlx::{ConnectOptions, Connection};
    let mut conn = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let verdict: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut conn).await.unwrap();
    assert_eq!(verdict, "ok");
    let orphans = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut conn).await.unwrap();
    assert!(orphans.is_empty());
    conn.close().await.unwrap();
}

fn ack_file(path: &Path) -> PathBuf {
    path.with_file_name("acknowledged")
}

/// The acknowledged changes; a line without its end was torn, and nobody was told.
fn acknowledged_in(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(ack_file(path)).unwrap_or_default();
    text.lines().filter_map(|line| line.strip_suffix(';')).map(str::to_owned).collect()
}

fn acknowledge(acks: &mut File, change: &str) {
    acks.write_all(format!("{change};\n").as_bytes()).unwrap();
    acks.sync_data().unwrap();
}

#[test]
#[ignore = "the child of nothing_acknowledged_is_lost"]
fn writer() {
    write_until_killed(Path::new(&std::env::var(CHILD_PLACE).unwrap()));
}

#[tokio::main(flavor = "current_thread")]
async fn write_until_killed(path: &Path) {
    let store = SqliteStore::open(path, Synchronous::Full, Open::Existing).await.unwrap();
    let mut acks = OpenOptions::new().create(true).append(true).open(ack_file(path)).unwrap();
    // A line that the last kill has torn is ended, so that it spoils no other.
    acks.write_all(b"\n").unwrap();
    let first = store.latest().await.unwrap().0;
    println!("\n{READY}");
    for number in 0.. {
        let id = format!("key-{first}-{number}");
        sample::create_key(&store, &id, "account-001").await;
        acknowledge(&mut acks, &format!("created {id}"));
        if number % 2 == 1 {
            let revoked = format!("key-{first}-{}", number - 1);
            store.revoke_key(&revoked, Timestamp(3_000 + number), &sample::origin()).await.unwrap();
            acknowledge(&mut acks, &format!("revoked {revoked}"));
        }
    }
}

#[tokio::test]
async fn a_killed_maker_leaves_a_whole_store_or_none() {
    let (mut none, mut whole) = (0, 0);
    for _ in 0..rounds() {
        let place = Place::new();
        kill_when_ready(child("store::kill::maker", &place.path()), chaos::moment(0..40_000)).await;
        match place.path().exists() {
            true => whole += 1,
            false => none += 1,
        }
        let store = place.open().await;
        sample::fill(&store, 1).await;
        store.close().await;
        integrity(&place.path()).await;
        // SQLite's own files beside it may stay where something holds it for a moment; a draft may not.
        let files = place.files();
        assert!(
            files.iter().all(|file| file.starts_with("keyward.db") && !file.contains("new")),
            "{files:?}"
        );
    }
    println!("kill -9 of makers: {none} had made no store yet, {whole} a whole one");
}

#[test]
#[ignore = "the child of a_killed_maker_leaves_a_whole_store_or_none"]
fn maker() {
    make_and_stay(Path::new(&std::env::var(CHILD_PLACE).unwrap()));
}

#[tokio::main(flavor = "current_thread")]
async fn make_and_stay(path: &Path) {
    println!("\n{READY}");
    let _store = SqliteStore::open(path, Synchronous::Full, Open::Create).await.unwrap();
    std::future::pending::<()>().await;
}
