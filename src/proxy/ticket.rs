//! What is known of one request from its first line to its last byte. When it is dropped the request is over: its log
//! line is written and it is counted.

mod ended;
mod lasting;

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;

use http::header::TRANSFER_ENCODING;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Uri};

use super::state::State;
use super::tunnel::Kind;
use super::upstream::Endpoint;
use super::upstream::failure::Failure;
use super::watch::Watch;
use super::worker::Worker;
use crate::auth::principal::Identity;
use crate::auth::refusal::{Code, Refusal};
use crate::authenticator::Valid;
use crate::clock::{Tick, Timestamp};
use crate::config::{Route, Way};
use crate::decision::{Counted, Visit};
use crate::message::Admission;
use crate::server::carrier::{BodyKind, Carrier};
use crate::server::deadline::Timer;
use crate::telemetry::Door;
use crate::telemetry::metrics::OpenConnection;
use crate::telemetry::pace::Pace;
use crate::web::client_address::Trust;
use crate::web::errand::Caller;
use crate::web::own_body::OwnBody;
use crate::web::rate_limit;
use crate::web::request_id::RequestId;

/// One request.
pub struct Ticket {
    worker: Rc<Worker>,
    state: Rc<State>,
    /// What it came in on.
    pub carrier: Carrier,
    time: Timestamp,
    started: Tick,
    /// Its id.
    pub request_id: RequestId,
    method: Method,
    uri: Uri,
    /// The path as matched, where it differs from the one that was sent.
    canonical_path: Option<Box<str>>,
    /// Where the client is, behind trusted proxies too.
    pub client: std::net::IpAddr,
    /// Whether its peer's forwarding fields count.
    pub trust: Trust,
    /// Index of its route.
    pub route: Option<usize>,
    /// Index of the route's condition that holds for it.
    pub condition: Option<usize>,
    door: Door,
    /// Whom its credential speaks for.
    pub entry: Option<Arc<Valid>>,
    /// Whose its credential was, when it is good no more.
    pub whose: Option<Identity>,
    /// How its account stands to its limits, where there are some.
    pub counted: Option<Counted>,
    /// Who asked, as its answer knows.
    caller: Option<Caller>,
    /// Whether it is one of those that may be in flight at once.
    placed: bool,
    allowed: bool,
    status: Option<u16>,
    code: Option<Code>,
    /// Bytes of its body that were read; `None` when it has none.
    bytes_in: Option<Rc<Cell<u64>>>,
    bytes_out: u64,
    asked_at: Cell<Option<Tick>>,
    answered_at: Cell<Option<Tick>>,
    total: Option<Timer>,
    /// What it may become, or is, when it is one of those that may be at once.
    tunnel: Cell<Option<Kind>>,
    /// Watches its credential once it takes longer.
    watch: OnceCell<Watch>,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

impl Ticket {
    /// Opens the record of a request that just arrived.
    #[must_use]
    pub fn open(worker: &Rc<Worker>, carrier: &Carrier, parts: &Parts) -> Box<Self> {
        let state = worker.state();
        let time = worker.clock.now();
        let peer = carrier.peer().ip();
        let trust = state.plan.trusted.trust(peer);
        worker.unheeded.look(peer, trust, &parts.headers);
        let sent = if trust == Trust::Trusted { RequestId::sent(&parts.headers) } else { None };
        let placed = worker.shared.in_flight.try_enter(state.plan.config.max.in_flight);
        Box::new(Self {
            time,
            started: worker.deadlines.now(),
            request_id: sent.unwrap_or_else(|| worker.request_ids.make(time)),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            canonical_path: None,
            client: state.plan.trusted.client(peer, &parts.headers),
            trust,
            route: None,
            condition: None,
            door: Door::Proxy,
            entry: None,
            whose: None,
            counted: None,
            caller: None,
            placed,
            allowed: false,
            status: None,
            code: None,
            bytes_in: None,
            bytes_out: 0,
            asked_at: Cell::new(None),
            answered_at: Cell::new(None),
            total: None,
            tunnel: Cell::new(None),
            watch: OnceCell::new(),
            worker: Rc::clone(worker),
            state,
            carrier: carrier.clone(),
        })
    }

