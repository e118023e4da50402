//! What carries a request: a connection of HTTP/1, or a stream of HTTP/2. What a request needs of either, and tells it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderValue;

use super::conn::{Conn, Limits};
use super::follow::Head;
use super::http2::Stream;
use super::takeover::Takeover;
use super::tls::Shown;
use crate::web::client_address::AddressText;
use crate::web::forwarded::{PortText, Scheme};

/// One request's carrier. Lives on one worker.
#[derive(Clone, Debug)]
pub enum Carrier {
    /// HTTP/1: the connection itself.
    Connection(Rc<Conn>),
    /// HTTP/2: one of a connection's streams.
    Stream(Rc<Stream>),
}

impl Carrier {
    fn conn(&self) -> &Conn {
        match self {
            Self::Connection(conn) => conn,
            Self::Stream(stream) => stream.conn(),
        }
    }

    /// The other end of its socket.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.conn().peer
    }

    /// The address of the socket's other end as upstreams are told it.
    #[must_use]
    pub fn peer_text(&self) -> &AddressText {
        &self.conn().peer_text
    }

    /// The port of the socket's own end, likewise.
    #[must_use]
    pub fn port_text(&self) -> &PortText {
        &self.conn().port_text
    }

    /// How it is secured.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.conn().scheme
    }

    /// The certificate that its connection's client showed.
    #[must_use]
    pub fn shown(&self) -> Option<&Rc<Shown>> {
        self.conn().shown.get()
    }

    /// The fields of the request are complete: from here the service watches the time. Gives what its head has that its
    /// parsed form does not show; `None` when that could not be followed.
    #[must_use]
    pub fn request_started(&self, limits: Limits) -> Option<Head> {
        match self {
            Self::Connection(conn) => conn.request_started(limits),
            Self::Stream(stream) => stream.request_started(limits),
        }
    }

    /// The answer may pause for so long, whatever the limits of its connection say.
    pub fn answer_may_pause(&self, idle: Duration) {
        match self {
            Self::Connection(conn) => conn.answer_may_pause(idle),
            Self::Stream(stream) => stream.may_pause(idle),
        }
    }

    /// The answer begins to flow.
    pub fn answer_started(&self) {
        match self {
            Self::Connection(conn) => conn.answer_started(),
            Self::Stream(stream) => stream.moved(),
        }
    }

    /// Its length is unknown to the client, and the end of the connection is all that ends it.
    pub fn answer_ends_with_connection(&self) {
        if let Self::Connection(conn) = self {
            conn.answer_ends_with_connection();
        }
    }

    /// A piece of the answer moved, or of a request's body that is still coming meanwhile.
    pub fn answer_moved(&self) {
        match self {
            Self::Connection(conn) => conn.answer_moved(),
            Self::Stream(stream) => stream.moved(),
        }
    }

    /// Whether it is being ended because its answer stood still for too long.
    #[must_use]
    pub fn stood_still(&self) -> bool {
        match self {
            Self::Connection(conn) => conn.stood_still(),
            Self::Stream(stream) => stream.stood_still(),
        }
    }

    /// Whether the client takes nothing of what is there for it. A stream that has no room asks for no more of its answer.
    #[must_use]
    pub fn is_held_back(&self) -> bool {
        match self {
            Self::Connection(conn) => conn.is_held_back(),
            Self::Stream(_) => false,
        }
    }

    /// How much of the answer can be passed on now; what is more would have to be kept.
    pub fn poll_room(&self, cx: &Context<'_>) -> Poll<usize> {
        match self {
            Self::Connection(conn) => conn.ahead_of_client().poll_room(cx),
            Self::Stream(stream) => Poll::Ready(stream.offered()),
        }
    }

    /// A piece of the answer's body was handed over.
    pub fn handed_over(&self, bytes: usize) {
        if let Self::Connection(conn) = self {
            conn.ahead_of_client().handed_over(bytes);
        }
        self.answer_moved();
    }

    /// The answer is complete, as far as the service can tell.
    pub fn request_ended(&self) {
        if let Self::Connection(conn) = self {
            conn.request_ended();
        }
    }

    /// The request's body was not read to its end.
    pub fn leave_body(&self) {
        if let Self::Connection(conn) = self {
            conn.leave_body();
        }
    }

    /// Whether the end of the request's body can be read in more than one way. The frames of HTTP/2 cannot.
    #[must_use]
    pub fn is_end_of_body_doubtful(&self) -> bool {
        match self {
            Self::Connection(conn) => conn.is_end_of_body_doubtful(),
            Self::Stream(_) => false,
        }
    }

    /// Whether a body that was not read, and has not come whole either, is in the way of the next request. A stream takes
    /// its body with it.
    #[must_use]
    pub fn is_blocked_by_body(&self, of: BodyKind) -> bool {
        match self {
            Self::Connection(conn) => {
                conn.has_left_body() && (of == BodyKind::Chunked || !conn.body_came_whole())
            }
            Self::Stream(_) => false,
        }
    }

    /// Whether it is one of several on a connection.
    #[must_use]
    pub const fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// The protocol that the request asks to leave HTTP for by being a CONNECT of RFC 8441.
    #[must_use]
    pub fn protocol(&self) -> Option<&HeaderValue> {
        match self {
            Self::Connection(_) => None,
            Self::Stream(stream) => stream.protocol(),
        }
    }

    /// The answer that begins now is the last that is HTTP; `takeover` goes on with what is behind it.
    pub fn hand_over(&self, takeover: Takeover) {
        match self {
            Self::Connection(conn) => conn.hand_over(takeover),
            Self::Stream(stream) => stream.hand_over(takeover),
        }
    }

    /// Ends it in the middle of its answer as soon as its task is polled.
    pub fn cut(&self) {
        match self {
            Self::Connection(conn) => conn.cut(),
            Self::Stream(stream) => stream.cut(),
        }
    }

    /// Whether its worker is ending.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.conn().draining()
    }

    /// Whether an answer has to say that it is the last one here. HTTP/2 says so by a frame of its own.
    #[must_use]
    pub fn answers_its_last(&self) -> bool {
        match self {
            Self::Connection(conn) => conn.draining(),
            Self::Stream(_) => false,
        }
    }
}

/// How the end of a body over HTTP/1 is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// By a length.
    Sized,
    /// By the last chunk.
    Chunked,
}
