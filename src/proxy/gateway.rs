//! The pipeline, on one screen.

use std::borrow::Cow;
use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body::Body as _;

use super::body::{Body, Stream};
use super::forward::Forward;
use super::request_body::{RequestBody, Trailers};
use super::state::State;
use super::ticket::Ticket;
use super::upstream::{Answer, Outgoing, Patience};
use super::worker::Worker;
use super::{certificate, expiry, extras, here, identity, tunnel, upgrade, watch};
use crate::auth::refusal::{Ambiguity, Code, Refusal};
use crate::config::Way;
use crate::message::framing::Framing;
use crate::message::{self, Admission};
use crate::server::carrier::Carrier;
use crate::server::follow::Head;
use crate::server::incoming::Incoming;
use crate::telemetry::Door;
use crate::web::cors;
use crate::web::errand::Reply;
use crate::web::forwarded::Arrival;
use crate::web::problem::Asked;

/// Answers one request, whatever happens.
///
/// # Errors
/// Never.
pub async fn handle(
    worker: Rc<Worker>,
    carrier: Carrier,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let (mut parts, incoming) = request.into_parts();
    let mut ticket = Ticket::open(&worker, &carrier, &parts);
    upgrade::unfold(&carrier, &mut parts);
    let state = ticket.state();
    let head = carrier.request_started(state.plan.connection);
    let body = (!incoming.is_end_stream()).then(|| {
        let seen = Rc::<Cell<u64>>::default();
        ticket.has_body(Rc::clone(&seen));
        let trailers = Trailers::of(&parts.headers, &state.plan);
        RequestBody::new(incoming, state.plan.config.max.body, seen, carrier.clone(), trailers)
    });
    let asked = (&parts, &carrier);
    let mut response = match try_handle(&worker, &state, asked, head, body, &mut ticket).await {
        Ok(Passed::Up(answer)) => match ticket.opens_tunnel(answer.head.status) {
            Some(kind) => return Ok(tunnel::open(answer, kind, ticket)),
            None => pass_on(answer, &parts, ticket),
        },
        Ok(Passed::Inside(reply)) => hand_out(reply, &parts, ticket),
        Err(refusal) => refuse(&state, &parts, &refusal, ticket),
    };
    announce_end(response.headers_mut(), carrier.answers_its_last());
    Ok(response)
}

/// What a request that passed has come to.
enum Passed {
    /// The upstream's answer.
    Up(Answer<RequestBody>),
    /// Keyward's own.
    Inside(Reply),
}

impl Passed {
    /// An answer of a route without an upstream.
    const fn here(response: Response<Bytes>) -> Self {
        Self::Inside(Reply { response, code: None, caller: None })
    }
}

/// Who handles a request, and by what.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// The worker that has it.
    pub worker: &'a Worker,
    /// What it is handled by.
    pub state: &'a State,
}

