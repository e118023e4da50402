//! Limits of an account's or a key's own: whose they are, from when on they hold, and what counts where.

use keyward::auth::refusal::Code;
use keyward::issuer::{MadeOnce, OVERLAP};
use keyward::limits::Overrides;
use serde_json::json;

use super::Scene;
use super::plans::{EMAIL, configured, statuses};
use crate::support::binary::Home;
use crate::support::gateway::Key;
use crate::support::http::Client;
use crate::support::keys::{access_token, key, origin, session};
use crate::support::upstream::{Answer, Upstream};
use crate::support::within;

const NOTHING: Overrides = Overrides { per_minute: None, smooth: None, per_day: None, in_flight: None };

fn per_minute(most: u64) -> Overrides {
    Overrides { per_minute: Some(most), ..NOTHING }
}

impl Scene {
    async fn limit_account(&self, limits: &Overrides) {
        let account = self.gateway.account().await;
        self.gateway.issuer().set_account_limits(account, limits, &origin()).await.expect("they are set");
    }

    async fn limit_key(&self, key: &Key, limits: &Overrides) {
        self.gateway.issuer().set_key_limits(&key.id, limits, &origin()).await.expect("they are set");
    }

    fn with(&self, key: &Key) -> Client {
        self.gateway.anonymous().with_key(&key.secret)
    }
}

#[tokio::test]
async fn an_accounts_own_limits_hold_over_its_plans_from_the_next_request_on() {
    let scene =
        Scene::new("{ account: { per_minute: 1 }, plans: { pro: { per_minute: 3, per_day: 9 } } }").await;
    let account = scene.gateway.account().await;
    scene.gateway.issuer().set_plan(account, Some("pro"), &origin()).await.unwrap();
    // A connection to each of the workers, and a key of the account for each.
    let mut clients = [scene.gateway.client().await, scene.gateway.client().await];
    assert_eq!(statuses(&mut clients[0]).await, [200, 200]);
    scene.limit_account(&per_minute(5)).await;
    assert_eq!(statuses(&mut clients[1]).await, [200, 200]);
    assert_eq!(statuses(&mut clients[0]).await, [200, 429]);
    // Of a day its plan says how many; of a minute nobody limits it any more.
    scene.limit_account(&per_minute(0)).await;
    let response = clients[1].get("/").await;
    assert_eq!(response.all("ratelimit-policy"), ["\"day\";q=9;w=86400"]);
    assert_eq!(response.all("ratelimit"), ["\"day\";r=3;t=57600"]);
    scene.limit_account(&NOTHING).await;
    let detail = clients[0].get("/").await.refused(Code::RateLimited);
    assert!(detail.contains("this account may make 3 a minute"), "{detail}");
}

#[tokio::test]
async fn an_access_token_has_the_own_limits_of_its_account() {
    let scene = Scene::new("{}\nidentity: { public_url: https://auth.test }").await;
    let session = session(&scene.gateway, super::START).await;
    let token = access_token(&scene.gateway, &session, "", super::START);
    let mut client = scene.gateway.anonymous().with_key(&token);
    assert_eq!(statuses(&mut client).await, [200, 200, 200]);
    scene.limit_account(&per_minute(2)).await;
    assert_eq!(statuses(&mut client).await, [200, 200, 429]);
}

