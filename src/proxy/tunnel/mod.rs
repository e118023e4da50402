//! A tunnel: what a connection carries after its 101. Bytes are copied both ways on the task that the connection has
//! had from its beginning; the request's [`Ticket`] lives as long, so that the request is over when the tunnel is.
//!
//! It ends when both sides have ended, when nothing moved for too long, when its worker ends, or when its credential
//! does. A WebSocket is told why between two of its frames; anything else is cut.

mod frames;
mod pipe;

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use http::{Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};

use super::body::Body;
use super::expiry;
use super::request_body::RequestBody;
use super::ticket::Ticket;
use super::upstream::failure::Failure;
use super::upstream::{Answer, Held};
use super::worker::Worker;
use crate::auth::refusal::Code;
use crate::server::deadline::Timer;
use crate::server::http2::Duplex;
use crate::server::reset;
use crate::server::takeover::Bare;
use crate::server::transport::Transport;
use crate::telemetry::metrics::OpenConnection;
use frames::{Farewell, Frames};
use pipe::{Broken, Pipe};

/// What a tunnel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Frames between which something can be said.
    WebSocket,
    /// Something else.
    Opaque,
}

/// How long a farewell may wait for the frame before it to end, and for its reader.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long the other end of a WebSocket may take to end it, once it was told.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// The client's side of a tunnel.
trait Side: AsyncRead + AsyncWrite + Unpin {
    /// Makes its end look broken off.
    fn break_off(&mut self);
}

impl Side for Transport {
    fn break_off(&mut self) {
        reset(self);
    }
}

impl Side for Duplex {
    fn break_off(&mut self) {
        self.reset();
    }
}

