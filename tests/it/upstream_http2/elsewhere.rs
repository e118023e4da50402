//! What one endpoint says that it did not act upon (RFC 9113 §8.7) is sent to another.

use keyward::auth::refusal::Code;

use crate::proxy::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::h2_upstream::frames::{ENHANCE_YOUR_CALM, FrameUpstream, NO_ERROR, REFUSED_STREAM, Wire};

/// How an endpoint refuses whatever it gets.
#[derive(Clone, Copy, Debug)]
enum Refuses {
    Stream,
    /// It goes away, and names a stream before this one as its last.
    Goaway(u32),
}

async fn refusing(how: Refuses, after_body: bool) -> FrameUpstream {
    FrameUpstream::scripted(move |mut wire: Wire| async move {
        wire.hello(&[]).await;
        loop {
            let id = if after_body { wire.whole().await } else { wire.request().await };
            let Some(id) = id else { return };
            match how {
                Refuses::Stream => wire.reset(id, REFUSED_STREAM).await,
                Refuses::Goaway(code) => {
                    wire.goaway(0, code).await;
                    return wire.drain().await;
                }
            }
        }
    })
    .await
}

async fn serving() -> FrameUpstream {
    FrameUpstream::scripted(|mut wire: Wire| async move {
        wire.hello(&[]).await;
        while let Some(id) = wire.whole().await {
            wire.answer(id, "well").await;
        }
    })
    .await
}

async fn before(upstreams: [&FrameUpstream; 2], sharing: &str) -> Gateway {
    let urls = upstreams.map(FrameUpstream::url);
    let builder = Gateway::builder().http2("api", &urls.each_ref().map(String::as_str));
    builder.sharing(&format!("balance: round_robin{sharing}")).yaml(PUBLIC).start().await
}

const HOW: [Refuses; 3] = [Refuses::Stream, Refuses::Goaway(NO_ERROR), Refuses::Goaway(ENHANCE_YOUR_CALM)];

#[tokio::test]
async fn a_request_that_one_endpoint_refuses_is_sent_to_another_whatever_its_method() {
    for how in HOW {
        for method in ["GET", "POST", "PATCH"] {
            let (bad, good) = (refusing(how, false).await, serving().await);
            let gateway = before([&bad, &good], "").await;
            let mut client = gateway.anonymous();
            for _ in 0..2 {
                let answer = client.request(method, "/").body("").send().await;
                assert_eq!(answer.text(), "well", "{method} {how:?}");
            }
            assert_eq!((bad.requests(), good.requests()), (3, 2), "{method} {how:?}: three times the first");
        }
    }
}

#[tokio::test]
async fn what_its_endpoint_refuses_stays_there_where_nothing_may_be_sent_elsewhere() {
    for how in HOW {
        let (bad, good) = (refusing(how, false).await, serving().await);
        let gateway = before([&bad, &good], ", retries: { attempts: 0 }").await;
        gateway.anonymous().get("/").await.refused(Code::UpstreamUnreachable);
        assert_eq!((bad.requests(), good.requests()), (3, 0), "{how:?}");
    }
}

#[tokio::test]
async fn a_request_whose_body_was_taken_is_not_sent_elsewhere() {
    for how in HOW {
        let (bad, good) = (refusing(how, true).await, serving().await);
        let gateway = before([&bad, &good], "").await;
        gateway.anonymous().post("/", "body").await.refused(Code::UpstreamUnreachable);
        assert_eq!((bad.requests(), good.requests()), (1, 0), "{how:?}");
    }
}