#[tokio::test]
async fn a_key_over_its_own_limit_counts_nowhere_and_the_others_go_on() {
    let scene = Scene::new("{ account: { per_minute: 5 } }").await;
    let [limited, free] = [scene.gateway.key().await, scene.gateway.key().await];
    scene.limit_key(&limited, &Overrides { per_day: Some(9), ..per_minute(2) }).await;
    let mut narrow = scene.with(&limited);
    let response = narrow.get("/").await;
    assert_eq!(
        response.all("ratelimit-policy"),
        ["\"minute\";q=5;w=60, \"key_minute\";q=2;w=60, \"key_day\";q=9;w=86400"]
    );
    assert_eq!(
        response.all("ratelimit"),
        ["\"minute\";r=4;t=60, \"key_minute\";r=1;t=60, \"key_day\";r=8;t=57600"]
    );
    assert_eq!(narrow.get("/").await.status, 200);
    for _ in 0..5 {
        let refused = narrow.get("/").await;
        let detail = refused.refused(Code::RateLimited);
        assert_eq!(detail, "Too many requests: this key may make 2 a minute. Try again in 60 s.");
        assert_eq!(
            refused.all("ratelimit"),
            ["\"minute\";r=3;t=60, \"key_minute\";r=0;t=60, \"key_day\";r=7;t=57600"]
        );
    }
    assert_eq!(statuses(&mut scene.with(&free)).await, [200, 200, 200, 429]);
    // What the account refuses does not count on its key either.
    scene.limit_key(&limited, &Overrides { per_day: Some(3), ..NOTHING }).await;
    assert_eq!(statuses(&mut narrow).await, [429, 429]);
    scene.limit_account(&per_minute(6)).await;
    assert_eq!(narrow.get("/").await.status, 200);
    narrow.get("/").await.refused(Code::QuotaExceeded);
    assert_eq!(scene.upstream.requests().len(), 6);
}

#[tokio::test]
async fn of_ten_times_as_many_with_two_keys_exactly_so_many_pass_on_the_key_and_on_the_account() {
    let scene = Scene::new("{ account: { per_day: 60 } }").await;
    let [limited, free] = [scene.gateway.key().await, scene.gateway.key().await];
    scene.limit_key(&limited, &Overrides { per_day: Some(20), ..NOTHING }).await;
    // The limited key asks first: what is left of the account, the other may have to the last.
    assert_eq!(super::counting::storm(&scene, &[&limited.secret], 300).await, (20, 280));
    assert_eq!(super::counting::storm(&scene, &[&limited.secret, &free.secret], 300).await, (40, 260));
    assert_eq!(scene.upstream.requests().len(), 60);
}

#[tokio::test]
async fn the_key_that_replaces_another_has_its_limits_and_goes_on_with_its_counts() {
    let scene = Scene::new("{}").await;
    let old = scene.gateway.key().await;
    scene.limit_key(&old, &per_minute(3)).await;
    assert_eq!(statuses(&mut scene.with(&old)).await, [200]);
    let issuer = scene.gateway.issuer();
    let rotated = issuer.rotate_key(&old.id, OVERLAP, None, &origin()).await.unwrap();
    let MadeOnce::Made(next) = rotated else { panic!("{rotated:?}") };
    let rotated = issuer.rotate_key(&next.key.id, OVERLAP, None, &origin()).await.unwrap();
    let MadeOnce::Made(last) = rotated else { panic!("{rotated:?}") };
    let mut client = scene.gateway.anonymous().with_key(last.token.expose());
    assert_eq!(statuses(&mut client).await, [200]);
    let mut client = scene.gateway.anonymous().with_key(next.token.expose());
    assert_eq!(statuses(&mut client).await, [200, 429]);
    assert_eq!(statuses(&mut scene.with(&old)).await, [429]);
}

/// Or its holder had all the keys without limits that it wants.
#[tokio::test]
async fn a_limited_key_makes_no_key_and_replaces_none_but_itself() {
    let scene = Scene::new("{}\nidentity: { public_url: \"https://a.test\" }").await;
    let account = scene.gateway.account().await;
    let [limited, free] = [
        key(&scene.gateway.issuer(), account, &["keyward:account"]).await,
        key(&scene.gateway.issuer(), account, &["keyward:account"]).await,
    ];
    scene.limit_key(&limited, &Overrides { per_day: Some(4), ..NOTHING }).await;
    let post = async |by: &Key, path: &str| {
        let mut client = scene.with(by).with_host("a.test");
        let request = client.request("POST", path).header("Content-Type", "application/json");
        request.body(json!({ "name": "x" }).to_string()).send().await
    };
    let rotate = async |by: &Key, of: &Key| {
        let mut client = scene.with(by).with_host("a.test");
        client.request("POST", &format!("/user/api-keys/{}/rotate", of.id)).send().await
    };
    let detail = post(&limited, "/user/api-keys").await.refused(Code::Conflict);
    assert!(detail.starts_with("A key with limits of its own makes no other keys"), "{detail}");
    rotate(&limited, &free).await.refused(Code::Conflict);
    assert_eq!(post(&free, "/user/api-keys").await.status, 201);
    let next = rotate(&limited, &limited).await;
    assert_eq!((next.status, &next.json()["limits"]["per_day"]), (201, &json!(4)));
}

