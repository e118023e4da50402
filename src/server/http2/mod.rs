//! Serving one client connection of HTTP/2: h2 reads and writes the frames, `Session` keeps the connection's limits of
//! time, each request runs on its [`Stream`] and is delivered within the client's windows.
//!
//! All streams of a connection run on the connection's task: one connection gets one task's share of the worker, however
//! many streams it opens.

mod credit;
mod deliver;
mod driver;
mod duplex;
mod frames;
mod hpack;
mod outbox;
mod piece;
mod receiving;
mod room;
mod session;
mod stream;
mod turns;
mod unread;

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use h2::{Reason, server};
use http::{HeaderValue, Request, Response};
use http_body::Body;

use super::carrier::Carrier;
use super::closing::linger;
use super::conn::Conn;
use super::date::Dates;
use super::incoming::Incoming;
use super::transport::Transport;
use driver::{Driver, End};
pub use duplex::Duplex;
use outbox::Outbox;
pub use outbox::Spare;
pub use receiving::Receiving;
use session::Session;
pub use stream::Stream;
use turns::Turns;

/// What may come of one stream's body before it is taken: sixteen streams that nobody takes from use up the window of all.
const STREAM_WINDOW: u32 = 64 * 1024;
/// What may come of all bodies of a connection before it is taken.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What of one stream's answer may wait to be written.
const SEND_BUFFER: usize = 128 * 1024;
/// The most streams that the client's own errors may end before the connection ends, those that were one too many
/// included.
const ERRORS: usize = 1024;
/// The most streams that the client may take back before anybody looked at them.
const TAKEN_BACK: usize = 20;

/// How HTTP/2 is spoken.
#[derive(Debug)]
pub struct Settings {
    /// The most streams of a connection at once.
    pub streams: u32,
    /// Bytes of a request's fields, as RFC 9113 §6.5.2 counts them.
    pub headers: u32,
    /// For the `Date` of an answer.
    pub dates: Rc<Dates>,
    /// For what connections have to say.
    pub spare: Rc<Spare>,
}

impl Settings {
    fn builder(&self) -> server::Builder {
        let mut http = server::Builder::new();
        http.max_concurrent_streams(self.streams)
            .max_header_list_size(self.headers)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buffer_size(SEND_BUFFER)
            .max_local_error_reset_streams(Some(ERRORS))
            .max_pending_accept_reset_streams(TAKEN_BACK)
            .enable_connect_protocol()
            // Of so many that ended early it is remembered that their rest may still come.
            .max_concurrent_reset_streams(usize::try_from(self.streams).unwrap_or(usize::MAX));
        http
    }
}

/// Serves one connection to its end, of which `ahead` has been read.
pub(super) async fn serve<H, F, B>(
    stream: Transport,
    ahead: Vec<u8>,
    conn: Rc<Conn>,
    settings: &Settings,
    handle: H,
) where
    H: Fn(Carrier, Request<Incoming>) -> F,
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body<Data = Bytes>,
    B::Error: Into<Reason>,
{
    let session = Session::open(conn, &ahead);
    if ahead.is_empty() {
        session.conn().awaits_first_byte();
    }
    let socket = Rc::new(RefCell::new(stream));
    let outbox = Outbox::new(&socket, &settings.spare);
    let io = Turns::new(&socket, ahead, &session, &outbox);
    let end = converse(io, outbox, &session, settings, handle).await;
    // h2's half went with the rest.
    let Some(mut stream) = Rc::into_inner(socket).map(RefCell::into_inner) else { return };
    match end {
        End::Failed(error) => {
            tracing::debug!(peer = %session.conn().peer, %error, "a client connection failed");
            // So that its client learns why; behind a broken socket there is nobody.
            if !error.is_io() {
                linger(&mut stream).await;
            }
        }
        End::Done if stream.has_unread() => linger(&mut stream).await,
        End::Done | End::Closed => stream.say_end(),
    }
}

async fn converse<H, F, B>(
    io: Turns,
    outbox: Rc<Outbox>,
    session: &Rc<Session>,
    settings: &Settings,
    handle: H,
) -> End
where
    H: Fn(Carrier, Request<Incoming>) -> F,
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body<Data = Bytes>,
    B::Error: Into<Reason>,
{
    let http = match driver::handshake(io, &outbox, session, &settings.builder()).await {
        Ok(http) => http,
        Err(end) => return end,
    };
    let run = |request: Request<h2::RecvStream>, reply: server::SendResponse<_>| {
        let protocol = request.extensions().get::<h2::ext::Protocol>();
        let protocol = protocol.and_then(|protocol| HeaderValue::from_str(protocol.as_str()).ok());
        let stream = Stream::open(session, reply.stream_id(), protocol);
        let expects = Stream::expects_to_be_told(&request);
        let (request, behind) = body_of(request, &stream);
        let answer = Box::pin(handle(Carrier::Stream(Rc::clone(&stream)), request));
        deliver::run(answer, reply, stream, deliver::Terms { expects, behind, dates: &settings.dates })
    };
    Driver::new(http, outbox, session, run).run().await
}

/// What comes on the stream as the request's body; or, where HTTP is asked to be left, as what comes behind it.
fn body_of(
    request: Request<h2::RecvStream>,
    stream: &Rc<Stream>,
) -> (Request<Incoming>, Option<h2::RecvStream>) {
    let (parts, body) = request.into_parts();
    match stream.protocol() {
        None => {
            let body = Incoming::Http2(Receiving::new(body, Rc::clone(stream)));
            (Request::from_parts(parts, body), None)
        }
        Some(_) => (Request::from_parts(parts, Incoming::None), Some(body)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::server::conn::{Drain, Limits};
    use crate::server::deadline::Deadlines;
    use crate::web::forwarded::Scheme;

    /// A connection that has just begun, whose clock stands.
    pub(super) fn session() -> Rc<Session> {
        session_to_end().0
    }

    /// Such a one, with what its worker's end is told by.
    pub(super) fn session_to_end() -> (Rc<Session>, Rc<Drain>, Rc<Deadlines>, Clock) {
        let minute = Duration::from_mins(1);
        let limits = Limits { first_byte: minute, request_head: minute, idle: minute, response_idle: minute };
        let clock = Clock::manual(Timestamp(0));
        let deadlines = Deadlines::new(clock.clone());
        let (peer, drain) = (([127, 0, 0, 1], 1).into(), Rc::<Drain>::default());
        let conn = Conn::new(peer, peer, Scheme::Http, limits, &deadlines, Rc::clone(&drain));
        (Session::open(conn, b""), drain, deadlines, clock)
    }
}
