//! How much is let through: as much as there may be, not one more and not one less.

use std::time::Duration;

use keyward::auth::refusal::Code;
use keyward::clock::Timestamp;

use super::Scene;
use crate::support::http::Client;
use crate::support::raw::Raw;
use crate::support::upstream::{Answer, Gate, Upstream};

const CONNECTIONS: usize = 64;
const DAY: Duration = Duration::from_hours(24);

/// Of so many requests with these keys, over as many connections at once as there are workers for many times over: how many
/// pass, and how many are refused.
pub async fn storm(scene: &Scene, keys: &[&str], requests: usize) -> (usize, usize) {
    let mut tasks = Vec::new();
    for number in 0..CONNECTIONS {
        let share = requests / CONNECTIONS + usize::from(number < requests % CONNECTIONS);
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n",
            keys[number % keys.len()]
        );
        let mut raw: Raw = scene.gateway.raw().await;
        tasks.push(tokio::spawn(async move {
            let mut statuses = Vec::new();
            for _ in 0..share {
                statuses.push(raw.ask(&request).await.status);
            }
            statuses
        }));
    }
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.extend(task.await.unwrap());
    }
    let count = |status| statuses.iter().filter(|found| **found == status).count();
    (count(200), count(429))
}

#[tokio::test]
async fn of_ten_times_as_many_from_many_connections_exactly_so_many_pass() {
    for limits in [
        "{ account: { per_minute: 50 } }",
        "{ account: { per_day: 50 } }",
        "{ account: { per_minute: 50, smooth: { burst: 50 } } }",
    ] {
        let scene = Scene::new(limits).await;
        let keys = [scene.gateway.key().await.secret, scene.gateway.key().await.secret];
        let outcome = storm(&scene, &keys.each_ref().map(String::as_str), 500).await;
        assert_eq!((outcome, scene.upstream.requests().len()), ((50, 450), 50), "{limits}");
    }
}

#[tokio::test]
async fn a_window_opens_with_its_first_request_and_ends_a_minute_later() {
    let scene = Scene::new("{ account: { per_minute: 2 } }").await;
    let mut client = scene.gateway.client().await;
    assert_eq!(client.get("/").await.status, 200);
    scene.pass(Duration::from_secs(59));
    assert_eq!(client.get("/").await.status, 200);
    client.get("/").await.refused(Code::RateLimited);
    scene.pass(Duration::from_secs(1));
    for status in [200, 200, 429] {
        assert_eq!(client.get("/").await.status, status);
    }
}