/// Or it had the scopes of all its account through another key.
#[tokio::test]
async fn a_limited_key_changes_no_key_but_itself() {
    let scene = Scene::new("{}\nidentity: { public_url: \"https://a.test\" }").await;
    let account = scene.gateway.account().await;
    let [limited, free] = [
        key(&scene.gateway.issuer(), account, &["keyward:account"]).await,
        key(&scene.gateway.issuer(), account, &[]).await,
    ];
    scene.limit_key(&limited, &Overrides { per_day: Some(4), ..NOTHING }).await;
    let patch = async |of: &Key, body: serde_json::Value| {
        let mut client = scene.with(&limited).with_host("a.test");
        let request = client.request("PATCH", &format!("/user/api-keys/{}", of.id));
        request.header("Content-Type", "application/json").body(body.to_string()).send().await
    };
    for changes in [
        json!({ "scopes": ["keyward:account"] }),
        json!({ "scopes": [] }),
        json!({ "name": "x", "scopes": [] }),
    ] {
        let detail = patch(&free, changes).await.refused(Code::Conflict);
        assert!(
            detail.starts_with("A key with limits of its own makes no other keys and changes none"),
            "{detail}"
        );
    }
    assert!(scene.gateway.issuer().key(&free.id).await.unwrap().scopes.is_empty());
    // Another name takes nothing from anybody else's reach.
    let renamed = patch(&free, json!({ "name": "renamed" })).await;
    assert_eq!((renamed.status, &renamed.json()["name"]), (200, &json!("renamed")));
    assert_eq!(patch(&limited, json!({ "name": "x" })).await.status, 200);
}

#[tokio::test]
async fn a_key_may_ask_where_it_stands_itself_and_no_credential_sets_limits() {
    let scene =
        Scene::new("{ account: { per_minute: 9 } }\nidentity: { public_url: \"https://a.test\" }").await;
    let account = scene.gateway.account().await;
    let [limited, free] = [
        key(&scene.gateway.issuer(), account, &["keyward:account"]).await,
        key(&scene.gateway.issuer(), account, &["keyward:account"]).await,
    ];
    scene.limit_key(&limited, &Overrides { per_day: Some(4), in_flight: Some(3), ..NOTHING }).await;
    assert_eq!(statuses(&mut scene.with(&limited)).await, [200, 200]);
    let row = |policy: &str, quota: u64, left: u64, reset: u64| json!({ "policy": policy, "quota": quota, "remaining": left, "reset_seconds": reset });
    let whole = row("minute", 9, 7, 60);
    let own = [whole.clone(), row("key_day", 4, 2, 57_600), row("key_in_flight", 3, 3, 0)];
    for (key, rows) in [(&limited, json!(own)), (&free, json!([whole]))] {
        let told = scene.with(key).with_host("a.test").get("/user/limits").await;
        assert_eq!(told.json(), json!({ "limits": rows }));
    }
    // Not even one that may act for its account, on itself or on another.
    for key in [&limited, &free] {
        let mut client = scene.with(&free).with_host("a.test");
        let path = format!("/user/api-keys/{}", key.id);
        for limits in [json!({ "per_day": 0 }), json!({}), json!(null)] {
            let body = json!({ "limits": limits }).to_string();
            let request = client.request("PATCH", &path).header("Content-Type", "application/json");
            let refused = request.body(body).send().await;
            let (_, errors) = refused.refused_for(Code::UnacceptableBody);
            let [(pointer, detail)] = &errors[..] else { panic!("{errors:?}") };
            assert_eq!(pointer, "/limits");
            assert!(detail.starts_with("The member \"limits\" is unknown."), "{detail}");
        }
    }
    let shown = scene.with(&free).with_host("a.test").get(&format!("/user/api-keys/{}", limited.id)).await;
    let limits = json!({ "per_minute": null, "burst": null, "per_day": 4, "in_flight": 3 });
    assert_eq!(shown.json()["limits"], limits);
}

