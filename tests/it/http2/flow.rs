//! Flow control from end to end: whoever does not take holds back whoever sends, and nothing piles up between.

use std::time::Duration;

use super::{open, open_with};
use crate::support::frames::{
    self, DATA, END_STREAM, Frames, INITIAL_WINDOW, get, head, open as begin, whole, window,
};
use crate::support::h2::{Exchange, H2};
use crate::support::raw::Raw;
use crate::support::upstream::{Answer, Seen, Upstream};
use crate::support::{DEADLINE, noise, sha256};

/// Far more than any buffer between.
const LARGE: usize = 256 << 20;
/// What may lie between: the windows, what waits to be written, and what the system keeps for two sockets.
const BETWEEN: u64 = 24 << 20;

/// How much of its body, `least` of it for certain, a request could send until nothing moved any more.
async fn sent_until_held_back(exchange: &mut Exchange, least: usize, most: usize) -> usize {
    let mut sent = 0;
    while sent < most {
        exchange.body.reserve_capacity(64 * 1024);
        let room = std::future::poll_fn(|cx| exchange.body.poll_capacity(cx));
        let patience = if sent < least { DEADLINE } else { Duration::from_millis(300) };
        let Ok(room) = tokio::time::timeout(patience, room).await else { break };
        let room = room.expect("the stream lives").expect("the stream lives").min(64 * 1024);
        exchange.body.send_data(vec![0; room].into(), false).unwrap();
        sent += room;
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_does_not_read_holds_its_client_back_and_nobody_else() {
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/stuck" => Answer::hang().never_reading(),
        _ => Answer::echo(),
    })
    .await;
    let (_gateway, mut client) = open_with(&upstream, "max: { body: 0 }").await;
    let mut stuck = Vec::new();
    for _ in 0..10 {
        let request = client.request("POST", "/stuck");
        let mut exchange = client.begin(request).await;
        let sent = sent_until_held_back(&mut exchange, 256 << 10, LARGE).await;
        assert!((256 << 10..LARGE / 4).contains(&sent), "{sent} bytes");
        stuck.push(exchange);
    }
    // The window of the connection is not used up by them.
    let body = noise(3 << 20);
    let echo = client.post("/", body.clone()).await.json();
    assert_eq!(echo["body_sha256"], sha256(&body));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_flows_on_as_it_is_taken() {
    let upstream = Upstream::echo().await;
    let (_gateway, mut client) = open_with(&upstream, "max: { body: 0 }").await;
    let request = client.request("POST", "/");
    let mut exchange = client.begin(request).await;
    let most = 32 << 20;
    let sent = sent_until_held_back(&mut exchange, most, most).await;
    assert!(sent >= most);
    exchange.body.send_data(Default::default(), true).unwrap();
    assert_eq!(exchange.whole().await.json()["body_len"], sent);
}

/// The client takes as much as its windows and its socket take, and no more; the upstream is held back with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_take_its_answer_holds_its_upstream_back() {
    let upstream = Upstream::always(Answer::new(200).filled(LARGE as u64)).await;
    let (gateway, _) = open(&upstream).await;
    // By its window alone, and by its socket alone.
    let mut windowed = Frames::connect(gateway.public()).await;
    let wide = [(INITIAL_WINDOW, 0x7fff_ffff)];
    let mut narrow = Frames::over(Raw::connect_narrow(gateway.public()).await, &wide).await;
    narrow.send(window(0, 0x7000_0000)).await;
    for client in [&mut windowed, &mut narrow] {
        client.send((0..20).flat_map(|n| get(2 * n + 1)).collect::<Vec<_>>()).await;
    }
    upstream.until_requests(40).await;
    // Every answer has come as far as a window, and nothing moves any more.
    let mut before = u64::MAX;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let sent = upstream.sent();
        if sent == before && sent >= 40 * 64 * 1024 {
            break;
        }
        before = sent;
    }
    // What the system keeps for each of the upstream's sockets is the most of it.
    assert!(before < 40 * BETWEEN / 4, "{before} bytes");
    // Others are served meanwhile, on their own connections and on this one.
    let mut other = H2::connect(gateway.public()).await;
    let request = other.request("HEAD", "/");
    assert_eq!(other.ask(request).await.whole().await.status, 200);
    let request = whole(101, head("HEAD", "/", &[]));
    assert_eq!(windowed.ask(101, request).await.status(), 200);
    assert!(upstream.sent() < 40 * BETWEEN / 4, "{} bytes", upstream.sent());
}