/// The status of a request once there is contact to the store again, which is lost when hours pass at once.
async fn in_contact(client: &mut Client) -> u16 {
    crate::support::within("contact", async {
        loop {
            match client.get("/").await.status {
                503 => {}
                status => return status,
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_day_ends_at_midnight_and_no_clock_that_jumps_brings_one() {
    let scene = Scene::new("{ account: { per_day: 2 } }").await;
    let mut client = scene.gateway.client().await;
    for _ in 0..2 {
        assert_eq!(client.get("/").await.status, 200);
    }
    client.get("/").await.refused(Code::QuotaExceeded);
    // A jump over midnight begins none, and neither does one back.
    for jump in [super::START.after(DAY), Timestamp(0)] {
        scene.clock.set_wall(jump);
        client.get("/").await.refused(Code::QuotaExceeded);
    }
    scene.clock.set_wall(super::START);
    // It was eight.
    scene.pass(Duration::from_hours(16) - Duration::from_millis(1));
    assert_eq!(in_contact(&mut client).await, 429);
    scene.pass(Duration::from_millis(1));
    assert_eq!(in_contact(&mut client).await, 200);
    scene.clock.set_wall(super::START);
    assert_eq!(client.get("/").await.status, 200);
    client.get("/").await.refused(Code::QuotaExceeded);
}

#[tokio::test]
async fn a_heavy_request_counts_as_many_and_what_cannot_all_be_counted_is_not_at_all() {
    let scene = Scene::new("{ account: { per_minute: 21 } }").await;
    let mut client = scene.gateway.client().await;
    for _ in 0..2 {
        assert_eq!(client.get("/heavy").await.status, 200);
    }
    client.get("/heavy").await.refused(Code::RateLimited);
    assert_eq!(client.get("/").await.status, 200);
    client.get("/").await.refused(Code::RateLimited);
}

#[tokio::test]
async fn a_route_has_limits_of_its_own_besides_and_what_it_refuses_counts_nowhere() {
    let scene = Scene::new("{ account: { per_minute: 5 } }").await;
    let mut client = scene.gateway.client().await;
    for status in [200, 200, 429, 429, 429] {
        assert_eq!(client.get("/narrow").await.status, status);
    }
    for status in [200, 200, 200, 429] {
        assert_eq!(client.get("/").await.status, status);
    }
    // Another account has its own.
    let other = crate::support::keys::account(&scene.gateway.issuer(), "other@example.com").await;
    let key = crate::support::keys::key(&scene.gateway.issuer(), &other, &[]).await;
    assert_eq!(scene.gateway.anonymous().with_key(&key.secret).get("/narrow").await.status, 200);
}

#[tokio::test]
async fn what_is_refused_for_another_reason_counts_nowhere_and_neither_does_nobody() {
    let scene = Scene::new("{ account: { per_minute: 1 } }").await;
    let mut client = scene.gateway.client().await;
    client
        .request("POST", "/")
        .header("Content-Length", "99999999999")
        .send()
        .await
        .refused(Code::BodyTooLarge);
    let mut client = scene.gateway.client().await;
    for _ in 0..3 {
        assert_eq!(scene.gateway.anonymous().get("/open").await.status, 200);
        scene.gateway.anonymous().get("/").await.refused(Code::MissingCredentials);
    }
    assert_eq!(client.get("/").await.status, 200);
    client.get("/").await.refused(Code::RateLimited);
}

#[tokio::test]
async fn so_many_at_once_and_room_again_when_one_is_over() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| match request.target.as_str() {
        "/slow" => {
            let half = Answer::new(200).header("content-length", "6").only_head().then_send("one");
            half.then_wait(&held).then_send("two")
        }
        _ => Answer::ok("ok"),
    })
    .await;
    let scene = Scene::before(upstream, "{ account: { in_flight: 1 } }").await;
    let mut slow = scene.gateway.raw().await;
    slow.send(scene.gateway.head("GET /slow").await + "\r\n").await;
    slow.until(b"one").await;
    let mut client = scene.gateway.client().await;
    let detail = client.get("/").await.refused(Code::RateLimited);
    assert!(detail.contains("this account may make 1 at a time"), "{detail}");
    gate.open();
    slow.until(b"two").await;
    crate::support::within("room for one more", async { while client.get("/").await.status != 200 {} }).await;
}

#[tokio::test]
async fn a_reload_changes_what_there_may_be_and_forgets_nothing_that_was() {
    let mut scene = Scene::new("{ account: { per_minute: 3 } }").await;
    let mut client = scene.gateway.client().await;
    for _ in 0..2 {
        assert_eq!(client.get("/").await.status, 200);
    }
    scene
        .gateway
        .reload(|builder| {
            builder.yaml(&format!("limits: {{ account: {{ per_minute: 2 }} }}\n{}", super::PUBLIC_TOO))
        })
        .await;
    client.get("/").await.refused(Code::RateLimited);
    scene
        .gateway
        .reload(|builder| {
            builder.yaml(&format!("limits: {{ account: {{ per_minute: 4 }} }}\n{}", super::PUBLIC_TOO))
        })
        .await;
    for status in [200, 200, 429] {
        assert_eq!(client.get("/").await.status, status);
    }
    scene.gateway.reload(|builder| builder.yaml(super::PUBLIC_TOO)).await;
    assert_eq!(client.get("/").await.header("ratelimit"), Some("\"theirs\";r=1;t=1"));
}

#[tokio::test]
async fn in_the_shadow_all_is_counted_and_nothing_refused() {
    let scene = Scene::new("{ mode: shadow, account: { per_minute: 2 } }").await;
    let mut client = scene.gateway.client().await;
    for left in ["1", "0", "0", "0"] {
        let response = client.get("/").await;
        let told = format!("\"minute\";r={left};t=60");
        assert_eq!((response.status, response.header("ratelimit")), (200, Some(&*told)));
    }
}
