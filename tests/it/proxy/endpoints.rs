//! Several servers of one upstream: which gets what, and what becomes of one that fails.

mod connections;
mod health;
mod names;
mod rolling;
mod room;
mod unfit;

use std::time::Duration;

use keyward::auth::refusal::Code;
use keyward::clock::{Clock, Timestamp};

use super::PUBLIC;
use crate::guarantees::metric;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Answer, Gate, Upstream, refusing};

async fn before(upstreams: &[&Upstream], sharing: &str) -> Gateway {
    let urls: Vec<String> = upstreams.iter().map(|upstream| upstream.url()).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    Gateway::builder().endpoints("api", &urls).sharing(sharing).yaml(PUBLIC).start().await
}

fn counts(upstreams: &[&Upstream]) -> Vec<usize> {
    upstreams.iter().map(|upstream| upstream.requests().len()).collect()
}

#[tokio::test]
async fn a_server_with_requests_under_way_gets_fewer() {
    let gate = Gate::new();
    let slow = Upstream::always(Answer::ok("slow").after(&gate)).await;
    let fast = Upstream::echo().await;
    let gateway = before(&[&slow, &fast], "balance: least_requests").await;
    let mut waiting = gateway.raw().await;
    waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    slow.until_requests(1).await;
    let mut client = gateway.anonymous();
    for _ in 0..20 {
        assert_eq!(client.get("/").await.status, 200);
    }
    assert_eq!(counts(&[&slow, &fast]), [1, 20]);
    gate.open();
    assert_eq!(waiting.response().await.text(), "slow");
    for _ in 0..20 {
        assert_eq!(client.get("/").await.status, 200);
    }
    assert_eq!(counts(&[&slow, &fast]), [11, 30], "it counts as under way no more");
}

#[tokio::test]
async fn in_turn_means_in_turn_whatever_is_under_way() {
    let gate = Gate::new();
    let slow = Upstream::always(Answer::ok("slow").after(&gate)).await;
    let fast = Upstream::echo().await;
    let gateway = before(&[&slow, &fast], "balance: round_robin").await;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let mut raw = gateway.raw().await;
        raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        waiting.push(raw);
    }
    slow.until_requests(2).await;
    fast.until_requests(2).await;
}

#[tokio::test]
async fn each_value_of_the_field_has_its_server() {
    let upstreams = [Upstream::echo().await, Upstream::echo().await, Upstream::echo().await];
    let all: Vec<&Upstream> = upstreams.iter().collect();
    let gateway = before(&all, "balance: { hash: { field: X-Tenant } }").await;
    let mut client = gateway.anonymous();
    // So many that each server has some, wherever it listens.
    for tenant in 0..30 {
        for _ in 0..3 {
            let tenant = format!("tenant-{tenant}");
            let response = client.request("GET", "/").header("x-tenant", &tenant).send().await;
            assert_eq!(response.status, 200);
        }
    }
    let owner = |tenant: &str| {
        let of = |upstream: &&&Upstream| {
            upstream.requests().iter().filter(|request| request.header("x-tenant") == Some(tenant)).count()
        };
        let counts: Vec<usize> = all.iter().map(|upstream| of(&upstream)).collect();
        assert!(counts.contains(&3) && counts.iter().sum::<usize>() == 3, "{tenant}: {counts:?}");
        counts.iter().position(|count| *count == 3).unwrap()
    };
    let owners: Vec<usize> = (0..30).map(|tenant| owner(&format!("tenant-{tenant}"))).collect();
    assert!((0..3).all(|server| owners.contains(&server)), "{owners:?}");
}

#[tokio::test]
async fn each_account_has_its_server() {
    let upstreams = [Upstream::echo().await, Upstream::echo().await, Upstream::echo().await];
    let all: Vec<&Upstream> = upstreams.iter().collect();
    let urls: Vec<String> = all.iter().map(|upstream| upstream.url()).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let gateway = Gateway::builder().endpoints("api", &urls).sharing("balance: hash").start().await;
    for _ in 0..3 {
        // Another key of the same account.
        let mut client = gateway.client().await;
        for _ in 0..3 {
            assert_eq!(client.get("/").await.status, 200);
        }
    }
    let mut counts = counts(&all);
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, 9]);
}