/// Whatever its windows let in: answers that wait to be written have little room together, and the others stay with their
/// upstream, each on its connection.
#[tokio::test]
async fn a_client_that_reads_nothing_has_few_answers_taken_for_it() {
    const ANSWERS: usize = 100;
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/" => Answer::ok(noise(100_000)),
        _ => Answer::ok("beside"),
    })
    .await;
    let (gateway, mut beside) = open_with(&upstream, "timeouts: { upstream_idle: 200ms }").await;
    let wide = [(INITIAL_WINDOW, 0x7fff_ffff)];
    let mut client = Frames::over(Raw::connect_narrow(gateway.public()).await, &wide).await;
    client.send(window(0, 0x7000_0000)).await;
    client.send((0..ANSWERS as u32).flat_map(|n| get(2 * n + 1)).collect::<Vec<_>>()).await;
    upstream.until_requests(ANSWERS).await;
    let all = ANSWERS as u64 * 100_000;
    let sent_all =
        |seen: &Seen| (seen.connections.iter().map(|it| it.sent).sum::<u64>() >= all).then_some(());
    upstream.until("all answers on their way", sent_all).await;
    assert_eq!(beside.get("/beside").await.status, 200);
    // By the time that this one's connection was idle for too long, those of all answers that were taken were, too.
    let ended = |seen: &Seen| {
        let last = seen.requests.iter().position(|request| request.target == "/beside")?;
        seen.connections[seen.requests[last].connection].ended.map(|_| seen.open())
    };
    let held = upstream.until("the end of what is idle", ended).await;
    // The system takes some for the client's socket: 4 MiB at the most.
    assert!(held >= ANSWERS / 4, "{held} of {ANSWERS}");
}

/// A window of one byte at a time, as long as it lasts.
#[tokio::test]
async fn an_answer_goes_out_in_the_pieces_that_its_client_has_room_for() {
    let body = noise(300);
    let upstream = Upstream::always(Answer::ok(&body)).await;
    let (gateway, _) = open(&upstream).await;
    let mut client = Frames::with(gateway.public(), &[(INITIAL_WINDOW, 0)]).await;
    client.send(get(1)).await;
    let mut taken = Vec::<u8>::new();
    for size in [1, 1, 1, 7, 0x1000] {
        client.send(window(1, size)).await;
        let want = usize::try_from(size).unwrap().min(body.len() - taken.len());
        let mut came = 0;
        while came < want {
            let data = client.until(|frame| frame.kind == DATA).await.unwrap();
            came += data.payload.len();
            taken.extend(&data.payload);
            assert_eq!(data.flags & END_STREAM != 0, taken.len() == body.len());
        }
        assert_eq!(came, want);
    }
    assert!(taken == body);
}

/// A client may close its windows and open them again by its settings (RFC 9113 §6.9.2).
#[tokio::test]
async fn windows_change_with_the_settings() {
    let body = noise(200_000);
    let upstream = Upstream::always(Answer::ok(&body)).await;
    let (gateway, _) = open(&upstream).await;
    let mut client = Frames::with(gateway.public(), &[(INITIAL_WINDOW, 100)]).await;
    client.send(window(0, 1 << 20)).await;
    client.send(get(1)).await;
    let mut taken = Vec::<u8>::new();
    while taken.len() < 100 {
        taken.extend(client.until(|frame| frame.kind == DATA).await.unwrap().payload);
    }
    client
        .send(
            [frames::settings(&[(INITIAL_WINDOW, 50)]), frames::settings(&[(INITIAL_WINDOW, 1 << 20)])]
                .concat(),
        )
        .await;
    loop {
        let data = client.until(|frame| frame.kind == DATA).await.unwrap();
        taken.extend(&data.payload);
        if data.flags & END_STREAM != 0 {
            break;
        }
    }
    assert!(taken == body);
}

/// What is refused leaves no trace in the window of the connection: bodies that nobody read make room again.
#[tokio::test]
async fn bodies_that_nobody_reads_do_not_use_the_window_up() {
    let upstream = Upstream::echo().await;
    let gateway = crate::support::gateway::Gateway::before(&upstream).await;
    let key = gateway.key().await.secret;
    let mut client = Frames::connect(gateway.public()).await;
    // As much as a stream's window takes, more often than the connection's window has room for.
    for number in 0..40 {
        let stream = 2 * number + 1;
        let mut request = begin(stream, head("POST", "/", &[]));
        for _ in 0..4 {
            request.extend(frames::frame(DATA, 0, stream, vec![0; 16_000]));
        }
        client.send(request).await;
        assert_eq!(client.outcome(stream).await.status(), 401);
        client.ping().await;
    }
    let key = format!("Bearer {key}");
    let mut request = begin(101, head("POST", "/", &[("authorization", &key)]));
    request.extend(frames::frame(DATA, END_STREAM, 101, vec![0; 16_000]));
    assert_eq!(client.ask(101, request).await.status(), 200);
}
