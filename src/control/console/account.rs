//! Logging in and out, passwords, sessions.

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{Response, StatusCode};
use zeroize::Zeroizing;

use super::cookie::{Jar, Sealer};
use super::form::Form;
use super::pages::{self, time, time_from, typed};
use super::visitor::Visitor;
use super::{Trouble, see, status, told_when};
use crate::auth::refusal::Refusal;
use crate::control::identity::{Asked, capital, sentence};
use crate::issuer::{Browser, IssueError, Pair};
use crate::store::{Origin, Session};

/// Sessions on the page of them, the newest; programs that log in each time can have very many.
const SESSIONS: u32 = 100;

/// `GET login`
pub(super) fn login_page(asked: Asked<'_>) -> Response<Bytes> {
    let query = asked.call.parameters();
    let done = match () {
        () if query.contains_key("out") => Some("You are logged out."),
        () if query.contains_key("set") => Some("Your new password is set. Log in with it."),
        () => None,
    };
    pages::answer(StatusCode::OK, &pages::Login { email: String::new(), done, problems: Vec::new() })
}

/// `POST login`: always a new session. That which the browser had until then ends, for it forgets the only cookie of it.
pub(super) async fn login(
    before: Option<&Visitor<'_>>,
    asked: Asked<'_>,
    sealer: &Sealer,
) -> Result<Response<Bytes>, Trouble> {
    let identity = asked.identity()?;
    let form = Form::read(asked.call, &identity.public_url)?;
    let (email, password) = (form.value("email"), Zeroizing::new(form.value("password").to_owned()));
    let known = Jar::of(identity).read_mark(&asked.call.headers, sealer, email, asked.now);
    let (who, origin) = (asked.visitor(known.clone()), stranger(asked));
    let pair = match asked.terms.issuer.login(email, password, &who, &origin).await {
        Ok(pair) => pair,
        Err(error @ (IssueError::WrongLogin | IssueError::Wait(_) | IssueError::Busy)) => {
            let problems = vec![capital(&error.to_string())];
            let page = pages::Login { email: typed(email), done: None, problems };
            return Ok(put_off(error, &page));
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(before) = before {
        asked.terms.issuer.logout(&before.session.id, &before.origin(asked)).await?;
    }
    let_in(asked, sealer, known, &pair, "/console/keys")
}

/// Gives a browser the session that has just begun, and a mark of it. A browser keeps its name: its failures stay its own.
fn let_in(
    asked: Asked<'_>,
    sealer: &Sealer,
    known: Option<Browser>,
    pair: &Pair,
    place: &str,
) -> Result<Response<Bytes>, Trouble> {
    let jar = Jar::of(asked.identity()?);
    let name = match known {
        Some(browser) => browser.name,
        None => asked.terms.issuer.nonce()?,
    };
    let browser = Browser { name, password: pair.password.clone().unwrap_or_default() };
    let mark = sealer.mark(&pair.account.email, &browser, asked.now);
    let life = asked.now.until(pair.session.expires_at).as_secs();
    let mut response = see(place);
    let cookies = response.headers_mut();
    cookies.append(SET_COOKIE, jar.set(&sealer.cookie(&pair.session.id), life));
    cookies.append(SET_COOKIE, jar.set_mark(&mark));
    Ok(response)
}

/// The same page again, with the status that a program would get, and when to come back.
fn put_off(error: IssueError, page: &impl askama::Template) -> Response<Bytes> {
    let refusal = Refusal::from(error);
    told_when(&refusal, pages::answer(status(&refusal), page))
}

fn stranger(asked: Asked<'_>) -> Origin {
    Origin { actor: "anonymous".to_owned(), via: format!("console {}", asked.call.client) }
}

/// `POST logout`
pub(super) async fn logout(visitor: &Visitor<'_>, asked: Asked<'_>) -> Result<Response<Bytes>, Trouble> {
    visitor.reads(asked)?;
    asked.terms.issuer.logout(&visitor.session.id, &visitor.origin(asked)).await?;
    let mut response = see("/console/login?out");
    response.headers_mut().append(SET_COOKIE, Jar::of(visitor.identity).clear());
    Ok(response)
}

/// `GET password`
pub(super) fn password_page(visitor: &Visitor<'_>, asked: Asked<'_>) -> Response<Bytes> {
    let done = asked.call.parameters().contains_key("changed");
    let done = done.then_some("Your password is changed, and all your other sessions are ended.");
    pages::answer(StatusCode::OK, &password(visitor, done, Vec::new()))
}

fn password(visitor: &Visitor<'_>, done: Option<&'static str>, problems: Vec<String>) -> pages::Password {
    let min_length = visitor.identity.passwords.min_length;
    pages::Password { frame: visitor.frame("password"), done, problems, min_length }
}

/// `POST password`: the browser goes on in a new session; the one that it had is over with all the others.
pub(super) async fn change_password(
    visitor: &Visitor<'_>,
    asked: Asked<'_>,
    sealer: &Sealer,
) -> Result<Response<Bytes>, Trouble> {
    let form = visitor.reads(asked)?;
    let words = ["old", "new"].map(|name| Zeroizing::new(form.value(name).to_owned()));
    let (account, known) = (&visitor.account.id, visitor.mark(asked));
    let (who, origin) = (asked.visitor(known.clone()), visitor.origin(asked));
    let (status, problems) = match asked.terms.issuer.change_password(account, words, &who, &origin).await {
        Ok(pair) => return let_in(asked, sealer, known, &pair, "/console/password?changed"),
        Err(IssueError::Invalid(problems)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, problems.iter().map(sentence).collect())
        }
        Err(IssueError::WrongLogin) => {
            (StatusCode::UNPROCESSABLE_ENTITY, vec!["The present password is wrong.".to_owned()])
        }
        Err(error @ (IssueError::Wait(_) | IssueError::Busy)) => {
            let problems = vec![capital(&error.to_string())];
            return Ok(put_off(error, &password(visitor, None, problems)));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(pages::answer(status, &password(visitor, None, problems)))
}

/// `GET sessions`
pub(super) async fn sessions(visitor: &Visitor<'_>, asked: Asked<'_>) -> Result<Response<Bytes>, Trouble> {
    let newest = newest(visitor, asked).await?;
    let ended = asked.call.parameters().contains_key("ended");
    let page = pages::Sessions {
        frame: visitor.frame("sessions"),
        done: ended.then_some("The session is ended."),
        is_cut: newest.len() >= SESSIONS as usize,
        sessions: newest.iter().map(|session| shown(visitor, asked, session)).collect(),
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

/// Of the account's sessions the newest, and this one in any case.
async fn newest(visitor: &Visitor<'_>, asked: Asked<'_>) -> Result<Vec<Session>, Trouble> {
    let mut newest = asked.terms.issuer.newest_sessions(&visitor.account.id, SESSIONS).await?;
    if newest.iter().all(|session| session.id != visitor.session.id) {
        newest.push(visitor.session.clone());
    }
    Ok(newest)
}

fn shown(visitor: &Visitor<'_>, asked: Asked<'_>, session: &Session) -> pages::Session {
    let agent = if session.agent.is_empty() { "an unnamed program" } else { &session.agent };
    pages::Session {
        id: session.id.clone(),
        agent: agent.to_owned(),
        address: session.address.clone(),
        is_this: session.id == visitor.session.id,
        began: time(session.created_at),
        used: time(session.last_used_at),
        ends: time_from(asked.now, session.expires_at),
    }
}

/// `POST sessions/{id}/end`
pub(super) async fn end_session(
    visitor: &Visitor<'_>,
    asked: Asked<'_>,
    id: &str,
) -> Result<Response<Bytes>, Trouble> {
    visitor.reads(asked)?;
    let session = asked.terms.issuer.session_of(&visitor.account.id, id).await?;
    asked.terms.issuer.revoke_session(&session.id, &visitor.origin(asked)).await?;
    Ok(see("/console/sessions?ended"))
}

/// `GET reset`: the page behind a reset link.
pub(super) async fn reset_page(asked: Asked<'_>) -> Result<Response<Bytes>, Trouble> {
    let token = asked.call.parameters().remove("token").unwrap_or_default();
    match asked.terms.issuer.reset_link(&token).await {
        Ok(_) => Ok(pages::answer(StatusCode::OK, &reset(asked, Some(token), Vec::new())?)),
        Err(error @ IssueError::InvalidLink) => invalid(asked, &error),
        Err(error) => Err(error.into()),
    }
}

fn reset(asked: Asked<'_>, token: Option<String>, problems: Vec<String>) -> Result<pages::Reset, Trouble> {
    Ok(pages::Reset { problems, token, min_length: asked.identity()?.passwords.min_length })
}

fn invalid(asked: Asked<'_>, error: &IssueError) -> Result<Response<Bytes>, Trouble> {
    let page = reset(asked, None, vec![capital(&error.to_string())])?;
    Ok(pages::answer(StatusCode::NOT_FOUND, &page))
}

/// `POST reset`
pub(super) async fn reset_password(asked: Asked<'_>) -> Result<Response<Bytes>, Trouble> {
    let form = Form::read(asked.call, &asked.identity()?.public_url)?;
    let token = form.value("token");
    let password = Zeroizing::new(form.value("new").to_owned());
    let (status, problems) = match asked.terms.issuer.reset_password(token, password, &stranger(asked)).await
    {
        Ok(_) => return Ok(see("/console/login?set")),
        Err(error @ IssueError::InvalidLink) => return invalid(asked, &error),
        Err(IssueError::Invalid(problems)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, problems.iter().map(sentence).collect())
        }
        Err(error @ IssueError::Busy) => {
            let problems = vec![capital(&error.to_string())];
            return Ok(put_off(error, &reset(asked, Some(token.to_owned()), problems)?));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(pages::answer(status, &reset(asked, Some(token.to_owned()), problems)?))
}
