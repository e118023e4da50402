//! How much one connection may ask for, and what becomes of one that asks for more. Beside it, others are served.

use std::fmt::Write as _;

use keyward::auth::refusal::Code;

use super::open_with;
use crate::proxy::PUBLIC;
use crate::support::frames::{
    ACK, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frame, Frames, HEADERS,
    NO_ERROR, Outcome, PING, PRIORITY, PUSH_PROMISE, REFUSED_STREAM, SETTINGS, field, frame, get, head,
    open as begin, reset, settings, whole, window,
};
use crate::support::gateway::Gateway;
use crate::support::h2::{H2, read};
use crate::support::raw::Ending;
use crate::support::upstream::{Answer, Gate, Upstream};
use crate::support::within;

#[tokio::test]
async fn the_settings_say_what_the_limits_are() {
    let upstream = Upstream::echo().await;
    let (gateway, _) = open_with(&upstream, "max: { streams: 7, headers: 9KiB }").await;
    let client = Frames::connect(gateway.public()).await;
    let told = |id| client.settings.iter().find(|(other, _)| *other == id).map(|(_, value)| *value);
    // The last: that a CONNECT may ask for another protocol (RFC 8441 §3).
    assert_eq!((told(3), told(6), told(8)), (Some(7), Some(9 * 1024), Some(1)));
}

#[tokio::test]
async fn one_stream_too_many_is_refused_alone() {
    let gate = Gate::new();
    let upstream = Upstream::always(Answer::ok("late").after(&gate)).await;
    let (gateway, _) = open_with(&upstream, "max: { streams: 3 }").await;
    let mut client = Frames::connect(gateway.public()).await;
    client.send([get(1), get(3), get(5), get(7), get(9)].concat()).await;
    assert_eq!(client.outcome(7).await, Outcome::Reset(REFUSED_STREAM));
    assert_eq!(client.outcome(9).await, Outcome::Reset(REFUSED_STREAM));
    upstream.until_requests(3).await;
    gate.open();
    for stream in [1, 3, 5] {
        assert_eq!(client.outcome(stream).await.status(), 200);
    }
    assert_eq!(client.ask(11, get(11)).await.status(), 200);
    assert_eq!(upstream.requests().len(), 4);
}

