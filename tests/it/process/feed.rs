//! What a command changes beside a running server holds there with the server's next look at the change feed, which it
//! takes four times a second.

use keyward::auth::refusal::Code;
use keyward::clock::Clock;

use super::{Bed, EMAIL};
use crate::support::http::Client;
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
