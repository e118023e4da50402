//! What a page's form sends back, and whether it was this site that sent it.

use http::header::{CONTENT_TYPE, ORIGIN};

use super::Trouble;
use crate::auth::refusal::Refusal;
use crate::config::PublicUrl;
use crate::web::errand::Call;
use crate::web::members::essence;

const FORM: &[u8] = b"application/x-www-form-urlencoded";
const SENT_BY: &str = "sec-fetch-site";

/// The fields of a form.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the form of a request that a page of this site sent (every browser tells a `POST`'s origin).
    pub(super) fn read(call: &Call, site: &PublicUrl) -> Result<Self, Trouble> {
        let mut origins = call.headers.get_all(ORIGIN).iter();
        let ours = |origin: &http::HeaderValue| origin.as_bytes() == site.as_str().as_bytes();
        if !origins.next().is_some_and(ours) || origins.next().is_some() {
            return Err(Trouble::Forged);
        }
        // Newer browsers also tell which site made them send it (https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header);
        // none = nobody but whoever sits there.
        let elsewhere = |site: &http::HeaderValue| !matches!(site.as_bytes(), b"same-origin" | b"none");
        if call.headers.get_all(SENT_BY).iter().any(elsewhere) {
            return Err(Trouble::Forged);
        }
        let mut types = call.headers.get_all(CONTENT_TYPE).iter();
        let is_form = |kind: &http::HeaderValue| essence(kind.as_bytes()).eq_ignore_ascii_case(FORM);
        if !types.next().is_some_and(is_form) || types.next().is_some() {
            return Err(Trouble::Refused(Refusal::UnsupportedMediaType));
        }
        Ok(Self(url::form_urlencoded::parse(&call.body).into_owned().collect()))
    }

    /// The first value of a field; empty without one.
    pub(super) fn value(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// The whole number in a field; `None` where it is absent or empty. `choose` is told of anything else.
    pub(super) fn number(&self, name: &str, choose: &'static str) -> Result<Option<u64>, Trouble> {
        match self.value(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| Trouble::Unreadable(choose)),
        }
    }

    /// All values of a field.
    pub(super) fn values(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(field, _)| field == name).map(|(_, value)| value.clone()).collect()
    }
}