async fn try_handle(
    worker: &Worker,
    state: &State,
    (parts, carrier): (&Parts, &Carrier),
    head: Option<Head>,
    mut body: Option<RequestBody>,
    ticket: &mut Ticket,
) -> Result<Passed, Refusal> {
    let plan = &state.plan;
    if ticket.is_one_too_many() {
        return Err(Refusal::Overloaded);
    }
    let mut admission = message::admit(parts, &plan.message)?;
    admission.knows_body(
        if body.is_some() { message::Body::Follows } else { message::Body::None },
        &parts.method,
    )?;
    if let Some(protocol) = carrier.protocol() {
        // What comes behind it is that protocol, and no body of no bytes either.
        admission.framing = Framing::None;
        admission.upgrade = Some(protocol);
    }
    judge_raw_head(head, admission.framing)?;
    ticket.admitted(&admission);
    if let Some(endpoint) = identity::endpoint(plan.config.identity.as_ref(), &admission) {
        ticket.comes_in_by(Door::Identity);
        let asker = Asker { worker, state };
        // Boxed, lest every request keep room for it.
        let answer = Box::pin(identity::answer(endpoint, asker, parts, &admission, body, ticket));
        return answer.await.map(Passed::Inside);
    }
    let place = (admission.host.name(), &admission.path);
    if let Some(method) = cors::preflight(&parts.method, &parts.headers)
        && let Some((route, cors)) = plan.preflight(place.0, &method, place.1)?
    {
        ticket.route = Some(route);
        return Ok(Passed::here(cors.answer(&parts.headers)));
    }
    let route = plan.decision.route(place.0, &parts.method, place.1)?;
    ticket.route = Some(route);
    let rules = plan.route(route).ok_or(Refusal::NoRoute)?;
    let upgrade = match admission.upgrade {
        Some(protocol) => upgrade::asked(protocol, parts, &admission, rules, carrier)?,
        None => None,
    };
    let offered = upgrade.as_ref().map_or(Ok(None), |upgrade| upgrade.credential());
    let shown = certificate::shown(rules, ticket);
    let (fields, front) = (&parts.headers, &worker.front);
    let validated = plan.decision.authenticate(route, fields, offered, shown, front, ticket.visit()).await;
    if let Err(refusal) = &validated {
        certificate::warn_of_several(worker, refusal, shown);
        ticket.whose = plan.decision.whose(refusal, fields, offered, shown, front);
    }
    ticket.entry = validated?;
    if let Some(entry) = &ticket.entry {
        plan.decision.authorize(route, entry.principal(), ticket.client)?;
    }
    ticket.condition = rules.condition(&parts.headers);
    let way = rules.way(ticket.condition);
    let now = ticket.arrived().1;
    let named = ticket.entry.as_ref().filter(|_| rules.assertion).zip(way);
    let assertion =
        named.map(|(entry, way)| state.assertions.of(plan, way.upstream, entry, &worker.ring, now));
    let assertion = assertion.transpose()?;
    let path = match rules.rewrite(ticket.condition) {
        Some(rewrite) => plan.decision.rewritten(rewrite, route, &admission.path)?.into(),
        None => Cow::Borrowed(admission.path.as_str()),
    };
    ticket.allowed();
    if let Some(upgrade) = &upgrade {
        ticket.may_become_tunnel(upgrade::kind(upgrade))?;
    }
    refuse_long_body(&admission, rules.max_body)?;
    body.iter_mut().for_each(|body| body.goes_by(route, rules.max_body));
    if let Some(way) = way {
        carrier.answer_may_pause(way.times.response_body_idle);
        ticket.limit_total(way.times.total);
    }
    // The streams of a connection of HTTP/2 are one task's: it has its own turn of them.
    if !carrier.is_stream() {
        step_back().await;
    }
    // Last: what is refused is not counted.
    count(worker, state, route, ticket)?;
    let Some(way) = way else {
        let mut answer = here::answer(&rules.served, &parts.method, &path, admission.query);
        extras::change(rules, &parts.headers, answer.headers_mut());
        return Ok(Passed::here(answer));
    };
    let ticket = &*ticket;
    let arrival = Arrival {
        peer: ticket.carrier.peer_text().as_bytes(),
        trust: ticket.trust,
        scheme: ticket.carrier.scheme(),
        port: ticket.carrier.port_text().as_bytes(),
        host: admission.host.sent(),
    };
    let caller = ticket.entry.as_deref();
    let mut forward = Forward::new(plan, rules, parts, &admission, caller, arrival, &ticket.request_id);
    forward.path = &path;
    forward.upgrade = upgrade.as_deref();
    forward.assertion = assertion.as_deref();
    send(state, &forward, way, body, ticket).await.map(Passed::Up)
}

