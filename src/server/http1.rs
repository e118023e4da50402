//! Serving one client connection of HTTP/1: hyper drives it, [`Conn`] keeps its phase and its limits of time.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::carrier::Carrier;
use super::closing::{linger, reset, turn_away};
use super::conn::Conn;
use super::connection::Unread;
use super::incoming::Incoming;
use super::takeover::Bare;
use super::transport::Transport;
use super::watched::Watched;

/// How a connection ended.
#[derive(Debug)]
enum End {
    /// hyper is done with it.
    Done,
    /// A client error that hyper answered, or a broken connection.
    Failed(hyper::Error),
    /// A request's fields did not arrive in time.
    SlowHead,
    /// Any other phase lasted too long, or the worker ends.
    Closed,
    /// It was to end in the middle of an answer.
    Cut,
}

/// Serves one connection to its end, of which `ahead` has been read and told. `unread` is told when what came was no
/// request, and gives the answer, which is written unless hyper has answered.
pub(super) async fn serve<H, F, B>(
    stream: Transport,
    ahead: Vec<u8>,
    conn: &Rc<Conn>,
    http: &http1::Builder,
    handle: H,
    unread: impl FnOnce(Unread) -> Vec<u8>,
) where
    H: Fn(Carrier, Request<Incoming>) -> F,
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let _forget = conn.forget_takeover();
    let socket = Rc::new(RefCell::new(stream));
    let io = TokioIo::new(Watched::new(&socket, ahead, Rc::clone(conn)));
    // Boxed, because hyper keeps room for a whole request's future in every connection, idle ones too.
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        Box::pin(handle(Carrier::Connection(Rc::clone(conn)), request.map(Incoming::Http1)))
    });
    let mut http = http.serve_connection(io, service);
    let end = poll_fn(|cx| {
        // First what has arrived: a request that is there already is answered.
        if let Poll::Ready(result) = Pin::new(&mut http).poll(cx) {
            return Poll::Ready(result.map_or_else(End::Failed, |()| End::Done));
        }
        if conn.is_cut() {
            return Poll::Ready(End::Cut);
        }
        if conn.poll_overdue(cx).is_ready() {
            conn.is_late();
            return Poll::Ready(if conn.is_in_head() { End::SlowHead } else { End::Closed });
        }
        if conn.is_to_end() || conn.waits_for_its_answer() && is_gone(&mut socket.borrow_mut(), conn, cx) {
            return Poll::Ready(End::Closed);
        }
        Poll::Pending
    })
    .await;
    let read = http.into_parts().read_buf;
    // hyper's half went with the rest.
    let Some(stream) = Rc::into_inner(socket).map(RefCell::into_inner) else { return };
    match conn.taken_over() {
        Some(takeover) if matches!(end, End::Done) => takeover(Bare::Socket { stream, read }).await,
        _ => end_connection(stream, conn, end, unread).await,
    }
}

/// Whether a client that has sent all of its request has gone, or ended its side, before the answer was complete.
///
/// hyper would look by reading, and make room for a whole request each time it does. Here nothing is read: what a
/// client sends ahead stays where it is, and means that it is there.
fn is_gone(stream: &mut Transport, conn: &Conn, cx: &mut Context<'_>) -> bool {
    match stream.poll_ahead(cx) {
        Poll::Pending => false,
        Poll::Ready(Ok(true)) => {
            conn.sends_ahead();
            false
        }
        Poll::Ready(Ok(false) | Err(_)) => true,
    }
}

async fn end_connection(
    mut stream: Transport,
    conn: &Conn,
    end: End,
    unread: impl FnOnce(Unread) -> Vec<u8>,
) {
    let cut_short = matches!(end, End::Failed(_) | End::Closed);
    if conn.is_cut() || cut_short && conn.is_all_that_ends_the_answer() {
        // An orderly end would tell the client that it has all of the answer.
        reset(&stream);
        return;
    }
    match end {
        End::Done if conn.has_left_body() || stream.has_unread() => linger(&mut stream).await,
        End::Done | End::Closed => stream.say_end(),
        End::Cut => {}
        End::Failed(error) => {
            tracing::debug!(peer = %conn.peer, %error, "a client connection failed");
            if conn.is_in_unanswered_head() && error.is_incomplete_message() {
                // hyper says nothing to a head that is cut off. Whose connection broke hears nothing more.
                stream.try_write(&unread(Unread::Malformed));
                linger(&mut stream).await;
            } else if error.is_parse() {
                let _ = unread(if error.is_parse_too_large() { Unread::TooLarge } else { Unread::Malformed });
                linger(&mut stream).await;
            } else if conn.has_left_body() {
                linger(&mut stream).await;
            }
        }
        End::SlowHead => turn_away(stream, &unread(Unread::Slow)).await,
    }
}
