//! What a client is told of where it stands, read by somebody else's parser of structured fields.

use std::time::Duration;

use keyward::auth::refusal::Code;
use sfv::{BareItem, Item, List, ListEntry, Parser};

use super::Scene;
use crate::support::raw::Response;
use crate::support::upstream::{Answer, Upstream};
use crate::support::websocket::{asking, opening};

const LEGACY: [&str; 3] = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];

/// A row of one of the fields: the policy's name and two of its parameters.
fn rows(response: &Response, field: &str, parameters: [&str; 2]) -> Vec<(String, i64, i64)> {
    let [value] = response.all(field)[..] else { panic!("{field}: {response:?}") };
    let list: List = Parser::new(value).parse().unwrap();
    let row = |entry: &ListEntry| {
        let ListEntry::Item(Item { bare_item: BareItem::String(name), params }) = entry else {
            panic!("{value}")
        };
        let number = |name: &str| match params.get(name) {
            Some(BareItem::Integer(number)) => i64::from(*number),
            other => panic!("{name} is {other:?} in {value}"),
        };
        (name.as_str().to_owned(), number(parameters[0]), number(parameters[1]))
    };
    list.iter().map(row).collect()
}

fn told(response: &Response) -> [Vec<(String, i64, i64)>; 2] {
    [rows(response, "ratelimit-policy", ["q", "w"]), rows(response, "ratelimit", ["r", "t"])]
}

fn row(name: &str, first: i64, second: i64) -> (String, i64, i64) {
    (name.to_owned(), first, second)
}

#[tokio::test]
async fn every_answer_tells_what_is_left_and_until_when() {
    let scene = Scene::new("{ account: { per_minute: 3, per_day: 100 } }").await;
    let mut client = scene.gateway.client().await;
    let policies = vec![row("minute", 3, 60), row("day", 100, 86_400)];
    assert_eq!(
        told(&client.get("/").await),
        [policies.clone(), vec![row("minute", 2, 60), row("day", 99, 57_600)]]
    );
    scene.pass(Duration::from_millis(18_500));
    assert_eq!(
        told(&client.get("/").await),
        [policies.clone(), vec![row("minute", 1, 42), row("day", 98, 57_582)]]
    );
    let on_route = client.get("/narrow").await;
    let [policies, standing] = told(&on_route);
    assert_eq!(policies[2..], [row("route_minute", 2, 60)]);
    assert_eq!(standing, [row("minute", 0, 42), row("day", 97, 57_582), row("route_minute", 1, 60)]);
}

#[tokio::test]
async fn a_websocket_that_opens_is_told_too() {
    let upstream = Upstream::always(opening().header("RateLimit", "\"theirs\";r=1;t=1").then_close()).await;
    let scene = Scene::before(upstream, "{ account: { per_minute: 3 } }").await;
    let mut raw = scene.gateway.raw().await;
    raw.send(scene.gateway.head("GET /").await + &asking() + "\r\n").await;
    let head = raw.head().await.unwrap();
    assert_eq!(head.status, 101);
    assert_eq!(told(&head), [vec![row("minute", 3, 60)], vec![row("minute", 2, 60)]]);
}

#[tokio::test]
async fn a_refusal_says_which_limit_how_much_and_when() {
    let scene = Scene::new("{ account: { per_minute: 2, per_day: 3 } }").await;
    let mut client = scene.gateway.client().await;
    for _ in 0..2 {
        assert_eq!(client.get("/").await.status, 200);
    }
    scene.pass(Duration::from_secs(20));
    let refused = client.get("/").await;
    assert_eq!(
        refused.refused(Code::RateLimited),
        "Too many requests: this account may make 2 a minute. Try again in 40 s."
    );
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("40")));
    assert_eq!(told(&refused)[1], [row("minute", 0, 40), row("day", 1, 57_580)]);

    scene.pass(Duration::from_secs(40));
    assert_eq!(client.get("/").await.status, 200);
    let refused = client.get("/").await;
    let detail = refused.refused(Code::QuotaExceeded);
    assert_eq!(
        detail,
        "The quota of the day is used up: this account may make 3 a day. It begins anew at midnight UTC, in 57540 s."
    );
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("57540")));
    // Of two that refuse, the longer wait.
    assert_eq!(client.get("/").await.status, 429);
    let never = Scene::new("{ account: { per_minute: 2 } }").await;
    let detail = never.gateway.client().await.get("/heavy").await.refused(Code::RateLimited);
    assert!(
        detail.starts_with("This request counts as 10, which is more than the limit minute ever lets pass"),
        "{detail}"
    );
}

#[tokio::test]
async fn where_nothing_is_limited_nothing_is_told() {
    let scene = Scene::new("{}").await;
    let response = scene.gateway.client().await.get("/").await;
    assert_eq!(
        (response.header("ratelimit"), response.header("ratelimit-policy")),
        (Some("\"theirs\";r=1;t=1"), None)
    );
}

