//! The binary as an operator uses it: commands, exit codes, signals.

mod identity;
mod routes;

use std::net::SocketAddr;

use keyward::auth::refusal::Code;

use crate::support::binary::Home;
use crate::support::http::Client;
use crate::support::upstream::{Answer, Gate, Upstream};
use crate::support::within;

const EMAIL: &str = "a@example.com";

fn one_route(upstream: &Upstream) -> String {
    format!(
        "upstreams: [{{ name: api, endpoints: [{{ url: \"{}\" }}] }}]\n\
         routes: [{{ name: all, match: {{ path_prefix: / }}, upstream: api }}]\n",
        upstream.url()
    )
}

#[tokio::test]
async fn a_key_made_by_a_command_opens_the_server_until_it_is_revoked() {
    let upstream = Upstream::echo().await;
    let home = Home::new(&one_route(&upstream));
    home.account(EMAIL);
    let (id, key) = home.key(EMAIL, &["--expires-in", "1h"]);
    assert!(home.database().exists());
    let serving = home.serve().await;
    let mut client = Client::new(home.public()).with_key(&key);
    let response = client.get("/").await;
    assert_eq!((response.status, &response.json()["target"]), (200, &"/".into()));
    home.run(&["keys", "revoke", &id]).exited(0);
    within("the revocation", async { while client.get("/").await.status == 200 {} }).await;
    client.get("/").await.refused(Code::RevokedCredentials);
    let (status, output) = serving.stop().await;
    assert_eq!(status.code(), Some(0), "{output}");
    assert!(!output.contains(&key), "the key was written to a log");
}

