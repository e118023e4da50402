//! Streams that are reset, connections that go away or are lost: at every stage of a request.

use std::sync::Arc;

use h2::Reason;
use keyward::auth::refusal::Code;

use super::before;
use crate::support::frame::{DATA, END_HEADERS, HEADERS, frame, reset};
use crate::support::gateway::Gateway;
use crate::support::h2_upstream::H2Upstream;
use crate::support::h2_upstream::frames::{
    CANCEL, END_STREAM, ENHANCE_YOUR_CALM, FrameUpstream, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR,
    REFUSED_STREAM, RST_STREAM, Wire, block,
};
use crate::support::http::Client;
use crate::support::raw::{Broken, Response};
use crate::support::upstream::Gate;

/// Serves the n-th connection's requests well, but the one for which `faulty` is told its connection and its number on it.
async fn but<F>(faulty: impl Fn(usize, usize, Wire, u32) -> F + Send + Sync + 'static) -> FrameUpstream
where
    F: Future<Output = Option<Wire>> + Send + 'static,
{
    let faulty = Arc::new(faulty);
    FrameUpstream::scripted(move |mut wire: Wire| {
        let faulty = faulty.clone();
        async move {
            wire.hello(&[]).await;
            let mut count = 0;
            while let Some(id) = wire.request().await {
                let Some(next) = faulty(wire.number, count, wire, id).await else { return };
                wire = next;
                count += 1;
            }
        }
    })
    .await
}

async fn well(mut wire: Wire, id: u32) -> Option<Wire> {
    wire.answer(id, &format!("well on {}", wire.number)).await;
    Some(wire)
}

/// Asks for what is well on the first connection.
async fn warmed(upstream: &FrameUpstream) -> (Gateway, Client) {
    let gateway = before(&upstream.url()).await;
    let mut client = gateway.anonymous();
    assert_eq!(client.get("/").await.text(), "well on 0");
    (gateway, client)
}

async fn try_get(client: &mut Client) -> Result<Response, Broken> {
    client.request("GET", "/").try_send().await
}

#[tokio::test]
async fn a_reset_before_the_answer_is_a_502() {
    for code in [NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, CANCEL, ENHANCE_YOUR_CALM, 0xd, 0xffff_ffff] {
        for interim in [false, true] {
            let upstream = but(move |_, count, mut wire, id| async move {
                if count != 1 {
                    return well(wire, id).await;
                }
                if interim {
                    wire.headers(id, 0, &[(":status", "103")]).await;
                }
                wire.reset(id, code).await;
                Some(wire)
            })
            .await;
            let (_gateway, mut client) = warmed(&upstream).await;
            client.get("/").await.refused(Code::UpstreamProtocolError);
            assert_eq!(client.get("/").await.text(), "well on 0", "only the stream is lost");
            assert_eq!(upstream.requests(), 3, "{code}: it is not asked again");
        }
    }
}

#[tokio::test]
async fn a_reset_after_the_answer_began_cuts_the_client_off() {
    for code in [NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, CANCEL, REFUSED_STREAM] {
        for body in ["", "abc"] {
            let upstream = but(move |_, count, mut wire, id| async move {
                if count != 1 {
                    return well(wire, id).await;
                }
                wire.headers(id, 0, &[(":status", "200")]).await;
                wire.data(id, 0, body.as_bytes()).await;
                wire.reset(id, code).await;
                Some(wire)
            })
            .await;
            let (_gateway, mut client) = warmed(&upstream).await;
            let outcome = try_get(&mut client).await;
            assert!(outcome.is_err(), "{code}: {outcome:?}");
            assert_eq!(client.get("/").await.text(), "well on 0", "only the stream is lost");
            assert_eq!(upstream.requests(), 3, "{code}: it is not asked again");
        }
    }
}

#[tokio::test]
async fn a_reset_after_the_whole_answer_only_stops_the_request() {
    let upstream = but(|_, _, mut wire, id| async move {
        let head = frame(HEADERS, END_HEADERS, id, block(&[(":status", "200")]));
        let whole = [head, frame(DATA, END_STREAM, id, b"no need"), reset(id, NO_ERROR)];
        // In one piece, so that no answer is over before its reset has come.
        wire.raw(&whole.concat()).await;
        Some(wire)
    })
    .await;
    let gateway = before(&upstream.url()).await;
    for _ in 0..3 {
        let mut raw = gateway.raw().await;
        raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc").await;
        assert_eq!(raw.response().await.text(), "no need");
    }
    assert_eq!(upstream.connections(), 1);
    let taken_back = upstream.frames().iter().filter(|(_, frame)| frame.kind == RST_STREAM).count();
    assert_eq!(taken_back, 0, "the streams were closed already");
}

/// Whether the endpoint says so or not, nobody needs the rest of the body.
#[tokio::test]
async fn an_answer_that_is_whole_before_its_request_ends_the_upload() {
    let upstream = H2Upstream::serving(async |mut stream| {
        drop(stream.head(204, &[], true));
        stream.read().await;
    })
    .await;
    let gateway = before(&upstream.url()).await;
    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc").await;
    let answer = raw.response().await;
    assert_eq!((answer.status, answer.header("connection")), (204, Some("close")));
    raw.ends().await;
    assert_eq!(upstream.taken_back(0).await, Reason::CANCEL);
}

#[tokio::test]
async fn what_was_refused_is_sent_again_whatever_its_method() {
    for method in ["GET", "POST", "PATCH"] {
        for refusals in [1, 2] {
            let upstream = but(move |_, count, mut wire, id| async move {
                if (1..=refusals).contains(&count) {
                    wire.reset(id, REFUSED_STREAM).await;
                    return Some(wire);
                }
                well(wire, id).await
            })
            .await;
            let (_gateway, mut client) = warmed(&upstream).await;
            let response = client.request(method, "/").body("").send().await;
            assert_eq!(response.text(), "well on 0", "{method}");
            assert_eq!(upstream.requests(), 2 + refusals);
        }
    }
}

/// An endpoint that has said something has looked at the request, whatever it says then.
#[tokio::test]
async fn what_is_refused_after_an_interim_answer_is_not_sent_again() {
    let upstream = but(|_, _, mut wire, id| async move {
        wire.headers(id, 0, &[(":status", "103")]).await;
        wire.reset(id, REFUSED_STREAM).await;
        Some(wire)
    })
    .await;
    let gateway = before(&upstream.url()).await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamProtocolError);
    assert_eq!(upstream.requests(), 1);
}