    /// The configuration that this request is handled by, from its beginning to its end.
    #[must_use]
    pub fn state(&self) -> Rc<State> {
        Rc::clone(&self.state)
    }

    /// Whether as many as may be were in flight when it came.
    #[must_use]
    pub const fn is_one_too_many(&self) -> bool {
        !self.placed
    }

    /// It may pass.
    pub fn allowed(&mut self) {
        self.allowed = true;
    }

    /// When it arrived, by both clocks.
    #[must_use]
    pub const fn arrived(&self) -> (Tick, Timestamp) {
        (self.started, self.time)
    }

    /// Where it came from, and when.
    #[must_use]
    pub const fn visit(&self) -> Visit {
        Visit { client: self.client, tick: self.started, wall: self.time }
    }

    /// It has a body, whose bytes are counted there.
    pub fn has_body(&mut self, bytes: Rc<Cell<u64>>) {
        self.bytes_in = Some(bytes);
    }

    /// It is for Keyward itself.
    pub const fn comes_in_by(&mut self, door: Door) {
        self.door = door;
    }

    /// The body of its refusal where its route has none of its own. Identity endpoints answer programs, in one form.
    #[must_use]
    pub fn common_body(&self, code: Code) -> Option<&OwnBody> {
        let bodies = Some(&self.state.plan.config.errors.bodies).filter(|_| self.door != Door::Identity);
        OwnBody::of(bodies?, code)
    }

    /// Its head has been read.
    pub fn admitted(&mut self, admission: &Admission<'_>) {
        let path = admission.path.as_str();
        if path != self.uri.path() {
            self.canonical_path = Some(path.into());
        }
    }

    /// Tells its client where it stands.
    pub fn tell_limits(&self, fields: &mut HeaderMap) {
        if let Some(counted) = &self.counted {
            rate_limit::tell(fields, &counted.fields());
        }
    }

    /// It asks to become a tunnel.
    ///
    /// # Errors
    /// When there is no room for one more.
    pub fn may_become_tunnel(&self, kind: Kind) -> Result<(), Refusal> {
        if self.carrier.is_draining() {
            return Err(Refusal::Draining);
        }
        let shared = &self.worker.shared;
        if !shared.tunnels.try_enter(self.state.plan.config.max.tunnels.min(shared.tunnels_most)) {
            return Err(Refusal::Overloaded);
        }
        self.tunnel.set(Some(kind));
        Ok(())
    }

    /// It was answered otherwise.
    pub fn becomes_no_tunnel(&self) {
        if self.tunnel.take().is_some() {
            self.worker.shared.tunnels.leave();
        }
    }

    /// What an answer with this status makes of it.
    #[must_use]
    pub fn opens_tunnel(&self, status: StatusCode) -> Option<Kind> {
        self.tunnel.get().filter(|_| status == StatusCode::SWITCHING_PROTOCOLS)
    }

    /// It is a tunnel from here on, and no request in flight.
    pub fn becomes_tunnel(&mut self) {
        if std::mem::take(&mut self.placed) {
            self.worker.shared.in_flight.leave();
        }
        self.bytes_in = Some(Rc::default());
    }

    /// Counts as an open tunnel of its route until the answer is dropped.
    #[must_use]
    pub fn counted_as_tunnel(&self) -> OpenConnection {
        let route = self.route.and_then(|route| self.state.route_name(route));
        self.worker.metrics.tunnels(route.unwrap_or_default()).open()
    }

    /// What has moved in the tunnel so far.
    pub fn tunnelled(&mut self, up: u64, down: u64) {
        if let Some(bytes) = &self.bytes_in {
            bytes.set(up);
        }
        self.bytes_out = down;
    }

