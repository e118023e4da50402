//! What is promised of every request holds for each stream.

use std::collections::BTreeSet;

use keyward::auth::refusal::Code;
use serde_json::Value;

use super::open_with;
use crate::guarantees::{metric, open_home, until_metric};
use crate::support::binary::Home;
use crate::support::frames::{
    CANCEL, Frames, INITIAL_WINDOW, PRIORITY, frame, get, head, reset, whole, window,
};
use crate::support::gateway::Gateway;
use crate::support::h2::H2;
use crate::support::keys::origin;
use crate::support::raw::Raw;
use crate::support::upstream::{Answer, Gate, Seen, Upstream};
use crate::support::within;

/// As many as may be at once, with different keys, answered in another order than they came.
#[tokio::test]
async fn a_hundred_streams_at_once_are_judged_and_answered_each_for_itself() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| {
        let answer = Answer::ok(request.header("x-auth-credential").unwrap_or_default());
        if request.target.ends_with('1') { answer.after(&held) } else { answer }
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let keys = [gateway.key().await, gateway.key().await, gateway.key_with(&["orders:read"]).await];
    let mut client = H2::connect(gateway.public()).await;
    let mut exchanges = Vec::new();
    for number in 0..100 {
        let key = keys.get(number % 4).map_or("nonsense", |key| &*key.secret);
        let request =
            client.request("GET", &format!("/{number}")).header("authorization", format!("Bearer {key}"));
        exchanges.push(client.ask(request).await);
    }
    upstream.until_requests(75).await;
    gate.open();
    for (number, exchange) in exchanges.into_iter().enumerate().rev() {
        let response = exchange.whole().await;
        match keys.get(number % 4) {
            Some(key) => assert_eq!((response.status, response.text()), (200, &*key.id), "{number}"),
            None => _ = response.refused(Code::InvalidCredentials),
        }
    }
}

#[tokio::test]
async fn a_key_that_is_revoked_in_the_middle_of_a_connection_opens_nothing_more() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| match request.target.as_str() {
        "/held" => Answer::ok("late").after(&held),
        _ => Answer::ok("soon"),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let (key, other) = (gateway.key().await, gateway.key().await);
    let mut client = H2::connect(gateway.public()).await.with_key(&key.secret);
    let request = client.request("GET", "/held");
    let held = client.ask(request).await;
    upstream.until_requests(1).await;
    for _ in 0..3 {
        assert_eq!(client.get("/").await.status, 200);
    }
    gateway.issuer().revoke_key(&key.id, &origin()).await.unwrap();
    for _ in 0..3 {
        client.get("/").await.refused(Code::RevokedCredentials);
    }
    // The connection is not the key's.
    let mut client = client.with_key(&other.secret);
    assert_eq!(client.get("/").await.status, 200);
    gate.open();
    assert_eq!(held.whole().await.text(), "late");
}

#[tokio::test]
async fn each_stream_is_one_of_those_in_flight() {
    let gate = Gate::new();
    let upstream = Upstream::always(Answer::ok("late").after(&gate)).await;
    let (gateway, mut client) = open_with(&upstream, "max: { in_flight: 3, connections: 2 }").await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let request = client.request("GET", "/");
        waiting.push(client.ask(request).await);
    }
    upstream.until_requests(3).await;
    client.get("/").await.refused(Code::Overloaded);
    H2::connect(gateway.public()).await.get("/").await.refused(Code::Overloaded);
    // One that is taken back leaves its place.
    drop(waiting.pop());
    upstream.until("the end of one", |seen| (seen.open() == 2).then_some(())).await;
    let request = client.request("GET", "/");
    waiting.push(client.ask(request).await);
    upstream.until_requests(4).await;
    gate.open();
    for exchange in waiting {
        assert_eq!(exchange.whole().await.text(), "late");
    }
}

/// What waits to be written to a socket that nobody reads from is in flight as long as it waits.
#[tokio::test]
async fn a_stream_is_in_flight_until_its_last_byte_is_written() {
    let upstream = Upstream::always(Answer::ok(vec![b'x'; 60_000])).await;
    // More streams than that, for one whose last bytes are in the socket's hands may still count as one of them.
    let (gateway, _) = open_with(&upstream, "max: { in_flight: 100, streams: 200 }").await;
    let mut other = H2::connect(gateway.public()).await;
    let wide = [(INITIAL_WINDOW, 0x7fff_ffff)];
    let mut narrow = Frames::over(Raw::connect_narrow(gateway.public()).await, &wide).await;
    narrow.send(window(0, 0x7000_0000)).await;
    narrow.send((0..100).flat_map(|number| get(2 * number + 1)).collect::<Vec<_>>()).await;
    upstream.until_requests(100).await;
    let all = |seen: &Seen| {
        let sent: u64 = seen.connections.iter().map(|connection| connection.sent).sum();
        (sent >= 100 * 60_000).then_some(())
    };
    upstream.until("all answers", all).await;
    // Some fit into the socket; as many more are asked for.
    let mut stream = 201;
    while other.get("/").await.status == 200 {
        narrow.send(get(stream)).await;
        stream += 2;
        assert!(stream < 2000, "nothing waits");
    }
    // Taken, they leave their places.
    narrow.raw.discard(100 * 60_000).await;
    within("a place", async { while other.get("/").await.status != 200 {} }).await;
}

