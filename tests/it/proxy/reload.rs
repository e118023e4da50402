//! A new configuration takes over between requests; what is open stays open.

use std::time::Duration;

use keyward::auth::refusal::Code;
use keyward::clock::{Clock, Timestamp};

use super::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Answer, Gate, Upstream};

#[tokio::test]
async fn a_reload_drops_no_connection_and_no_request() {
    let gate = Gate::new();
    let old = Upstream::always(Answer::ok("old").after(&gate)).await;
    let new = Upstream::always(Answer::ok("new")).await;
    let mut gateway = Gateway::builder().upstream("api", &old.url()).yaml(PUBLIC).workers(2).start().await;
    let mut raw = gateway.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    old.until_requests(1).await;
    gateway.reload(|_| Gateway::builder().upstream("api", &new.url()).yaml(PUBLIC)).await;
    gate.open();
    assert_eq!(raw.response().await.text(), "old");
    assert_eq!(raw.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.text(), "new");
}

#[tokio::test]
async fn a_key_ends_when_its_time_has_come_though_it_is_cached() {
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let upstream = Upstream::echo().await;
    let gateway = Gateway::builder().upstream("api", &upstream.url()).clock(&clock).start().await;
    let mut client = gateway.client().await;
    assert_eq!(client.get("/").await.status, 200);
    // The default life of a key is 90 days.
    clock.set_wall(clock.now().after(Duration::from_hours(24 * 91)));
    client.get("/").await.refused(Code::ExpiredCredentials);
}

#[tokio::test]
async fn the_admin_listener_carries_no_traffic() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut admin = crate::support::http::Client::new(gateway.admin());
    assert_eq!(admin.get("/livez").await.status, 200);
    assert_eq!(admin.get("/readyz").await.status, 200);
    assert!(admin.get("/metrics").await.text().contains("keyward_build_info"));
    assert_eq!(admin.get("/").await.status, 404);
    assert_eq!(upstream.requests(), []);
}