#[tokio::test]
async fn what_is_always_refused_is_not_sent_for_ever() {
    let upstream = but(|_, _, mut wire, id| async move {
        wire.reset(id, REFUSED_STREAM).await;
        Some(wire)
    })
    .await;
    let gateway = before(&upstream.url()).await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamUnreachable);
    assert_eq!(upstream.requests(), 3);
}

#[tokio::test]
async fn a_refused_request_whose_body_was_taken_is_not_sent_again() {
    let upstream = FrameUpstream::scripted(|mut wire: Wire| async move {
        wire.hello(&[]).await;
        while let Some(id) = wire.whole().await {
            wire.reset(id, REFUSED_STREAM).await;
        }
    })
    .await;
    let gateway = before(&upstream.url()).await;
    gateway.anonymous().post("/", "body").await.refused(Code::UpstreamUnreachable);
    assert_eq!(upstream.requests(), 1);
}

#[tokio::test]
async fn a_connection_that_goes_away_finishes_what_it_took() {
    // The last stream that it names, and when it goes: before the answer, in its fields, in its body.
    for last in [3, 0x7fff_ffff] {
        for stage in 0..3 {
            let upstream = but(move |_, count, mut wire, id| async move {
                if count != 1 || wire.number > 0 {
                    return well(wire, id).await;
                }
                for now in 0..3 {
                    if now == stage {
                        wire.goaway(last, NO_ERROR).await;
                    }
                    match now {
                        0 => wire.headers(id, 0, &[(":status", "200")]).await,
                        1 => wire.data(id, 0, b"finished ").await,
                        _ => wire.data(id, END_STREAM, b"well").await,
                    }
                }
                Some(wire)
            })
            .await;
            let (_gateway, mut client) = warmed(&upstream).await;
            assert_eq!(client.get("/").await.text(), "finished well", "{last} at {stage}");
            assert_eq!(client.get("/").await.text(), "well on 1", "{last} at {stage}");
            assert_eq!(upstream.connections(), 2);
        }
    }
}

