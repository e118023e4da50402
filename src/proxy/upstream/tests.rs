use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::HeaderMap;
use http_body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::exchange::Exchange;
use super::wire::Wire;
use super::*;
use crate::clock::{Clock, Timestamp};
use crate::web::forwarded::Scheme;

/// A client's body by script: pieces, pauses that last until the test ends, and its end.
#[derive(Debug)]
struct Scripted {
    pieces: VecDeque<Option<&'static [u8]>>,
    trailers: Option<HeaderMap>,
    length_known: bool,
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        match self.pieces.front() {
            None => Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))),
            Some(None) => Poll::Pending,
            Some(Some(_)) => {
                let piece = self.pieces.pop_front().flatten().map(Bytes::from_static);
                Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.length_known && self.pieces.is_empty()
    }
}

const PATIENCE: Patience = Patience {
    request_body: Duration::from_secs(1),
    answer: Duration::from_secs(10),
    glance: Duration::from_secs(1),
};

struct Bed {
    clock: Clock,
    deadlines: Rc<Deadlines>,
    exchange: Exchange<Scripted>,
    endpoint: TcpStream,
}

impl Bed {
    async fn new(framing: Framing, pieces: &[Option<&'static [u8]>]) -> Self {
        Self::with_trailers(framing, pieces, None).await
    }

    async fn with_trailers(
        framing: Framing,
        pieces: &[Option<&'static [u8]>],
        trailers: Option<HeaderMap>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (endpoint, _) = listener.accept().await.unwrap();
        let clock = Clock::manual(Timestamp(0));
        let deadlines = Deadlines::new(clock.clone());
        let mut wire = Wire::new(stream.into(), deadlines.timer());
        wire.out.extend_from_slice(b"HEAD|");
        let length_known = matches!(framing, Framing::Length(_));
        let body = Scripted { pieces: pieces.iter().copied().collect(), trailers, length_known };
        let body = (framing != Framing::None).then_some(body);
        Self { exchange: Exchange::new(wire, body, framing, PATIENCE), clock, deadlines, endpoint }
    }

    /// With a head that says that a body follows, perhaps, and none that does.
    async fn without_body(framing: Framing) -> Self {
        let Self { clock, deadlines, exchange, endpoint } = Self::new(framing, &[]).await;
        let (stream, ..) = exchange.into_parts();
        let mut wire = Wire::new(stream, deadlines.timer());
        wire.out.extend_from_slice(b"HEAD|");
        Self { exchange: Exchange::new(wire, None, framing, PATIENCE), clock, deadlines, endpoint }
    }

    async fn head(&mut self) -> Result<Head, Failure> {
        poll_fn(|cx| self.exchange.poll_head(cx, Asked::Other)).await
    }

    /// Goes on until the endpoint has received `expected`.
    async fn sends(&mut self, expected: &[u8]) {
        let mut received = vec![0; expected.len()];
        tokio::select! {
            read = self.endpoint.read_exact(&mut received) => drop(read.unwrap()),
            head = poll_fn(|cx| self.exchange.poll_head(cx, Asked::Other)) => panic!("{head:?}"),
        }
        assert_eq!(received.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    /// Lets this time pass; what the exchange says then, if anything.
    async fn after(&mut self, time: Duration) -> Option<Result<Head, Failure>> {
        // What it can do before its time it does.
        assert!(self.poll_once().await.is_none());
        self.clock.advance(time);
        self.deadlines.tick();
        self.poll_once().await
    }

    async fn poll_once(&mut self) -> Option<Result<Head, Failure>> {
        poll_fn(|cx| match self.exchange.poll_head(cx, Asked::Other) {
            Poll::Ready(head) => Poll::Ready(Some(head)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn a_body_is_framed_as_its_head_says() {
    let pieces: &[Option<&[u8]>] = &[Some(b"abc"), Some(b""), Some(b"0123456789abcdef"), None];
    let mut chunked = Bed::new(Framing::Chunked, pieces).await;
    chunked.sends(b"HEAD|3\r\nabc\r\n10\r\n0123456789abcdef\r\n").await;
    let mut ended = Bed::new(Framing::Chunked, &pieces[..3]).await;
    ended.sends(b"HEAD|3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n").await;
    let mut length = Bed::new(Framing::Length(19), &pieces[..3]).await;
    length.sends(b"HEAD|abc0123456789abcdef").await;
}

#[tokio::test]
async fn trailers_follow_where_the_framing_has_a_place_for_them() {
    for (framing, sent) in
        [(Framing::Chunked, &b"HEAD|3\r\nabc\r\n0\r\netag: x\r\n\r\n"[..]), (Framing::Length(3), b"HEAD|abc")]
    {
        let trailers = HeaderMap::from_iter([(http::header::ETAG, http::HeaderValue::from_static("x"))]);
        let mut bed = Bed::with_trailers(framing, &[Some(b"abc")], Some(trailers)).await;
        bed.sends(sent).await;
        bed.endpoint.write_all(ANSWER).await.unwrap();
        assert!(bed.head().await.is_ok());
        assert!(bed.exchange.into_reusable().is_some(), "{framing:?}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again_only_when_all_was_sent_and_all_was_read() {
    let whole: &[Option<&[u8]>] = &[Some(b"abc")];
    let half: &[Option<&[u8]>] = &[Some(b"ab"), None];
    for (framing, pieces, behind, reusable) in [
        (Framing::None, &[][..], "", true),
        (Framing::Length(3), whole, "", true),
        (Framing::Chunked, whole, "", true),
        (Framing::Length(3), half, "", false),
        (Framing::Chunked, half, "", false),
        (Framing::Length(3), whole, "x", false),
    ] {
        let mut bed = Bed::new(framing, pieces).await;
        bed.sends(b"HEAD|").await;
        bed.endpoint.write_all(&[ANSWER, behind.as_bytes()].concat()).await.unwrap();
        assert!(bed.head().await.is_ok());
        assert_eq!(bed.exchange.take_whole(), Some(Bytes::new()));
        assert_eq!(bed.exchange.into_reusable().is_some(), reusable, "{framing:?} {pieces:?} {behind:?}");
    }
}

#[tokio::test]
async fn whoever_is_waited_for_is_at_fault_and_not_before_its_time() {
    let second = Duration::from_secs(1);
    let mut client = Bed::new(Framing::Length(3), &[Some(b"ab"), None]).await;
    assert!(client.after(second / 2).await.is_none());
    assert!(matches!(client.after(second).await, Some(Err(Failure::SlowClient))));

    let mut endpoint = Bed::new(Framing::Length(2), &[Some(b"ab")]).await;
    assert!(endpoint.after(second * 9).await.is_none());
    assert!(matches!(endpoint.after(second * 2).await, Some(Err(Failure::Timeout))));
}

#[tokio::test]
async fn interim_answers_give_no_more_time() {
    let mut bed = Bed::new(Framing::None, &[]).await;
    bed.sends(b"HEAD|").await;
    for _ in 0..9 {
        bed.endpoint.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.unwrap();
        assert!(bed.after(Duration::from_secs(1)).await.is_none());
    }
    assert!(matches!(bed.after(Duration::from_secs(2)).await, Some(Err(Failure::Timeout))));
}

#[tokio::test]
async fn only_a_connection_that_ends_without_a_byte_is_silent() {
    for (bytes, silent) in [
        ("", true),
        ("H", false),
        ("HTTP/1.1 103 Early Hints\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\n", false),
    ] {
        let mut bed = Bed::new(Framing::None, &[]).await;
        bed.sends(b"HEAD|").await;
        bed.endpoint.write_all(bytes.as_bytes()).await.unwrap();
        bed.endpoint.shutdown().await.unwrap();
        let failure = bed.head().await.unwrap_err();
        assert_eq!(failure.is_silent_close(), silent, "{bytes:?}: {failure:?}");
    }
}

#[tokio::test]
async fn an_untouched_body_can_be_sent_again() {
    let untouched = Bed::new(Framing::Length(3), &[None]).await;
    assert!(untouched.exchange.into_untouched().flatten().is_some());
    let mut touched = Bed::new(Framing::Length(3), &[Some(b"a"), None]).await;
    touched.sends(b"HEAD|a").await;
    assert!(touched.exchange.into_untouched().is_none());
}

#[tokio::test]
async fn a_kept_connection_that_ended_is_not_used() {
    for look in [Look::Known, Look::Ask] {
        for bytes in ["", "HTTP/1.1 408 Request Timeout\r\n\r\n"] {
            let deadlines = Deadlines::new(Clock::manual(Timestamp(0)));
            let place = config::Endpoint { host: "127.0.0.1".into(), port: 1, scheme: Scheme::Http };
            let endpoint = Endpoint::new(place, None, Rc::clone(&deadlines));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut other, _) = listener.accept().await.unwrap();
            endpoint.give_back(Wire::new(stream.into(), deadlines.timer()));
            let kept = endpoint.idle.checkout(look).expect("it is still good");
            other.write_all(bytes.as_bytes()).await.unwrap();
            other.shutdown().await.unwrap();
            kept.stream.socket().readable().await.unwrap();
            endpoint.give_back(kept);
            assert!(endpoint.idle.checkout(look).is_none(), "{look:?} {bytes:?}");
        }
    }
}

/// The next request on the connection would be taken for the body.
#[tokio::test]
async fn a_connection_that_waits_for_a_body_that_nobody_has_carries_no_other_request() {
    for (framing, good) in [(Framing::None, true), (Framing::Length(0), true), (Framing::Length(5), false)] {
        let mut bed = Bed::without_body(framing).await;
        bed.sends(b"HEAD|").await;
        bed.endpoint.write_all(ANSWER).await.unwrap();
        assert!(bed.head().await.is_ok());
        assert_eq!(bed.exchange.into_reusable().is_some(), good, "{framing:?}");
    }
}
