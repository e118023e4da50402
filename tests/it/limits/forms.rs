//! What is said over a limit, in the forms that are no problem document.

use std::time::Duration;

use keyward::auth::refusal::Code;

use super::Scene;
use crate::support::h2::H2;

#[tokio::test]
async fn a_grpc_request_over_a_limit_is_told_its_resource_is_exhausted() {
    let scene = Scene::new("{ account: { per_minute: 1, per_day: 9 } }").await;
    let mut client = H2::connect(scene.gateway.public()).await.with_key(&scene.gateway.key().await.secret);
    let call = |client: &H2| {
        let request = client.request("POST", "/pkg.Service/Method");
        request.header("content-type", "application/grpc+proto").header("te", "trailers")
    };
    let first = call(&client);
    assert_eq!(client.ask(first).await.whole().await.header("grpc-status"), None);
    scene.pass(Duration::from_secs(20));
    let second = call(&client);
    let refused = client.begin(second).await.whole().await;
    assert_eq!((refused.status, refused.header("content-type")), (200, Some("application/grpc")));
    assert_eq!(refused.header("grpc-status"), Some("8"));
    assert_eq!(
        refused.header("grpc-message"),
        Some("rate_limited: Too many requests: this account may make 1 a minute. Try again in 40 s.")
    );
    assert_eq!(refused.header("retry-after"), Some("40"));
    assert_eq!(refused.header("ratelimit-policy"), Some("\"minute\";q=1;w=60, \"day\";q=9;w=86400"));
    assert_eq!(refused.header("ratelimit"), Some("\"minute\";r=0;t=40, \"day\";r=8;t=57580"));
    // These are its trailers: there is no body, and nothing after it.
    assert_eq!((refused.body.len(), refused.trailers), (0, None));
    assert_eq!(scene.upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_page_tells_people_which_limit_how_much_and_when() {
    for (limits, target, code, words) in [
        (
            "{ account: { per_minute: 1 } }",
            "/",
            Code::RateLimited,
            "Too many requests: this account may make 1 a minute. Try again in 40 s.",
        ),
        (
            "{ account: { per_day: 1 } }",
            "/",
            Code::QuotaExceeded,
            "The quota of the day is used up: this account may make 1 a day. It begins anew at midnight UTC, in 57580 s.",
        ),
        (
            "{}",
            "/narrow",
            Code::RateLimited,
            "Too many requests: this account may make 2 a minute on this route. Try again in 40 s.",
        ),
    ] {
        let scene = Scene::new(limits).await;
        let mut client = scene.gateway.client().await;
        assert_eq!(client.get(target).await.status, 200);
        if target == "/narrow" {
            assert_eq!(client.get(target).await.status, 200);
        }
        scene.pass(Duration::from_secs(20));
        let refused = client.request("GET", target).header("Accept", "text/html,*/*;q=0.5").send().await;
        assert_eq!((refused.status, refused.header("content-type")), (429, Some("text/html; charset=utf-8")));
        let page = refused.text();
        assert!(page.starts_with("<!doctype html>") && page.contains(&format!("<p>{words}</p>")), "{page}");
        assert!(page.contains(&format!("<dd>{}</dd>", code.as_str())), "{page}");
        let wait = words.rsplit_once(" s.").and_then(|(before, _)| before.rsplit(' ').next());
        assert_eq!(refused.header("retry-after"), wait);
        assert_eq!(refused.all("ratelimit").len(), 1);
    }
}
