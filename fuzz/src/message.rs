//! What a client sends, from raw bytes through hyper to the bytes that an upstream would receive, beside a strict reader
//! at both ends.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::{cell::RefCell, future::Future, future::poll_fn, io};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::Full;
use hyper::rt::ReadBufCursor;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use keyward::message;
use keyward::message::framing::Framing;
use keyward::proxy::gateway;
use keyward::proxy::request_body::{RequestBody, Trailers};
use keyward::server::Watch;
use keyward::server::carrier::Carrier;
use keyward::server::conn::Conn;
use keyward::server::incoming::Incoming;
use keyward::web::client_address::Trust;
use keyward::web::forwarded::Scheme;

use super::pieces::Manner;

mod bed;
mod oracle;

use bed::Bed;

/// What came of one request.
struct Seen {
    /// What would have been written to an upstream; none of a refused request.
    forwarded: Option<Vec<u8>>,
    /// The body, when it was read to its end.
    body: Option<Vec<u8>>,
}

/// Takes the input's rest as what a client sends.
pub fn run(data: &[u8]) {
    let Some((manner, stream)) = Manner::split(data) else { return };
    let trust = if manner.first() { Trust::Trusted } else { Trust::Untrusted };
    Bed::with(|bed| {
        let seen = serve(bed, stream, manner, trust);
        oracle::hold(&seen, stream, trust);
    });
}

/// Serves the stream as `server::connection` does.
fn serve(bed: &Bed, stream: &[u8], manner: Manner, trust: Trust) -> Vec<Seen> {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    let conn = Conn::new(nowhere, nowhere, Scheme::Http, bed.plan.connection, &bed.deadlines, Rc::default());
    let seen = RefCell::new(Vec::new());
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        handle(bed, &conn, request.map(Incoming::Http1), manner, trust, &seen)
    });
    let io = Wire { rest: stream, piece: manner.piece(), conn: Rc::clone(&conn) };
    let max = &bed.plan.config.max;
    let mut http = http1::Builder::new();
    http.header_read_timeout(None)
        .half_close(true)
        .max_header_size(max.headers)
        .max_headers(max.header_count);
    finish(http.serve_connection(io, service), stream.len() + 1000);
    seen.take()
}

/// Polls to the end. Nothing here waits; hyper only gives way now and then.
fn finish(serving: impl Future, turns: usize) {
    let mut serving = pin!(serving);
    let mut cx = Context::from_waker(Waker::noop());
    assert!((0..turns).any(|_| serving.as_mut().poll(&mut cx).is_ready()), "a connection without end");
}

/// The gateway's pipeline, less routes and credentials.
async fn handle(
    bed: &Bed,
    conn: &Rc<Conn>,
    request: Request<Incoming>,
    manner: Manner,
    trust: Trust,
    seen: &RefCell<Vec<Seen>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, incoming) = request.into_parts();
    let head = conn.request_started(bed.plan.connection);
    let mut body = (!incoming.is_end_stream()).then(|| {
        let carrier = Carrier::Connection(Rc::clone(conn));
        RequestBody::new(incoming, None, Rc::default(), carrier, Trailers::of(&parts.headers, &bed.plan))
    });
    let follows = if body.is_some() { message::Body::Follows } else { message::Body::None };
    let forwarded = message::admit(&parts, &bed.plan.message).and_then(|mut admission| {
        admission.knows_body(follows, &parts.method)?;
        gateway::judge_raw_head(head, admission.framing)?;
        Ok((bed.forwarded(&parts, &admission, trust)?, admission.framing))
    });
    let (record, closes) = match forwarded {
        Err(refusal) => {
            (Seen { forwarded: None, body: None }, gateway::leaves_framing_in_doubt(&refusal, parts.version))
        }
        Ok((bytes, framing)) => {
            let leaves = manner.second();
            let read = if leaves { None } else { read_body(body.as_mut(), framing).await };
            let broken = !leaves && read.is_none();
            (Seen { forwarded: Some(bytes), body: read }, broken)
        }
    };
    seen.borrow_mut().push(record);
    drop(body);
    let mut response = Response::new(Full::new(Bytes::from_static(b"x")));
    let chunked = parts.headers.contains_key("transfer-encoding");
    if closes || conn.has_left_body() && (chunked || !conn.body_came_whole()) {
        response.headers_mut().insert("connection", http::HeaderValue::from_static("close"));
    }
    conn.answer_started();
    conn.request_ended();
    Ok(response)
}

/// The whole body; `None` when it breaks off.
async fn read_body(body: Option<&mut RequestBody>, framing: Framing) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    let Some(body) = body else { return Some(whole) };
    assert_ne!(framing, Framing::None, "a body that nobody spoke of");
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        whole.extend_from_slice(&frame.ok()?.into_data().unwrap_or_default());
    }
    Some(whole)
}

/// The client's end of a connection: it has sent everything, and takes whatever comes.
struct Wire<'a> {
    rest: &'a [u8],
    piece: usize,
    conn: Rc<Conn>,
}

impl hyper::rt::Read for Wire<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.rest.len().min(self.piece).min(buf.remaining());
        let (piece, rest) = self.rest.split_at(count);
        self.rest = rest;
        buf.put_slice(piece);
        self.conn.came(piece);
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Wire<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
