//! `kill -9` of the server and of commands beside it, at any moment: nothing acknowledged is lost, the store opens again,
//! the audit log agrees.
//!
//! `KEYWARD_KILL_ROUNDS=200 cargo test --test it kill:: -- --nocapture` is the long run.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use keyward::auth::refusal::Code;
use keyward::clock::Clock;
use keyward::config::Synchronous;
use keyward::store::sqlite::{Open, SqliteStore};
use keyward::store::{Seq, Store as _};

use super::{Bed, EMAIL};
use crate::support::binary::Serving;
use crate::support::{chaos, within};

/// What commands have said that they did.
struct Acknowledged {
    /// Microseconds within which a command is killed; about half of them have ended by then.
    longest: u64,
    /// Secret by id.
    created: BTreeMap<String, String>,
    revoked: BTreeSet<String>,
    /// Commands that were killed before they said anything.
    unknown: usize,
}

/// Runs a command that is killed after a while, if it has not ended by then; what it had said.
async fn run_until_killed(bed: &Bed, words: &[&str], longest: u64) -> String {
    let mut child = bed.home.command(words).spawn().unwrap();
    tokio::time::sleep(chaos::moment(0..longest)).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    said
}

impl Acknowledged {
    /// After one change that nobody interrupts, which tells how long changes take here.
    fn after_one(bed: &Bed) -> Self {
        let clock = Clock::system();
        let start = clock.tick();
        let first = bed.key();
        let longest = u64::try_from(clock.tick().since(start).as_micros()).unwrap() * 2;
        Self { longest, created: BTreeMap::from([first]), revoked: BTreeSet::new(), unknown: 0 }
    }

    /// What a command that was killed some time had said; `None` when it had not said everything.
    async fn try_to(&mut self, bed: &Bed, words: &[&str]) -> Option<serde_json::Value> {
        let said = run_until_killed(bed, words, self.longest).await;
        let key = serde_json::from_str(&said).ok();
        self.unknown += usize::from(key.is_none());
        // However busy the machine is, commands are killed at every point of their lives.
        self.longest = if key.is_none() { self.longest * 6 / 5 } else { self.longest * 5 / 6 };
        key
    }

    async fn create(&mut self, bed: &Bed) {
        let words = ["keys", "create", "--account", EMAIL, "--name", "n", "--json"];
        // A key that was printed to its end was handed over.
        if let Some(key) = self.try_to(bed, &words).await {
            let text = |member: &str| key[member].as_str().unwrap().to_owned();
            self.created.insert(text("id"), text("key"));
        }
    }

    async fn revoke(&mut self, bed: &Bed) {
        let Some(id) = self.created.keys().find(|id| !self.revoked.contains(*id)).cloned() else { return };
        if let Some(key) = self.try_to(bed, &["keys", "revoke", &id, "--json"]).await {
            assert_eq!(key["status"], "revoked");
            self.revoked.insert(id);
        }
    }

    /// The last key made opens the server, the last one revoked does not.
    async fn holds_at_the_server(&self, bed: &Bed) {
        if let Some((_, key)) = self.created.iter().rfind(|(id, _)| !self.revoked.contains(*id)) {
            let answer = bed.client(key).get("/").await;
            // A revocation that was killed before it was acknowledged may have been made all the same.
            if answer.status != 200 {
                answer.refused(Code::RevokedCredentials);
                assert!(self.unknown > 0);
            }
        }
        if let Some(id) = self.revoked.last() {
            let mut client = bed.client(&self.created[id]);
            within("the revocation", async { while client.get("/").await.status == 200 {} }).await;
            client.get("/").await.refused(Code::RevokedCredentials);
        }
    }

    /// The store against what was acknowledged, and against its own audit log, row by row.
    async fn holds_in_the_store(&self, bed: &Bed) {
        let store = SqliteStore::open(&bed.home.database(), Synchronous::Full, Open::Existing).await.unwrap();
        store.verify().await.unwrap();
        let keys = store.keys(None, None, u32::MAX).await.unwrap().items;
        let log = store.audit(Seq(1), u32::MAX).await.unwrap();
        store.close().await;
        let created: BTreeSet<_> = keys.iter().map(|key| key.id.clone()).collect();
        let revoked: BTreeSet<_> =
            keys.iter().filter(|key| key.revoked_at.is_some()).map(|key| key.id.clone()).collect();
        let lost: Vec<_> = self.created.keys().filter(|id| !created.contains(*id)).collect();
        assert!(lost.is_empty(), "created, acknowledged and lost: {lost:?}");
        let lost: Vec<_> = self.revoked.difference(&revoked).collect();
        assert!(lost.is_empty(), "revoked, acknowledged and lost: {lost:?}");
        let beyond = created.len() - self.created.len() + revoked.len() - self.revoked.len();
        assert!(beyond <= self.unknown, "{beyond} changes nobody asked for");
        let of = |action: &str| -> BTreeSet<_> {
            log.iter().filter(|row| row.action == action).map(|row| row.id.clone()).collect()
        };
        assert_eq!((of("api_key.created"), of("api_key.revoked")), (created.clone(), revoked.clone()));
        assert_eq!(log.len(), created.len() + revoked.len(), "a change is told twice");
        assert!(log.iter().zip(2..).all(|(row, seq)| row.seq == Seq(seq)));
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_whoever_is_killed() {
    let rounds = chaos::rounds(12);
    let bed = Bed::new().await;
    let mut serving = Some(bed.home.serve().await);
    let mut acknowledged = Acknowledged::after_one(&bed);
    let mut killed = 0;
    for round in 0..rounds {
        let longest = acknowledged.longest;
        let beside = async {
            if round % 3 == 2 {
                acknowledged.revoke(&bed).await;
            } else {
                acknowledged.create(&bed).await;
            }
        };
        let of_server = async {
            if round % 2 == 1 {
                tokio::time::sleep(chaos::moment(0..longest)).await;
                killed += 1;
                serving.take().map(Serving::kill)
            } else {
                None
            }
        };
        tokio::join!(beside, of_server);
        if serving.is_none() {
            serving = Some(bed.home.serve().await);
        }
        acknowledged.holds_at_the_server(&bed).await;
        acknowledged.holds_in_the_store(&bed).await;
    }
    println!(
        "kill -9: {rounds} rounds, {killed} servers killed, {} commands killed before they answered; {} keys made and \
         {} revoked with an answer, none lost; the audit log agrees",
        acknowledged.unknown,
        acknowledged.created.len(),
        acknowledged.revoked.len()
    );
}
