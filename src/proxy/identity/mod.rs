//! Requests to the identity endpoints, as far as a worker has part in them: which they are, whom their credential speaks
//! for, their body. What they ask for is done on the control plane, but for validation, which is the workers' own work.

mod body;
mod led_home;
mod limits;
mod validate;

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Response};
use serde_json::Value;

use super::gateway::Asker;
use super::request_body::RequestBody;
use super::ticket::Ticket;
use crate::auth::principal::{ACCOUNT, Principal, Wanted};
use crate::auth::refusal::Refusal;
use crate::config::Identity;
use crate::decision::Presented;
use crate::message::Admission;
use crate::web::endpoint::Endpoint;
use crate::web::errand::{Call, Reply};

/// The endpoint that a request asks for; `None` when it is for the routes.
#[must_use]
pub fn endpoint<'a>(identity: Option<&Identity>, admission: &'a Admission<'_>) -> Option<Endpoint<'a>> {
    let identity = identity?;
    let host = admission.host.name();
    if !identity.hosts.iter().chain(&identity.other_names).any(|known| **known == *host) {
        return None;
    }
    let endpoint = Endpoint::of(admission.path.as_str())?;
    (identity.console || !matches!(endpoint, Endpoint::Console(_))).then_some(endpoint)
}

/// Answers a request to `endpoint`.
///
/// # Errors
/// When it cannot be read, or nobody is there to answer it.
pub async fn answer(
    endpoint: Endpoint<'_>,
    asker: Asker<'_>,
    parts: &Parts,
    admission: &Admission<'_>,
    body: Option<RequestBody>,
    ticket: &mut Ticket,
) -> Result<Reply, Refusal> {
    allow(endpoint, &parts.method)?;
    if let Some(place) = led_home::place(endpoint, asker.state.plan.config.identity.as_ref(), admission) {
        return Ok(led_home::answer(&place));
    }
    // Who may not ask is told so whatever the body is, and before it has come.
    let early = match endpoint.is_for_accounts() {
        true => Some(account(endpoint, asker, parts, ticket).await?),
        false => None,
    };
    let body = body::collect(body, admission.framing, asker).await?;
    match endpoint {
        Endpoint::Validate => return validate::answer(asker, parts, &body, ticket).await,
        Endpoint::Limits => return Ok(limits::answer(parts, ticket, &asker.worker.front)),
        _ => {}
    }
    let caller = match early {
        Some(account) => Ok(Some(account)),
        None => caller(asker, parts, ticket).await,
    };
    let call = Call {
        method: parts.method.clone(),
        path: admission.path.as_str().to_owned(),
        query: admission.query.map(str::to_owned),
        version: parts.version,
        headers: parts.headers.clone(),
        body,
        client: ticket.client,
        request_id: ticket.request_id.clone(),
        caller,
    };
    asker.worker.desk.ask(call).await
}

/// Whether `endpoint` is asked by this method.
///
/// # Errors
/// When it is not, with those that it is.
pub fn allow(endpoint: Endpoint<'_>, method: &Method) -> Result<(), Refusal> {
    let allowed = endpoint.methods();
    match allowed.contains(&method.as_str()) {
        true => Ok(()),
        false => Err(Refusal::MethodNotAllowed { allow: allowed.join(", ").into() }),
    }
}

/// The account that a request to `endpoint`, one for accounts, acts for, if it may from `client`.
///
/// # Errors
/// When nobody is named, or nobody who acts for an account from there.
pub fn authorize(
    endpoint: Endpoint<'_>,
    principal: Option<Principal>,
    client: IpAddr,
) -> Result<Principal, Refusal> {
    let wanted = if endpoint == Endpoint::Logout { Wanted::Login } else { Wanted::Account };
    let principal = principal.ok_or(Refusal::NobodyAsks(wanted))?;
    if !principal.allows(client) {
        return Err(Refusal::AddressNotAllowed { client });
    }
    match wanted {
        Wanted::Login if !principal.is_logged_in() => Err(Refusal::NoSession { of: principal.method }),
        Wanted::Account if !principal.acts_for_its_account() => {
            Err(Refusal::InsufficientScope { required: ACCOUNT.into() })
        }
        Wanted::Login | Wanted::Account => Ok(principal),
    }
}

/// The account that a request acts for.
///
/// # Errors
/// When its credential is none that does, from where it comes.
async fn account(
    endpoint: Endpoint<'_>,
    asker: Asker<'_>,
    parts: &Parts,
    ticket: &mut Ticket,
) -> Result<Principal, Refusal> {
    let caller = caller(asker, parts, ticket).await;
    if let Err(refusal) = &caller {
        ticket.whose =
            asker.state.plan.decision.whose(refusal, &parts.headers, Ok(None), None, &asker.worker.front);
    }
    authorize(endpoint, caller?, ticket.client)
}

/// Whom the request's credential speaks for.
async fn caller(asker: Asker<'_>, parts: &Parts, ticket: &mut Ticket) -> Result<Option<Principal>, Refusal> {
    let decision = &asker.state.plan.decision;
    match decision.presented(&parts.headers, Ok(None)).map_err(Refusal::InvalidRequest)? {
        Presented::Nothing(_) => Ok(None),
        Presented::One(word) => {
            let valid = decision.validate(&word, &asker.worker.front, ticket.visit()).await?;
            let principal = valid.principal().clone();
            ticket.entry = Some(valid);
            Ok(Some(principal))
        }
    }
}

/// An answer that nobody may keep; to `HEAD` its fields alone.
fn json_answer(method: &Method, body: &Value) -> Response<Bytes> {
    let body = format!("{body}\n");
    let mut response = Response::new(Bytes::new());
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fields.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if method != Method::HEAD {
        *response.body_mut() = body.into();
    }
    response
}