#[tokio::test]
async fn what_a_connection_that_goes_away_did_not_take_is_sent_on_another() {
    for method in ["GET", "POST", "DELETE"] {
        for code in [NO_ERROR, ENHANCE_YOUR_CALM] {
            let upstream = but(move |connection, count, mut wire, id| async move {
                if connection == 0 && count == 1 {
                    wire.goaway(1, code).await;
                    wire.drain().await;
                    return None;
                }
                well(wire, id).await
            })
            .await;
            let (_gateway, mut client) = warmed(&upstream).await;
            let response = client.request(method, "/").body("").send().await;
            assert_eq!(response.text(), "well on 1", "{method} {code}");
            assert_eq!(client.get("/").await.text(), "well on 1");
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_always_goes_away_is_not_asked_for_ever() {
    let upstream = but(|_, _, mut wire, _| async move {
        wire.goaway(0, NO_ERROR).await;
        wire.drain().await;
        None
    })
    .await;
    let gateway = before(&upstream.url()).await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamUnreachable);
    assert_eq!((upstream.requests(), upstream.connections()), (3, 3));
}

/// The second request's connection is lost; by FIN or RST, in the middle of a frame or between frames.
async fn losing(stage: usize, reset: bool) -> FrameUpstream {
    but(move |connection, count, mut wire, id| async move {
        if connection > 0 || count != 1 {
            return well(wire, id).await;
        }
        for now in 0..stage {
            match now {
                0 => wire.headers(id, 0, &[(":status", "200"), ("content-length", "9")]).await,
                1 => wire.data(id, 0, b"half").await,
                _ => wire.raw(&[0, 0, 9, 0, 0, 0]).await,
            }
        }
        if reset {
            wire.break_off();
        }
        None
    })
    .await
}

#[tokio::test]
async fn what_a_used_connection_lost_is_sent_again_if_that_is_harmless() {
    for reset in [false, true] {
        for method in ["GET", "HEAD", "OPTIONS"] {
            let upstream = losing(0, reset).await;
            let (_gateway, mut client) = warmed(&upstream).await;
            assert_eq!(client.request(method, "/").send().await.status, 200, "{method}");
            assert_eq!(upstream.requests(), 3);
        }
        for method in ["POST", "PATCH", "X-OWN"] {
            let upstream = losing(0, reset).await;
            let (_gateway, mut client) = warmed(&upstream).await;
            client.request(method, "/").body("").send().await.refused(Code::UpstreamProtocolError);
            assert_eq!(upstream.requests(), 2, "{method}");
            assert_eq!(client.get("/").await.text(), "well on 1");
        }
    }
}

#[tokio::test]
async fn what_a_new_connection_lost_is_not_sent_again() {
    let upstream = but(|_, _, _, _| async { None }).await;
    let gateway = before(&upstream.url()).await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamProtocolError);
    assert_eq!(upstream.requests(), 1);
}

#[tokio::test]
async fn an_answer_whose_connection_is_lost_breaks_off_for_the_client_too() {
    for reset in [false, true] {
        for stage in 1..=3 {
            let upstream = losing(stage, reset).await;
            let (_gateway, mut client) = warmed(&upstream).await;
            let outcome = try_get(&mut client).await;
            assert!(outcome.is_err(), "{outcome:?}");
            assert_eq!(upstream.requests(), 2, "it is not asked again");
            assert_eq!(client.get("/").await.text(), "well on 1");
        }
    }
}

#[tokio::test]
async fn an_answer_that_costs_the_connection_does_not_cost_the_requests_beside_it() {
    let both = Gate::new();
    let open = both.clone();
    let upstream = but(move |connection, count, mut wire, id| {
        let open = open.clone();
        async move {
            if connection > 0 || count == 0 {
                return well(wire, id).await;
            }
            if count == 2 {
                open.open();
                // No stream has this id: h2 takes the connection for broken.
                wire.data(id + 100, 0, b"?").await;
                wire.drain().await;
            }
            Some(wire)
        }
    })
    .await;
    let (gateway, mut client) = warmed(&upstream).await;
    let mut beside = gateway.anonymous();
    let beside = tokio::spawn(async move { beside.get("/").await });
    upstream
        .until("the request beside it", |frames| {
            (frames.iter().filter(|(_, frame)| frame.kind == 1).count() == 2).then_some(())
        })
        .await;
    let breaking = client.get("/").await;
    both.open();
    assert_eq!((breaking.text(), beside.await.unwrap().text()), ("well on 1", "well on 1"));
}

#[tokio::test]
async fn a_flood_of_resets_harms_nobody() {
    let upstream = but(|_, count, mut wire, id| async move {
        if count % 2 == 1 {
            wire.reset(id, INTERNAL_ERROR).await;
            return Some(wire);
        }
        // Of streams that are over.
        for past in (1..id).step_by(2) {
            wire.reset(past, CANCEL).await;
        }
        well(wire, id).await
    })
    .await;
    let gateway = before(&upstream.url()).await;
    let mut client = gateway.anonymous();
    for _ in 0..500 {
        assert_eq!(client.get("/").await.text(), "well on 0");
        assert_eq!(client.get("/").await.status, 502);
    }
}
