//! What lasts ends with its credential: tunnels, answers that are still being sent or waited for, bodies that still come.

mod answers;

use std::time::Duration;

use keyward::auth::refusal::Code;
use keyward::clock::{Clock, Timestamp};
use keyward::issuer::ScopesChoice;
use keyward::store::AccountStatus;

use super::{metric, until_metric};
use crate::support::gateway::{Gateway, Key};
use crate::support::keys::{self, origin};
use crate::support::raw::{Ending, Raw};
use crate::support::upstream::{Answer, Gate, Seen, Upstream};
use crate::support::websocket::{
    GOING_AWAY, close, frame, handshake, handshake_with, is_closed, masked, naming, open, opening,
};
use crate::support::{noise, within};

const ROUTES: &str = "routes:
  - { name: all, match: { path_prefix: / }, auth: { optional: { scopes: [\"orders:read\"] } }, upstream: api, upgrades: [websocket, tcp-ish/1] }
";
const FRONT_MISSES: &str = r#"keyward_cache_lookups_total{cache="front",result="miss"}"#;

/// A gateway whose clock stands, before an upstream of this script, and a key.
struct Scene {
    upstream: Upstream,
    gateway: Gateway,
    clock: Clock,
    key: Key,
}

/// What takes a key's right away.
#[derive(Clone, Copy, Debug)]
enum Cause {
    Revoked,
    Disabled,
    ScopeTaken,
    Expired,
}

impl Cause {
    const ALL: [Self; 4] = [Self::Revoked, Self::Disabled, Self::ScopeTaken, Self::Expired];

    const fn code(self) -> Code {
        match self {
            Self::Revoked | Self::Disabled => Code::RevokedCredentials,
            Self::ScopeTaken => Code::InsufficientScope,
            Self::Expired => Code::ExpiredCredentials,
        }
    }
}

impl Scene {
    async fn new(
        script: impl Fn(&crate::support::upstream::Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::with("", script).await
    }

    async fn with(
        yaml: &str,
        script: impl Fn(&crate::support::upstream::Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let upstream = Upstream::answering(script).await;
        let clock = Clock::manual(Timestamp(1_800_000_000_000));
        let builder = Gateway::builder().upstream("api", &upstream.url()).clock(&clock);
        let gateway = builder.yaml(&format!("{yaml}{ROUTES}")).start().await;
        let key = gateway.key_with(&["orders:read"]).await;
        Self { upstream, gateway, clock, key }
    }

    /// Before an upstream whose every WebSocket, and whatever else is asked for, mirrors.
    async fn mirroring() -> Self {
        Self::new(|request| match request.header("upgrade") {
            Some("websocket") => opening().then_mirror().then_close(),
            Some(protocol) => naming(protocol).only_head().then_mirror().then_close(),
            None => Answer::ok("plain"),
        })
        .await
    }

    async fn websocket(&self) -> Raw {
        open(self.gateway.raw().await, &handshake_with("/", &self.key.secret)).await
    }

    async fn opaque(&self) -> Raw {
        let asking =
            handshake_with("/", &self.key.secret).replace("Upgrade: websocket", "Upgrade: tcp-ish/1");
        open(self.gateway.raw().await, &asking).await
    }

    /// A request with the key, up to its empty line.
    async fn ask(&self, line: &str, more: &str) -> Raw {
        let mut raw = self.gateway.raw().await;
        let key = &self.key.secret;
        raw.send(format!("{line}\r\nHost: a\r\nAuthorization: Bearer {key}\r\n{more}\r\n")).await;
        raw
    }

    async fn end(&self, cause: Cause) {
        let (issuer, account) = (self.gateway.issuer(), self.gateway.account().await);
        match cause {
            Cause::Revoked => drop(issuer.revoke_key(&self.key.id, &origin()).await.unwrap()),
            Cause::Disabled => {
                drop(issuer.set_account_status(account, AccountStatus::Disabled, &origin()).await.unwrap());
            }
            Cause::ScopeTaken => {
                let scopes = ScopesChoice::These(vec!["orders:write".to_owned()]);
                drop(issuer.set_account_scopes(account, &scopes, &origin()).await.unwrap());
            }
            // Only the wall clock tells; the default life of a key is 90 days.
            Cause::Expired => {
                self.clock.set_wall(self.clock.now().after(Duration::from_hours(24 * 91)));
            }
        }
    }

    async fn until(&self, what: &str, found: impl Fn(&Seen) -> bool) {
        self.upstream.until(what, |seen| found(seen).then_some(())).await;
    }
}

async fn echoes(raw: &mut Raw) {
    let message = masked(1, b"still there?");
    raw.send(&message).await;
    assert_eq!(raw.exactly(message.len()).await, message);
}

#[tokio::test]
async fn a_websocket_is_told_and_closed_when_its_credential_ends() {
    for cause in Cause::ALL {
        let scene = Scene::mirroring().await;
        let issuer = scene.gateway.issuer();
        let (mut tunnel, mut again) = (scene.websocket().await, scene.websocket().await);
        let mut anonymous = open(scene.gateway.raw().await, &handshake("/")).await;
        echoes(&mut tunnel).await;
        let account = keys::account(&issuer, "other@example.com").await;
        let other = keys::key(&issuer, &account, &["orders:read"]).await;
        let mut other = open(scene.gateway.raw().await, &handshake_with("/", &other.secret)).await;
        scene.end(cause).await;
        for raw in [&mut tunnel, &mut again] {
            is_closed(raw, 1008, cause.code().as_str()).await;
        }
        scene
            .until("a farewell to each", |seen| {
                seen.connections.iter().filter(|connection| connection.raw.ends_with(GOING_AWAY)).count() >= 2
            })
            .await;
        // Nobody else is touched.
        echoes(&mut anonymous).await;
        if matches!(cause, Cause::Expired) {
            is_closed(&mut other, 1008, "expired_credentials").await;
        } else {
            echoes(&mut other).await;
        }
    }
}

#[tokio::test]
async fn what_is_no_websocket_is_cut() {
    for cause in Cause::ALL {
        let scene = Scene::mirroring().await;
        let mut tunnel = scene.opaque().await;
        echoes(&mut tunnel).await;
        scene.end(cause).await;
        assert_eq!(tunnel.ends().await, Ending::Reset, "{cause:?}");
        scene.until("the upstream's end", |seen| seen.connections[0].ended == Some(Ending::Reset)).await;
    }
}

/// What a large message has begun is let end, for it may be short; nothing of the next goes on.
#[tokio::test]
async fn a_farewell_stands_between_two_frames() {
    let gate = Gate::new();
    let message = frame(2, &noise(100_000));
    let (first, rest) = message.split_at(50_000);
    let rest = [rest, &frame(1, b"never seen")[..]].concat();
    let answer = opening().then_send(first).then_wait(&gate).then_send(rest).then_hang();
    let scene = Scene::new(move |_| answer.clone()).await;
    let mut tunnel = scene.websocket().await;
    assert_eq!(tunnel.exactly(first.len()).await, first);
    scene.end(Cause::Revoked).await;
    scene.until("a farewell", |seen| seen.connections[0].raw.ends_with(GOING_AWAY)).await;
    gate.open();
    assert_eq!(tunnel.exactly(message.len() - first.len()).await, message[first.len()..]);
    is_closed(&mut tunnel, 1008, "revoked_credentials").await;
}

#[tokio::test]
async fn to_the_upstream_a_farewell_stands_between_two_frames_too() {
    let scene = Scene::new(|_| opening().then_hang()).await;
    let mut tunnel = scene.websocket().await;
    let ping = masked(9, b"ping");
    tunnel.send(&ping[..3]).await;
    scene.until("half a ping", |seen| seen.connections[0].raw.ends_with(&ping[..3])).await;
    scene.end(Cause::Revoked).await;
    is_closed(&mut tunnel, 1008, "revoked_credentials").await;
    tunnel.send([&ping[3..], b"never seen"].concat()).await;
    let end = [&ping[..], GOING_AWAY].concat();
    scene.until("a farewell behind the ping", |seen| seen.connections[0].raw.ends_with(&end)).await;
}

#[tokio::test]
async fn a_frame_without_end_is_not_waited_for() {
    let message = frame(2, &noise(100_000));
    let half = message[..50_000].to_vec();
    let answer = opening().then_send(&half).then_wait(&Gate::new());
    let scene = Scene::new(move |_| answer.clone()).await;
    let mut tunnel = scene.websocket().await;
    assert_eq!(tunnel.exactly(half.len()).await, half);
    scene.end(Cause::Revoked).await;
    scene.until("a farewell", |seen| seen.connections[0].raw.ends_with(GOING_AWAY)).await;
    scene.clock.advance(Duration::from_secs(2));
    assert_eq!(tunnel.ends().await, Ending::Reset);
}

#[tokio::test]
async fn behind_a_close_of_the_upstream_no_other_is_said() {
    let closing = close(1000, "done");
    let answer = opening().then_send(&closing).then_hang();
    let scene = Scene::new(move |_| answer.clone()).await;
    let mut tunnel = scene.websocket().await;
    assert_eq!(tunnel.exactly(closing.len()).await, closing);
    scene.end(Cause::Revoked).await;
    assert_eq!(tunnel.ends().await, Ending::Closed);
}

/// Marks are shared: that one was touched says only that it is time to ask.
#[tokio::test]
async fn a_change_that_takes_nothing_away_ends_nothing() {
    let scene = Scene::mirroring().await;
    let mut tunnel = scene.websocket().await;
    for _ in 0..3 {
        let before = metric(scene.gateway.admin(), FRONT_MISSES).await;
        let account = scene.gateway.account().await;
        let active = AccountStatus::Active;
        scene.gateway.issuer().set_account_status(account, active, &origin()).await.unwrap();
        within("the look-up", async { while metric(scene.gateway.admin(), FRONT_MISSES).await == before {} })
            .await;
        echoes(&mut tunnel).await;
    }
    scene.end(Cause::Revoked).await;
    is_closed(&mut tunnel, 1008, "revoked_credentials").await;
}

#[tokio::test]
async fn a_validation_that_grew_old_is_made_again() {
    let scene = Scene::with("cache: { ttl: 60s }\n", |_| opening().then_mirror().then_close()).await;
    let mut tunnel = scene.websocket().await;
    let before = metric(scene.gateway.admin(), FRONT_MISSES).await;
    scene.clock.advance(Duration::from_secs(61));
    within("the look-up", async { while metric(scene.gateway.admin(), FRONT_MISSES).await == before {} })
        .await;
    echoes(&mut tunnel).await;
    scene.end(Cause::Revoked).await;
    is_closed(&mut tunnel, 1008, "revoked_credentials").await;
}

#[tokio::test]
async fn without_the_store_it_goes_on_as_long_as_requests_would_be_served() {
    const STALE: &str = r#"keyward_cache_lookups_total{cache="front",result="stale"}"#;
    let cache = "cache: { ttl: 60s, stale_while_unavailable: 300s }\n";
    let scene = Scene::with(cache, |_| opening().then_mirror().then_close()).await;
    let mut tunnel = scene.websocket().await;
    let store = scene.gateway.database().parent().unwrap().to_owned();
    std::fs::rename(&store, store.with_extension("away")).unwrap();
    until_metric(scene.gateway.admin(), "keyward_store_up", 0).await;
    scene.clock.advance(Duration::from_secs(200));
    // It holds, however old, so nobody is even asked.
    echoes(&mut tunnel).await;
    assert_eq!(metric(scene.gateway.admin(), STALE).await, 0);
    scene.clock.advance(Duration::from_secs(101));
    is_closed(&mut tunnel, 1013, "validation_unavailable").await;
    std::fs::rename(store.with_extension("away"), &store).unwrap();
}

/// What is in doubt when nobody can be asked is gone on by for as long as a request would wait, and no longer.
#[tokio::test]
async fn a_doubt_that_nobody_can_settle_ends_it_too() {
    let mut scene = Scene::with("", |_| opening().then_mirror().then_close()).await;
    let mut tunnel = scene.websocket().await;
    let store = scene.gateway.database().parent().unwrap().to_owned();
    std::fs::rename(&store, store.with_extension("away")).unwrap();
    until_metric(scene.gateway.admin(), "keyward_store_up", 0).await;
    // Other scopes end every validation; this one cannot be made again.
    let before = metric(scene.gateway.admin(), FRONT_MISSES).await;
    let scopes = "scopes: { \"orders:read\": {}, other: {} }\n";
    let url = scene.upstream.url();
    scene
        .gateway
        .reload(|_| Gateway::builder().upstream("api", &url).yaml(&format!("{scopes}{ROUTES}")))
        .await;
    within("a look-up", async { while metric(scene.gateway.admin(), FRONT_MISSES).await < before + 2 {} })
        .await;
    echoes(&mut tunnel).await;
    scene.clock.advance(Duration::from_secs(6));
    is_closed(&mut tunnel, 1013, "validation_unavailable").await;
    std::fs::rename(store.with_extension("away"), &store).unwrap();
}
