//! Many simultaneous misses of one key cause one look-up.

use super::metric;
use crate::support::gateway::Gateway;
use crate::support::raw::Raw;
use crate::support::upstream::{Answer, Upstream};
use crate::support::within;

const TOGETHER: usize = 200;

/// Look-ups that were made: each miss asked, and some joined those who asked before.
async fn flights(gateway: &Gateway) -> u64 {
    let missed = r#"keyward_cache_lookups_total{cache="negative",result="miss"}"#;
    let joined = r#"keyward_cache_lookups_total{cache="positive",result="joined"}"#;
    metric(gateway.admin(), missed).await - metric(gateway.admin(), joined).await
}

/// Workers hand their counts over now and then, all of them at once.
async fn until_counted(gateway: &Gateway, requests: usize) {
    within("the counts of all requests", async {
        while metric(gateway.admin(), "keyward_request_seconds_count").await < requests as u64 {}
    })
    .await;
}

async fn connections(gateway: &Gateway, count: usize) -> Vec<Raw> {
    let mut connections = Vec::new();
    for _ in 0..count {
        connections.push(gateway.raw().await);
    }
    connections
}

fn request(key: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n")
}

#[tokio::test]
async fn so_many_first_requests_at_once_cause_one_look_up() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let gateway = Gateway::builder().upstream("api", &upstream.url()).workers(2).start().await;
    // Others that miss, so that the look-up waits its turn while the rest arrives.
    const OTHERS: usize = 50;
    let mut others = Vec::new();
    for raw in connections(&gateway, OTHERS).await {
        others.push((raw, request(&gateway.key().await.secret)));
    }
    let request = request(&gateway.key().await.secret);
    let mut together = connections(&gateway, TOGETHER).await;
    for (raw, request) in &mut others {
        raw.send(request).await;
    }
    for raw in &mut together {
        raw.send(&request).await;
    }
    for raw in others.iter_mut().map(|(raw, _)| raw).chain(&mut together) {
        assert_eq!(raw.response().await.status, 200);
    }
    until_counted(&gateway, OTHERS + TOGETHER).await;
    assert_eq!(flights(&gateway).await, OTHERS as u64 + 1);
}

#[tokio::test]
async fn the_client_that_asked_first_may_go_away() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let gateway = Gateway::before(&upstream).await;
    const ROUNDS: usize = 50;
    for _ in 0..ROUNDS {
        let request = request(&gateway.key().await.secret);
        let mut together = connections(&gateway, 8).await;
        for raw in &mut together {
            raw.send(&request).await;
        }
        together.remove(0).reset();
        for raw in &mut together {
            assert_eq!(raw.response().await.status, 200);
        }
    }
    until_counted(&gateway, ROUNDS * 7).await;
    let flights = flights(&gateway).await;
    assert!(flights <= ROUNDS as u64, "{flights} look-ups of {ROUNDS} keys");
}
