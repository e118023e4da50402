//! The pipeline, on one screen.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderValue, Request, Response};
use hyper::body::{Body as _, Incoming};

use super::body::{Body, Stream};
use super::forward::Forward;
use super::request_body::RequestBody;
use super::state::State;
use super::ticket::Ticket;
use super::upstream::failure::Failure;
use super::upstream::{Answer, Outgoing, Patience};
use super::worker::Worker;
use crate::auth::refusal::{Ambiguity, Code, Refusal};
use crate::message::framing::Framing;
use crate::message::{self, Admission};
use crate::server::connection::Conn;
use crate::server::head_scan::HeadScan;
use crate::server::reach::BodyEnd;
use crate::web::problem::Asked;

/// Answers one request, whatever happens.
///
/// # Errors
/// Never.
pub async fn handle(
    worker: Rc<Worker>,
    conn: Rc<Conn>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let (parts, incoming) = request.into_parts();
    let mut ticket = Ticket::open(&worker, &conn, &parts);
    let state = ticket.state();
    conn.request_started(state.plan.connection, end_of(&incoming));
    let body = RequestBody::new(incoming, state.plan.config.max.body, Rc::clone(&ticket.bytes_in), conn);
    Ok(match try_handle(&worker, &state, &parts, body, &mut ticket).await {
        Ok(answer) => pass_on(answer, ticket),
        Err(refusal) => refuse(&state, &parts, &refusal, ticket),
    })
}

async fn try_handle(
    worker: &Worker,
    state: &State,
    parts: &Parts,
    body: RequestBody,
    ticket: &mut Ticket,
) -> Result<Answer<RequestBody>, Refusal> {
    let plan = &state.plan;
    if worker.shared.in_flight.count() > plan.config.max.in_flight {
        return Err(Refusal::Overloaded);
    }
    let admission = message::admit(parts, &plan.message)?;
    judge_raw_head(ticket.head(), admission.framing)?;
    ticket.admitted(&admission);
    let route = plan.decision.route(admission.host.name(), &parts.method, &admission.path)?;
    ticket.route = Some(route);
    let entry = plan.decision.authenticate(route, &parts.headers, &worker.front, &worker.clock).await?;
    ticket.entry.clone_from(&entry);
    if let Some(entry) = &entry {
        plan.decision.authorize(route, entry.principal(), ticket.client)?;
    }
    refuse_long_body(&admission, plan.config.max.body)?;
    let request_id = ticket.request_id.clone();
    let arrival = ticket.arrival(admission.host.sent());
    let forward =
        Forward::new(plan, route, parts, &admission, entry.as_deref(), arrival, request_id.as_str())?;
    send(state, &forward, body, ticket).await
}

/// What hyper read away before anything else could see it.
fn judge_raw_head(head: HeadScan, framing: Framing) -> Result<(), Refusal> {
    if head.has_fragment() {
        return Err(Refusal::AmbiguousPath(Ambiguity::Fragment));
    }
    if head.has_bare_lf() || !head.is_whole() {
        return Err(Refusal::BadRequest(BARE_LF));
    }
    match (head.content_lengths(), framing) {
        (0, _) | (1, Framing::None | Framing::Length(_)) => Ok(()),
        (1, Framing::Chunked) => Err(Refusal::BadRequest(TWO_LENGTHS)),
        _ => Err(Refusal::BadRequest(SEVERAL_LENGTHS)),
    }
}

/// How hyper reads a body.
fn end_of(incoming: &Incoming) -> BodyEnd {
    incoming.size_hint().exact().map_or(BodyEnd::LastChunk, BodyEnd::After)
}

const BARE_LF: &str = "A line of the request's head ends with LF alone. End every line with CRLF.";
const SEVERAL_LENGTHS: &str = "The Content-Length field is repeated. Send exactly one.";
const TWO_LENGTHS: &str = "The request has both Content-Length and Transfer-Encoding. Send one of them.";

fn refuse_long_body(admission: &Admission<'_>, limit: Option<u64>) -> Result<(), Refusal> {
    match (admission.framing, limit) {
        (Framing::Length(length), Some(limit)) if length > limit => Err(Refusal::BodyTooLarge { limit }),
        _ => Ok(()),
    }
}

/// Sends the request up and waits for the fields of the answer: on a cached credential the only suspension.
async fn send(
    state: &State,
    forward: &Forward<'_>,
    body: RequestBody,
    ticket: &mut Ticket,
) -> Result<Answer<RequestBody>, Refusal> {
    let upstream = state.upstreams.get(forward.route.upstream).ok_or(Refusal::UpstreamUnavailable)?;
    let timeouts = &state.plan.config.timeouts;
    let outgoing = Outgoing {
        method: &forward.parts.method,
        framing: forward.framing,
        body: (forward.framing != Framing::None).then_some(body),
        write_head: |out: &mut _, endpoint: &_| forward.write(out, endpoint),
        patience: Patience { request_body: timeouts.request_body_idle, answer: timeouts.response_head },
        connect: timeouts.connect,
    };
    ticket.asked();
    let mut sending = pin!(upstream.send(outgoing));
    ticket.limit_total(timeouts.total);
    let outcome = poll_fn(|cx| match sending.as_mut().poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending => ticket.poll_total(cx).map(|()| None),
    })
    .await;
    ticket.answered();
    match outcome {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(undelivered)) => {
            ticket.undelivered(&undelivered.failure, &undelivered.endpoint.authority);
            Err(undelivered.failure.refusal())
        }
        None => {
            ticket.undelivered(&Failure::TotalTimeout, "");
            Err(Failure::TotalTimeout.refusal())
        }
    }
}

/// The upstream's answer, as it comes.
fn pass_on(answer: Answer<RequestBody>, mut ticket: Box<Ticket>) -> Response<Body> {
    let Answer { head, mut exchange, endpoint } = answer;
    ticket.sends(head.status.as_u16());
    let mut headers = head.headers;
    if let Ok(id) = HeaderValue::from_str(ticket.request_id.as_str()) {
        headers.insert("x-request-id", id);
    }
    let body = match exchange.take_whole() {
        Some(bytes) => {
            if let Some(wire) = exchange.into_reusable() {
                endpoint.give_back(wire);
            }
            Body::whole(bytes, ticket)
        }
        None => Body::stream(Stream { exchange, endpoint }, ticket),
    };
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = headers;
    response
}

/// An answer of our own.
fn refuse(state: &State, parts: &Parts, refusal: &Refusal, mut ticket: Box<Ticket>) -> Response<Body> {
    ticket.refused(refusal);
    let asked = Asked { method: &parts.method, headers: &parts.headers, request_id: &ticket.request_id };
    let (mut head, bytes) = state.plan.problems.answer(refusal, asked).into_parts();
    if leaves_framing_in_doubt(refusal) {
        head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Response::from_parts(head, Body::whole(bytes, ticket))
}

/// Whether what follows on the connection could be read in more than one way.
const fn leaves_framing_in_doubt(refusal: &Refusal) -> bool {
    matches!(
        refusal.code(),
        Code::BadRequest
            | Code::InvalidHost
            | Code::RequestTimeout
            | Code::HeadersTooLarge
            | Code::TargetTooLong
    )
}
