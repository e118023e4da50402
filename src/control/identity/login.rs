//! `/user/login`, `/user/token/refresh`, `/user/logout`: sessions and their tokens.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;
use zeroize::Zeroizing;

use super::caller::Owner;
use super::{Asked, render};
use crate::auth::refusal::Refusal;
use crate::clock::Timestamp;
use crate::issuer::Pair;
use crate::issuer::signing::{Mint, NotMinted};
use crate::store::Origin;
use crate::web::errand::{Caller, Reply};
use crate::web::members::{Members, Need};

/// `POST /user/login`
pub(super) async fn login(asked: Asked<'_>) -> Result<Reply, Refusal> {
    let mut members = Members::read(&asked.call.headers, &asked.call.body)?;
    let email = members.text("email", Need::Required("the email address of the account"));
    let password = members.text("password", Need::Required("its password")).map(Zeroizing::new);
    members.done()?;
    let (email, password) = (email.unwrap_or_default(), password.unwrap_or_default());
    let (mint, origin) = (ready(asked)?, stranger(asked));
    let pair = asked.terms.issuer.login(&email, password, &asked.visitor(None), &origin).await?;
    told(asked, mint, &pair).await
}

/// `POST /user/token/refresh`
pub(super) async fn refresh(asked: Asked<'_>) -> Result<Reply, Refusal> {
    let mut members = Members::read(&asked.call.headers, &asked.call.body)?;
    let need = Need::Required("the refresh token of the last answer");
    let token = members.text("refresh_token", need).map(Zeroizing::new).unwrap_or_default();
    members.done()?;
    let mint = ready(asked)?;
    let pair = asked.terms.issuer.refresh(&token, asked.call.client, &stranger(asked)).await?;
    told(asked, mint, &pair).await
}

/// `POST /user/logout`
pub(super) async fn logout(asked: Asked<'_>) -> Result<Response<Bytes>, Refusal> {
    let owner = Owner::logged_in(asked)?;
    Members::read_any(&asked.call.headers, &asked.call.body)?.done()?;
    let session = owner.principal.identity.credential();
    asked.terms.issuer.logout(session, &owner.origin(asked)).await?;
    Ok(render::nothing())
}

fn stranger(asked: Asked<'_>) -> Origin {
    Origin { actor: "anonymous".to_owned(), via: format!("api {}", asked.call.client) }
}

/// What signs the token that will be told, if it can: asked before a password is checked or a refresh token used up.
fn ready(asked: Asked<'_>) -> Result<&Mint, Refusal> {
    let mint = asked.terms.mint.as_ref().ok_or(Refusal::NoRoute)?;
    mint.ready(asked.now).map_err(|error| not_minted(&error))?;
    Ok(mint)
}

pub(super) fn not_minted(error: &NotMinted) -> Refusal {
    // In its last second a session goes on, and ends before a token of it could be used.
    if let NotMinted::Over = error {
        return Refusal::InvalidGrant;
    }
    tracing::warn!(error = error as &dyn std::error::Error, "no access token can be made");
    Refusal::NotNow
}

/// The pair as RFC 6749 §5.1 has it, and whose it is.
async fn told(asked: Asked<'_>, mint: &Mint, pair: &Pair) -> Result<Reply, Refusal> {
    let minted = mint.beside(pair).map_err(|error| not_minted(&error))?;
    asked.authenticator.learn(&minted.token).await;
    let body = json!({
        "access_token": &*minted.token,
        "token_type": "Bearer",
        // As the token itself tells, in whole seconds.
        "expires_in": second(minted.expires_at) - second(pair.issued_at),
        "refresh_token": pair.refresh.expose(),
        "scope": pair.scopes.as_str(),
    });
    let caller = Caller { account: pair.session.account_id.clone(), credential: pair.session.id.clone() };
    Ok(Reply { response: render::json(StatusCode::OK, &body), code: None, caller: Some(caller) })
}

const fn second(at: Timestamp) -> i64 {
    at.millis().div_euclid(1000)
}