/// Counts it by all limits of its account, its key and its route.
///
/// # Errors
/// When it is over one of them; then none counts it.
fn count(worker: &Worker, state: &State, route: usize, ticket: &mut Ticket) -> Result<(), Refusal> {
    let Some(entry) = &ticket.entry else { return Ok(()) };
    let counted = state.plan.decision.limit(route, entry, &worker.front, ticket.arrived());
    let Some(mut counted) = counted else { return Ok(()) };
    counted.outcomes().for_each(|(policy, outcome)| state.metrics.count_limit(policy, outcome));
    counted.refusal.take().map_or(Ok(()), Err)?;
    ticket.counted = Some(counted);
    Ok(())
}

/// Judges what hyper read away before anything else could see it.
///
/// # Errors
/// When the head has more than one reading.
pub fn judge_raw_head(head: Option<Head>, framing: Framing) -> Result<(), Refusal> {
    let head = head.ok_or(Refusal::BadRequest(UNFOLLOWED))?;
    if head.fragment {
        return Err(Refusal::AmbiguousPath(Ambiguity::Fragment));
    }
    if head.bare_lf {
        return Err(Refusal::BadRequest(BARE_LF));
    }
    match (head.content_lengths, framing) {
        (0, _) | (1, Framing::None | Framing::Length(_)) => Ok(()),
        (1, Framing::Chunked) => Err(Refusal::BadRequest(TWO_LENGTHS)),
        _ => Err(Refusal::BadRequest(SEVERAL_LENGTHS)),
    }
}

const BARE_LF: &str = "A line of the request's head ends with LF alone. End every line with CRLF.";
const SEVERAL_LENGTHS: &str = "The Content-Length field is repeated. Send exactly one.";

const UNFOLLOWED: &str = "The end of the request before this one is in doubt. Send it on a new connection.";
const TWO_LENGTHS: &str = "The request has both Content-Length and Transfer-Encoding. Send one of them.";

/// Judges the length that a body is declared with.
///
/// # Errors
/// When it is over `limit`.
pub fn refuse_long_body(admission: &Admission<'_>, limit: Option<u64>) -> Result<(), Refusal> {
    match (admission.framing, limit) {
        (Framing::Length(length), Some(limit)) if length > limit => Err(Refusal::BodyTooLarge { limit }),
        _ => Ok(()),
    }
}

/// Sends the request up and waits for the fields of the answer: on a cached credential the only wait.
async fn send(
    state: &State,
    forward: &Forward<'_>,
    Way { upstream, times, retries, .. }: &Way,
    body: Option<RequestBody>,
    ticket: &Ticket,
) -> Result<Answer<RequestBody>, Refusal> {
    let upstream = state.upstreams.get(*upstream).ok_or(Refusal::UpstreamUnavailable)?;
    let outgoing = Outgoing {
        method: &forward.parts.method,
        asked: forward.asked(),
        framing: forward.framing,
        body: body.filter(|_| forward.framing != Framing::None),
        head: forward,
        patience: Patience {
            request_body: times.request_body_idle,
            answer: times.response_head,
            glance: watch::BEGINS,
        },
        connect: times.connect,
        retries: *retries,
        key: upstream.key(forward.account(), &forward.parts.headers),
    };
    ticket.asked();
    let mut sending = pin!(upstream.send(outgoing));
    let outcome = poll_fn(|cx| match sending.as_mut().poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(Ok(outcome)),
        Poll::Pending => ticket.poll_given_up(cx).map(Err),
    })
    .await;
    ticket.answered();
    match outcome {
        Ok(Ok(answer)) => match forward.upgrade {
            None => Ok(answer),
            Some(upgrade) => upgrade::judged(upgrade, answer, ticket),
        },
        Ok(Err(undelivered)) => {
            let (endpoint, complaints) = match &undelivered.endpoint {
                Some(endpoint) => (&*endpoint.authority, &endpoint.complaints),
                None => ("", &upstream.complaints),
            };
            ticket.undelivered(&undelivered.failure, endpoint, complaints);
            Err(undelivered.failure.refusal())
        }
        Err(failure) => {
            ticket.undelivered(&failure, "", &upstream.complaints);
            Err(failure.refusal())
        }
    }
}