#[tokio::test]
async fn an_account_may_ask_where_it_stands_and_asking_counts_nothing() {
    let limits = "{ account: { per_minute: 3, per_day: 100, in_flight: 2 } }\nidentity: { public_url: \"https://a.test\" }";
    let scene = Scene::new(limits).await;
    let plain = scene.gateway.key().await.secret;
    let account = scene.gateway.account().await.to_owned();
    let allowed =
        crate::support::keys::key(&scene.gateway.issuer(), &account, &["keyward:account"]).await.secret;
    let mut client = scene.gateway.anonymous().with_key(&allowed);
    for _ in 0..2 {
        assert_eq!(client.get("/").await.status, 200);
    }
    scene.pass(Duration::from_millis(500));
    let mut asks = scene.gateway.anonymous().with_key(&allowed).with_host("a.test");
    for _ in 0..5 {
        let told = asks.get("/user/limits").await;
        assert_eq!(told.header("cache-control"), Some("no-store"));
        let row = |policy: &str, quota: u64, left: u64, reset: u64| serde_json::json!({ "policy": policy, "quota": quota, "remaining": left, "reset_seconds": reset });
        let rows = [row("minute", 3, 1, 60), row("day", 100, 98, 57_600), row("in_flight", 2, 2, 0)];
        assert_eq!(told.json(), serde_json::json!({ "limits": rows }));
    }
    let head = asks.request("HEAD", "/user/limits").send().await;
    assert_eq!((head.status, head.text()), (200, ""));
    let mut other = scene.gateway.anonymous().with_key(&plain).with_host("a.test");
    other.get("/user/limits").await.refused(Code::InsufficientScope);
    scene.gateway.anonymous().with_host("a.test").get("/user/limits").await.refused(Code::MissingCredentials);
    asks.post("/user/limits", "{}").await.refused(Code::MethodNotAllowed);
}

#[tokio::test]
async fn at_an_even_pace_the_quota_is_that_of_the_minute_and_the_wait_that_of_one_request() {
    let scene = Scene::new("{ account: { per_minute: 60, smooth: { burst: 3 } } }").await;
    let mut client = scene.gateway.client().await;
    for (left, reset) in [(2, 1), (1, 2), (0, 3)] {
        let told = told(&client.get("/").await);
        assert_eq!(told, [vec![row("minute", 60, 60)], vec![row("minute", left, reset)]]);
    }
    let refused = client.get("/").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert_eq!(told(&refused), [vec![row("minute", 60, 60)], vec![row("minute", 0, 1)]]);
    scene.pass(Duration::from_secs(1));
    assert_eq!(client.get("/").await.status, 200);
    client.get("/heavy").await.refused(Code::RateLimited);
}

#[tokio::test]
async fn what_was_counted_and_came_to_nothing_tells_what_is_left_too() {
    let gone = crate::support::upstream::refusing().await;
    let clock = keyward::clock::Clock::manual(super::START);
    let builder = crate::support::gateway::Gateway::builder().upstream("api", &format!("http://{gone}"));
    let gateway = builder.clock(&clock).yaml("limits: { account: { per_minute: 3 } }").start().await;
    let response = gateway.client().await.get("/").await;
    response.refused(Code::UpstreamUnreachable);
    assert_eq!(rows(&response, "ratelimit", ["r", "t"]), [row("minute", 2, 60)]);
}

/// A gateway with these limits before an upstream that has fields of its own.
async fn legacy_scene(limits: &str) -> Scene {
    let theirs = LEGACY.iter().fold(Answer::new(200), |answer, name| answer.header(name, "7"));
    Scene::before(Upstream::always(theirs.body("ok")).await, limits).await
}

/// The three older fields, each there once.
fn legacy(response: &Response) -> [&str; 3] {
    LEGACY.map(|name| match response.all(name)[..] {
        [value] => value,
        _ => panic!("{name}: {response:?}"),
    })
}

#[tokio::test]
async fn where_it_is_wanted_the_older_fields_tell_the_limit_that_is_nearest_to_its_end() {
    let scene =
        legacy_scene("{ x_ratelimit: true, account: { per_minute: 5, per_day: 6, in_flight: 2 } }").await;
    let mut client = scene.gateway.client().await;
    // Four of five are less than five of six; of one that counts at once nothing is told.
    assert_eq!(legacy(&client.get("/").await), ["5", "4", "60"]);
    assert_eq!(legacy(&client.get("/narrow").await), ["2", "1", "60"]);
    scene.pass(Duration::from_millis(59_500));
    assert_eq!(legacy(&client.get("/narrow").await), ["2", "0", "1"]);
    scene.pass(Duration::from_millis(500));
    for left in ["2", "1", "0"] {
        assert_eq!(legacy(&client.get("/").await), ["6", left, "57540"]);
    }
    let refused = client.get("/").await;
    refused.refused(Code::QuotaExceeded);
    assert_eq!(legacy(&refused), ["6", "0", "57540"]);
}

#[tokio::test]
async fn of_limits_with_equal_parts_left_the_older_fields_tell_the_one_that_ends_later() {
    let scene = legacy_scene("{ x_ratelimit: true, account: { per_minute: 4, per_day: 8 } }").await;
    let mut client = scene.gateway.client().await;
    assert_eq!(client.get("/").await.status, 200);
    scene.pass(Duration::from_secs(60));
    for expected in [["8", "6", "57540"], ["4", "2", "60"], ["4", "1", "60"]] {
        assert_eq!(legacy(&client.get("/").await), expected);
    }
}

#[tokio::test]
async fn an_upstreams_older_fields_pass_where_there_are_none_of_ours() {
    for limits in ["{ account: { per_minute: 4 } }", "{ x_ratelimit: true, account: { in_flight: 4 } }"] {
        let scene = legacy_scene(limits).await;
        assert_eq!(legacy(&scene.gateway.client().await.get("/").await), ["7", "7", "7"], "{limits}");
    }
}