#[tokio::test]
async fn a_get_that_a_new_connection_lost_is_sent_to_another_server() {
    for fault in [Answer::reset(), Answer::close()] {
        let (bad, good) = (Upstream::always(fault).await, Upstream::echo().await);
        let gateway = before(&[&bad, &good], "balance: round_robin").await;
        let mut client = gateway.anonymous();
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            assert_eq!(client.request(method, "/").send().await.status, 200, "{method}");
            assert_eq!(client.request(method, "/").send().await.status, 200, "{method}");
        }
        assert_eq!(counts(&[&bad, &good]), [4, 8]);
        let retries = metric(gateway.admin(), r#"keyward_upstream_retries_total{upstream="api"}"#).await;
        assert_eq!(retries, 4);
    }
}

#[tokio::test]
async fn what_may_have_been_acted_on_is_not_sent_to_another_server() {
    let (bad, good) = (Upstream::always(Answer::reset()).await, Upstream::echo().await);
    let gateway = before(&[&bad, &good], "balance: round_robin").await;
    let mut client = gateway.anonymous();
    // With no body there is nothing but its method that forbids it.
    client.request("POST", "/").send().await.refused(Code::UpstreamProtocolError);
    assert_eq!(client.request("POST", "/").send().await.status, 200);
    // Its body was taken.
    client.request("PUT", "/").body("body").send().await.refused(Code::UpstreamProtocolError);
    assert_eq!(counts(&[&bad, &good]), [2, 1]);
}

#[tokio::test]
async fn no_request_is_sent_again_where_none_may_be() {
    let (bad, good) = (Upstream::always(Answer::reset()).await, Upstream::echo().await);
    let gateway = before(&[&bad, &good], "balance: round_robin, retries: { attempts: 0 }").await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamProtocolError);
    assert_eq!(counts(&[&bad, &good]), [1, 0]);
}

/// The clock stands, so that the few that are always allowed are ten.
#[tokio::test]
async fn when_all_fail_requests_are_sent_again_only_as_often_as_the_budget_says() {
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let (one, other) = (Upstream::always(Answer::reset()).await, Upstream::always(Answer::reset()).await);
    let gateway = Gateway::builder()
        .endpoints("api", &[&one.url(), &other.url()])
        .sharing("ejection: { failures: 0 }, retries: { budget: 10 }")
        .clock(&clock)
        .yaml(PUBLIC)
        .start()
        .await;
    let mut client = gateway.anonymous();
    for _ in 0..100 {
        client.get("/").await.refused(Code::UpstreamProtocolError);
    }
    assert_eq!(counts(&[&one, &other]).iter().sum::<usize>(), 100 + 10 + 10);
}