#[tokio::test]
async fn fields_over_the_limit_are_a_431_on_their_stream() {
    let upstream = Upstream::echo().await;
    let (gateway, _) = open_with(&upstream, "max: { headers: 8KiB, header_count: 20 }").await;
    let long = "v".repeat(9 * 1024);
    let many: Vec<(String, String)> = (0..21).map(|n| (format!("x-{n}"), "y".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (&**name, &**value)).collect();
    // RFC 9113 §6.5.2 counts 32 bytes more for each.
    let empty = vec![("a", ""); 19];
    let crumbs = vec![("cookie", "a=b"); 21];
    for (name, fields, status) in [
        ("a long value", &[("x", &*long)][..], 431),
        ("a long name", &[(&*long, "x")], 431),
        ("many fields", &many, 431),
        ("many crumbs", &crumbs, 431),
        ("as many as may be", &many[..20], 200),
        ("as many crumbs as may be", &crumbs[..20], 200),
        ("empty ones", &empty, 200),
    ] {
        let mut client = Frames::connect(gateway.public()).await;
        assert_eq!(client.ask(1, whole(1, head("GET", "/", fields))).await.status(), status, "{name}");
        assert_eq!(client.ask(3, get(3)).await.status(), 200, "{name}");
    }
    let long_target = format!("/{}", "x".repeat(9000));
    let mut client = Frames::connect(gateway.public()).await;
    assert_eq!(client.ask(1, whole(1, head("GET", &long_target, &[]))).await.status(), 431);
}

/// Before its answer has begun it is refused, after that broken off; its upstream never takes it for whole.
#[tokio::test]
async fn a_body_over_the_limit_ends_its_stream_alone() {
    let early = Answer::new(200).header("content-length", "4").only_head().early_head();
    let upstream = Upstream::answering(move |request| match request.target.as_str() {
        "/early" => early.clone().then_send("done"),
        _ => Answer::echo(),
    })
    .await;
    let (_gateway, mut client) = open_with(&upstream, "max: { body: 1KiB }").await;
    let request = client.request("POST", "/told").header("content-length", "1025");
    client.begin(request).await.whole().await.refused(Code::BodyTooLarge);
    assert_eq!(upstream.requests(), []);
    client.post("/untold", vec![0; 1025]).await.refused(Code::BodyTooLarge);
    let request = client.request("POST", "/early");
    let mut exchange = client.begin(request).await;
    let response = within("the early answer", &mut exchange.response).await.unwrap();
    assert_eq!(response.status(), 200);
    exchange.body.send_data(vec![0; 1025].into(), true).unwrap();
    let broken = read(response).await.unwrap_err();
    assert_eq!(broken.reason(), Some(h2::Reason::ENHANCE_YOUR_CALM));
    upstream.until_all_closed().await;
    assert!(upstream.requests().iter().all(|request| !request.is_whole()));
    assert_eq!(client.post("/", vec![0; 1024]).await.json()["body_len"], 1024);
}

/// A few bytes that stand for many: each refers to a field that was sent once.
#[tokio::test]
async fn a_field_list_that_grows_when_it_is_read_is_refused() {
    let upstream = Upstream::echo().await;
    let (gateway, _) = open_with(&upstream, "").await;
    let mut client = Frames::connect(gateway.public()).await;
    let crumb = [b"\x40".to_vec(), field(b"cookie", &[b'c'; 3000])[1..].to_vec()].concat();
    let mut list = head("GET", "/", &[]);
    list.extend(crumb);
    assert_eq!(client.ask(1, whole(1, &list)).await.status(), 200);
    let mut list = head("GET", "/", &[]);
    // 20 times 3 KB is over the limit, 200 times is no oversight.
    list.extend([0xbe; 20]);
    assert_eq!(client.ask(3, whole(3, &list)).await.status(), 431);
    assert_eq!(client.ask(5, get(5)).await.status(), 200);
    list.extend([0xbe; 200]);
    assert_eq!(client.ask(7, whole(7, &list)).await, Outcome::Goaway(ENHANCE_YOUR_CALM));
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_head_without_end_ends_the_connection() {
    let upstream = Upstream::echo().await;
    let (gateway, mut good) = open_with(&upstream, "").await;
    for (payload, more) in [(vec![], 100), (field(b"x", &[b'y'; 16_000]), 40)] {
        let mut client = Frames::connect(gateway.public()).await;
        client.send(frame(HEADERS, END_STREAM, 1, head("GET", "/", &[]))).await;
        for _ in 0..more {
            if client.raw.try_send(frame(CONTINUATION, 0, 1, &payload)).await.is_err() {
                break;
            }
        }
        assert!(matches!(client.outcome(1).await, Outcome::Goaway(ENHANCE_YOUR_CALM) | Outcome::Ended(_)));
        assert_eq!(good.get("/").await.status, 200);
    }
    assert_eq!(upstream.requests().len(), 2);
}

/// A flood, of which each step is made anew for the stream of its turn. It ends the connection, soon; a good client beside
/// it notices nothing.
async fn flood(name: &str, most: usize, step: impl Fn(u32) -> Vec<u8>) -> usize {
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/good" => Answer::ok("good"),
        _ => Answer::hang(),
    })
    .await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut good = H2::connect(gateway.public()).await;
    let mut bad = Frames::connect(gateway.public()).await;
    let mut sent = 0;
    'flood: for round in 0..most.div_ceil(100) {
        for _ in 0..100 {
            sent += 1;
            if bad.raw.try_send(step(2 * u32::try_from(sent).unwrap() - 1)).await.is_err() {
                break 'flood;
            }
        }
        if round % 10 == 0 {
            assert_eq!(good.get("/good").await.text(), "good", "{name}");
        }
    }
    assert_eq!(good.get("/good").await.text(), "good", "{name}");
    // Written to after its end, the connection may be reset before the last word is read.
    let ended = bad.ends().await;
    assert!(matches!(ended, (Some(1..), _) | (None, Ending::Reset)), "{name}: {ended:?}");
    upstream.requests().iter().filter(|request| request.target != "/good").count()
}

