//! The frames an upstream answers with, what the client gets of them, and whether the connection they came on is used
//! again. After each answer a victim asks for something else: whatever the answer was, it is told only what it asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyward::auth::refusal::Code;

use super::before;
use crate::support::h2_upstream::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, FrameUpstream, HEADERS, PUSH_PROMISE, Wire, block, frame,
};
use crate::support::raw::{Broken, Response};

/// What the client gets.
#[derive(Clone, Copy, Debug)]
enum Gets {
    /// This status and this body, whole.
    Whole(u16, &'static str),
    /// A 502 of the gateway.
    Refusal,
    /// A head, and a body that breaks off visibly after part of this.
    Part(&'static str),
}

/// What becomes of the upstream's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Kept,
    Dropped,
}

use Gets::{Part, Refusal, Whole};
use Link::{Dropped, Kept};

/// Writes an answer's frames for the stream of this id.
type Frames = Arc<dyn Fn(u32) -> Vec<u8> + Send + Sync>;

#[derive(Clone)]
struct Case {
    name: &'static str,
    method: &'static str,
    frames: Frames,
    gets: Gets,
    link: Link,
}

fn case(
    name: &'static str,
    gets: Gets,
    link: Link,
    frames: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static,
) -> Case {
    Case { name, method: "GET", frames: Arc::new(frames), gets, link }
}

/// An answer's fields after `:status: 200`, and all of its body.
fn fields(name: &'static str, fields: &[(&str, &str)], body: &str, gets: Gets, link: Link) -> Case {
    let all = [&[(":status", "200")], fields].concat();
    whole(name, &all, body, gets, link)
}

fn whole(name: &'static str, fields: &[(&str, &str)], body: &str, gets: Gets, link: Link) -> Case {
    let (block, body) = (block(fields), body.as_bytes().to_vec());
    case(name, gets, link, move |id| {
        let head = frame(HEADERS, END_HEADERS, id, &block);
        [head, frame(DATA, END_STREAM, id, &body)].concat()
    })
}

/// An answer's fields alone.
fn alone(name: &'static str, fields: &[(&str, &str)], gets: Gets, link: Link) -> Case {
    let block = block(fields);
    case(name, gets, link, move |id| frame(HEADERS, END_HEADERS | END_STREAM, id, &block))
}

fn ok() -> Vec<u8> {
    block(&[(":status", "200")])
}

/// 200, and these frames.
fn after_head(
    name: &'static str,
    gets: Gets,
    link: Link,
    frames: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static,
) -> Case {
    case(name, gets, link, move |id| [frame(HEADERS, END_HEADERS, id, ok()), frames(id)].concat())
}

fn data(id: u32, flags: u8, text: &str) -> Vec<u8> {
    frame(DATA, flags, id, text.as_bytes())
}

fn interim(id: u32, status: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, id, block(&[(":status", status), ("link", "</a>")]))
}

/// A block of fields in frames of a legal size.
fn split(id: u32, block: &[u8]) -> Vec<u8> {
    let mut pieces = block.chunks(16_000).peekable();
    let mut frames = frame(HEADERS, 0, id, pieces.next().unwrap());
    while let Some(piece) = pieces.next() {
        let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        frames.extend(frame(CONTINUATION, flags, id, piece));
    }
    frames
}

/// Each case on the connection that the case before left, if it left one.
async fn all(cases: Vec<Case>) {
    let (scripted, asked) = (cases.clone(), Arc::new(AtomicUsize::new(0)));
    let upstream = FrameUpstream::scripted(move |mut wire: Wire| {
        let (cases, asked) = (scripted.clone(), asked.clone());
        async move {
            wire.hello(&[]).await;
            while let Some(id) = wire.whole().await {
                let number = asked.fetch_add(1, Ordering::SeqCst);
                match number % 3 {
                    0 => wire.raw(&(cases[number / 3].frames)(id)).await,
                    _ => wire.answer(id, &format!("victim {number} on {}", wire.number)).await,
                }
            }
        }
    })
    .await;
    let gateway = before(&upstream.url()).await;
    for (number, case) in cases.iter().enumerate() {
        let mut client = gateway.anonymous();
        judge(case, client.request(case.method, "/case").try_send().await);
        let used = upstream.connections() - 1;
        for round in 1..3 {
            let response = client.get("/victim").await;
            let (about, on) = response.text().split_once(" on ").unwrap();
            assert_eq!(about, format!("victim {}", number * 3 + round), "after {}", case.name);
            let kept = on.parse::<usize>().unwrap() == used;
            assert_eq!(kept, case.link == Kept, "the connection after {}", case.name);
        }
    }
}