fn lines(home: &Home) -> Vec<Value> {
    let text = std::fs::read_to_string(home.path().join("access.log")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Answered, refused in two forms, taken back, broken off: each exactly once, with what really happened to it.
#[tokio::test]
async fn each_stream_has_one_line_and_is_counted_once() {
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/hang" => Answer::hang(),
        "/broken" => {
            Answer::new(200).header("content-length", "9").only_head().then_send("four").then_close()
        }
        _ => Answer::ok("twelve bytes"),
    })
    .await;
    let home = open_home(&upstream, "log: { access: access.log }\nmax: { body: 1KiB }\n");
    let serving = home.serve().await;
    let mut client = Frames::connect(home.public()).await;
    assert_eq!(client.ask(1, whole(1, head("GET", "/good", &[]))).await.status(), 200);
    assert_eq!(client.ask(3, whole(3, head("GET", "/bad/..", &[]))).await.status(), 400);
    let grpc = [("content-type", "application/grpc"), ("content-length", "5000")];
    client.send(crate::support::frames::open(5, head("POST", "/grpc", &grpc))).await;
    assert_eq!(client.outcome(5).await.status(), 200);
    client.send(whole(7, head("GET", "/hang", &[]))).await;
    upstream.until_requests(2).await;
    client.send(reset(7, CANCEL)).await;
    client.ask(9, whole(9, head("GET", "/broken", &[]))).await;
    until_metric(home.admin(), "keyward_request_seconds_count{door=\"proxy\"", 5).await;
    drop(client);
    let (status, output) = serving.stop().await;
    assert_eq!(status.code(), Some(0), "{output}");
    let lines = lines(&home);
    let short = |line: &Value| {
        let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
        let number = |name: &str| line[name].as_u64().map_or("-".to_owned(), |number| number.to_string());
        format!("{} {} {} {}", text("path"), number("status"), text("code"), number("bytes_out"))
    };
    assert_eq!(
        lines.iter().map(short).collect::<BTreeSet<_>>(),
        [
            "/good 200 - 12",
            "/bad/.. 400 ambiguous_path 302",
            "/grpc 200 body_too_large 0",
            "/hang - - 0",
            "/broken 200 upstream_protocol_error 4",
        ]
        .map(str::to_owned)
        .into()
    );
    assert_eq!(lines.len(), 5);
    let ids: BTreeSet<_> = lines.iter().map(|line| line["request_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 5);
}

#[tokio::test]
async fn a_reload_holds_for_the_streams_that_begin_after_it() {
    let gate = Gate::new();
    let old = Upstream::always(Answer::ok("old").after(&gate)).await;
    let new = Upstream::always(Answer::ok("new")).await;
    let mut gateway = Gateway::with(&old, crate::proxy::PUBLIC).await;
    let mut client = H2::connect(gateway.public()).await;
    let request = client.request("GET", "/");
    let before = client.ask(request).await;
    old.until_requests(1).await;
    let url = new.url();
    gateway.reload(|_| Gateway::builder().upstream("api", &url).yaml(crate::proxy::PUBLIC)).await;
    assert_eq!(client.get("/").await.text(), "new");
    gate.open();
    assert_eq!(before.whole().await.text(), "old");
}

/// When a client goes, so do its requests.
#[tokio::test]
async fn a_client_that_goes_ends_its_requests_upstream() {
    let upstream = Upstream::always(Answer::hang()).await;
    for how in ["reset", "closed", "half-closed"] {
        let (gateway, _) = open_with(&upstream, "").await;
        let mut client = Frames::connect(gateway.public()).await;
        client.send([get(1), get(3), get(5)].concat()).await;
        upstream.until(how, |seen| (seen.open() == 3).then_some(())).await;
        match how {
            "reset" => client.raw.reset(),
            "closed" => drop(client),
            _ => {
                client.raw.half_close();
                client.raw.until_end().await;
            }
        }
        upstream.until_all_closed().await;
    }
}

#[tokio::test]
async fn connections_of_both_protocols_are_counted_alike() {
    let upstream = Upstream::echo().await;
    let home = open_home(&upstream, "");
    let serving = home.serve().await;
    let mut client = H2::connect(home.public()).await;
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!(metric(home.admin(), "keyward_connections").await, 1);
    drop(client);
    within("its end", until_metric(home.admin(), "keyward_connections", 0)).await;
    serving.stop().await;
}

/// However much of its answers it leaves unread, and whatever ends with it.
#[tokio::test]
async fn who_is_told_the_end_and_reads_nothing_is_gone_soon() {
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/large" => Answer::new(200).filled(64 << 20),
        _ => Answer::hang(),
    })
    .await;
    let home = open_home(&upstream, "timeouts: { idle: 1h, response_body_idle: 1h }\n");
    let serving = home.serve().await;
    let wide = [(INITIAL_WINDOW, 0x7fff_ffff)];
    let mut client = Frames::over(Raw::connect_narrow(home.public()).await, &wide).await;
    let large: Vec<u8> =
        (0..4).flat_map(|number| whole(2 * number + 1, head("GET", "/large", &[]))).collect();
    client.send([window(0, 0x7000_0000), large, get(9)].concat()).await;
    upstream.until_requests(5).await;
    let idle = frame(PRIORITY, 0, 1, [0, 0, 0, 0, 1]);
    // More than can be earned; who is told the end stops reading.
    let _ = client.raw.try_send(idle.repeat(60_000)).await;
    until_metric(home.admin(), "keyward_connections", 0).await;
    serving.stop().await;
}
