//! Ending without a cut: streams in flight finish, their clients are told to begin no others, and no request is lost
//! without its client knowing.

use crate::guarantees::{metric, open_home};
use crate::proxy::PUBLIC;
use crate::support::frames::{
    ACK, END_STREAM, Frame, Frames, GOAWAY, NO_ERROR, PING, PREFACE, code, frame, get, head, last_stream,
    open as begin, settings,
};
use crate::support::gateway::Gateway;
use crate::support::h2::H2;
use crate::support::raw::{Ending, Raw};
use crate::support::upstream::{Answer, Gate, Upstream};
use crate::support::within;

const MAX_STREAM: u32 = 0x7fff_ffff;

/// Reads that the connection is going to end, and answers the question with it.
async fn farewell(client: &mut Frames) {
    let goaway = client.until(|frame| frame.kind == GOAWAY).await.unwrap();
    assert_eq!((code(&goaway), last_stream(&goaway)), (NO_ERROR, MAX_STREAM));
    let ping = client.until(|frame| frame.kind == PING).await.unwrap();
    client.send(frame(PING, ACK, 0, ping.payload)).await;
}

async fn last_word(client: &mut Frames) -> u32 {
    let goaway = client.until(|frame| frame.kind == GOAWAY).await.unwrap();
    assert_eq!(code(&goaway), NO_ERROR);
    last_stream(&goaway)
}

#[tokio::test]
async fn streams_in_flight_finish_and_no_others_begin() {
    let gate = Gate::new();
    let upstream = Upstream::always(Answer::ok("late").after(&gate)).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut client = Frames::connect(gateway.public()).await;
    client.send([get(1), begin(3, head("POST", "/", &[]))].concat()).await;
    upstream.until_requests(2).await;
    let stopping = tokio::spawn(gateway.stop());
    let goaway = client.until(|frame| frame.kind == GOAWAY).await.unwrap();
    assert_eq!((code(&goaway), last_stream(&goaway)), (NO_ERROR, MAX_STREAM));
    // One that was on its way when the client was told is served.
    client.send(get(5)).await;
    upstream.until_requests(3).await;
    let ping = client.until(|frame| frame.kind == PING).await.unwrap();
    client.send(frame(PING, ACK, 0, ping.payload)).await;
    assert_eq!(last_word(&mut client).await, 5);
    // What comes later is not, and its client knows by the last word.
    client.send([get(7), frame(0, END_STREAM, 3, b"body")].concat()).await;
    client.ping().await;
    gate.open();
    for stream in [1, 3, 5] {
        assert_eq!(client.outcome(stream).await.status(), 200);
    }
    let (_, ending) = client.ends().await;
    assert_eq!(ending, Ending::Closed);
    assert_eq!(stopping.await.unwrap().0, 0, "nothing is cut");
    assert_eq!(upstream.requests().len(), 3);
    assert_eq!(upstream.requests()[1].body, b"body");
}

#[tokio::test]
async fn a_connection_without_streams_is_closed_and_cuts_nothing() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let (mut polite, mut silent) =
        (Frames::connect(gateway.public()).await, Frames::connect(gateway.public()).await);
    assert_eq!(polite.ask(1, get(1)).await.status(), 200);
    let mut hello = gateway.raw().await;
    hello.send(PREFACE).await;
    let stopping = tokio::spawn(gateway.stop());
    farewell(&mut polite).await;
    assert_eq!(last_word(&mut polite).await, 1);
    assert_eq!(polite.ends().await.1, Ending::Closed);
    // Who does not answer is not waited for.
    assert_eq!(silent.ends().await, (Some(NO_ERROR), Ending::Closed));
    hello.until_end().await;
    assert_eq!(stopping.await.unwrap().0, 0, "nothing is cut");
}

#[tokio::test]
async fn who_connects_at_the_last_moment_is_served() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "");
    let serving = home.serve().await;
    serving.signal("STOP");
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut raw = Raw::connect(home.public()).await;
        raw.send([PREFACE, &settings(&[(1, 0)]), &get(1)].concat()).await;
        waiting.push(raw);
    }
    serving.signal("TERM");
    serving.signal("CONT");
    for raw in &mut waiting {
        // Settings, their acknowledgement, a farewell, a ping; and the answer among them.
        raw.until(b"ok").await;
    }
    drop(waiting);
    let (status, output) = serving.ended().await;
    assert_eq!(status.code(), Some(0), "{output}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_request_fails_that_was_taken() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "");
    let serving = home.serve().await;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut client = H2::connect(home.public()).await;
        clients.spawn(async move {
            let mut answers = 0;
            loop {
                let request = client.request("GET", "/");
                // Once it was told to leave, it begins no more.
                let Ok(exchange) = client.try_ask(request).await else { return answers };
                match exchange.outcome().await {
                    Ok(whole) => assert_eq!(whole.text(), "ok"),
                    // Begun after the last word, it may be sent again elsewhere.
                    Err(error) => {
                        assert!(
                            error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR),
                            "{error:?}"
                        );
                        return answers;
                    }
                }
                answers += 1;
            }
        });
    }
    upstream.until_requests(400).await;
    serving.signal("TERM");
    while let Some(answers) = within("a client's end", clients.join_next()).await {
        assert!(answers.unwrap() > 0);
    }
    let (status, output) = serving.ended().await;
    assert_eq!(status.code(), Some(0), "{output}");
}

#[tokio::test]
async fn what_takes_longer_than_the_grace_is_cut_and_counted() {
    let upstream = Upstream::always(Answer::hang()).await;
    let home = open_home(&upstream, "shutdown: { grace: 300ms }\n");
    let serving = home.serve().await;
    let mut client = Frames::connect(home.public()).await;
    client.send([get(1), get(3)].concat()).await;
    upstream.until_requests(2).await;
    assert_eq!(metric(home.admin(), "keyward_connections").await, 1);
    serving.signal("TERM");
    farewell(&mut client).await;
    let answered = |frame: &Frame| frame.stream != 0;
    assert!(client.until(answered).await.is_err());
    let (status, output) = serving.ended().await;
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("1 connections were cut after shutdown.grace"), "{output}");
}
