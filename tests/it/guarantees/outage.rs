//! The store goes away and comes back. Its directory is renamed, so that the real SQLite store is really not there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use keyward::auth::refusal::Code;
use keyward::clock::{Clock, Timestamp};
use keyward::config::Synchronous;
use keyward::store::Store;
use keyward::store::sqlite::{Open, SqliteStore};

use super::{metric, readiness, until_readiness};
use crate::support::gateway::{Gateway, Key};
use crate::support::keys::origin;
use crate::support::raw::Response;
use crate::support::upstream::{Answer, Upstream};
use crate::support::within;

const STORE_UP: &str = "keyward_store_up";

/// A gateway with a manual clock, one key that it has cached and one that it has never seen.
struct Scene {
    gateway: Gateway,
    _upstream: Upstream,
    clock: Clock,
    known: Key,
    unknown: Key,
}

impl Scene {
    async fn new(cache: &str) -> Self {
        let upstream = Upstream::always(Answer::ok("ok")).await;
        let clock = Clock::manual(Timestamp(1_800_000_000_000));
        let builder = Gateway::builder().upstream("api", &upstream.url()).clock(&clock);
        let gateway = builder.yaml(&format!("cache: {{ {cache} }}")).start().await;
        let (known, unknown) = (gateway.key().await, gateway.key().await);
        let scene = Self { gateway, _upstream: upstream, clock, known, unknown };
        assert_eq!(scene.known().await, 200);
        until_readiness(scene.gateway.admin(), 200, "ready").await;
        scene
    }

    /// On a new connection: those that are kept end when the clock is moved far.
    async fn ask(&self) -> Response {
        self.gateway.anonymous().with_key(&self.known.secret).get("/").await
    }

    async fn known(&self) -> u16 {
        self.ask().await.status
    }

    /// Nobody can tell about the key that was never seen: that is no reason to call it invalid.
    async fn unknown_is_unavailable(&self) {
        let mut client = self.gateway.anonymous().with_key(&self.unknown.secret);
        let response = client.get("/").await;
        response.refused(Code::ValidationUnavailable);
        assert_eq!(response.header("retry-after"), Some("1"));
        assert_eq!(response.header("www-authenticate"), None);
    }

    fn directory(&self) -> PathBuf {
        self.gateway.database().parent().unwrap().to_owned()
    }

    fn aside(&self) -> PathBuf {
        self.directory().with_extension("away")
    }

    async fn store_goes(&self) {
        move_to(&self.directory(), &self.aside());
        within("the loss noticed", async { while metric(self.gateway.admin(), STORE_UP).await != 0 {} })
            .await;
    }

    fn store_returns(&self) {
        move_to(&self.aside(), &self.directory());
    }

    /// Moves the clock, and waits until the worker has seen it: limits of time are kept by its ticks, which also hand
    /// counts over.
    async fn advance(&self, by: Duration) {
        const COUNTED: &str = "keyward_own_seconds_count";
        self.clock.advance(by);
        let admin = self.gateway.admin();
        let before = metric(admin, COUNTED).await;
        assert_eq!(self.gateway.anonymous().get("/").await.status, 401);
        within("a tick", async { while metric(admin, COUNTED).await == before {} }).await;
    }

    async fn revoke_while_away(&self) {
        let beside =
            SqliteStore::open(&self.aside().join("keyward.db"), Synchronous::Normal, Open::Existing).await;
        let beside = beside.unwrap();
        beside.revoke_key(&self.known.id, self.clock.now(), &origin()).await.unwrap();
        beside.close().await;
    }
}

fn move_to(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap();
}

