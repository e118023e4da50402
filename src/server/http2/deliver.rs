//! Running one request on its stream: waiting for its answer, and handing that over as the client makes room.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, DATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame};

use super::credit::Fit;
use super::duplex::Duplex;
use super::piece::Piece;
use super::stream::{Expects, Stream};
use super::unread;
use crate::server::date::Dates;
use crate::server::takeover::Bare;

/// As much of an answer as is asked for at once.
const PIECE: usize = 64 * 1024;

/// An answer that does not reach its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Its client took the request back, or broke the rules.
    TakenBack,
    /// It came no further, or its client took too long to take it.
    BrokenOff,
}

/// What else a request is run by.
pub(super) struct Terms<'a> {
    pub expects: Expects,
    /// What comes on the stream behind a request that asks to leave HTTP.
    pub behind: Option<RecvStream>,
    /// For the `Date` of an answer.
    pub dates: &'a Dates,
}

/// Runs one request to the last byte of its answer and, within bounds, of its body, or to the stream's end. What makes the
/// answer is boxed: handed on as it is, every step here would have room for it, and it is gone once there is an answer.
pub(super) async fn run<B>(
    answer: Pin<Box<impl Future<Output = Result<Response<B>, Infallible>>>>,
    reply: SendResponse<Piece>,
    stream: Rc<Stream>,
    terms: Terms<'_>,
) where
    B: Body<Data = Bytes>,
    B::Error: Into<Reason>,
{
    let closing = Closing(Rc::clone(&stream));
    let _forget = stream.forget_takeover();
    match exchange(answer, reply, &stream, terms).await {
        Ok(()) => {
            stream.delivered();
            if let Some(body) = stream.left_body() {
                unread::discard(body, stream.conn().deadlines().timer()).await;
            }
        }
        Err(Cut::TakenBack) => stream.taken_back(),
        Err(Cut::BrokenOff) => {}
    }
    drop(closing);
}

/// However the run ends, the stream is over.
struct Closing(Rc<Stream>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.closed();
    }
}

async fn exchange<B>(
    answer: Pin<Box<impl Future<Output = Result<Response<B>, Infallible>>>>,
    mut reply: SendResponse<Piece>,
    stream: &Rc<Stream>,
    terms: Terms<'_>,
) -> Result<(), Cut>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Reason>,
{
    let response = await_answer(answer, &mut reply, stream, terms.expects).await?;
    let (mut head, body) = response.into_parts();
    head.headers.entry(DATE).or_insert_with(|| terms.dates.now());
    if let (Some(takeover), Some(behind)) = (stream.taken_over(), terms.behind) {
        let out = reply.send_response(Response::from_parts(head, ()), false).map_err(|_| Cut::TakenBack)?;
        takeover(Bare::Stream(Duplex::new(out, behind, Rc::clone(stream)))).await;
        return Ok(());
    }
    if body.is_end_stream() {
        reply.send_response(Response::from_parts(head, ()), true).map_err(|_| Cut::TakenBack)?;
        return Ok(());
    }
    tell_length(&mut head.headers, &body);
    let out = reply.send_response(Response::from_parts(head, ()), false).map_err(|_| Cut::TakenBack)?;
    send_body(body, out, stream).await
}

/// Waits for the answer; a client that takes its request back ends the wait.
async fn await_answer<B>(
    mut answer: Pin<Box<impl Future<Output = Result<Response<B>, Infallible>>>>,
    reply: &mut SendResponse<Piece>,
    stream: &Stream,
    mut expects: Expects,
) -> Result<Response<B>, Cut> {
    poll_fn(|cx| {
        if let Poll::Ready(Ok(response)) = answer.as_mut().poll(cx) {
            return Poll::Ready(Ok(response));
        }
        if expects == Expects::Continue && stream.is_body_wanted() {
            expects = Expects::Nothing;
            let mut go_on = Response::new(());
            *go_on.status_mut() = StatusCode::CONTINUE;
            // If it cannot be told any more, the next line says so.
            let _ = reply.send_informational(go_on);
        }
        reply.poll_reset(cx).map(|_| Err(Cut::TakenBack))
    })
    .await
}

