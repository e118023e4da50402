//! No endpoint that is fit is a 503, as soon as that is known; one that was thought to be fit and takes no connection a 502.

use keyward::auth::refusal::Code;

use super::PUBLIC;
use super::health::{HEALTH, before, server, up};
use super::names::{ONE, names};
use crate::guarantees::until_metric;
use crate::support::gateway::Gateway;
use crate::support::h2_upstream::H2Upstream;
use crate::support::upstream::{Upstream, refusing};

async fn is_unavailable(gateway: &Gateway) {
    let mut client = gateway.anonymous();
    for method in ["GET", "POST"] {
        let answer = client.request(method, "/").send().await;
        answer.refused(Code::UpstreamUnavailable);
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

#[tokio::test]
async fn servers_that_are_known_to_be_down_are_unavailable() {
    let ((one, _), (other, _)) = (server(true).await, server(true).await);
    let gateway = before(&[&one, &other]).start().await;
    let metrics = [up(&one), up(&other)];
    assert_eq!(gateway.anonymous().get("/").await.text(), "served");
    one.stop().await;
    other.stop().await;
    for up in &metrics {
        until_metric(gateway.admin(), up, 0).await;
    }
    is_unavailable(&gateway).await;
}

#[tokio::test]
async fn servers_of_http2_that_are_known_to_be_down_are_unavailable() {
    let nobody = refusing().await;
    let url = format!("http://{nobody}");
    let gateway = Gateway::builder().http2("api", &[&url]).sharing(HEALTH).yaml(PUBLIC).start().await;
    let up = format!(r#"keyward_upstream_endpoint_up{{endpoint="{nobody}",upstream="api"}}"#);
    until_metric(gateway.admin(), &up, 0).await;
    is_unavailable(&gateway).await;
    let other = H2Upstream::echo().await;
    let url = other.url();
    let gateway = Gateway::builder().http2("api", &[&url]).sharing(HEALTH).yaml(PUBLIC).start().await;
    assert_eq!(gateway.anonymous().get("/").await.status, 200);
}

/// The last one is never ejected: of it it is not known that it is not fit.
#[tokio::test]
async fn servers_that_are_only_found_not_to_take_a_connection_are_unreachable() {
    let urls = [format!("http://{}", refusing().await), format!("http://{}", refusing().await)];
    let urls = urls.each_ref().map(String::as_str);
    for sharing in ["ejection: { failures: 0 }", "ejection: { failures: 1, for: 1h }"] {
        let gateway = Gateway::builder().endpoints("api", &urls).sharing(sharing).yaml(PUBLIC).start().await;
        let mut client = gateway.anonymous();
        for _ in 0..5 {
            client.get("/").await.refused(Code::UpstreamUnreachable);
        }
    }
}

/// What was reached and failed is told as what it is, whatever was known of it.
#[tokio::test]
async fn a_server_that_is_not_well_and_answers_all_the_same_is_heard() {
    let (one, _) = server(false).await;
    let gateway = before(&[&one]).start().await;
    until_metric(gateway.admin(), &up(&one), 0).await;
    assert_eq!(gateway.anonymous().get("/").await.text(), "served");
}

#[tokio::test]
async fn a_server_without_an_address_is_unavailable_until_it_has_one() {
    let one = Upstream::echo().await;
    let names = names(vec![None, Some(vec![ONE])]);
    let gateway = names.gateway(one.address().port()).await;
    let up = format!(
        r#"keyward_upstream_endpoint_up{{endpoint="api.test:{}",upstream="api"}}"#,
        one.address().port()
    );
    until_metric(gateway.admin(), &up, 0).await;
    is_unavailable(&gateway).await;
    names.become_state(1).await;
    until_metric(gateway.admin(), &up, 1).await;
    assert_eq!(gateway.anonymous().get("/").await.status, 200);
}

#[tokio::test]
async fn a_server_without_an_address_gets_no_requests_while_another_has_one() {
    let good = Upstream::echo().await;
    let names = names(vec![None]);
    let urls = [format!("http://api.test:{}", good.address().port()), good.url()];
    let urls = urls.each_ref().map(String::as_str);
    let builder = Gateway::builder().endpoints("api", &urls).resolver(names.resolver());
    let gateway = builder.sharing("balance: round_robin").yaml(PUBLIC).start().await;
    names.become_state(0).await;
    for _ in 0..4 {
        assert_eq!(gateway.anonymous().get("/").await.status, 200);
    }
}