/// Lets those that have come at the same time be judged first. Sent one right after the other, they wake their upstream
/// once: between two of them there is no time for it to fall asleep, and a wake-up costs more than a decision. (The
/// runtime's own way to yield asks the kernel for events first, which costs as much.)
async fn step_back() {
    let mut stepped = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut stepped, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The upstream's answer, as it comes.
fn pass_on(answer: Answer<RequestBody>, parts: &Parts, mut ticket: Box<Ticket>) -> Response<Body> {
    let Answer { head, mut exchange, endpoint } = answer;
    ticket.sends(head.status.as_u16());
    let mut headers = head.headers;
    if let Some(rules) = ticket.rules() {
        extras::change(rules, &parts.headers, &mut headers);
    }
    ticket.tell_limits(&mut headers);
    ticket.request_id.tell(&mut headers);
    expiry::tell(&mut headers, &ticket);
    let body = match exchange.take_whole() {
        Some(bytes) => {
            endpoint.succeeded();
            exchange.finish(&endpoint);
            announce_end(&mut headers, ticket.must_close(parts));
            Body::whole(bytes, ticket)
        }
        None if parts.version == Version::HTTP_10 && exchange.remaining().is_none() => {
            ticket.ends_with_connection();
            Body::stream(Stream::new(exchange, endpoint), ticket)
        }
        None => Body::stream(Stream::new(exchange, endpoint), ticket),
    };
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = headers;
    response
}

/// An answer that is Keyward's own, and no refusal of this plane.
fn hand_out(reply: Reply, parts: &Parts, mut ticket: Box<Ticket>) -> Response<Body> {
    let (mut head, bytes) = reply.response.into_parts();
    ticket.tell_limits(&mut head.headers);
    ticket.request_id.tell(&mut head.headers);
    expiry::tell(&mut head.headers, &ticket);
    ticket.gives(head.status.as_u16(), reply.code, reply.caller);
    announce_end(&mut head.headers, ticket.must_close(parts));
    Response::from_parts(head, Body::whole(bytes, ticket))
}

/// An answer of our own.
fn refuse(state: &State, parts: &Parts, refusal: &Refusal, mut ticket: Box<Ticket>) -> Response<Body> {
    let asked = Asked {
        method: &parts.method,
        version: parts.version,
        headers: &parts.headers,
        request_id: &ticket.request_id,
    };
    let rules = ticket.rules();
    let own = rules.and_then(|rules| rules.own_body(refusal.code()));
    let own = own.or_else(|| ticket.common_body(refusal.code()));
    let (mut head, bytes) = state.plan.problems.answer_by(refusal, asked, own).into_parts();
    if let Some(rules) = rules {
        extras::tell_readers(rules, &parts.headers, &mut head.headers);
    }
    // Only where it was found before what is refused: a credential that does not hold is nobody's to be told of.
    expiry::tell(&mut head.headers, &ticket);
    ticket.tell_limits(&mut head.headers);
    ticket.refused(refusal, head.status.as_u16());
    announce_end(
        &mut head.headers,
        leaves_framing_in_doubt(refusal, parts.version) || ticket.must_close(parts),
    );
    Response::from_parts(head, Body::whole(bytes, ticket))
}

/// A client that is not told could send its next request into a connection that is being closed.
fn announce_end(headers: &mut HeaderMap, closing: bool) {
    if closing {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Whether what follows on the connection could be read in more than one way. The frames of HTTP/2 cannot.
#[must_use]
pub fn leaves_framing_in_doubt(refusal: &Refusal, version: Version) -> bool {
    version != Version::HTTP_2
        && matches!(
            refusal.code(),
            Code::BadRequest
                | Code::InvalidHost
                | Code::RequestTimeout
                | Code::HeadersTooLarge
                | Code::TargetTooLong
        )
}