#[track_caller]
fn judge(case: &Case, outcome: Result<Response, Broken>) {
    let name = case.name;
    match (case.gets, outcome) {
        (Whole(status, body), Ok(response)) => {
            assert_eq!((response.status, response.text()), (status, body), "{name}");
            assert_eq!(response.interim, [0_u16; 0], "{name}");
        }
        (Refusal, Ok(response)) => {
            assert_eq!(response.status, 502, "{name}: {response:?}");
            response.refused(Code::UpstreamProtocolError);
        }
        (Part(most), Err(Broken::Body(_, response))) => {
            assert!(most.as_bytes().starts_with(&response.body), "{name}: {response:?}");
        }
        // The break can overtake the head on its way out.
        (Part(_), Err(Broken::Nothing(_) | Broken::Head(..))) => {}
        (expected, outcome) => panic!("{name}: {outcome:?} instead of {expected:?}"),
    }
}

#[tokio::test]
async fn an_answer_with_one_meaning_passes() {
    let many: Vec<(String, &str)> = (0..100).map(|n| (format!("x-{n}"), "v")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    all(vec![
        alone("no body", &[(":status", "200")], Whole(200, ""), Kept),
        fields("a body", &[], "abc", Whole(200, "abc"), Kept),
        fields("a length", &[("content-length", "3")], "abc", Whole(200, "abc"), Kept),
        fields(
            "equal lengths",
            &[("content-length", "3"), ("content-length", "3")],
            "abc",
            Whole(200, "abc"),
            Kept,
        ),
        fields("a length with zeros", &[("content-length", "003")], "abc", Whole(200, "abc"), Kept),
        fields("a length of nothing", &[("content-length", "0")], "", Whole(200, ""), Kept),
        fields("many fields", &many, "abc", Whole(200, "abc"), Kept),
        whole("an unusual status", &[(":status", "799")], "abc", Whole(799, "abc"), Kept),
        after_head("pieces", Whole(200, "abc"), Kept, |id| {
            [data(id, 0, "a"), data(id, 0, ""), data(id, 0, "bc"), data(id, END_STREAM, "")].concat()
        }),
        after_head("padding", Whole(200, "abc"), Kept, |id| {
            [frame(DATA, 8, id, b"\x05abc\0\0\0\0\0"), frame(DATA, 8 | END_STREAM, id, b"\x02\0\0")].concat()
        }),
        after_head("trailers", Whole(200, "abc"), Kept, |id| {
            let trailers = block(&[("x-sum", "1"), ("content-length", "9"), ("x-request-id", "theirs")]);
            [data(id, 0, "abc"), frame(HEADERS, END_HEADERS | END_STREAM, id, &trailers)].concat()
        }),
        after_head("trailers alone", Whole(200, ""), Kept, |id| {
            frame(HEADERS, END_HEADERS | END_STREAM, id, block(&[("x-sum", "1")]))
        }),
        after_head("frames of an unknown kind", Whole(200, "abc"), Kept, |id| {
            [frame(0xfa, 0xff, id, b"?"), data(id, END_STREAM, "abc"), frame(0xfa, 0xff, 0, b"?")].concat()
        }),
        case("interim answers", Whole(200, "abc"), Kept, |id| {
            let head = frame(HEADERS, END_HEADERS, id, ok());
            [interim(id, "100"), interim(id, "103"), interim(id, "199"), head, data(id, END_STREAM, "abc")]
                .concat()
        }),
        case("a hundred interim answers", Whole(200, "abc"), Kept, |id| {
            let head = frame(HEADERS, END_HEADERS, id, ok());
            [interim(id, "103").repeat(100), head, data(id, END_STREAM, "abc")].concat()
        }),
        case("fields in pieces", Whole(200, "abc"), Kept, |id| {
            let block = block(&[(":status", "200"), ("x", "y")]);
            let (first, rest) = block.split_at(5);
            let head = frame(HEADERS, 0, id, first);
            let rest = [frame(CONTINUATION, 0, id, b""), frame(CONTINUATION, END_HEADERS, id, rest)].concat();
            [head, rest, data(id, END_STREAM, "abc")].concat()
        }),
        alone("204", &[(":status", "204")], Whole(204, ""), Kept),
        alone("204 of length 0", &[(":status", "204"), ("content-length", "0")], Whole(204, ""), Kept),
        alone("304 with a length", &[(":status", "304"), ("content-length", "99")], Whole(304, ""), Kept),
        whole("204 with an end of its own", &[(":status", "204")], "", Whole(204, ""), Kept),
        Case {
            method: "HEAD",
            ..alone("HEAD", &[(":status", "200"), ("content-length", "99")], Whole(200, ""), Kept)
        },
        // Nobody else's: the stream ends it.
        whole("a body on 204", &[(":status", "204")], "abc", Whole(204, ""), Kept),
    ])
    .await;
}

#[tokio::test]
async fn an_answer_that_breaks_the_protocol_is_a_502() {
    let too_large = vec![("x", "v".repeat(7_000)); 10];
    let too_large: Vec<(&str, &str)> =
        too_large.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let too_large = block(&[&[(":status", "200")], too_large.as_slice()].concat());
    let many: Vec<(String, &str)> = (0..200).map(|n| (format!("x-{n}"), "v")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    all(vec![
        case("more interim answers", Refusal, Kept, |id| {
            let head = frame(HEADERS, END_HEADERS, id, ok());
            [interim(id, "103").repeat(101), head, data(id, END_STREAM, "abc")].concat()
        }),
        fields("two lengths", &[("content-length", "1"), ("content-length", "2")], "a", Refusal, Kept),
        fields("a list of lengths", &[("content-length", "1, 1")], "a", Refusal, Kept),
        fields("a negative length", &[("content-length", "-1")], "a", Refusal, Kept),
        fields("a length with a sign", &[("content-length", "+1")], "a", Refusal, Kept),
        fields("a hexadecimal length", &[("content-length", "0x1")], "a", Refusal, Kept),
        fields("a length beyond numbers", &[("content-length", "99999999999999999999")], "a", Refusal, Kept),
        fields("an empty length", &[("content-length", "")], "", Refusal, Kept),
        fields("a connection", &[("connection", "close")], "a", Refusal, Kept),
        fields("a coding", &[("transfer-encoding", "chunked")], "a", Refusal, Kept),
        fields("a time to keep alive", &[("keep-alive", "timeout=5")], "a", Refusal, Kept),
        fields("a proxy's connection", &[("proxy-connection", "close")], "a", Refusal, Kept),
        fields("an upgrade", &[("upgrade", "h2c")], "a", Refusal, Kept),
        fields("too many fields", &many, "a", Refusal, Kept),
        case("too large fields", Refusal, Kept, move |id| {
            [split(id, &too_large), data(id, END_STREAM, "a")].concat()
        }),
        alone("204 with a length", &[(":status", "204"), ("content-length", "5")], Refusal, Kept),
        alone("a length without a body", &[(":status", "200"), ("content-length", "5")], Refusal, Kept),
        alone("no status", &[("x", "y")], Refusal, Kept),
        alone("no fields at all", &[], Refusal, Kept),
        alone("two statuses", &[(":status", "200"), (":status", "200")], Refusal, Kept),
        alone("a status behind a field", &[("x", "y"), (":status", "200")], Refusal, Kept),
        alone("a switch of protocols", &[(":status", "101")], Refusal, Kept),
        case("a switch of protocols that goes on", Refusal, Kept, |id| interim(id, "101")),
        alone("an interim answer as the last", &[(":status", "103")], Refusal, Kept),
    ])
    .await;
}

#[tokio::test]
async fn fields_that_cannot_be_decoded_cost_the_connection() {
    let far_too_much = "v".repeat(300_000);
    let far_too_much = block(&[(":status", "200"), ("x", &far_too_much)]);
    let alone = |name, fields: &[(&str, &str)]| alone(name, fields, Refusal, Dropped);
    let case = |name, frames: fn(u32) -> Vec<u8>| case(name, Refusal, Dropped, frames);
    let cases = vec![
        alone("a status of letters", &[(":status", "abc")]),
        alone("a status of two digits", &[(":status", "20")]),
        alone("a status of four digits", &[(":status", "2000")]),
        alone("an unknown pseudo-header field", &[(":status", "200"), (":x", "y")]),
        alone("a name in capitals", &[(":status", "200"), ("X-A", "y")]),
        alone("a name with a space", &[(":status", "200"), ("x a", "y")]),
        alone("a name with a colon", &[(":status", "200"), ("x:a", "y")]),
        alone("an empty name", &[(":status", "200"), ("", "y")]),
        alone("a value with CR and LF", &[(":status", "200"), ("x", "y\r\nz: a")]),
        alone("a value with NUL", &[(":status", "200"), ("x", "y\0")]),
        Case {
            frames: Arc::new(move |id| split(id, &far_too_much)),
            ..case("far too large a field", |_| Vec::new())
        },
        case("a block that is none", |id| frame(HEADERS, END_HEADERS | END_STREAM, id, [0xff; 7])),
        case("an index that is none", |id| frame(HEADERS, END_HEADERS | END_STREAM, id, b"\xfe")),
        case("an endless block", |id| {
            let piece = frame(CONTINUATION, 0, id, block(&[("x", "y")]));
            [frame(HEADERS, 0, id, ok()), piece.repeat(50_000)].concat()
        }),
        case("a push", |id| frame(PUSH_PROMISE, END_HEADERS, id, [&[0, 0, 0, 2][..], &ok()].concat())),
        case("a body before its fields", |id| data(id, END_STREAM, "abc")),
    ];
    // What the connection was lost to may have been another request's answer: an idempotent one would be asked again.
    all(cases.into_iter().map(|case| Case { method: "POST", ..case }).collect()).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_for_the_client_too() {
    let sized = |length: &str| block(&[(":status", "200"), ("content-length", length)]);
    let (nine, two) = (sized("9"), sized("2"));
    all(vec![
        case("less than its length", Part("abc"), Kept, move |id| {
            [frame(HEADERS, END_HEADERS, id, &nine), data(id, END_STREAM, "abc")].concat()
        }),
        case("more than its length", Part(""), Kept, move |id| {
            [frame(HEADERS, END_HEADERS, id, &two), data(id, END_STREAM, "abc")].concat()
        }),
        after_head("trailers that end nothing", Part("abc"), Kept, |id| {
            [data(id, 0, "abc"), frame(HEADERS, END_HEADERS, id, block(&[("x", "y")]))].concat()
        }),
        after_head("trailers of a connection", Part("abc"), Kept, |id| {
            let trailers = block(&[("connection", "close")]);
            [data(id, 0, "abc"), frame(HEADERS, END_HEADERS | END_STREAM, id, &trailers)].concat()
        }),
        after_head("a frame larger than allowed", Part("abc"), Dropped, |id| {
            [data(id, 0, "abc"), data(id, END_STREAM, &"x".repeat(20_000))].concat()
        }),
        after_head("too much padding", Part("abc"), Dropped, |id| {
            [data(id, 0, "abc"), frame(DATA, 8 | END_STREAM, id, b"\x09abc")].concat()
        }),
        after_head("a frame of a stream that is none", Part("abc"), Dropped, |id| {
            [data(id, 0, "abc"), data(id + 100, END_STREAM, "abc")].concat()
        }),
        after_head("a window of nothing", Part("abc"), Dropped, |id| {
            [data(id, 0, "abc"), frame(8, 0, id, [0; 4])].concat()
        }),
    ])
    .await;
}

#[tokio::test]
async fn a_length_goes_on_once_and_without_zeros() {
    let upstream = FrameUpstream::scripted(|mut wire: Wire| async move {
        wire.hello(&[]).await;
        while let Some(id) = wire.whole().await {
            let head = [(":status", "200"), ("content-length", "003"), ("content-length", "003")];
            wire.headers(id, 0, &head).await;
            wire.data(id, END_STREAM, b"abc").await;
        }
    })
    .await;
    let gateway = before(&upstream.url()).await;
    let answer = gateway.anonymous().get("/").await;
    assert_eq!((answer.all("content-length"), answer.text()), (vec!["3"], "abc"));
}
