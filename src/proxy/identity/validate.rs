//! `POST /user/token/validate`: what a credential is good for, told to whoever has it.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};
use serde_json::json;

use super::json_answer;
use crate::auth::credential::Malformed;
use crate::auth::refusal::Refusal;
use crate::authenticator::Valid;
use crate::decision::Presented;
use crate::proxy::gateway::Asker;
use crate::proxy::ticket::Ticket;
use crate::web::errand::{Caller, Reply};
use crate::web::members::{Members, Need};

/// Validates the credential in `Authorization`, or the one that the body names.
///
/// # Errors
/// When there is none, there are two, or it does not hold.
pub(super) async fn answer(
    asker: Asker<'_>,
    parts: &Parts,
    body: &[u8],
    ticket: &mut Ticket,
) -> Result<Reply, Refusal> {
    let named = named(parts, body)?;
    let decision = &asker.state.plan.decision;
    let presented = decision.presented(&parts.headers, Ok(None)).map_err(Refusal::InvalidRequest)?;
    let is_own = matches!(presented, Presented::One(_));
    let word = match (presented, named) {
        (Presented::One(_), Some(_)) => return Err(Refusal::InvalidRequest(Malformed::Several)),
        (Presented::One(word), None) => word,
        (Presented::Nothing(_), Some(word)) => word.into(),
        (Presented::Nothing(scheme), None) => return Err(Refusal::MissingCredentials { scheme }),
    };
    let valid = decision.validate(&word, &asker.worker.front, ticket.visit()).await?;
    // For the log it is all the same where it stood.
    let caller = (!is_own).then(|| caller(&valid));
    if is_own {
        ticket.entry = Some(Arc::clone(&valid));
    }
    Ok(Reply { response: told(&valid), code: None, caller })
}

fn named(parts: &Parts, body: &[u8]) -> Result<Option<String>, Refusal> {
    let mut members = Members::read_any(&parts.headers, body)?;
    let token = members.text("token", Need::Optional);
    members.done()?;
    Ok(token)
}

fn caller(valid: &Valid) -> Caller {
    let identity = &valid.principal().identity;
    Caller { account: identity.account().to_owned(), credential: identity.credential().to_owned() }
}

fn told(valid: &Valid) -> Response<Bytes> {
    let principal = valid.principal();
    let identity = &principal.identity;
    let body = json!({
        "active": true,
        "token_type": principal.method.as_str(),
        "sub": identity.account(),
        "client_id": identity.client(),
        "scope": identity.scopes(),
        "iat": principal.issued_at.millis().div_euclid(1000),
        "exp": principal.expires_at.millis().div_euclid(1000),
    });
    json_answer(&Method::POST, &body)
}