#[tokio::test]
async fn a_command_beside_the_server_sets_and_takes_limits_within_a_second() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = Home::new(&configured(&upstream, "{}"));
    home.account(EMAIL);
    let (id, key) = home.key(EMAIL, &[]);
    let _serving = home.serve().await;
    let mut client = Client::new(home.public()).with_key(&key);
    assert_eq!(statuses(&mut client).await, [200, 200]);
    for (words, status) in [
        (&["accounts", "set-limits", EMAIL, "--per-day", "1"][..], 429),
        (&["accounts", "set-limits", EMAIL, "--none"], 200),
        (&["keys", "set-limits", &id, "--in-flight", "5", "--per-minute", "1"], 429),
        (&["keys", "set-limits", &id, "--none"], 200),
    ] {
        home.run(words).exited(0);
        let seen = async { while client.get("/").await.status != status {} };
        within(&format!("a {status}"), seen).await;
    }
}

#[test]
fn the_commands_set_all_limits_at_once_and_tell_what_holds() {
    let home = Home::new("limits: { account: { per_minute: 60 }, plans: { pro: { per_day: 99 } } }\n");
    home.account(EMAIL);
    home.run(&["accounts", "set-plan", EMAIL, "pro"]).exited(0);
    let (id, _) = home.key(EMAIL, &[]);
    let account = |words: &[&str]| home.run(&[&["accounts", "set-limits", EMAIL], words].concat());
    let key = |words: &[&str]| home.run(&[&["keys", "set-limits", &id], words].concat());

    let told = account(&["--per-minute", "600", "--burst", "20", "--in-flight", "0"]).exited(0);
    assert!(told.contains("own limits  600 a minute, bursts of 20, no limit at a time\n"), "{told}");
    assert!(told.contains("limits      600 a minute, bursts of 20, 99 a day\n"), "{told}");
    assert_eq!(home.run(&["accounts", "show", EMAIL]).exited(0), told);
    let told = account(&["--per-day", "7", "--json"]).json();
    let own = json!({ "per_minute": null, "burst": null, "per_day": 7, "in_flight": null });
    let all = json!({ "per_minute": 60, "burst": null, "per_day": 7, "in_flight": null });
    assert_eq!((&told["limits"], &told["effective_limits"]), (&own, &all));
    assert!(account(&["--none"]).exited(0).contains("own limits  none\n"));

    let told = key(&["--per-minute", "5"]).exited(0);
    assert!(told.contains("limits     5 a minute\n"), "{told}");
    assert_eq!(home.run(&["keys", "show", &id]).exited(0), told);
    assert_eq!(key(&["--per-day", "7", "--json"]).json()["limits"], own);
    assert_eq!(key(&["--none", "--json"]).json().get("limits"), None, "as every other key's");
}

