//! What a login tells whom it refuses, and how long it makes them wait.

use keyward::auth::random::System;
use keyward::auth::refusal::Code;
use keyward::auth::token::{Kind, PlainToken, Prefix};
use serde_json::json;

use super::{ANN, BEN, IDENTITY, PASSWORD, Scene, same_but_for_ids, tokens};
use crate::support::keys;
use crate::support::raw::Response;

/// Clients are who the proxy before us says they are.
const BEHIND: &str = "trusted_proxies: [127.0.0.1]\n";

impl Scene {
    async fn behind() -> Self {
        Self::with(&format!("{IDENTITY}{BEHIND}")).await
    }

    async fn login_from(&self, address: &str, email: &str, password: &str) -> Response {
        let body = json!({"email": email, "password": password}).to_string();
        let mut client = self.api();
        let request = client.request("POST", "/user/login").header("Content-Type", "application/json");
        request.header("X-Forwarded-For", address).body(body).send().await
    }
}

#[tokio::test]
async fn who_is_refused_is_not_told_why() {
    let scene = Scene::behind().await;
    keys::account(&scene.gateway.issuer(), "nopassword@example.com").await;
    scene.disable(&scene.ben).await;
    let mut told = Vec::new();
    for (number, (email, password)) in [
        (ANN, "wrong"),
        (ANN, ""),
        ("nobody@example.com", PASSWORD),
        ("not an address", PASSWORD),
        ("", ""),
        ("nopassword@example.com", PASSWORD),
        (BEN, PASSWORD),
        (BEN, "wrong"),
        ("\u{202e}\u{0}<script>", "\u{0}"),
    ]
    .into_iter()
    .enumerate()
    {
        let response = scene.login_from(&format!("192.0.2.{number}"), email, password).await;
        assert_eq!(response.refused(Code::InvalidLogin), "The email address or the password is wrong.");
        let fields = response.headers.iter().filter(|(name, _)| name != "x-request-id" && name != "date");
        told.push((same_but_for_ids(&response), format!("{:?}", fields.collect::<Vec<_>>())));
    }
    assert!(told.iter().all(|answer| *answer == told[0]), "{told:#?}");
    assert!(told[0].1.contains("www-authenticate"), "{}", told[0].1);
}

#[tokio::test]
async fn waits_double_and_say_how_long_for_whom_there_is_and_for_nobody() {
    let scene = Scene::behind().await;
    let mut stories = Vec::new();
    for (net, email) in [(1, ANN), (2, "nobody@example.com")] {
        let mut story = Vec::new();
        for number in 0..10 {
            let response = scene.login_from(&format!("192.0.{net}.{number}"), email, "wrong").await;
            let wait = response.header("retry-after").map(|seconds| seconds.parse::<u64>().unwrap());
            match wait {
                None => drop(response.refused(Code::InvalidLogin)),
                Some(seconds) => {
                    response.refused(Code::TooManyFailures);
                    // The right word would help as little.
                    let right = scene.login_from(&format!("192.0.{net}.99"), email, PASSWORD).await;
                    right.refused(Code::TooManyFailures);
                    scene.pass(seconds);
                }
            }
            story.push(wait);
        }
        stories.push(story);
    }
    let six = vec![None; 6];
    assert_eq!(stories[0], [six, vec![Some(1), None, Some(2), None]].concat());
    assert_eq!(stories[0], stories[1]);
}