    /// It did not end by itself.
    pub fn ended_by(&mut self, code: Code) {
        self.code = Some(code);
    }

    /// Its route, once that is known.
    #[must_use]
    pub fn rules(&self) -> Option<&Route> {
        self.state.plan.route(self.route?)
    }

    /// How it is served, once its route is known.
    #[must_use]
    pub fn way(&self) -> Option<&Way> {
        self.rules()?.way(self.condition)
    }

    /// Who handles it.
    #[must_use]
    pub fn worker(&self) -> Rc<Worker> {
        Rc::clone(&self.worker)
    }

    /// It goes to its upstream.
    pub fn asked(&self) {
        // By the clock that wakes who waits for it.
        self.asked_at.set(Some(self.worker.deadlines.now()));
    }

    /// The upstream's answer begins, or will not come.
    pub fn answered(&self) {
        self.answered_at.set(Some(self.worker.clock.tick()));
    }

    /// An answer with this status goes out.
    pub fn sends(&mut self, status: u16) {
        self.status = Some(status);
        self.carrier.answer_started();
    }

    /// Keyward answers what it asked for, with this status, or refuses it.
    pub fn gives(&mut self, status: u16, refused: Option<Code>, caller: Option<Caller>) {
        self.caller = caller;
        self.allowed = refused.is_none();
        self.code = refused;
        self.sends(status);
    }

    /// Keyward answers itself, with this status.
    pub fn refused(&mut self, refusal: &Refusal, status: u16) {
        self.code = Some(refusal.code());
        self.sends(status);
    }

    /// The answer has no length that the client could be told.
    pub fn ends_with_connection(&self) {
        self.carrier.answer_ends_with_connection();
    }

    /// Whether the connection ends after the answer because of a body that was not read: hyper throws away what has come
    /// of it, if that is all of it and one piece.
    #[must_use]
    pub fn must_close(&self, parts: &Parts) -> bool {
        let chunked = parts.headers.contains_key(TRANSFER_ENCODING);
        self.carrier.is_blocked_by_body(if chunked { BodyKind::Chunked } else { BodyKind::Sized })
    }

    /// A piece of the answer's body was handed over.
    pub fn moved(&mut self, bytes: usize) {
        self.bytes_out += bytes as u64;
        self.carrier.handed_over(bytes);
    }

    /// The answer's body broke off: too late for another status, but not for the log.
    pub fn broken(&mut self, failure: &Failure, from: &Endpoint) {
        self.code = Some(failure.refusal().code());
        if let Some(upstream) = self.way().and_then(|way| self.state.upstreams.get(way.upstream)) {
            upstream.failed(from, failure);
        }
        self.complain(failure, &from.authority, &from.complaints, "an answer broke off");
    }

    /// The client stopped taking its answer.
    pub fn not_taken(&mut self) {
        let failure = Failure::SlowReader;
        self.code = Some(failure.refusal().code());
        tracing::debug!(request_id = self.request_id.as_str(), error = %failure, "an answer broke off");
    }

    /// The upstream was asked in vain.
    pub fn undelivered(&self, failure: &Failure, endpoint: &str, complaints: &Pace) {
        self.complain(failure, endpoint, complaints, "a request failed at its upstream");
    }

    fn complain(&self, failure: &Failure, endpoint: &str, complaints: &Pace, what: &'static str) {
        let request_id = self.request_id.as_str();
        if failure.is_clients() {
            tracing::debug!(request_id, error = %Chain(failure), "a client's body failed");
        } else if complaints.admits(self.worker.deadlines.coarse_now()) {
            let upstream = self.way().and_then(|way| self.state.upstream_name(way.upstream));
            tracing::warn!(request_id, upstream, endpoint, error = %Chain(failure), "{what}");
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.finish();
        if self.placed {
            self.worker.shared.in_flight.leave();
        }
        self.becomes_no_tunnel();
        self.carrier.request_ended();
    }
}

/// An error with its causes, in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
