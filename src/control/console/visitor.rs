//! Who is logged in, as the cookie tells, and what their forms carry.

use super::Trouble;
use super::cookie::{Jar, Sealer};
use super::form::Form;
use super::pages::Frame;
use crate::config::Identity;
use crate::control::identity::Asked;
use crate::issuer::Browser;
use crate::store::{Account, Origin, Session};
use crate::web::errand::Caller;

/// Somebody who is logged in.
pub(super) struct Visitor<'a> {
    pub(super) account: Account,
    pub(super) session: Session,
    pub(super) identity: &'a Identity,
    /// What this session's forms carry.
    form: String,
    sealer: &'a Sealer,
}

impl<'a> Visitor<'a> {
    /// Who sent a request. The store is asked each time, so that the end of a session holds at once.
    pub(super) async fn of(asked: Asked<'a>, sealer: &'a Sealer) -> Result<Self, Trouble> {
        let identity = asked.terms.identity.as_ref().ok_or(Trouble::LoggedOut)?;
        let cookie = Jar::of(identity).read(&asked.call.headers).ok_or(Trouble::LoggedOut)?;
        let id = sealer.session(cookie).ok_or(Trouble::LoggedOut)?;
        let (session, account) = asked.terms.issuer.living_session(id).await?.ok_or(Trouble::LoggedOut)?;
        let form = sealer.form(&session.id);
        Ok(Self { account, session, identity, form, sealer })
    }

    /// Reads the form that this visitor sent.
    pub(super) fn reads(&self, asked: Asked<'_>) -> Result<Form, Trouble> {
        let form = Form::read(asked.call, &self.identity.public_url)?;
        if !self.sealer.is_form(&self.session.id, form.value("form")) {
            return Err(Trouble::Forged);
        }
        Ok(form)
    }

    /// The mark of this browser: failures of others do not delay this visitor.
    pub(super) fn mark(&self, asked: Asked<'_>) -> Option<Browser> {
        let (jar, headers) = (Jar::of(self.identity), &asked.call.headers);
        jar.read_mark(headers, self.sealer, &self.account.email, asked.now)
    }

    /// What surrounds a page for this visitor.
    pub(super) fn frame(&self, place: &'static str) -> Frame {
        Frame { place, form: self.form.clone(), email: self.account.email.clone() }
    }

    /// For the access log.
    pub(super) fn caller(&self) -> Caller {
        Caller { account: self.account.id.clone(), credential: self.session.id.clone() }
    }

    /// For the audit log.
    pub(super) fn origin(&self, asked: Asked<'_>) -> Origin {
        Origin { actor: self.account.id.clone(), via: format!("console {}", asked.call.client) }
    }
}
