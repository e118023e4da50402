//! Limits of an account's or a key's own.

use super::*;
use crate::issuer::MadeOnce;
use crate::limits::{Overrides, Rates};

const EMAIL: &str = "a@example.com";

fn per_day(most: u64) -> Overrides {
    Overrides { per_day: Some(most), ..Overrides::default() }
}

#[tokio::test]
async fn what_is_said_of_an_account_alone_holds_over_its_plan_and_its_plan_over_the_rest() {
    let desk = desk().await;
    let account = desk.account(EMAIL).await;
    let rates = |per_minute, per_day| Rates { per_minute, per_day, ..Rates::default() };
    assert_eq!(desk.issuer.allowance(&account), rates(Some(60), None));
    desk.issuer.set_plan(EMAIL, Some("free"), &desk.origin).await.unwrap();
    let limited = desk.issuer.set_account_limits(EMAIL, &per_day(7), &desk.origin).await.unwrap();
    assert_eq!((limited.plan.as_deref(), &limited.limits), (Some("free"), &per_day(7)));
    assert_eq!(limited, desk.issuer.account(EMAIL).await.unwrap());
    assert_eq!(desk.issuer.allowance(&limited), rates(Some(60), Some(7)));
    let view = serde_json::to_value(desk.issuer.account_view(&limited)).unwrap();
    assert_eq!(
        (&view["limits"], &view["effective_limits"]),
        (
            &serde_json::json!({ "per_minute": null, "burst": null, "per_day": 7, "in_flight": null }),
            &serde_json::json!({ "per_minute": 60, "burst": null, "per_day": 7, "in_flight": null })
        )
    );
    let unlimited = Overrides { per_minute: Some(0), per_day: Some(0), ..Overrides::default() };
    let account = desk.issuer.set_account_limits(EMAIL, &unlimited, &desk.origin).await.unwrap();
    assert!(desk.issuer.allowance(&account).is_empty());
    let told = desk.last_told();
    assert_eq!((told.seq, told.subject, &*told.id), (Seq(4), Subject::Account, &*account.id));
    desk.issuer.set_account_limits(EMAIL, &unlimited, &desk.origin).await.unwrap();
    assert_eq!(desk.last_told().seq, Seq(4));
}

#[tokio::test]
async fn what_no_configuration_may_say_nobody_may_say() {
    let desk = desk().await;
    desk.account(EMAIL).await;
    let key = desk.key(&asked("ci", &[])).await.unwrap().key;
    let wrong = Overrides {
        per_minute: Some(1_000_000_001),
        smooth: Some(0),
        per_day: Some(1_000_000_000_001),
        in_flight: Some(10_000_001),
    };
    let of_account = desk.issuer.set_account_limits(EMAIL, &wrong, &desk.origin).await.map(|_| ());
    let of_key = desk.issuer.set_key_limits(&key.id, &wrong, &desk.origin).await.map(|_| ());
    for refused in [of_account, of_key] {
        let Err(IssueError::Invalid(problems)) = refused else { panic!("{refused:?}") };
        let told: Vec<_> = problems.iter().map(|problem| (problem.member(), problem.to_string())).collect();
        let expected = [
            ("per_minute", "`per_minute` is a whole number from 0 to 1000000000"),
            ("burst", "`burst` is a whole number from 1 to 1000000"),
            ("per_day", "`per_day` is a whole number from 0 to 1000000000000"),
            ("in_flight", "`in_flight` is a whole number from 0 to 10000000"),
        ];
        assert_eq!(told, expected.map(|(member, sentence)| (member, sentence.to_owned())));
    }
    assert!(desk.issuer.account(EMAIL).await.unwrap().limits.is_empty());
    assert!(desk.issuer.key(&key.id).await.unwrap().limits.is_empty());
}

#[tokio::test]
async fn the_key_that_replaces_another_has_its_limits() {
    let desk = desk().await;
    desk.account(EMAIL).await;
    let old = desk.key(&asked("ci", &[])).await.unwrap().key;
    let limited = desk.issuer.set_key_limits(&old.id, &per_day(7), &desk.origin).await.unwrap();
    assert_eq!(limited, desk.issuer.key(&old.id).await.unwrap());
    assert_eq!(limited.limits, per_day(7));
    let told = desk.last_told();
    assert_eq!((told.subject, &*told.id, told.created), (Subject::ApiKey, &*old.id, false));
    let rotated = desk.issuer.rotate_key(&old.id, DAY, None, &desk.origin).await.unwrap();
    let MadeOnce::Made(next) = rotated else { panic!("{rotated:?}") };
    assert_eq!(desk.issuer.key(&next.key.id).await.unwrap().limits, per_day(7));
    // Or it would be believed that the successor has them too.
    for limits in [per_day(8), per_day(7)] {
        let late = desk.issuer.set_key_limits(&old.id, &limits, &desk.origin).await.unwrap_err();
        let expected = format!(
            "this key was replaced; it works until 2026-11-02T00:00:00Z at the latest, and the key {} in its place",
            next.key.id
        );
        assert_eq!(late.to_string(), expected);
    }
    desk.issuer.revoke_key(&old.id, &desk.origin).await.unwrap();
    let dead = desk.issuer.set_key_limits(&old.id, &per_day(8), &desk.origin).await.unwrap_err();
    assert!(matches!(dead, IssueError::Conflict(_)), "{dead}");
    let unknown = desk.issuer.set_key_limits("nope", &per_day(8), &desk.origin).await.unwrap_err();
    assert!(matches!(unknown, IssueError::NotFound("key")), "{unknown}");
}
