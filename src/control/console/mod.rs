//! The console: pages that the server renders, for people and their keys. They work without scripts, in any browser, and in
//! nobody's frame.

mod account;
mod assets;
mod cookie;
mod form;
mod keys;
mod pages;
mod visitor;

use bytes::Bytes;
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderValue, Method, Response, StatusCode};

pub use cookie::Sealer;

use super::identity::Asked;
use crate::auth::refusal::{Code, Refusal};
use crate::issuer::IssueError;
use crate::web::errand::Reply;
use cookie::Jar;
use visitor::Visitor;

/// Why a page is not shown.
enum Trouble {
    /// Nobody is logged in.
    LoggedOut,
    /// The form was not sent by a page of this site, or not in this session.
    Forged,
    /// As a program would be told.
    Refused(Refusal),
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<IssueError> for Trouble {
    fn from(error: IssueError) -> Self {
        Self::Refused(error.into())
    }
}

/// Answers a request to the page of this name, whatever happens.
pub(super) async fn answer(asked: Asked<'_>, sealer: &Sealer, page: &str) -> Reply {
    match try_answer(asked, sealer, page).await {
        Ok(response) => Reply { response, code: None },
        Err(Trouble::LoggedOut) => Reply { response: to_login(asked), code: None },
        Err(Trouble::Forged) => forged(asked),
        Err(Trouble::Refused(refusal)) => refused(asked, &refusal),
    }
}

async fn try_answer(asked: Asked<'_>, sealer: &Sealer, page: &str) -> Result<Response<Bytes>, Trouble> {
    if let Some(file) = assets::find(page) {
        return Ok(file);
    }
    let posted = asked.call.method == Method::POST;
    let segments: Vec<&str> = page.split('/').collect();
    let visitor = Visitor::of(asked, sealer).await;
    match (segments.as_slice(), posted) {
        ([""], false) => Ok(see("/console/keys")),
        (["login"], false) if visitor.is_ok() => Ok(see("/console/keys")),
        (["login"], false) => Ok(account::login_page(asked)),
        (["login"], true) => account::login(asked, sealer).await,
        (["logout"], true) => account::logout(&visitor?, asked).await,
        (["reset"], false) => account::reset_page(asked).await,
        (["reset"], true) => account::reset_password(asked).await,
        (["password"], false) => Ok(account::password_page(&visitor?, asked)),
        (["password"], true) => account::change_password(&visitor?, asked).await,
        (["sessions"], false) => account::sessions(&visitor?, asked).await,
        (["sessions", id, "end"], true) => account::end_session(&visitor?, asked, id).await,
        (["keys"], false) => keys::list(&visitor?, asked).await,
        (["keys"], true) => keys::create(&visitor?, asked).await,
        (["keys", id], false) => keys::show(&visitor?, asked, id).await,
        (["keys", id, "rotate"], true) => keys::rotate(&visitor?, asked, id).await,
        (["keys", id, "revoke"], true) => keys::revoke(&visitor?, asked, id).await,
        _ => Err(Trouble::Refused(Refusal::NotFound("page"))),
    }
}

/// Leads a browser to a page of the console.
fn see(place: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let place = HeaderValue::from_str(place).unwrap_or_else(|_| HeaderValue::from_static("/console/"));
    response.headers_mut().insert(LOCATION, place);
    response
}

fn to_login(asked: Asked<'_>) -> Response<Bytes> {
    let mut response = see("/console/login");
    if let Some(identity) = &asked.terms.identity {
        let jar = Jar::of(identity);
        if jar.read(&asked.call.headers).is_some() {
            response.headers_mut().insert(SET_COOKIE, jar.clear());
        }
    }
    response
}

fn forged(asked: Asked<'_>) -> Reply {
    let message = pages::Message {
        title: "This form is not from here",
        detail: "It was not sent by a page of this console, or the page is from another session. Nothing was done. Open \
                 the page again and send the form from there.",
        request_id: asked.call.request_id.as_str(),
    };
    Reply { response: pages::answer(StatusCode::FORBIDDEN, &message), code: Some(Code::BadRequest) }
}

fn refused(asked: Asked<'_>, refusal: &Refusal) -> Reply {
    let code = refusal.code();
    let detail = refusal.detail();
    let message =
        pages::Message { title: code.title(), detail: &detail, request_id: asked.call.request_id.as_str() };
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Reply { response: pages::answer(status, &message), code: Some(code) }
}
