//! Servers that are asked whether they are well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::PUBLIC;
use crate::guarantees::{metric, until_metric};
use crate::support::gateway::{Builder, Gateway};
use crate::support::h2_upstream::H2Upstream;
use crate::support::http::Client;
use crate::support::upstream::{Answer, Upstream};

pub(super) const HEALTH: &str = "health: { path: /health?full=1, interval: 10ms, unhealthy_after: 2, healthy_after: 2 }, \
                      ejection: { slow_start: 0s }, balance: round_robin";

/// A server that says of itself what the switch says.
pub(super) async fn server(well: bool) -> (Upstream, Arc<AtomicBool>) {
    let switch = Arc::new(AtomicBool::new(well));
    let says = switch.clone();
    let upstream = Upstream::answering(move |request| match request.target.as_str() {
        "/health?full=1" if says.load(Ordering::SeqCst) => Answer::ok("well"),
        "/health?full=1" => Answer::new(503).body("not well"),
        _ => Answer::ok("served"),
    })
    .await;
    (upstream, switch)
}

pub(super) fn up(upstream: &Upstream) -> String {
    format!(r#"keyward_upstream_endpoint_up{{endpoint="{}",upstream="api"}}"#, upstream.address())
}

/// Requests of clients.
fn served(upstream: &Upstream) -> usize {
    upstream.requests().iter().filter(|request| request.target == "/").count()
}

pub(super) fn before(upstreams: &[&Upstream]) -> Builder {
    let urls: Vec<String> = upstreams.iter().map(|upstream| upstream.url()).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    Gateway::builder().endpoints("api", &urls).sharing(HEALTH).yaml(PUBLIC)
}

async fn gets(gateway: &Gateway, count: usize) {
    let mut client = gateway.anonymous();
    for _ in 0..count {
        assert_eq!(client.get("/").await.text(), "served");
    }
}

#[tokio::test]
async fn a_server_that_says_that_it_is_not_well_gets_requests_only_when_it_is_again() {
    let ((one, well), (other, _)) = (server(true).await, server(true).await);
    let gateway = before(&[&one, &other]).start().await;
    gets(&gateway, 4).await;
    assert_eq!((served(&one), served(&other)), (2, 2));
    well.store(false, Ordering::SeqCst);
    until_metric(gateway.admin(), &up(&one), 0).await;
    gets(&gateway, 10).await;
    assert_eq!((served(&one), served(&other)), (2, 12));
    well.store(true, Ordering::SeqCst);
    until_metric(gateway.admin(), &up(&one), 1).await;
    gets(&gateway, 10).await;
    assert_eq!((served(&one), served(&other)), (7, 17));
    let question = one.requests().into_iter().find(|request| request.target != "/").unwrap();
    assert_eq!(
        (question.method.as_str(), question.header("host")),
        ("GET", Some(&*one.address().to_string()))
    );
    assert!(question.header("user-agent").unwrap().starts_with("keyward-health/"));
}

#[tokio::test]
async fn a_server_that_is_gone_is_found_out_without_a_request() {
    let ((one, _), (other, _)) = (server(true).await, server(true).await);
    let gateway = before(&[&one, &other]).start().await;
    let up = up(&one);
    until_metric(gateway.admin(), &up, 1).await;
    one.stop().await;
    until_metric(gateway.admin(), &up, 0).await;
    gets(&gateway, 4).await;
    assert_eq!(served(&other), 4);
}

#[tokio::test]
async fn a_server_that_does_not_answer_in_time_is_not_well() {
    let hanging = Upstream::always(Answer::hang()).await;
    let (other, _) = server(true).await;
    let health = HEALTH.replace("interval", "timeout: 20ms, interval");
    let gateway = before(&[&hanging, &other]).sharing(&health).start().await;
    until_metric(gateway.admin(), &up(&hanging), 0).await;
}

#[tokio::test]
async fn when_none_is_well_all_get_requests_and_readyz_names_the_upstream() {
    let ((one, _), (other, well)) = (server(false).await, server(false).await);
    let gateway = before(&[&one, &other]).start().await;
    for upstream in [&one, &other] {
        until_metric(gateway.admin(), &up(upstream), 0).await;
    }
    gets(&gateway, 4).await;
    assert_eq!((served(&one), served(&other)), (2, 2));
    let ready = Client::new(gateway.admin()).get("/readyz?verbose").await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json()["checks"]["upstreams_down"], serde_json::json!(["api"]));
    well.store(true, Ordering::SeqCst);
    until_metric(gateway.admin(), &up(&other), 1).await;
    let ready = Client::new(gateway.admin()).get("/readyz?verbose").await;
    assert_eq!(ready.json()["checks"]["upstreams_down"], serde_json::json!([]));
}

#[tokio::test]
async fn a_reload_that_takes_the_questions_back_takes_what_was_found_back_too() {
    let ((one, _), (other, _)) = (server(false).await, server(true).await);
    let mut gateway = before(&[&one, &other]).start().await;
    until_metric(gateway.admin(), &up(&one), 0).await;
    gateway.reload(|builder| builder.yaml(PUBLIC)).await;
    assert_eq!(metric(gateway.admin(), &up(&one)).await, 0, "the questions go on");
    gateway.reload(|builder| builder.sharing("balance: round_robin").yaml(PUBLIC)).await;
    assert_eq!(metric(gateway.admin(), &up(&one)).await, 1);
    gets(&gateway, 4).await;
    assert_eq!((served(&one), served(&other)), (2, 2));
    assert_eq!(metric(gateway.admin(), &up(&one)).await, 1, "and nobody asks any more");
}

#[tokio::test]
async fn servers_of_http2_are_asked_in_http2() {
    let upstream = H2Upstream::echo().await;
    let nobody = crate::support::upstream::refusing().await;
    let urls = [upstream.url(), format!("http://{nobody}")];
    let urls = urls.each_ref().map(String::as_str);
    let gateway = Gateway::builder().http2("api", &urls).sharing(HEALTH).yaml(PUBLIC).start().await;
    let down = format!(r#"keyward_upstream_endpoint_up{{endpoint="{nobody}",upstream="api"}}"#);
    until_metric(gateway.admin(), &down, 0).await;
    let up = format!(r#"keyward_upstream_endpoint_up{{endpoint="{}",upstream="api"}}"#, upstream.address());
    assert_eq!(metric(gateway.admin(), &up).await, 1);
    assert_eq!(upstream.requests()[0].path, "/health?full=1");
}