/// Each is forwarded before it is taken back (CVE-2023-44487).
#[tokio::test]
async fn requests_that_are_taken_back_end_the_connection() {
    let upstream = Upstream::always(Answer::hang()).await;
    let (gateway, _) = open_with(&upstream, "").await;
    let mut client = Frames::connect(gateway.public()).await;
    for number in 0..101 {
        let stream = 2 * u32::try_from(number).unwrap() + 1;
        client.send(get(stream)).await;
        upstream.until_requests(number + 1).await;
        client.send(reset(stream, CANCEL)).await;
    }
    assert_eq!(client.ends().await, (Some(ENHANCE_YOUR_CALM), Ending::Closed));
    upstream.until_all_closed().await;
}

/// Who now and then does not wait for an answer takes others along.
#[tokio::test]
async fn requests_that_are_taken_back_now_and_then_end_nothing() {
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/late" => Answer::hang(),
        _ => Answer::ok("soon"),
    })
    .await;
    let (gateway, _) = open_with(&upstream, "").await;
    let mut client = Frames::connect(gateway.public()).await;
    for number in 0..250 {
        let stream = 4 * number + 1;
        client.send(whole(stream, head("GET", "/late", &[]))).await;
        assert_eq!(client.ask(stream + 2, get(stream + 2)).await.status(), 200);
        client.send(reset(stream, CANCEL)).await;
    }
    assert_eq!(client.ask(2001, get(2001)).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_taken_back_at_once_end_the_connection() {
    let asked = flood("resets", 10_000, |stream| [get(stream), reset(stream, CANCEL)].concat()).await;
    assert!(asked <= 200, "{asked} requests");
}

/// Requests that the server has to take back, for what their client did (CVE-2025-8671).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_have_to_be_taken_back_end_the_connection() {
    let zero = |stream| [get(stream), window(stream, 0)].concat();
    let over = |stream| [get(stream), window(stream, 0x7fff_ffff)].concat();
    let late = |stream| [get(stream), frame(DATA, 0, stream, b"late")].concat();
    let again = |stream| [get(stream), get(stream)].concat();
    let itself = |stream: u32| {
        let on_itself = [&stream.to_be_bytes()[..], &[0]].concat();
        [get(stream), frame(PRIORITY, 0, stream, on_itself)].concat()
    };
    let long = |stream| {
        [begin(stream, head("POST", "/", &[("content-length", "1")])), frame(DATA, 0, stream, b"ab")].concat()
    };
    type Step<'a> = &'a dyn Fn(u32) -> Vec<u8>;
    let steps: [(&str, Step); 6] = [
        ("a window by nothing", &zero),
        ("a window too far", &over),
        ("data after the end", &late),
        ("a head after the end", &again),
        ("a stream that depends on itself", &itself),
        ("more than was said", &long),
    ];
    for (name, step) in steps {
        let asked = flood(name, 10_000, step).await;
        assert!(asked <= 200, "{name}: {asked} requests");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_carry_nothing_end_the_connection() {
    type Step<'a> = &'a dyn Fn(u32) -> Vec<u8>;
    let on_stream = |stream, bytes: Vec<u8>| {
        if stream == 1 { [begin(1, head("POST", "/", &[])), bytes].concat() } else { bytes }
    };
    let ping = |_| frame(PING, 0, 0, [0; 8]);
    let pong = |_| frame(PING, ACK, 0, [0; 8]);
    let settled = |_| settings(&[(4, 1 << 20)]);
    let nothing = |_| settings(&[]);
    let priority = |stream| frame(PRIORITY, 0, stream, [0, 0, 0, 0, 1]);
    let room = |_| window(0, 1);
    let own_room = |stream| on_stream(stream, window(1, 1));
    let empty = |stream| on_stream(stream, frame(DATA, 0, 1, b""));
    let padded = |stream| on_stream(stream, frame(DATA, 8, 1, b"\0"));
    let unknown = |_| frame(0xfe, 0, 0, b"");
    let taken_back = |stream| on_stream(stream, reset(1, CANCEL));
    let steps: [(&str, Step); 11] = [
        ("ping", &ping),
        ("pong", &pong),
        ("settings", &settled),
        ("empty settings", &nothing),
        ("priority", &priority),
        ("the connection's window", &room),
        ("a stream's window", &own_room),
        ("empty data", &empty),
        ("padding alone", &padded),
        ("an unknown frame", &unknown),
        ("a reset over and over", &taken_back),
    ];
    for (name, step) in steps {
        flood(name, 50_000, step).await;
    }
}

#[tokio::test]
async fn a_client_may_ping_and_update_its_windows_as_it_goes() {
    let upstream = Upstream::always(Answer::new(200).chunked(&vec![&b"event"[..]; 5000])).await;
    let (gateway, _) = open_with(&upstream, "").await;
    let mut client = Frames::connect(gateway.public()).await;
    client.send(get(1)).await;
    let mut bytes = 0;
    loop {
        let data = |frame: &Frame| frame.stream == 1 && frame.kind == DATA;
        let frame = client.until(data).await.expect("the connection lives");
        bytes += frame.payload.len();
        let more = u32::try_from(frame.payload.len()).unwrap();
        if more > 0 {
            client.send([window(0, more), window(1, more)].concat()).await;
        }
        if bytes % 500 == 0 {
            client.ping().await;
        }
        if frame.flags & END_STREAM != 0 {
            break;
        }
    }
    assert_eq!(bytes, 25_000);
    assert_eq!(client.ask(3, get(3)).await.status(), 200);
}

/// What a server never gets, and what is out of order (RFC 9113 §5.1, §6): each ends its connection and no other.
#[tokio::test]
async fn what_breaks_the_protocol_ends_the_connection() {
    let upstream = Upstream::echo().await;
    let (gateway, mut good) = open_with(&upstream, "").await;
    let mut tried = String::new();
    for (name, frames) in [
        ("a push", frame(PUSH_PROMISE, END_HEADERS, 1, [&[0, 0, 0, 2][..], &head("GET", "/", &[])].concat())),
        ("a stream of the server's", get(2)),
        ("no stream", get(0)),
        ("a stream before the last", [get(5), get(3)].concat()),
        ("data on no stream", frame(DATA, 0, 0, b"x")),
        ("data before a head", frame(DATA, 0, 1, b"x")),
        ("a reset before a head", reset(1, CANCEL)),
        ("room before a head", window(1, 1)),
        ("the rest of no head", frame(CONTINUATION, END_HEADERS, 1, b"")),
        ("a ping in a head", [frame(HEADERS, 0, 1, b""), frame(PING, 0, 0, [0; 8])].concat()),
        (
            "the rest of another head",
            [frame(HEADERS, 0, 1, b""), frame(CONTINUATION, END_HEADERS, 3, b"")].concat(),
        ),
        ("a ping on a stream", frame(PING, 0, 1, [0; 8])),
        ("half a ping", frame(PING, 0, 0, [0; 4])),
        ("settings on a stream", frame(SETTINGS, 0, 1, b"")),
        ("half a setting", frame(SETTINGS, 0, 0, [0; 5])),
        ("acknowledged settings", frame(SETTINGS, ACK, 0, [0; 6])),
        ("a window too large", settings(&[(4, 0x8000_0000)])),
        ("a frame too small", settings(&[(5, 100)])),
        ("a push that is neither on nor off", settings(&[(2, 2)])),
        ("room by nothing", window(0, 0)),
        ("room too far", [window(0, 0x7fff_ffff), window(0, 0x7fff_ffff)].concat()),
        ("a frame that is too long", frame(DATA, 0, 1, vec![0; 17_000])),
        ("more padding than there is", frame(HEADERS, END_HEADERS | 8, 1, b"\xff\x84")),
        ("no table entry", whole(1, b"\xff\x00")),
        ("a table too large", whole(1, b"\x3f\xe2\x1f")),
    ] {
        let mut client = Frames::connect(gateway.public()).await;
        client.send(frames).await;
        let (code, ending) = client.ends().await;
        assert!(code.is_some_and(|code| code != NO_ERROR), "{name}: {code:?} {ending:?}");
        assert_eq!(ending, Ending::Closed, "{name}");
        write!(tried, "{name}, ").unwrap();
    }
    assert_eq!(good.get("/").await.status, 200, "after {tried}");
}
