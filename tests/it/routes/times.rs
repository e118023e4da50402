//! Limits of time and size that a route has of its own.

use std::time::Duration;

use keyward::auth::refusal::Code;
use keyward::clock::{Clock, Timestamp};

use crate::support::gateway::Gateway;
use crate::support::h2::{H2, read};
use crate::support::raw::{Broken, Ending};
use crate::support::upstream::{Answer, Gate, Upstream};
use crate::support::within;

/// A route `/` that says nothing of its own, and one that does, on a clock that stands.
async fn standing(upstream: &Upstream, global: &str, own: &str) -> Gateway {
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let builder = Gateway::builder().upstream("api", &upstream.url()).clock(&clock);
    let routes = format!(
        "{global}
routes:
  - {{ name: all, match: {{ path_prefix: / }}, auth: public, upstream: api }}
  - {{ name: own, match: {{ path_prefix: /own }}, auth: public, upstream: api, {own} }}
"
    );
    builder.yaml(&routes).start().await
}

#[tokio::test]
async fn a_route_waits_for_its_upstream_as_long_as_it_says_and_the_others_as_all_do() {
    for (global, own, late) in [
        ("timeouts: { response_head: 10s }", "timeouts: { response_head: 60s }", "/"),
        ("timeouts: { response_head: 60s }", "timeouts: { response_head: 10s }", "/own"),
        ("timeouts: { total: 10s }", "timeouts: { total: 0s }", "/"),
        ("", "timeouts: { total: 10s }", "/own"),
    ] {
        let gate = Gate::new();
        let upstream = Upstream::always(Answer::ok("late").after(&gate)).await;
        let gateway = standing(&upstream, global, own).await;
        let (mut all, mut its) = (gateway.raw().await, gateway.raw().await);
        all.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        its.send("GET /own HTTP/1.1\r\nHost: a\r\n\r\n").await;
        upstream.until_requests(2).await;
        gateway.pass(Duration::from_secs(15)).await;
        let (late, patient) = if late == "/" { (&mut all, &mut its) } else { (&mut its, &mut all) };
        late.response().await.refused(Code::UpstreamTimeout);
        gate.open();
        assert_eq!(patient.response().await.text(), "late", "{global} {own}");
    }
}

#[tokio::test]
async fn an_answer_may_pause_for_as_long_as_its_route_says() {
    let gate = Gate::new();
    let half = Answer::new(200).header("content-length", "8").only_head().then_send("half");
    let upstream = Upstream::always(half.then_wait(&gate).then_send("rest")).await;
    let own = "timeouts: { response_body_idle: 60s }";
    let gateway = standing(&upstream, "timeouts: { response_body_idle: 10s }", own).await;
    let (mut all, mut its) = (gateway.raw().await, gateway.raw().await);
    for (raw, path) in [(&mut all, "/"), (&mut its, "/own")] {
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(raw.head().await.unwrap().status, 200);
        assert_eq!(raw.exactly(4).await, b"half");
    }
    let mut client = H2::connect(gateway.public()).await;
    let request = client.request("GET", "/own");
    let asked = client.ask(request).await;
    let streamed = within("an answer", asked.response).await.unwrap();
    gateway.pass(Duration::from_secs(15)).await;
    assert!(matches!(all.rest().await, (rest, Ending::Closed | Ending::Reset) if rest.is_empty()));
    gate.open();
    assert_eq!(its.exactly(4).await, b"rest");
    assert_eq!(read(streamed).await.unwrap().body, b"halfrest");
    // What the route says ends with its request: the same connection goes on as all do.
    its.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(its.response().await.text(), "halfrest");
}

#[tokio::test]
async fn a_client_may_pause_in_its_body_for_as_long_as_its_route_says() {
    let upstream = Upstream::echo().await;
    let own = "timeouts: { request_body_idle: 60s }";
    let gateway = standing(&upstream, "timeouts: { request_body_idle: 10s }", own).await;
    let (mut all, mut its) = (gateway.raw().await, gateway.raw().await);
    for (raw, path) in [(&mut all, "/"), (&mut its, "/own")] {
        raw.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx")).await;
    }
    let came = |seen: &crate::support::upstream::Seen| {
        (seen.requests.iter().filter(|request| request.body_len == 1).count() == 2).then_some(())
    };
    upstream.until("both bodies' beginnings", came).await;
    gateway.pass(Duration::from_secs(15)).await;
    all.response().await.refused(Code::RequestTimeout);
    its.send("y").await;
    assert_eq!(its.response().await.json()["body_len"], 2);
}

#[tokio::test]
async fn a_route_takes_bodies_as_long_as_it_says() {
    let upstream = Upstream::echo().await;
    let routes = "max: { body: 1KiB }
routes:
  - { name: all, match: { path_prefix: / }, auth: public, upstream: api }
  - { name: small, match: { path_prefix: /small }, auth: public, upstream: api, max: { body: 100 } }
  - { name: any, match: { path_prefix: /any }, auth: public, upstream: api, max: { body: 0 } }
";
    let gateway = Gateway::with(&upstream, routes).await;
    let mut client = gateway.anonymous();
    for (path, length, fits) in [
        ("/", 1024, true),
        ("/", 1025, false),
        ("/small", 100, true),
        ("/small", 101, false),
        ("/any", 100_000, true),
    ] {
        let body = vec![b'x'; length];
        let declared = client.post(path, body.clone()).await;
        let chunked = client.request("POST", path).chunked(&[&body]).try_send().await;
        if fits {
            assert_eq!(declared.json()["body_len"], length, "{path}");
            assert_eq!(chunked.unwrap().json()["body_len"], length, "{path}");
            continue;
        }
        let detail = declared.refused(Code::BodyTooLarge);
        assert!(detail.contains(&(length - 1).to_string()), "{detail}");
        match chunked {
            Ok(response) => drop(response.refused(Code::BodyTooLarge)),
            Err(Broken::Nothing(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(upstream.requests().iter().all(|request| request.body_len != 101 || !request.is_whole()));
}