fn tell_length<B: Body>(headers: &mut HeaderMap, body: &B) {
    if let Some(length) = body.size_hint().exact() {
        headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
}

async fn send_body<B>(body: B, mut out: SendStream<Piece>, stream: &Rc<Stream>) -> Result<(), Cut>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Reason>,
{
    let mut body = pin!(body);
    loop {
        let frame = poll_fn(|cx| {
            // Little is read of what the client has no room for.
            out.reserve_capacity(PIECE);
            stream.offer(out.capacity().min(stream.room_left()));
            match body.as_mut().poll_frame(cx) {
                Poll::Ready(frame) => Poll::Ready(Ok(frame)),
                Poll::Pending => {
                    // Other streams may have more to send.
                    out.reserve_capacity(0);
                    poll_gone(&mut out, stream, cx).map(Err)
                }
            }
        });
        let frame = match frame.await? {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                out.send_reset(error.into());
                return Err(Cut::BrokenOff);
            }
            None => {
                out.send_data(Piece::new(Bytes::new(), stream, Fit::Whole), true)
                    .map_err(|_| Cut::TakenBack)?;
                break;
            }
        };
        let last = body.is_end_stream();
        if send_frame(frame, last, &mut out, stream).await? == Sent::Last {
            break;
        }
    }
    // What carries the body is held until its last byte is on its way.
    poll_fn(|cx| match stream.poll_written(cx) {
        Poll::Ready(()) => Poll::Ready(Ok(())),
        Poll::Pending => poll_gone(&mut out, stream, cx).map(Err),
    })
    .await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    More,
    Last,
}

async fn send_frame(
    frame: Frame<Bytes>,
    last: bool,
    out: &mut SendStream<Piece>,
    stream: &Rc<Stream>,
) -> Result<Sent, Cut> {
    let data = match frame.into_data() {
        Ok(data) => data,
        Err(frame) => {
            let Ok(trailers) = frame.into_trailers() else { return Ok(Sent::More) };
            out.send_trailers(trailers).map_err(|_| Cut::TakenBack)?;
            return Ok(Sent::Last);
        }
    };
    send_data(data, last, out, stream).await?;
    Ok(if last { Sent::Last } else { Sent::More })
}

/// Hands `data` over, as much at a time as there is room for.
async fn send_data(
    mut data: Bytes,
    last: bool,
    out: &mut SendStream<Piece>,
    stream: &Rc<Stream>,
) -> Result<(), Cut> {
    while !data.is_empty() {
        out.reserve_capacity(data.len());
        let room = poll_fn(|cx| poll_room(out, stream, cx)).await?;
        let piece = data.split_to(room.min(data.len()));
        let fit = if data.is_empty() { Fit::Whole } else { Fit::Cut };
        let end = last && data.is_empty();
        out.send_data(Piece::new(piece, stream, fit), end).map_err(|_| Cut::TakenBack)?;
        if end {
            return Ok(());
        }
    }
    if last {
        out.send_data(Piece::new(Bytes::new(), stream, Fit::Whole), true).map_err(|_| Cut::TakenBack)?;
    }
    Ok(())
}

fn poll_room(
    out: &mut SendStream<Piece>,
    stream: &Rc<Stream>,
    cx: &mut Context<'_>,
) -> Poll<Result<usize, Cut>> {
    let Poll::Ready(left) = stream.poll_room(cx) else { return poll_gone(out, stream, cx).map(Err) };
    if out.capacity() > 0 {
        return Poll::Ready(Ok(out.capacity().min(left)));
    }
    match out.poll_capacity(cx) {
        Poll::Ready(Some(Ok(room))) => Poll::Ready(Ok(room.min(left))),
        Poll::Ready(_) => Poll::Ready(Err(Cut::TakenBack)),
        Poll::Pending => poll_gone(out, stream, cx).map(Err),
    }
}

/// Ready when the client took its request back, did not take its answer in time, or is to have no more of it.
fn poll_gone(out: &mut SendStream<Piece>, stream: &Stream, cx: &mut Context<'_>) -> Poll<Cut> {
    if out.poll_reset(cx).is_ready() {
        return Poll::Ready(Cut::TakenBack);
    }
    if stream.is_cut() || stream.poll_overdue(cx).is_ready() {
        out.send_reset(Reason::CANCEL);
        return Poll::Ready(Cut::BrokenOff);
    }
    Poll::Pending
}