#[tokio::test]
async fn an_attacker_elsewhere_does_not_lock_out_the_owner() {
    let scene = Scene::behind().await;
    assert_eq!(scene.login_from("198.51.100.7", ANN, PASSWORD).await.status, 200);
    for number in 0..20 {
        scene.login_from(&format!("192.0.2.{number}"), ANN, "wrong").await;
    }
    let stranger = scene.login_from("203.0.113.5", ANN, PASSWORD).await;
    stranger.refused(Code::TooManyFailures);
    assert_eq!(scene.login_from("198.51.100.7", ANN, PASSWORD).await.status, 200);
    // Her own failures count.
    for _ in 0..6 {
        scene.login_from("198.51.100.7", ANN, "wrong").await.refused(Code::InvalidLogin);
    }
    let own = scene.login_from("198.51.100.7", ANN, PASSWORD).await;
    own.refused(Code::TooManyFailures);
    assert_eq!(own.header("retry-after"), Some("1"));
    scene.pass(1);
    assert_eq!(scene.login_from("198.51.100.7", ANN, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn an_address_that_fails_for_many_accounts_waits_for_all_of_them() {
    let scene = Scene::behind().await;
    for number in 0..21 {
        let email = format!("{number}@example.com");
        scene.login_from("192.0.2.1", &email, "wrong").await.refused(Code::InvalidLogin);
    }
    scene.login_from("192.0.2.1", ANN, PASSWORD).await.refused(Code::TooManyFailures);
    assert_eq!(scene.login_from("192.0.2.2", ANN, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_reload_forgets_no_failure() {
    const ANOTHER: &str = "keys: { default_lifetime: 7d }\n";
    let mut scene = Scene::behind().await;
    for number in 0..20 {
        scene.login_from(&format!("192.0.2.{number}"), ANN, "wrong").await;
    }
    scene.gateway.reload(|builder| builder.yaml(&format!("{IDENTITY}{BEHIND}{ANOTHER}"))).await;
    scene.login_from("203.0.113.5", ANN, PASSWORD).await.refused(Code::TooManyFailures);
}

/// Nobody is kept from what he was just given by who shares his address.
#[tokio::test]
async fn a_token_is_known_from_the_moment_it_is_given_out() {
    let scene = Scene::with(&format!("{IDENTITY}limits: {{ failures: {{ per_minute: 3 }} }}\n")).await;
    for number in 0..4 {
        let key = PlainToken::generate(&Prefix::default(), Kind::ApiKey, &System::default()).unwrap();
        assert_eq!(scene.route(key.expose()).await, if number < 3 { 401 } else { 429 });
    }
    let first = scene.login(ANN).await;
    assert_eq!(scene.route(&first.access).await, 200);
    let next = tokens(&scene.try_refresh(&first.refresh).await);
    assert_eq!(scene.route(&next.access).await, 200);
}

/// So many right logins at once, and how each was answered.
async fn at_once(scene: &Scene, logins: Vec<(&str, &str)>) -> Vec<Response> {
    let asked = logins.into_iter().map(|(address, email)| scene.login_from(address, email, PASSWORD));
    futures_util::future::join_all(asked).await
}

/// An office in the morning.
#[tokio::test]
async fn people_who_log_in_at_once_from_one_address_all_get_in() {
    let scene = Scene::behind().await;
    let people: Vec<String> = (0..20).map(|number| format!("{number}@example.com")).collect();
    for person in &people {
        scene.person(person).await;
    }
    let logins: Vec<_> = people.iter().map(|person| ("198.51.100.7", person.as_str())).collect();
    for known in [false, true] {
        let answers = at_once(&scene, logins.clone()).await;
        assert!(answers.iter().all(|answer| answer.status == 200), "known: {known}: {answers:?}");
    }
}

/// Machines of one account that all begin at once.
#[tokio::test]
async fn who_logs_in_often_at_once_gets_in_each_time() {
    let scene = Scene::behind().await;
    for round in ["from one address that is new", "from one address that is known"] {
        let answers = at_once(&scene, vec![("198.51.100.7", ANN); 20]).await;
        assert!(answers.iter().all(|answer| answer.status == 200), "{round}: {answers:?}");
    }
    let addresses: Vec<String> = (0..20).map(|number| format!("192.0.2.{number}")).collect();
    let answers = at_once(&scene, addresses.iter().map(|address| (address.as_str(), BEN)).collect()).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
}

/// A crowd is told what is so, and nobody in it that anything failed.
#[tokio::test]
async fn whom_there_is_no_room_for_is_told_so() {
    let scene = Scene::behind().await;
    let answers = at_once(&scene, vec![("198.51.100.7", ANN); 100]).await;
    let (right, put_off): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(right.len() >= 64 && !put_off.is_empty(), "{} of {}", right.len(), answers.len());
    for answer in put_off {
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
        assert_eq!(
            answer.refused(Code::Overloaded),
            "More passwords wait to be checked than there is room for. Try again in a second."
        );
    }
    assert_eq!(scene.login_from("198.51.100.7", ANN, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn of_wrong_passwords_at_once_no_more_are_checked_than_in_a_row() {
    let scene = Scene::behind().await;
    let asked = (0..40).map(|_| scene.login_from("198.51.100.7", ANN, "wrong"));
    let answers = futures_util::future::join_all(asked).await;
    let checked = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(checked, 6);
    for answer in answers.iter().filter(|answer| answer.status != 401) {
        assert_eq!(answer.refused(Code::TooManyFailures), "Too many attempts failed. Try again in 1 s.");
    }
}