#[tokio::test]
async fn a_server_that_fails_gets_no_requests_for_a_while_and_the_metrics_tell() {
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let (bad, good) = (Upstream::always(Answer::reset()).await, Upstream::echo().await);
    let gateway = Gateway::builder()
        .endpoints("api", &[&bad.url(), &good.url()])
        .sharing("balance: round_robin, ejection: { failures: 3, for: 10s, slow_start: 0s }")
        .clock(&clock)
        .yaml(PUBLIC)
        .start()
        .await;
    let mut client = gateway.anonymous();
    let place = bad.address();
    let up = format!(r#"keyward_upstream_endpoint_up{{endpoint="{place}",upstream="api"}}"#);
    let ejections =
        format!(r#"keyward_upstream_ejections_total{{endpoint="{place}",reason="broken",upstream="api"}}"#);
    assert_eq!(metric(gateway.admin(), &up).await, 1);
    for _ in 0..20 {
        assert_eq!(client.get("/").await.status, 200);
    }
    assert_eq!(bad.requests().len(), 3);
    assert_eq!((metric(gateway.admin(), &up).await, metric(gateway.admin(), &ejections).await), (0, 1));
    gateway.pass(Duration::from_secs(11)).await;
    for _ in 0..20 {
        assert_eq!(client.get("/").await.status, 200);
    }
    assert_eq!(bad.requests().len(), 4, "one failure is enough when it is back");
    assert_eq!(metric(gateway.admin(), &ejections).await, 2);
}

/// Its status was good.
#[tokio::test]
async fn a_server_whose_answers_break_off_or_stop_gets_no_requests_for_a_while() {
    let begun = || Answer::new(200).header("content-length", "9").only_head().then_send("half");
    for (answer, reason) in [(begun().then_close(), "broken"), (begun().then_hang(), "timeout")] {
        let (bad, good) = (Upstream::always(answer).await, Upstream::echo().await);
        let sharing = "balance: round_robin, ejection: { failures: 3, for: 1h }";
        let builder = Gateway::builder().endpoints("api", &[&bad.url(), &good.url()]).sharing(sharing);
        let yaml = format!("timeouts: {{ response_body_idle: 100ms }}\n{PUBLIC}");
        let gateway = builder.yaml(&yaml).start().await;
        let mut cut = 0;
        for _ in 0..20 {
            cut += usize::from(gateway.anonymous().request("GET", "/").try_send().await.is_err());
        }
        assert_eq!((cut, bad.requests().len(), good.requests().len()), (3, 3, 17), "{reason}");
        let place = bad.address();
        let ejections = format!(
            r#"keyward_upstream_ejections_total{{endpoint="{place}",reason="{reason}",upstream="api"}}"#
        );
        assert_eq!(metric(gateway.admin(), &ejections).await, 1, "{reason}");
    }
}

#[tokio::test]
async fn the_only_server_is_asked_however_often_it_fails() {
    let upstream = Upstream::answering(|request| match request.number {
        0..30 => Answer::reset(),
        _ => Answer::ok("back"),
    })
    .await;
    let gateway = before(&[&upstream], "ejection: { failures: 1, for: 1h }").await;
    let mut client = gateway.anonymous();
    for _ in 0..30 {
        client.get("/").await.refused(Code::UpstreamProtocolError);
    }
    assert_eq!(client.get("/").await.text(), "back");
}

/// An application that answers 500 is there, and its clients are to see it.
#[tokio::test]
async fn a_status_counts_as_a_failure_only_where_it_is_listed() {
    for (sharing, asked) in [
        ("balance: round_robin, ejection: { failures: 2 }", 10),
        ("balance: round_robin, ejection: { failures: 2, statuses: [500] }", 2),
    ] {
        let (bad, good) = (Upstream::always(Answer::new(500).body("sorry")).await, Upstream::echo().await);
        let gateway = before(&[&bad, &good], sharing).await;
        let mut client = gateway.anonymous();
        for _ in 0..20 {
            client.get("/").await;
        }
        assert_eq!(bad.requests().len(), asked, "{sharing}");
    }
}

#[tokio::test]
async fn a_dead_server_costs_no_client_an_error_and_a_reload_forgets_neither_it_nor_its_metrics() {
    let good = Upstream::echo().await;
    let dead = refusing().await;
    let urls = [good.url(), format!("http://{dead}")];
    let builder = Gateway::builder().endpoints("api", &[&urls[0], &urls[1]]);
    let mut gateway = builder.sharing("ejection: { failures: 1, for: 1h }").yaml(PUBLIC).start().await;
    let up = format!(r#"keyward_upstream_endpoint_up{{endpoint="{dead}",upstream="api"}}"#);
    let mut client = gateway.anonymous();
    for method in ["GET", "POST"].repeat(10) {
        assert_eq!(client.request(method, "/").send().await.status, 200);
    }
    assert_eq!(metric(gateway.admin(), &up).await, 0);
    gateway.reload(|builder| builder.yaml(PUBLIC)).await;
    assert_eq!(metric(gateway.admin(), &up).await, 0);
    gateway.reload(|builder| builder.instead().endpoints("api", &[&urls[0]]).yaml(PUBLIC)).await;
    let text = crate::support::http::Client::new(gateway.admin()).get("/metrics").await.text().to_owned();
    assert!(!text.contains(&up), "{text}");
}
