//! The binary as an operator uses it: commands, exit codes, signals.

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
        // `/readyz` says so first; what is answered once nobody new is let in says that the connection ends.
        within("the end of listening", async {
            while tokio::net::TcpStream::connect(home.public()).await.is_ok() {}
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
    home.run_with_input(&words, &key).exited(0);
    home.run_with_input(&words, "junk").exited(1);
}