#[test]
fn what_a_command_cannot_set_it_says_and_what_has_no_effect_it_tells() {
    let home = Home::new("limits: { plans: { pro: { per_minute: 99 } } }\n");
    home.account(EMAIL);
    let (id, secret) = home.key(EMAIL, &[]);
    for subject in [["accounts", "set-limits", EMAIL], ["keys", "set-limits", &id]] {
        let set = |words: &[&str]| home.run(&[&subject[..], words].concat());
        for (number, bounds) in [
            (["--per-minute", "1000000001"], "from 0 to 1000000000"),
            (["--burst", "0"], "from 1 to 1000000"),
            (["--per-day", "-1"], "from 0 to 1000000000000"),
            (["--per-day", "x"], "from 0 to 1000000000000"),
            (["--in-flight", "1e3"], "from 0 to 10000000"),
        ] {
            let wrong = set(&number);
            let said = format!(
                "invalid value '{}' for '{} <N>': write a whole number {bounds}",
                number[1], number[0]
            );
            assert!(wrong.stderr.contains(&said), "{wrong:?}");
            wrong.exited(2);
        }
        for words in [&[][..], &["--json"], &["--none", "--per-day", "1"]] {
            set(words).exited(2);
        }
        let nothing = set(&[]);
        assert!(nothing.stderr.contains("--per-minute") && nothing.stderr.contains("--none"), "{nothing:?}");
        let alone = set(&["--burst", "5"]);
        assert!(alone.stderr.contains("--burst has no effect now"), "{alone:?}");
        alone.exited(0);
        let with_a_minute = set(&["--per-minute", "9", "--burst", "5"]);
        assert_eq!(with_a_minute.stderr, "");
        with_a_minute.exited(0);
    }
    // Its plan says how many a minute.
    home.run(&["accounts", "set-plan", EMAIL, "pro"]).exited(0);
    assert_eq!(home.run(&["accounts", "set-limits", EMAIL, "--burst", "5"]).stderr, "");
    home.run(&["accounts", "set-limits", "b@example.com", "--none"]).refused(1, "there is no such account");
    home.run(&["keys", "set-limits", &secret, "--none"]).refused(1, "this is a key's secret, not its id");
    home.run(&["keys", "revoke", &id]).exited(0);
    let dead = home.run(&["keys", "set-limits", &id, "--per-day", "1"]);
    assert!(dead.stderr.contains("the key is revoked or expired"), "{dead:?}");
    dead.exited(1);
}

#[tokio::test]
async fn explain_tells_who_says_so() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let limits = "{ account: { per_minute: 1, in_flight: 2 }, plans: { pro: { per_minute: 3, smooth: { burst: 2 } } } }";
    let home = Home::new(&configured(&upstream, limits));
    home.account(EMAIL);
    let (id, key) = home.key(EMAIL, &[]);
    home.run(&["accounts", "set-plan", EMAIL, "pro"]).exited(0);
    home.run(&["accounts", "set-limits", EMAIL, "--per-day", "4"]).exited(0);
    home.run(&["keys", "set-limits", &id, "--per-day", "5", "--in-flight", "6"]).exited(0);
    let told = home.run_with_input(&["explain", "--url", "http://a/x"], &key).exited(0);
    let lines = [
        "minute: 3 a minute at an even pace, 2 of them at once (plan pro)",
        "day: 4 a day (the account's own)",
        "in_flight: 2 at once (limits.account)",
        "key_day: 5 a day (the key's own)",
        "key_in_flight: 6 at once (the key's own)",
    ];
    let limits = told.split("limits ").nth(1).unwrap().lines().map(str::trim).collect::<Vec<_>>();
    assert_eq!(limits[..lines.len()], lines, "{told}");
}

#[test]
fn explain_knows_what_is_keywards_own() {
    let home = Home::new("identity: { public_url: https://auth.test }\n");
    home.account(EMAIL);
    let (_, plain) = home.key(EMAIL, &[]);
    let explain = |path: &str, key: &str| {
        home.run_with_input(&["explain", "--url", &format!("https://auth.test{path}"), "--json"], key)
    };
    let refused = |path, key| -> serde_json::Value {
        let told: serde_json::Value = serde_json::from_str(&explain(path, key).exited(1)).unwrap();
        told["code"].clone()
    };
    assert_eq!(refused("/user/limits", ""), "missing_credentials");
    assert_eq!(refused("/user/limits", &plain), "insufficient_scope");
    assert_eq!(refused("/user/login", ""), "method_not_allowed");
    assert_eq!(refused("/other", &plain), "no_route");
    let told = explain("/.well-known/jwks.json", "").exited(0);
    assert!(told.contains("Keyward's own"), "{told}");
}