/// Answers 101 and has the tunnel go on behind it.
pub fn open(answer: Answer<RequestBody>, kind: Kind, mut ticket: Box<Ticket>) -> Response<Body> {
    let Answer { head, exchange, mut endpoint } = answer;
    let Some((upstream, upstream_read, place)) = exchange.into_parts() else {
        // Only HTTP/1 is asked to be left, and only its 101 is granted.
        let mut response = Response::new(Body::none());
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        return response;
    };
    endpoint.connected_by(place);
    let mut headers = head.headers;
    ticket.request_id.tell(&mut headers);
    ticket.tell_limits(&mut headers);
    expiry::tell(&mut headers, &ticket);
    let carrier = ticket.carrier.clone();
    let status = match carrier.protocol() {
        None => head.status,
        // To a CONNECT success says that it is granted (RFC 8441 §5).
        Some(_) => StatusCode::OK,
    };
    ticket.sends(status.as_u16());
    ticket.becomes_tunnel();
    carrier.hand_over(Box::new(move |bare| match bare {
        Bare::Socket { stream: client, read } => {
            let ends = Ends { client, client_read: read.into(), upstream, upstream_read };
            Box::pin(Tunnel::new(ends, kind, endpoint, ticket).run())
        }
        Bare::Stream(client) => {
            let ends = Ends { client, client_read: BytesMut::new(), upstream, upstream_read };
            Box::pin(Tunnel::new(ends, kind, endpoint, ticket).run())
        }
    }));
    let mut response = Response::new(Body::none());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The sockets of a tunnel, and what was read from them already.
struct Ends<C> {
    client: C,
    client_read: BytesMut,
    upstream: Transport,
    upstream_read: BytesMut,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// The client was told that the gateway ends; what it still says is passed on.
    Draining,
    /// Both sides are being told the end.
    Closing,
}

/// See the module.
struct Tunnel<C> {
    client: C,
    upstream: Transport,
    down: Pipe,
    up: Pipe,
    kind: Kind,
    stage: Stage,
    /// Whether the worker's end was noticed.
    drained: bool,
    /// Whether the limit that runs is not put off by what moves.
    final_limit: bool,
    timer: Timer,
    limits: Limits,
    endpoint: Held,
    worker: Rc<Worker>,
    _counted: OpenConnection,
    ticket: Box<Ticket>,
}

/// What became of one direction.
type Moved = Poll<Result<(), Broken>>;

/// How long nothing may move.
#[derive(Clone, Copy)]
struct Limits {
    /// While all was taken.
    idle: Duration,
    /// While something waits for its reader, or one side has ended.
    held_back: Duration,
}

impl<C: Side> Tunnel<C> {
    fn new(ends: Ends<C>, kind: Kind, endpoint: Held, ticket: Box<Ticket>) -> Self {
        let frames = || (kind == Kind::WebSocket).then(Frames::default);
        let worker = ticket.worker();
        let state = ticket.state();
        let of_all = || state.plan.config.timeouts.of_requests();
        let times = ticket.way().map_or_else(of_all, |way| way.times.clone());
        let limits = Limits { idle: times.tunnel_idle, held_back: times.response_body_idle };
        let timer = worker.deadlines.timer();
        let mut tunnel = Self {
            client: ends.client,
            upstream: ends.upstream,
            down: Pipe::new(ends.upstream_read, frames()),
            up: Pipe::new(ends.client_read, frames()),
            kind,
            stage: Stage::Open,
            drained: false,
            final_limit: false,
            timer,
            limits,
            endpoint,
            _counted: ticket.counted_as_tunnel(),
            worker,
            ticket,
        };
        tunnel.put_off();
        tunnel
    }

    /// To its end.
    async fn run(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    /// Ready when it is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.notice(cx).is_ready() {
                return Poll::Ready(());
            }
            let before = self.progress();
            if self.poll_pipes(cx).is_ready() {
                return Poll::Ready(());
            }
            if before != self.progress() {
                self.put_off();
            }
            if self.timer.poll_fired(cx).is_pending() {
                return Poll::Pending;
            }
            if self.expire().is_ready() {
                return Poll::Ready(());
            }
        }
    }

    /// What has moved, and what is in the way.
    fn progress(&self) -> impl PartialEq + use<C> {
        let held_back = (self.down.is_held_back(), self.up.is_held_back());
        (self.down.moved(), self.up.moved(), self.down.has_told_end(), held_back)
    }

    /// Begins to end where there is a reason to.
    fn notice(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.stage == Stage::Closing {
            return Poll::Pending;
        }
        if let Poll::Ready(refusal) = self.ticket.poll_fallen(cx) {
            let code = refusal.code();
            return self.close(code, Farewell::of(code));
        }
        if self.worker.drain.started() && !self.drained {
            self.drained = true;
            if self.kind == Kind::WebSocket {
                self.ticket.ended_by(Code::Draining);
                self.stage = Stage::Draining;
                self.down.say(Farewell::GoingAway("the server is ending").to_client());
            }
        }
        Poll::Pending
    }

    fn poll_pipes(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let (down, up) = self.move_both(cx);
            self.ticket.tunnelled(self.up.moved(), self.down.moved());
            match (down, up) {
                (Poll::Ready(Err(Broken::Source(error))), _) => {
                    if self.stage == Stage::Open {
                        self.ticket.broken(&Failure::Truncated(Some(error)), &self.endpoint);
                    }
                    return self.cut();
                }
                (_, Poll::Ready(Err(Broken::Source(_)))) => return self.cut(),
                // Who takes nothing any more may have said something before, and an end to it.
                (Poll::Ready(Err(Broken::Sink)), _) => self.down.give_up(),
                (_, Poll::Ready(Err(Broken::Sink))) => self.up.give_up(),
                (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(()),
                _ => return Poll::Pending,
            }
        }
    }

    fn move_both(&mut self, cx: &mut Context<'_>) -> (Moved, Moved) {
        let scratch: &mut [u8] = &mut self.worker.scratch.borrow_mut();
        let down = self.down.poll(cx, &mut self.upstream, &mut self.client, scratch);
        let up = self.up.poll(cx, &mut self.client, &mut self.upstream, scratch);
        (down, up)
    }

    /// Something moved.
    fn put_off(&mut self) {
        if self.final_limit {
            return;
        }
        if self.stage == Stage::Draining && self.down.has_told_end() {
            self.final_limit = true;
            return self.timer.set(HANDSHAKE);
        }
        let waits = self.down.is_held_back() || self.up.is_held_back();
        let half = self.down.has_told_end() || self.up.has_told_end();
        self.timer.set(if waits || half { self.limits.held_back } else { self.limits.idle });
    }

    /// The limit that ran has passed.
    fn expire(&mut self) -> Poll<()> {
        let told = self.down.has_told_end() && self.up.has_told_end();
        match self.stage {
            Stage::Open if !self.down.is_held_back() && !self.up.is_held_back() => {
                self.close(Code::RequestTimeout, Farewell::GoingAway("nothing was sent for too long"))
            }
            Stage::Open => {
                self.ticket.ended_by(Code::RequestTimeout);
                self.cut()
            }
            Stage::Draining if self.final_limit => Poll::Ready(()),
            Stage::Closing if told => Poll::Ready(()),
            Stage::Draining | Stage::Closing => self.cut(),
        }
    }

    /// Tells both sides the end.
    fn close(&mut self, code: Code, farewell: Farewell) -> Poll<()> {
        self.ticket.ended_by(code);
        if self.kind == Kind::Opaque {
            return self.cut();
        }
        self.down.say(farewell.to_client());
        // To the upstream it is a client that goes away.
        self.up.say(Farewell::GoingAway("").to_upstream());
        self.stage = Stage::Closing;
        self.final_limit = true;
        self.timer.set(FAREWELL);
        Poll::Pending
    }

    /// Neither side is to take this for an end that the other one made.
    fn cut(&mut self) -> Poll<()> {
        self.client.break_off();
        reset(&self.upstream);
        Poll::Ready(())
    }
}
