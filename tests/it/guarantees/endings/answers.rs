//! Answers that are still being sent or waited for, and bodies that still come.

use std::time::Duration;

use keyward::auth::refusal::Code;

use super::{Cause, Scene};
use crate::support::raw::{Broken, Ending, Raw};
use crate::support::upstream::{Answer, Gate};
use crate::support::websocket::handshake_with;
use crate::support::within;

/// Events that come one by one, until the gate that never opens.
fn events() -> Answer {
    Answer::new(200)
        .header("content-type", "text/event-stream")
        .header("transfer-encoding", "chunked")
        .only_head()
        .then_send("9\r\ndata: 1\n\n\r\n")
        .then_hang()
}

#[tokio::test]
async fn an_answer_that_is_still_being_sent_breaks_off_when_its_credential_ends() {
    for cause in Cause::ALL {
        let scene = Scene::new(|request| match request.target.as_str() {
            "/events" => events(),
            "/until-close" => Answer::new(200).only_head().then_send("some").then_hang(),
            _ => Answer::new(200).header("content-length", "9").only_head().then_send("some").then_hang(),
        })
        .await;
        let mut cut = Vec::new();
        for line in ["GET /events HTTP/1.1", "GET /length HTTP/1.1", "GET /until-close HTTP/1.0"] {
            let mut raw = scene.ask(line, "").await;
            assert_eq!(raw.head().await.unwrap().status, 200);
            raw.exactly(4).await;
            cut.push(raw);
        }
        let mut anonymous = scene.gateway.raw().await;
        anonymous.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n").await;
        anonymous.head().await.unwrap();
        anonymous.exactly(14).await;
        scene.end(cause).await;
        for mut raw in cut {
            let (rest, ending) = raw.rest().await;
            assert_eq!(ending, Ending::Reset, "{cause:?}");
            assert!(!rest.ends_with(b"0\r\n\r\n"));
        }
        scene.until("three ends", |seen| seen.open() == 1).await;
        anonymous.stays_silent(Duration::from_millis(300)).await;
    }
}

