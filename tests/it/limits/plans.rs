//! Accounts with plans: whose limits hold, from when on, and what becomes of what was counted.

use keyward::auth::refusal::Code;
use keyward::issuer::Issuer;

use super::{PUBLIC_TOO, Scene};
use crate::support::binary::Home;
use crate::support::http::Client;
use crate::support::keys::{access_token, origin, session};
use crate::support::upstream::{Answer, Upstream};
use crate::support::within;

pub const EMAIL: &str = "a@example.com";
const PLANS: &str = "{ account: { per_minute: 2 }, plans: { pro: { per_minute: 4 } } }";

pub async fn statuses<const N: usize>(client: &mut Client) -> [u16; N] {
    let mut statuses = [0; N];
    for status in &mut statuses {
        *status = client.get("/").await.status;
    }
    statuses
}

async fn set_plan(issuer: &Issuer, account: &str, plan: Option<&str>) {
    issuer.set_plan(account, plan, &origin()).await.expect("the plan is set");
}

#[tokio::test]
async fn a_plan_holds_from_the_next_request_on_and_what_was_counted_stays_counted() {
    let scene = Scene::new(PLANS).await;
    let (issuer, account) = (scene.gateway.issuer(), scene.gateway.account().await);
    // A connection to each of the workers, and a key of the account for each.
    let mut clients = [scene.gateway.client().await, scene.gateway.client().await];
    assert_eq!(statuses(&mut clients[0]).await, [200, 200, 429]);
    assert_eq!(statuses(&mut clients[1]).await, [429]);
    set_plan(&issuer, account, Some("pro")).await;
    assert_eq!(statuses(&mut clients[0]).await, [200]);
    assert_eq!(statuses(&mut clients[1]).await, [200, 429]);
    set_plan(&issuer, account, None).await;
    for client in &mut clients {
        let detail = client.get("/").await.refused(Code::RateLimited);
        assert!(detail.contains("may make 2 a minute"), "{detail}");
    }
    assert_eq!(scene.upstream.requests().len(), 4);
}

#[tokio::test]
async fn an_access_token_has_the_limits_of_its_accounts_plan() {
    let scene = Scene::new(&format!("{PLANS}\nidentity: {{ public_url: https://auth.test }}")).await;
    let session = session(&scene.gateway, super::START).await;
    let token = access_token(&scene.gateway, &session, "", super::START);
    let mut client = scene.gateway.anonymous().with_key(&token);
    assert_eq!(statuses(&mut client).await, [200, 200, 429]);
    set_plan(&scene.gateway.issuer(), &session.account_id, Some("pro")).await;
    assert_eq!(statuses(&mut client).await, [200, 200, 429]);
}

#[tokio::test]
async fn a_reload_changes_a_plan_and_forgets_nothing() {
    let mut scene = Scene::new(PLANS).await;
    let account = scene.gateway.account().await.to_owned();
    set_plan(&scene.gateway.issuer(), &account, Some("pro")).await;
    let mut client = scene.gateway.client().await;
    assert_eq!(statuses(&mut client).await, [200, 200, 200, 200, 429]);
    let wider = "{ account: { per_minute: 2 }, plans: { pro: { per_minute: 6 } } }";
    scene.gateway.reload(|builder| builder.yaml(&format!("limits: {wider}\n{PUBLIC_TOO}"))).await;
    assert_eq!(statuses(&mut client).await, [200, 200, 429]);
    // Without the plan it is an account like any other.
    let gone = "{ account: { per_minute: 7 } }";
    scene.gateway.reload(|builder| builder.yaml(&format!("limits: {gone}\n{PUBLIC_TOO}"))).await;
    assert_eq!(statuses(&mut client).await, [200, 429]);
}

/// A home whose routes lead to `upstream`, with these limits.
pub fn configured(upstream: &Upstream, limits: &str) -> String {
    let url = upstream.url();
    format!(
        "cache: {{ ttl: 1h }}\nlimits: {limits}\nupstreams: [{{ name: api, endpoints: [{{ url: \"{url}\" }}] }}]\n\
         routes: [{{ name: all, match: {{ path_prefix: / }}, upstream: api }}]\n"
    )
}

#[tokio::test]
async fn a_command_beside_the_server_sets_and_takes_a_plan() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let limits = "{ account: { per_day: 1 }, plans: { pro: { per_day: 0 } } }";
    let home = Home::new(&configured(&upstream, limits));
    home.account(EMAIL);
    let (_, key) = home.key(EMAIL, &[]);
    let _serving = home.serve().await;
    let mut client = Client::new(home.public()).with_key(&key);
    assert_eq!(statuses(&mut client).await, [200, 429]);
    for (choice, status) in [("pro", 200), ("--none", 429)] {
        home.run(&["accounts", "set-plan", EMAIL, choice]).exited(0);
        let seen = async { while client.get("/").await.status != status {} };
        within(&format!("a {status}"), seen).await;
    }
}

#[tokio::test]
async fn a_plan_that_is_gone_is_told_of_once_and_leaves_the_limits_of_accounts_without_one() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = Home::new(&configured(&upstream, "{ plans: { pro: { per_day: 9 } } }"));
    home.account(EMAIL);
    home.run(&["accounts", "set-plan", EMAIL, "pro"]).exited(0);
    let keys = [home.key(EMAIL, &[]).1, home.key(EMAIL, &[]).1];
    home.rewrite(&configured(&upstream, "{ account: { per_day: 3 }, plans: { free: { per_day: 9 } } }"));
    let shown = home.run(&["accounts", "show", EMAIL]).exited(0);
    assert!(
        shown.contains("plan        pro, which `limits.plans` does not have; `limits.account` holds\n"),
        "{shown}"
    );
    let serving = home.serve().await;
    for (key, expected) in keys.iter().zip([[200, 200], [200, 429]]) {
        assert_eq!(statuses(&mut Client::new(home.public()).with_key(key)).await, expected);
    }
    let (_, output) = serving.stop().await;
    let told = output.lines().filter(|line| line.contains("`limits.plans`")).collect::<Vec<_>>();
    assert!(matches!(told[..], [line] if line.contains("pro")), "{output}");
}

#[test]
fn the_command_names_the_plans_that_there_are() {
    let home = Home::new("limits: { plans: { free: { per_day: 9 }, pro: { per_day: 99 } } }\n");
    home.account(EMAIL);
    let set = |choice| home.run(&["accounts", "set-plan", EMAIL, choice, "--json"]);
    set("gold").refused(1, "there is no plan \"gold\"; there are free, pro");
    assert_eq!(set("pro").json()["plan"], "pro");
    assert!(home.run(&["accounts", "show", EMAIL]).exited(0).contains("plan        pro\n"));
    let list = home.run(&["accounts", "list"]).exited(0);
    let words: Vec<_> = list.lines().map(|line| line.split_whitespace().nth(3)).collect();
    assert_eq!(words, [Some("PLAN"), Some("pro")], "{list}");
    assert!(set("--none").json()["plan"].is_null());
    home.run(&["accounts", "set-plan", EMAIL]).exited(2);
    home.run(&["accounts", "set-plan", "b@example.com", "pro"]).refused(1, "there is no such account");
}
