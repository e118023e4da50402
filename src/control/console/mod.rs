//! The console: pages that the server renders, for people and their keys. They work without scripts, in any browser, and in
//! nobody's frame.

mod account;
mod assets;
mod cookie;
mod form;
mod keys;
mod limits;
mod pages;
mod visitor;

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, LOCATION, RETRY_AFTER, SET_COOKIE};
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
    /// A field holds what its page does not offer; the text says what to do.
    Unreadable(&'static str),
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
    if let Some(file) = assets::find(page) {
        return Reply { response: file, code: None, caller: None };
    }
    let visitor = Visitor::of(asked, sealer).await;
    let caller = visitor.as_ref().ok().map(Visitor::caller);
    let (response, code) = match try_answer(asked, sealer, visitor, page).await {
        Ok(response) => (response, None),
        Err(Trouble::LoggedOut) => (to_login(asked), None),
        Err(Trouble::Forged) => (forged(asked), Some(Code::BadRequest)),
        Err(Trouble::Unreadable(choose)) => (unreadable(asked, choose), Some(Code::UnacceptableBody)),
        Err(Trouble::Refused(refusal)) => (refused(asked, &refusal), Some(refusal.code())),
    };
    Reply { response, code, caller }
}

async fn try_answer(
    asked: Asked<'_>,
    sealer: &Sealer,
    visitor: Result<Visitor<'_>, Trouble>,
    page: &str,
) -> Result<Response<Bytes>, Trouble> {
    let posted = asked.call.method == Method::POST;
    let segments: Vec<&str> = page.split('/').collect();
    match (segments.as_slice(), posted) {
        ([""], false) => Ok(see("/console/keys")),
        (["login"], false) if visitor.is_ok() => Ok(see("/console/keys")),
        (["login"], false) => Ok(account::login_page(asked)),
        (["login"], true) => account::login(visitor.as_ref().ok(), asked, sealer).await,
        (["logout"], true) => account::logout(&visitor?, asked).await,
        (["reset"], false) => account::reset_page(asked).await,
        (["reset"], true) => account::reset_password(asked).await,
        (["password"], false) => Ok(account::password_page(&visitor?, asked)),
        (["password"], true) => account::change_password(&visitor?, asked, sealer).await,
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
    let mut response = pages::guarded(StatusCode::SEE_OTHER);
    let place = HeaderValue::from_str(place).unwrap_or_else(|_| HeaderValue::from_static("/console/"));
    response.headers_mut().insert(LOCATION, place);
    // As the answer to GET has, so that HEAD tells it too.
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
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

fn forged(asked: Asked<'_>) -> Response<Bytes> {
    let message = pages::Message {
        title: "This form is not from here",
        detail: "It was not sent by a page of this console, or the page is from another session. Nothing was done. Open \
                 the page again and send the form from there.",
        request_id: asked.call.request_id.as_str(),
    };
    pages::answer(StatusCode::FORBIDDEN, &message)
}

fn unreadable(asked: Asked<'_>, choose: &str) -> Response<Bytes> {
    let detail = format!("{choose} Nothing was done.");
    let message = pages::Message {
        title: "This form cannot be read",
        detail: &detail,
        request_id: asked.call.request_id.as_str(),
    };
    pages::answer(StatusCode::UNPROCESSABLE_ENTITY, &message)
}

fn refused(asked: Asked<'_>, refusal: &Refusal) -> Response<Bytes> {
    let (title, detail) = in_words(refusal);
    let message = pages::Message { title, detail: &detail, request_id: asked.call.request_id.as_str() };
    told_when(refusal, pages::answer(status(refusal), &message))
}

/// The title and the text of a page: those that programs are told, unless only a program can do anything about them.
fn in_words(refusal: &Refusal) -> (&'static str, Cow<'static, str>) {
    match refusal {
        Refusal::UnsupportedMediaType | Refusal::EncodedBody => (
            "This is not a form of the console",
            "It was sent as something else than its pages send. Nothing was done. Open the page and send the form from there."
                .into(),
        ),
        Refusal::IdempotencyMismatch => (
            "This form was sent before",
            "This form was sent before with other content. Nothing more was done. Open the page again and send the form \
             from there."
                .into(),
        ),
        _ => (refusal.code().title(), refusal.detail()),
    }
}

fn status(refusal: &Refusal) -> StatusCode {
    StatusCode::from_u16(refusal.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Says after how long to try again, where that helps.
fn told_when(refusal: &Refusal, mut response: Response<Bytes>) -> Response<Bytes> {
    if let Some(seconds) = refusal.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
