//! A change made through this process holds for every request that starts after its answer: on all workers, whatever
//! the cache evicted, whichever worker still holds the entry.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyward::issuer::ScopesChoice;
use keyward::store::AccountStatus;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::support::gateway::{Gateway, Key};
use crate::support::http::Client;
use crate::support::keys::origin;
use crate::support::upstream::{Answer, Upstream};
use crate::support::within;

/// Enough that both workers have some.
const CLIENTS: usize = 8;

const ROUTES: &str = "routes:
  - { name: read, match: { path_prefix: / }, auth: { required: { scopes: [\"orders:read\"] } }, upstream: api }
  - { name: write, match: { path_prefix: /write }, auth: { required: { scopes: [\"orders:write\"] } }, upstream: api }
";

/// What must be answered now; nothing, while it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Now {
    number: usize,
    key: Arc<str>,
    status: Option<u16>,
}

/// Clients that ask all the time, and fail when an answer is not what it must be.
struct Hitters {
    now: watch::Sender<Now>,
    /// Answers that were held against what they must be, by client.
    judged: Arc<Judged>,
    clients: JoinSet<()>,
}

/// How many answers of each client were judged.
#[derive(Default)]
struct Judged {
    counts: [AtomicUsize; CLIENTS],
    more: Notify,
}

impl Judged {
    fn counts(&self) -> [usize; CLIENTS] {
        std::array::from_fn(|client| self.counts[client].load(Ordering::SeqCst))
    }

    async fn until(&self, goals: [usize; CLIENTS]) {
        loop {
            let more = self.more.notified();
            if self.counts().iter().zip(goals).all(|(count, goal)| *count >= goal) {
                return;
            }
            more.await;
        }
    }
}

impl Hitters {
    fn start(gateway: &Gateway, target: &'static str) -> Self {
        let now = watch::Sender::new(Now { number: 0, key: "".into(), status: None });
        let judged = Arc::<Judged>::default();
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let (client, now, judged) = (gateway.anonymous(), now.subscribe(), Arc::clone(&judged));
            clients.spawn(hit(client, target, now, judged, number));
        }
        Self { now, judged, clients }
    }

    /// From here on answers may be either.
    fn changing(&self, key: &Key) {
        let key = key.secret.as_str().into();
        self.now.send_modify(|now| *now = Now { number: now.number + 1, key, status: None });
    }

    /// From here on every request that starts must be answered so; waits until each client saw it.
    async fn settled(&mut self, status: u16) {
        self.now.send_modify(|now| {
            now.number += 1;
            now.status = Some(status);
        });
        let goals = self.judged.counts().map(|count| count + 1);
        tokio::select! {
            () = within("answers of each client", self.judged.until(goals)) => {}
            ended = self.clients.join_next() => ended.unwrap().unwrap(),
        }
    }
}

async fn hit(
    mut client: Client,
    target: &'static str,
    mut now: watch::Receiver<Now>,
    judged: Arc<Judged>,
    number: usize,
) {
    loop {
        let before = now.borrow_and_update().clone();
        if before.key.is_empty() {
            if now.changed().await.is_err() {
                return;
            }
            continue;
        }
        let credential = format!("Bearer {}", before.key);
        let response = client.request("GET", target).header("Authorization", &credential).send().await;
        if let Some(status) = before.status.filter(|_| *now.borrow() == before) {
            assert_eq!(response.status, status, "{before:?}: {:?}", response.text());
            judged.counts[number].fetch_add(1, Ordering::SeqCst);
            judged.more.notify_waiters();
        }
        if now.has_changed().is_err() {
            return;
        }
    }
}

async fn gateway(capacity: u64) -> (Gateway, Upstream) {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let cache = format!("cache: {{ capacity: {capacity}, ttl: 1h }}\n{ROUTES}");
    let builder = Gateway::builder().upstream("api", &upstream.url()).yaml(&cache).workers(2);
    (builder.start().await, upstream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_holds_for_every_request_that_starts_after_it() {
    for capacity in [1, 100_000] {
        let (gateway, _upstream) = gateway(capacity).await;
        let mut hitters = Hitters::start(&gateway, "/write");
        for _ in 0..400 {
            // Known and without the scope: no request goes on to the upstream.
            let key = gateway.key_with(&["orders:read"]).await;
            hitters.changing(&key);
            hitters.settled(403).await;
            hitters.changing(&key);
            gateway.issuer().revoke_key(&key.id, &origin()).await.unwrap();
            hitters.settled(401).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disabling_and_enabling_an_account_holds_for_every_request_that_starts_after_it() {
    for capacity in [1, 100_000] {
        let (gateway, _upstream) = gateway(capacity).await;
        let key = gateway.key_with(&["orders:read"]).await;
        let mut hitters = Hitters::start(&gateway, "/write");
        for _ in 0..150 {
            for (status, answer) in [(AccountStatus::Active, 403), (AccountStatus::Disabled, 401)] {
                hitters.changing(&key);
                let account = gateway.account().await;
                gateway.issuer().set_account_status(account, status, &origin()).await.unwrap();
                hitters.settled(answer).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scopes_taken_and_given_hold_for_every_request_that_starts_after_it() {
    for capacity in [1, 100_000] {
        let (gateway, _upstream) = gateway(capacity).await;
        let key = gateway.key().await;
        let mut hitters = Hitters::start(&gateway, "/write");
        let read_only = || ScopesChoice::These(vec!["orders:read".to_owned()]);
        for _ in 0..50 {
            for (scopes, answer) in [(ScopesChoice::Defaults, 200), (read_only(), 403)] {
                hitters.changing(&key);
                let account = gateway.account().await;
                gateway.issuer().set_account_scopes(account, &scopes, &origin()).await.unwrap();
                hitters.settled(answer).await;
            }
        }
    }
}

/// A key that is made stops being unknown, though that was cached.
#[tokio::test]
async fn an_account_enabled_again_needs_no_new_key() {
    let (gateway, _upstream) = gateway(100_000).await;
    let key = gateway.key().await;
    let account = gateway.account().await;
    let set = async |status| {
        gateway.issuer().set_account_status(account, status, &origin()).await.unwrap();
    };
    let mut client = gateway.anonymous().with_key(&key.secret);
    set(AccountStatus::Disabled).await;
    let refused = client.get("/").await;
    let detail = refused.refused(keyward::auth::refusal::Code::RevokedCredentials);
    assert!(detail.contains("account"), "{detail}");
    set(AccountStatus::Active).await;
    assert_eq!(client.get("/").await.status, 200);
}
