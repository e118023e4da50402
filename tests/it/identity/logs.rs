//! What is written of identity requests: who asked, what came of it, and nobody's secret.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::console::{FORM, field, written};
use super::{ANN, PASSWORD};
use crate::support::binary::Home;
use crate::support::http::Client;
use crate::support::raw::Response;
use crate::support::upstream::{Answer, Upstream};

const SITE: &str = "http://127.0.0.1:8080";
const WRONG: &str = "WrongCanaryPassword";
const NEXT: &str = "NextCanaryPassword";

struct Scene {
    home: Home,
    account: String,
}

impl Scene {
    async fn ask(&self, method: &str, path: &str, credential: &str, body: Option<Value>) -> Response {
        let mut client = Client::new(self.home.public());
        let mut request = client.request(method, path);
        if !credential.is_empty() {
            request = request.header("Authorization", &format!("Bearer {credential}"));
        }
        match body {
            Some(body) => {
                request.header("Content-Type", "application/json").body(body.to_string()).send().await
            }
            None => request.send().await,
        }
    }

    async fn form(&self, page: &str, cookies: &str, fields: &[(&str, &str)]) -> Response {
        let mut client = Client::new(self.home.public());
        let request = client.request("POST", page).header("Origin", SITE).header("Content-Type", FORM);
        request.header("Cookie", cookies).body(written(fields)).send().await
    }

    async fn page(&self, page: &str, cookies: &str) -> Response {
        Client::new(self.home.public()).request("GET", page).header("Cookie", cookies).send().await
    }
}

fn text(response: &Response, name: &str) -> String {
    response.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {response:?}")).to_owned()
}