#[tokio::test]
async fn what_was_good_serves_until_the_bound_and_then_nobody_can_tell() {
    let scene = Scene::new("ttl: 60s, stale_while_unavailable: 300s").await;
    let admin = scene.gateway.admin();
    assert_eq!(metric(admin, STORE_UP).await, 1);
    scene.store_goes().await;
    assert_eq!(readiness(admin).await, (200, "degraded".to_owned()));
    assert_eq!(scene.known().await, 200);
    scene.unknown_is_unavailable().await;
    // Past the time after which the store would be asked again.
    scene.advance(Duration::from_secs(200)).await;
    assert_eq!(scene.known().await, 200);
    assert_eq!(readiness(admin).await, (200, "degraded".to_owned()));
    scene.unknown_is_unavailable().await;
    scene.advance(Duration::from_secs(101)).await;
    scene.ask().await.refused(Code::ValidationUnavailable);
    scene.unknown_is_unavailable().await;
    assert_eq!(readiness(admin).await, (503, "unavailable".to_owned()));
    scene.store_returns();
    until_readiness(admin, 200, "ready").await;
    assert_eq!((scene.known().await, metric(admin, STORE_UP).await), (200, 1));
    assert_eq!(scene.gateway.anonymous().with_key(&scene.unknown.secret).get("/").await.status, 200);
    let stale = r#"keyward_cache_lookups_total{cache="front",result="stale"}"#;
    super::until_metric(admin, stale, 1).await;
}

#[tokio::test]
async fn a_key_that_ends_in_the_outage_serves_no_more() {
    let scene = Scene::new("ttl: 60s, stale_while_unavailable: 300s").await;
    scene.store_goes().await;
    // The default life of a key is 90 days; only the wall clock tells.
    scene.clock.set_wall(scene.clock.now().after(Duration::from_hours(24 * 91)));
    assert_ne!(scene.known().await, 200);
}

/// Within the bound, and past it: whoever asks is never served on what was known before the gap.
#[tokio::test]
async fn a_revocation_in_the_gap_holds_as_soon_as_there_is_contact() {
    for (gap, meanwhile) in [(200, 200), (301, 503)] {
        let scene = Scene::new("ttl: 1h, stale_while_unavailable: 300s").await;
        scene.store_goes().await;
        scene.advance(Duration::from_secs(gap)).await;
        scene.revoke_while_away().await;
        assert_eq!(scene.known().await, meanwhile);
        scene.store_returns();
        let mut up = 0;
        within("the refusal", async {
            loop {
                let status = scene.known().await;
                if status == 401 {
                    break;
                }
                assert_eq!((status, up), (meanwhile, 0), "served after contact");
                up = metric(scene.gateway.admin(), STORE_UP).await;
            }
        })
        .await;
        scene.ask().await.refused(Code::RevokedCredentials);
    }
}

#[tokio::test]
async fn with_a_bound_of_zero_nothing_serves_without_contact() {
    let scene = Scene::new("ttl: 1h, stale_while_unavailable: 0s").await;
    scene.store_goes().await;
    scene.unknown_is_unavailable().await;
    // What an ordinary pause between two reads of the feed may be.
    scene.advance(Duration::from_secs(2)).await;
    scene.ask().await.refused(Code::ValidationUnavailable);
    assert_eq!(readiness(scene.gateway.admin()).await, (503, "unavailable".to_owned()));
    scene.store_returns();
    until_readiness(scene.gateway.admin(), 200, "ready").await;
    assert_eq!(scene.known().await, 200);
}

#[tokio::test]
async fn another_file_in_the_stores_place_is_no_store() {
    let scene = Scene::new("ttl: 60s, stale_while_unavailable: 300s").await;
    let file = scene.gateway.database();
    let kept = file.with_extension("kept");
    move_to(&file, &kept);
    std::fs::copy(&kept, &file).unwrap();
    within("the loss noticed", async { while metric(scene.gateway.admin(), STORE_UP).await != 0 {} }).await;
    assert_eq!(scene.known().await, 200);
    scene.unknown_is_unavailable().await;
    move_to(&kept, &file);
    until_readiness(scene.gateway.admin(), 200, "ready").await;
}

#[tokio::test]
async fn a_change_that_cannot_be_stored_is_not_acknowledged() {
    let scene = Scene::new("ttl: 1h").await;
    scene.store_goes().await;
    assert!(scene.gateway.issuer().revoke_key(&scene.known.id, &origin()).await.is_err());
    scene.store_returns();
    until_readiness(scene.gateway.admin(), 200, "ready").await;
    assert_eq!(scene.known().await, 200);
}