/// The client takes nothing, so nothing of the answer is asked for; it ends all the same.
#[tokio::test]
async fn a_download_that_its_client_does_not_read_is_cut_too() {
    let scene = Scene::new(|_| Answer::new(200).filled(1 << 30)).await;
    let mut raw = Raw::connect_narrow(scene.gateway.public()).await;
    let key = &scene.key.secret;
    raw.send(format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n")).await;
    raw.head().await.unwrap();
    scene.end(Cause::Revoked).await;
    scene.upstream.until_all_closed().await;
    let Err(Broken::Body(Ending::Reset, _)) = rest_of_body(&mut raw).await else {
        panic!("it looks complete");
    };
}

/// The rest of a body of 1 GiB whose head was read.
async fn rest_of_body(raw: &mut Raw) -> Result<(), Broken> {
    within("the end", async {
        let (bytes, ending) = raw.rest().await;
        assert!(bytes.len() < 1 << 30);
        Err(Broken::Body(ending, Box::default()))
    })
    .await
}

#[tokio::test]
async fn a_body_that_still_comes_is_refused_when_its_credential_ends() {
    for (cause, fields, piece) in [
        (Cause::Revoked, "Content-Length: 9\r\n", "four"),
        (Cause::ScopeTaken, "Transfer-Encoding: chunked\r\n", "4\r\nfour\r\n"),
        (Cause::Expired, "Content-Length: 9\r\n", "four"),
    ] {
        let scene = Scene::new(|_| Answer::echo()).await;
        let mut raw = scene.ask("POST / HTTP/1.1", fields).await;
        raw.send(piece).await;
        scene
            .until("a part of the body", |seen| seen.requests.first().is_some_and(|it| it.body_len == 4))
            .await;
        scene.end(cause).await;
        let answer = raw.response().await;
        answer.refused(cause.code());
        assert_eq!(answer.header("connection"), Some("close"));
        scene.upstream.until_all_closed().await;
        assert!(!scene.upstream.only_request().is_whole(), "the upstream takes it for a whole request");
        assert!(scene.upstream.connections()[0].raw.ends_with(piece.as_bytes()));
    }
}

#[tokio::test]
async fn a_body_that_still_comes_behind_its_answer_is_cut_with_it() {
    let scene = Scene::new(|_| {
        Answer::new(200).header("content-length", "9").only_head().then_send("four").early_head().then_hang()
    })
    .await;
    let mut raw = scene.ask("POST / HTTP/1.1", "Content-Length: 9\r\n").await;
    raw.send("four").await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    scene.end(Cause::Revoked).await;
    let (_, ending) = raw.rest().await;
    assert_eq!(ending, Ending::Reset);
    scene.upstream.until_all_closed().await;
}

/// A long poll, a stream before its first event, a handshake: nothing of the answer has come.
#[tokio::test]
async fn an_answer_that_is_waited_for_is_refused_when_its_credential_ends() {
    for cause in Cause::ALL {
        let gate = Gate::new();
        let held = gate.clone();
        let scene = Scene::new(move |_| Answer::ok("news").after(&held)).await;
        let poll = scene.ask("GET /poll HTTP/1.1", "").await;
        let whole = scene.ask("POST /poll HTTP/1.1", "Content-Length: 4\r\n").await;
        let mut waiting = [poll, whole, scene.gateway.raw().await, scene.gateway.raw().await];
        waiting[1].send("body").await;
        waiting[2].send(handshake_with("/socket", &scene.key.secret)).await;
        waiting[3].send("GET /poll HTTP/1.1\r\nHost: a\r\n\r\n").await;
        scene
            .until("four requests", |seen| seen.requests.iter().filter(|it| it.is_whole()).count() == 4)
            .await;
        scene.clock.advance(Duration::from_secs(1));
        scene.end(cause).await;
        let [poll, whole, socket, mut anonymous] = waiting;
        for mut raw in [poll, whole, socket] {
            raw.response().await.refused(cause.code());
        }
        scene.until("three ends", |seen| seen.open() == 1).await;
        // Nobody else is touched.
        gate.open();
        assert_eq!(anonymous.response().await.text(), "news", "{cause:?}");
    }
}

/// Whoever is answered soon is judged once, when the request begins.
#[tokio::test]
async fn an_answer_that_comes_soon_is_not_watched() {
    let gate = Gate::new();
    let held = gate.clone();
    let scene = Scene::new(move |request| match request.target.as_str() {
        "/soon" => Answer::ok("news").after(&held),
        _ => events(),
    })
    .await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut raw = scene.ask("GET /events HTTP/1.1", "").await;
        raw.head().await.unwrap();
        streams.push(raw);
    }
    let mut soon = scene.ask("GET /soon HTTP/1.1", "").await;
    scene.upstream.until_requests(6).await;
    scene.end(Cause::Revoked).await;
    // All that is watched has been looked at.
    for mut raw in streams {
        assert_eq!(raw.rest().await.1, Ending::Reset);
    }
    gate.open();
    assert_eq!(soon.response().await.text(), "news");
    soon.send(format!("GET /soon HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\n\r\n", scene.key.secret)).await;
    soon.response().await.refused(Code::RevokedCredentials);
}

/// What ended is not watched any more: the connection's next request is nobody's to cut.
#[tokio::test]
async fn a_request_that_is_over_cuts_nothing() {
    let gate = Gate::new();
    let held = gate.clone();
    let scene = Scene::new(move |request| match request.target.as_str() {
        "/long" => {
            Answer::new(200).header("content-length", "4").only_head().then_wait(&held).then_send("done")
        }
        _ => events(),
    })
    .await;
    let mut raw = scene.ask("GET /long HTTP/1.1", "").await;
    raw.head().await.unwrap();
    gate.open();
    assert_eq!(raw.exactly(4).await, b"done");
    raw.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n").await;
    raw.head().await.unwrap();
    raw.exactly(14).await;
    scene.end(Cause::Revoked).await;
    raw.stays_silent(Duration::from_secs(1)).await;
}