#[tokio::test]
async fn a_line_says_who_asked_and_no_line_says_a_secret() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = Home::new(&format!(
        "identity: {{ public_url: \"{SITE}\" }}\nlog: {{ level: trace, access: access.log }}\n\
         upstreams: [{{ name: api, endpoints: [{{ url: \"{}\" }}] }}]\n\
         routes: [{{ name: all, match: {{ path_prefix: / }}, upstream: api }}]\n",
        upstream.url()
    ));
    let made =
        home.run_with_input(&["accounts", "create", "--email", ANN, "--password-stdin", "--json"], PASSWORD);
    let account = made.json()["id"].as_str().unwrap().to_owned();
    let (plain_id, plain) = home.key(ANN, &[]);
    let link = home.run(&["accounts", "reset-link", ANN]).exited(0);
    let link = link.split_once("token=").unwrap().1.split_whitespace().next().unwrap().to_owned();
    let serving = home.serve().await;
    let scene = Scene { home, account };
    let mut expected: Vec<(&str, &str, u16, Value, Value, Value)> = Vec::new();

    let login = |password: &str| Some(json!({"email": ANN, "password": password}));
    let pair = scene.ask("POST", "/user/login", "", login(PASSWORD)).await;
    scene.ask("POST", "/user/login", "", login(WRONG)).await;
    let (access, refresh) = (text(&pair, "access_token"), text(&pair, "refresh_token"));
    let session = scene.home.run(&["sessions", "list", "--json"]).json()["items"][0]["id"].clone();
    let made = scene.ask("POST", "/user/api-keys", &access, Some(json!({"name": "x"}))).await;
    let key = text(&made, "key");
    scene.ask("POST", "/user/token/validate", &key, None).await;
    scene.ask("POST", "/user/token/validate", "", Some(json!({"token": access}))).await;
    scene.ask("GET", "/user/api-keys", &plain, None).await;
    scene.ask("DELETE", "/user/api-keys/none", &access, None).await;
    scene.ask("PUT", "/user/logout", &access, None).await;
    let next = scene.ask("POST", "/user/token/refresh", "", Some(json!({"refresh_token": refresh}))).await;
    let successor = text(&next, "refresh_token");
    let entered = scene.form("/console/login", "", &[("email", ANN), ("password", PASSWORD)]).await;
    let cookies: Vec<String> =
        entered.all("set-cookie").iter().map(|cookie| cookie.split(';').next().unwrap().to_owned()).collect();
    let cookie = cookies.join("; ");
    let keys = scene.page("/console/keys", &cookie).await;
    let form = field(&keys, "form");
    let shown = scene.form("/console/keys", &cookie, &[("form", &form), ("name", "y")]).await;
    let second =
        shown.text().split("readonly value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    scene.form("/console/password", &cookie, &[("form", &form), ("old", WRONG), ("new", NEXT)]).await;
    scene.form("/console/password", &cookie, &[("old", WRONG), ("new", NEXT)]).await;
    scene.page(&format!("/console/reset?token={link}"), "").await;
    scene.form("/console/reset", "", &[("token", &link), ("new", NEXT)]).await;
    scene.ask("POST", "/user/logout", &access, None).await;

    let console = |id: &Value| id.clone();
    let (ann, nobody) = (json!(scene.account), Value::Null);
    let made_id = made.json()["id"].clone();
    let any = json!("*");
    for line in [
        ("POST", "/user/login", 200, ann.clone(), session.clone(), Value::Null),
        ("POST", "/user/login", 401, nobody.clone(), nobody.clone(), json!("invalid_login")),
        ("POST", "/user/api-keys", 201, ann.clone(), session.clone(), Value::Null),
        ("POST", "/user/token/validate", 200, ann.clone(), made_id, Value::Null),
        ("POST", "/user/token/validate", 200, ann.clone(), session.clone(), Value::Null),
        ("GET", "/user/api-keys", 403, ann.clone(), json!(plain_id), json!("insufficient_scope")),
        ("DELETE", "/user/api-keys/none", 404, ann.clone(), session.clone(), json!("not_found")),
        ("PUT", "/user/logout", 405, nobody.clone(), nobody.clone(), json!("method_not_allowed")),
        ("POST", "/user/token/refresh", 200, ann.clone(), session.clone(), Value::Null),
        ("POST", "/console/login", 303, nobody.clone(), nobody.clone(), Value::Null),
        ("GET", "/console/keys", 200, ann.clone(), console(&any), Value::Null),
        ("POST", "/console/keys", 200, ann.clone(), console(&any), Value::Null),
        ("POST", "/console/password", 422, ann.clone(), console(&any), Value::Null),
        ("POST", "/console/password", 403, ann.clone(), console(&any), json!("bad_request")),
        ("GET", "/console/reset", 200, nobody.clone(), nobody.clone(), Value::Null),
        ("POST", "/console/reset", 303, nobody.clone(), nobody.clone(), Value::Null),
        ("POST", "/user/logout", 401, ann, session, json!("revoked_credentials")),
    ] {
        expected.push(line);
    }

    let metrics = Client::new(scene.home.admin());
    let metrics = counted(metrics, expected.len() as u64).await;
    let (status, output) = serving.stop().await;
    assert_eq!(status.code(), Some(0), "{output}");
    let log = std::fs::read_to_string(scene.home.path().join("access.log")).unwrap();
    let mut lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), expected.len(), "{log}");
    let mut codes = BTreeMap::<String, u64>::new();
    let mut console_session = None;
    for (method, path, status, account, credential, code) in &expected {
        // Each worker writes its own lines in order.
        let is_it = |line: &Value| {
            let told = (&line["method"], &line["path"], &line["status"], &line["account"], &line["code"]);
            told == (&json!(method), &json!(path), &json!(status), account, code)
                && (*credential == any || line["credential"] == *credential)
        };
        let found = lines.iter().position(is_it);
        let line =
            &lines.remove(found.unwrap_or_else(|| panic!("no {method} {path} {status} in {lines:#?}")));
        assert_eq!(
            (&line["door"], &line["route"], &line["upstream_ms"]),
            (&json!("identity"), &Value::Null, &Value::Null)
        );
        if *credential == any {
            let session = console_session.get_or_insert_with(|| line["credential"].clone());
            assert_eq!(&line["credential"], session, "{line}");
            assert!(cookie.contains(session.as_str().unwrap()), "{line}");
        }
        *codes.entry(line["code"].as_str().unwrap_or("allowed").to_owned()).or_default() += 1;
    }
    for (code, count) in codes {
        let series =
            format!("keyward_decisions_total{{door=\"identity\",outcome=\"{code}\",route=\"\"}} {count}\n");
        assert!(metrics.contains(&series), "no {series} in {metrics}");
    }
    // A line tells whom they aimed at, and the metrics how many there were.
    let failed = output.lines().find(|line| line.contains("logins failed")).expect("they are told");
    assert!(failed.contains(&scene.account) && !failed.contains(ANN), "{failed}");
    for (outcome, count) in [("ok", 2), ("wrong", 1), ("delayed", 0)] {
        let series = format!("keyward_logins_total{{outcome=\"{outcome}\"}} {count}\n");
        assert!(metrics.contains(&series), "no {series} in {metrics}");
    }
    let seals = cookies.iter().map(|cookie| cookie.rsplit_once('.').unwrap().1.to_owned());
    let secrets = [PASSWORD, WRONG, NEXT, &plain, &link, &access, &refresh, &successor, &key, &second, &form];
    let signature = access.rsplit_once('.').unwrap().1.to_owned();
    let secrets: Vec<String> =
        secrets.into_iter().map(str::to_owned).chain(seals).chain([signature]).collect();
    for (name, text) in [("the log", &output), ("the access log", &log), ("the metrics", &metrics)] {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{name} tells {secret}");
            assert!(!text.contains(&written(&[("", secret)])[1..]), "{name} tells {secret}");
        }
    }
}

/// The metrics once so many requests are counted.
async fn counted(mut admin: Client, requests: u64) -> String {
    loop {
        let metrics = admin.get("/metrics").await.text().to_owned();
        let counts =
            metrics.lines().filter(|line| line.starts_with("keyward_decisions_total{door=\"identity\""));
        let counts = counts.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap());
        if counts.sum::<u64>() == requests {
            return metrics;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_first_lines_say_whether_cookies_travel_in_clear() {
    let words = "the console's cookies are not marked Secure";
    for (identity, told) in [
        ("public_url: \"http://127.0.0.1:8080\"", true),
        ("public_url: \"http://127.0.0.1:8080\", console: false", false),
        ("public_url: \"https://auth.example.com\"", false),
    ] {
        let home = Home::new(&format!("identity: {{ {identity} }}\n"));
        let (_, output) = home.serve().await.stop().await;
        assert_eq!(output.contains(words), told, "{identity}: {output}");
    }
}
