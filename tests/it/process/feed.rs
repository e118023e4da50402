//! What a command changes beside a running server holds there with the server's next look at the change feed, which it
//! takes four times a second.

use keyward::auth::refusal::Code;
use keyward::clock::Clock;

use super::{Bed, EMAIL};
use crate::support::http::Client;
use crate::support::keys::import_line;
use crate::support::raw::Response;
use crate::support::within;

/// Waits until the server has read the feed since now. No request before it waits for anything, and none after it may
/// see what was before.
async fn until_the_feed_was_read(bed: &Bed) {
    let clock = Clock::system();
    let now = clock.tick();
    within("a look at the feed", async {
        loop {
            let since = clock.tick().since(now);
            let age = bed.metrics().await.get("keyward_feed_age_seconds");
            if age < since.as_secs_f64() {
                return;
            }
        }
    })
    .await;
}

async fn after_the_next_look(bed: &Bed, client: &mut Client) -> Response {
    until_the_feed_was_read(bed).await;
    client.get("/").await
}

#[tokio::test]
async fn one_look_at_the_feed_is_enough_for_every_change() {
    let bed = Bed::new().await;
    let _serving = bed.home.serve().await;
    let (id, key) = bed.key();
    let mut client = bed.client(&key);
    let echoed = client.get("/").await;
    assert_eq!(echoed.status, 200, "a key made beside the server was not found: {}", echoed.text());

    bed.home.run(&["accounts", "disable", EMAIL]).exited(0);
    after_the_next_look(&bed, &mut client).await.refused(Code::RevokedCredentials);
    bed.home.run(&["accounts", "enable", EMAIL]).exited(0);
    assert_eq!(after_the_next_look(&bed, &mut client).await.status, 200);
    bed.home.run(&["keys", "revoke", &id]).exited(0);
    after_the_next_look(&bed, &mut client).await.refused(Code::RevokedCredentials);
    assert_eq!(client.connections, 1);
}

#[tokio::test]
async fn keys_that_are_imported_beside_the_server_pass_after_its_next_look() {
    let bed = Bed::new().await;
    let _serving = bed.home.serve().await;
    let secret = "acme-live-0123456789";
    let mut client = bed.client(secret);
    client.get("/").await.refused(Code::InvalidCredentials);
    let line = import_line(secret, EMAIL, ("acme-", None), Clock::system().now());
    bed.home.run_with_input(&["keys", "import"], &line).exited(0);
    let answer = after_the_next_look(&bed, &mut client).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let keys = bed.home.run(&["keys", "list", "--json"]).json();
    let id = keys["items"][0]["id"].as_str().unwrap();

    let explain = |key: &str| {
        let words = ["explain", "--url", "http://api.example.com/", "--json"];
        bed.home.run_with_input(&words, key)
    };
    let told = explain(secret).json();
    assert_eq!((&told["verdict"], &told["credential"]), (&"passes".into(), &id.into()), "{told}");
    let steps = told["steps"].to_string();
    assert!(steps.contains("one, with the form of an imported API key"), "{steps}");
    let told = explain("acmf-live-0123456789").exited(1);
    assert!(told.contains("one, which by its form or checksum cannot be valid"), "{told}");

    bed.home.run(&["keys", "revoke", id]).exited(0);
    after_the_next_look(&bed, &mut client).await.refused(Code::RevokedCredentials);
}

#[tokio::test]
async fn keys_that_were_imported_before_the_start_pass() {
    let bed = Bed::new().await;
    let secret = "acme-live-0123456789";
    let line = import_line(secret, EMAIL, ("acme-", None), Clock::system().now());
    bed.home.run_with_input(&["keys", "import"], &line).exited(0);
    let _serving = bed.home.serve().await;
    assert_eq!(bed.client(secret).get("/").await.status, 200);
    bed.client("acmf-live-0123456789").get("/").await.refused(Code::InvalidCredentials);
}
