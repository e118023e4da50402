//! How requests of a route are sent again, where it says something of its own.

use keyward::auth::refusal::Code;
use keyward::clock::{Clock, Timestamp};

use crate::support::gateway::Gateway;
use crate::support::upstream::{Answer, Upstream};

/// A route `/` that says nothing of its own, and one that does.
async fn before(upstreams: [&Upstream; 2], sharing: &str, own: &str) -> Gateway {
    let urls = upstreams.map(Upstream::url);
    let routes = format!(
        "routes:
  - {{ name: all, match: {{ path_prefix: / }}, auth: public, upstream: api }}
  - {{ name: own, match: {{ path_prefix: /own }}, auth: public, upstream: api, retries: {own} }}
"
    );
    let builder = Gateway::builder().endpoints("api", &urls.each_ref().map(String::as_str));
    // The clock stands, so that the few that are always allowed are ten.
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let sharing = format!("balance: round_robin, ejection: {{ failures: 0 }}{sharing}");
    builder.sharing(&sharing).clock(&clock).yaml(&routes).start().await
}

#[tokio::test]
async fn a_route_sends_again_as_often_as_it_says_and_the_others_as_their_upstream_says() {
    for (sharing, own, again, once) in
        [(", retries: { attempts: 0 }", "{ attempts: 1 }", "/own", "/"), ("", "{ attempts: 0 }", "/", "/own")]
    {
        let (bad, good) = (Upstream::always(Answer::reset()).await, Upstream::echo().await);
        let gateway = before([&bad, &good], sharing, own).await;
        // In turn: to the one that fails, to the other one, to the one that fails.
        for target in [again, once, once] {
            let mut client = gateway.anonymous();
            let asked = (bad.requests().len(), good.requests().len());
            let answer = client.get(target).await;
            match bad.requests().len() - asked.0 {
                1 if target == again => {
                    assert_eq!((answer.status, good.requests().len()), (200, asked.1 + 1));
                }
                1 => drop(answer.refused(Code::UpstreamProtocolError)),
                _ => assert_eq!(answer.status, 200),
            }
        }
        assert_eq!(bad.requests().len(), 2, "{sharing} {own}");
    }
}

#[tokio::test]
async fn a_route_pays_for_its_own_retries_and_for_no_others() {
    let (one, other) = (Upstream::always(Answer::reset()).await, Upstream::always(Answer::reset()).await);
    let gateway = before([&one, &other], ", retries: { budget: 50 }", "{ budget: 0 }").await;
    let mut client = gateway.anonymous();
    let mut asked = 0;
    for (target, retries) in [("/own", 10), ("/", 60), ("/own", 0)] {
        for _ in 0..100 {
            client.get(target).await.refused(Code::UpstreamProtocolError);
        }
        let now = one.requests().len() + other.requests().len();
        assert_eq!(now - asked, 100 + retries, "{target}");
        asked = now;
    }
}
