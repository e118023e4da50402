//! A request as HTTP/2 has it: who it is for and its path stand in pseudo-header fields, and nothing speaks of a connection.

use std::borrow::Cow;

use http::header::{CONTENT_LENGTH, COOKIE, TE, TRAILER};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version};

use super::Forward;
use crate::message::framing::Framing;
use crate::proxy::upstream::Endpoint;
use crate::web::{cookies, forwarded, request_id};

impl Forward<'_> {
    pub(super) fn to_http2(&self, endpoint: &Endpoint) -> Result<Request<()>, http::Error> {
        let mut request = Request::new(());
        *request.method_mut() = self.parts.method.clone();
        *request.uri_mut() = self.to_uri(endpoint)?;
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.to_fields()?;
        Ok(request)
    }

    fn to_uri(&self, endpoint: &Endpoint) -> Result<Uri, http::Error> {
        let path = self.path;
        let target = match self.admission.query {
            Some(query) => PathAndQuery::from_maybe_shared(format!("{path}?{query}").into_bytes())?,
            None => PathAndQuery::try_from(path)?,
        };
        let scheme =
            if endpoint.place.scheme == forwarded::Scheme::Https { Scheme::HTTPS } else { Scheme::HTTP };
        Uri::builder().scheme(scheme).authority(self.host(endpoint)).path_and_query(target).build()
    }

    fn to_fields(&self) -> Result<HeaderMap, http::Error> {
        let mut fields = HeaderMap::with_capacity(self.parts.headers.len() + 12);
        for (name, value) in &self.parts.headers {
            if !self.passes(self.plan.fields.fate(name), name) {
                continue;
            }
            let value = if name == COOKIE { passing(value) } else { Some(value.clone()) };
            if let Some(value) = value {
                fields.append(name, value);
            }
        }
        self.said_by_route().for_each(|(name, value)| drop(fields.insert(name, value.clone())));
        if self.takes_trailers() {
            fields.insert(TE, HeaderValue::from_static("trailers"));
        }
        if self.framing != Framing::None {
            fields.extend(self.announced_trailers().map(|names| (TRAILER, names)));
        }
        let mut outcome = Ok(());
        let mut set = |name: Result<HeaderName, http::Error>, value: &[u8]| match (
            name,
            HeaderValue::from_bytes(value),
        ) {
            (Ok(name), Ok(value)) => drop(fields.insert(name, value)),
            (Err(error), _) => outcome = Err(error),
            (_, Err(error)) => outcome = Err(error.into()),
        };
        self.identify(|name, value| set(Ok(name.clone()), value.as_bytes()));
        self.arrival.write(&self.parts.headers, |name, value| {
            set(HeaderName::from_bytes(name.as_bytes()).map_err(Into::into), value);
        });
        set(Ok(HeaderName::from_static(request_id::FIELD)), self.request_id.as_bytes());
        if let Framing::Length(length) = self.framing {
            fields.insert(CONTENT_LENGTH, length.into());
        }
        outcome.map(|()| fields)
    }
}

/// What of a `Cookie` field is for upstreams.
fn passing(value: &HeaderValue) -> Option<HeaderValue> {
    match cookies::passing(value.as_bytes())? {
        Cow::Borrowed(_) => Some(value.clone()),
        Cow::Owned(rest) => HeaderValue::from_maybe_shared(rest).ok(),
    }
}