#[tokio::test]
async fn sigterm_lets_requests_finish() {
    let gate = Gate::new();
    let upstream = Upstream::always(Answer::ok("late").after(&gate)).await;
    let home = Home::new(&one_route(&upstream));
    home.account(EMAIL);
    let (_, key) = home.key(EMAIL, &[]);
    let serving = home.serve().await;
    let mut client = Client::new(home.public()).with_key(&key);
    let request = client.get("/");
    let ending = async {
        upstream.until_requests(1).await;
        serving.signal("TERM");
        // Still there, and no longer ready.
        within("a 503 from /readyz", async {
            while Client::new(home.admin()).get("/readyz").await.status != 503 {}
        })
        .await;
        // Workers hear of it after that.
        within("closed listeners", async {
            while tokio::net::TcpStream::connect(home.public()).await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        gate.open();
        serving.ended().await
    };
    let (response, (status, output)) = tokio::join!(request, ending);
    assert_eq!((response.text(), response.header("connection")), ("late", Some("close")));
    assert_eq!(status.code(), Some(0), "{output}");
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let upstream = Upstream::echo().await;
    let home = Home::new(&one_route(&upstream));
    home.account(EMAIL);
    let (_, key) = home.key(EMAIL, &[]);
    let serving = home.serve().await;
    assert!(serving.id() > 0);
    serving.kill();
    let serving = home.serve().await;
    assert_eq!(Client::new(home.public()).with_key(&key).get("/").await.status, 200);
    let again = home.start(&["serve"]);
    let (status, output) = again.ended().await;
    assert_eq!(status.code(), Some(1), "the port is taken: {output}");
    assert!(output.contains(&home.public().to_string()), "{output}");
    serving.kill();
}

#[tokio::test]
async fn sighup_loads_the_file_again_and_keeps_the_old_when_it_is_wrong() {
    let upstream = Upstream::echo().await;
    let home = Home::new(&one_route(&upstream));
    let serving = home.serve().await;
    let mut client = Client::new(home.public());
    client.get("/").await.refused(Code::MissingCredentials);
    home.rewrite(&one_route(&upstream).replace("match:", "auth: public, match:"));
    serving.signal("HUP");
    within("the new route", async { while client.get("/").await.status != 200 {} }).await;
    assert_eq!(client.connections, 1, "the reload dropped a connection");
    home.rewrite("routes: nonsense\n");
    serving.signal("HUP");
    serving.until_output("routes").await;
    assert_eq!(client.get("/").await.status, 200);
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let home = Home::new("");
    home.run(&["--version"]).exited(0);
    home.run(&["no-such-command"]).exited(2);
    home.run(&["keys", "list"]).exited(3);
    assert!(!home.database().exists(), "a command that only reads made a store");
    home.write("wrong.yaml", "listeners: 7\nno_such: 1\n");
    let check = home.run(&["check", "--config", "wrong.yaml"]);
    assert!(check.stderr.contains("wrong.yaml") && check.stderr.contains("no_such"), "{}", check.stderr);
    check.exited(1);
    assert!(home.path().join("wrong.yaml").exists());
}

#[test]
fn explain_reads_the_credential_from_its_input() {
    let home = Home::new(
        "upstreams: [{ name: api, endpoints: [{ url: \"http://127.0.0.1:9\" }] }]\nroutes: [{ name: all, match: { path_prefix: / }, upstream: api }]\n",
    );
    home.account(EMAIL);
    let (_, key) = home.key(EMAIL, &[]);
    let words = ["explain", "--method", "GET", "--url", "http://a/x", "--json"];
    let long = home.run_with_input(&words, &key).exited(0);
    home.run_with_input(&words, "junk").exited(1);
    let (_, short) = home.key(EMAIL, &["--expires-in", "7d"]);
    let short = home.run_with_input(&words, &short).exited(0);
    assert!(short.contains("X-Credential-Expires") && !long.contains("X-Credential-Expires"), "{short}");
    let told = home.run_with_input(&["explain", "--method", "GET", "--url", "http://a/x#y"], &key);
    assert!(told.stderr.contains("leave it out"), "{}", told.stderr);
    told.exited(2);
}

#[test]
fn explain_judges_what_the_gateway_would() {
    let home = Home::new(
        "max: { body: 1KiB }\nupstreams: [{ name: api, endpoints: [{ url: \"http://127.0.0.1:9\" }] }]\nroutes: [{ name: all, match: { path_prefix: / }, upstream: api }]\n",
    );
    home.account(EMAIL);
    let (_, key) = home.key(EMAIL, &[]);
    let words = ["explain", "--method", "POST", "--url", "http://a/x", "--json", "--header"];
    let declared = |length: &str| {
        let words = [&words[..], &[length]].concat();
        home.run_with_input(&words, &format!("authorization: Bearer {key}\n"))
    };
    declared("Content-Length: 1024").exited(0);
    let large: serde_json::Value = serde_json::from_str(&declared("Content-Length: 1025").exited(1)).unwrap();
    assert_eq!(large["code"], Code::BodyTooLarge.as_str());
}

#[test]
fn explain_tells_limits_without_counting() {
    let home = Home::new(
        "limits: { account: { per_minute: 1, in_flight: 2 } }\nupstreams: [{ name: api, endpoints: [{ url: \"http://127.0.0.1:9\" }] }]\n\
         routes: [{ name: all, match: { path_prefix: / }, upstream: api, limits: { per_day: 30, cost: 1 } }, \
         { name: heavy, match: { path_prefix: /heavy }, upstream: api, limits: { cost: 5 } }]\n",
    );
    home.account(EMAIL);
    let (_, key) = home.key(EMAIL, &[]);
    for _ in 0..3 {
        let told =
            home.run_with_input(&["explain", "--method", "GET", "--url", "http://a/x"], &key).exited(0);
        for limit in [
            "minute: 1 a minute (limits.account)",
            "in_flight: 2 at once (limits.account)",
            "route_day: 30 a day (the route's)",
        ] {
            assert!(told.contains(limit), "{told}");
        }
    }
    let heavy =
        home.run_with_input(&["explain", "--method", "GET", "--url", "http://a/heavy"], &key).exited(1);
    assert!(heavy.contains("it counts as 5") && heavy.contains("rate_limited"), "{heavy}");
}

#[test]
fn explain_says_that_a_terminal_gives_no_key() {
    let home = Home::new("");
    home.account(EMAIL);
    let line = format!("{} explain --url http://a/x", crate::support::binary::BINARY);
    let command = home.command_under(&["script", "-qec", &line, "/dev/null"], &[]);
    let done = crate::support::binary::finish(command, "");
    assert!(done.stdout.contains("standard input is a terminal; pipe the key in"), "{done:?}");
}

#[test]
fn a_scope_that_an_account_cannot_have_comes_with_the_command_that_gives_it() {
    let home = Home::new("scopes: { a: { description: A, default: true }, b: { description: B } }\n");
    home.account(EMAIL);
    let create = ["keys", "create", "--account", EMAIL, "--name", "n", "--scopes", "a,b"];
    let refused = home.run(&create);
    assert!(refused.stderr.contains("keyward accounts set-scopes ACCOUNT a,b"), "{}", refused.stderr);
    refused.refused(1, "this account cannot have b");
    home.run(&["accounts", "set-scopes", EMAIL, "a,b"]).exited(0);
    home.run(&create).exited(0);
}

#[test]
fn a_secret_in_place_of_an_id_is_told_from_one() {
    let home = Home::new("");
    home.account(EMAIL);
    let (id, key) = home.key(EMAIL, &[]);
    for verb in ["show", "revoke"] {
        let refused = home.run(&["keys", verb, &key]);
        assert!(!refused.stderr.contains(&key), "the secret is repeated");
        let end = &key[key.len() - 4..];
        assert!(
            refused.stderr.contains(&format!("`keyward keys list` shows ids; the key that ends in {end}"))
        );
        refused.refused(1, "this is a key's secret, not its id");
    }
    assert_eq!(home.run(&["keys", "show", &id, "--json"]).json()["status"], "active");
}

#[tokio::test]
async fn the_first_line_says_what_starts_on_what() {
    let home = Home::new("");
    for opened in ["made new", "existed"] {
        let (_, output) = home.serve().await.stop().await;
        let first: serde_json::Value = serde_json::from_str(output.lines().next().unwrap()).unwrap();
        let found =
            ["message", "version", "config", "store", "opened"].map(|name| first[name].as_str().unwrap());
        let (config, store) = (home.path().join("keyward.yaml"), home.database());
        let expected = [
            "starting",
            env!("CARGO_PKG_VERSION"),
            config.to_str().unwrap(),
            store.to_str().unwrap(),
            opened,
        ];
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_live_key_of_dev_is_warned_of_with_the_command_that_ends_it() {
    let home = Home::new("");
    let dev = home.start(&["dev", "--port", "0"]);
    dev.until_output("Ctrl-C").await;
    assert!(!dev.output().contains("is valid here"), "{}", dev.output());
    dev.stop().await;
    home.write("keyward.yaml", &home.whole("").replace("data/keyward.db", "keyward-data/keyward.db"));
    let (_, output) = home.serve().await.stop().await;
    let revoke = output.split("keyward keys revoke ").nth(1).expect("the command");
    let id = revoke.split(['"', '\n']).next().unwrap();
    assert_eq!(output.matches("is valid here").count(), 1, "{output}");
    home.run(&["keys", "revoke", id]).exited(0);
    let (_, output) = home.serve().await.stop().await;
    assert!(!output.contains("is valid here"), "{output}");
}

#[tokio::test]
async fn what_waits_for_a_restart_is_told_by_every_reload_until_then() {
    let home = Home::new("");
    let serving = home.serve().await;
    home.rewrite("log: { access: \"off\" }\n");
    for _ in 0..2 {
        let reloaded = home.run(&["reload"]);
        assert!(reloaded.stderr.contains("log.access differs from what is running"), "{}", reloaded.stderr);
        reloaded.exited(0);
    }
    let (status, output) = serving.stop().await;
    assert_eq!(status.code(), Some(0), "{output}");
    assert!(
        !output.contains("the store does not answer"),
        "it complains of a store that it closed: {output}"
    );
}

#[test]
fn a_wrong_configuration_is_reported_under_one_line_that_counts() {
    let home = Home::new("");
    home.write("wrong.yaml", "listner: 1\nlog: { level: loud }\n");
    let check = home.run(&["check", "--config", "wrong.yaml"]);
    assert!(
        check.stderr.starts_with(
            "error: wrong.yaml has 2 problems\n\nerror: unknown key `listner` in this file\n --> wrong.yaml:1:1\n"
        ),
        "{}",
        check.stderr
    );
    check.exited(1);
    let reload = home.run(&["reload", "--config", "wrong.yaml"]);
    assert!(reload.stderr.contains("what it has stays in force"), "{}", reload.stderr);
    reload.exited(1);
}

/// A curl line that `dev` prints.
struct Pasted {
    server: SocketAddr,
    path: String,
    key: Option<String>,
}

fn pasted(output: &str) -> Vec<Pasted> {
    let read = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (server, path) = words.get(2)?.strip_prefix("http://")?.split_once('/')?;
        let key = words.last()?.trim_matches('\'');
        Some(Pasted {
            server: server.parse().ok()?,
            path: format!("/{path}"),
            key: key.starts_with("kw_sk_").then(|| key.to_owned()),
        })
    };
    output.lines().filter(|line| line.starts_with("curl ")).filter_map(read).collect()
}

impl Pasted {
    /// Status and code of what it gets from `server`.
    async fn ask(&self, server: SocketAddr) -> (u16, String) {
        let client = Client::new(server);
        let mut client = match &self.key {
            Some(key) => client.with_key(key),
            None => client,
        };
        let response = client.get(&self.path).await;
        (response.status, response.json()["code"].as_str().unwrap_or_default().to_owned())
    }
}

#[tokio::test]
async fn every_line_that_dev_prints_does_what_it_says_and_ends_with_the_next_start() {
    let home = Home::new("");
    std::fs::remove_file(home.path().join("keyward.yaml")).unwrap();
    let dev = home.start(&["dev", "--port", "0"]);
    dev.until_output("Ctrl-C").await;
    let lines = pasted(&dev.output());
    let mut told = Vec::new();
    for line in &lines {
        told.push(line.ask(line.server).await);
    }
    let refused = |code: Code| (code.status(), code.as_str().to_owned());
    let expected = [
        (200, String::new()),
        refused(Code::MissingCredentials),
        refused(Code::InvalidCredentials),
        refused(Code::ExpiredCredentials),
        refused(Code::InsufficientScope),
    ];
    assert_eq!(told, expected);
    let taken = home.run(&["dev", "--port", &lines[0].server.port().to_string()]);
    assert!(taken.stderr.contains("keyward dev --port"), "{}", taken.stderr);
    taken.exited(1);
    dev.signal("INT");
    let (status, output) = dev.ended().await;
    assert_eq!(status.code(), Some(0), "{output}");
    let again = home.start(&["dev", "--port", "0"]);
    again.until_output("Ctrl-C").await;
    let fresh = pasted(&again.output()).swap_remove(0);
    for old in [&lines[0], &lines[3]] {
        assert_eq!(old.ask(fresh.server).await, refused(Code::RevokedCredentials));
    }
    assert_eq!(fresh.ask(fresh.server).await.0, 200);
}

#[tokio::test]
async fn dev_ends_with_its_terminal() {
    let home = Home::new("");
    std::fs::remove_file(home.path().join("keyward.yaml")).unwrap();
    let dev = home.start(&["dev", "--port", "0"]);
    dev.until_output("Ctrl-C").await;
    dev.signal("HUP");
    let (status, output) = dev.ended().await;
    assert_eq!(status.code(), Some(0), "{output}");
}

#[test]
fn dev_says_what_it_cannot_use() {
    let home = Home::new("");
    let done = home.run(&["dev", "--upstream", "nonsense"]);
    assert_eq!(
        done.stderr,
        "error: --upstream: `nonsense` is not the URL of an endpoint: it has no scheme\n  write http://nonsense\n  \
         http:// or https://, a host and perhaps a port, such as http://127.0.0.1:9000 or https://backend:9443\n"
    );
    done.exited(1);
    home.run(&["dev", "--config", "keyward.yaml"]).exited(2);
}
