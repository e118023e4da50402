//! Refusals as answers: one body for people and programs (RFC 9457), in the format that the client reads best.

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode, Version};
use serde::Serialize;

use super::accept::{self, Format};
use super::own_body::OwnBody;
use super::request_id::{self, RequestId};
use super::{grpc, page, rate_limit};
use crate::auth::refusal::{MemberFault, Refusal};

#[cfg(test)]
mod tests;

/// How refusals are told under one configuration.
#[derive(Clone, Debug)]
pub struct Problems {
    type_base: Box<str>,
    /// `Bearer realm="…"`.
    challenge: Box<str>,
    page_policy: HeaderValue,
}

/// What of the request its refusal depends on.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// `HEAD` gets no body.
    pub method: &'a Method,
    /// gRPC comes over HTTP/2 alone.
    pub version: Version,
    /// For `Accept`.
    pub headers: &'a HeaderMap,
    /// Told in every answer.
    pub request_id: &'a RequestId,
}

/// The members of RFC 9457 §3.1 and two of ours.
#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    code: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [MemberFault],
}

impl Problems {
    /// `type_base` stands before the code in `type`; `realm` names what is protected (RFC 6750 §3). Of the realm, what a
    /// quoted string cannot hold is left out.
    #[must_use]
    pub fn new(type_base: &str, realm: &str) -> Self {
        let plain = |letter: &char| matches!(letter, ' '..='~') && !matches!(letter, '"' | '\\');
        let realm: String = realm.chars().filter(plain).collect();
        Self {
            type_base: type_base.into(),
            challenge: ["Bearer realm=\"", &realm, "\""].concat().into(),
            page_policy: page::policy(),
        }
    }

    /// The whole answer to a request that is refused. For `HEAD` the fields of the answer to `GET`, without the body.
    #[must_use]
    pub fn answer(&self, refusal: &Refusal, asked: Asked<'_>) -> Response<Bytes> {
        self.answer_by(refusal, asked, None)
    }

    /// The same, with a body of the operator's own where there is one. A gRPC client is told by a status in any case.
    #[must_use]
    pub fn answer_by(&self, refusal: &Refusal, asked: Asked<'_>, own: Option<&OwnBody>) -> Response<Bytes> {
        let mut answer = if grpc::is_request(asked.version, asked.headers) {
            grpc::answer(refusal)
        } else {
            self.document(refusal, asked, own)
        };
        self.explain(refusal, answer.headers_mut());
        insert(answer.headers_mut(), HeaderName::from_static(request_id::FIELD), asked.request_id.as_str());
        answer
    }

    fn document(&self, refusal: &Refusal, asked: Asked<'_>, own: Option<&OwnBody>) -> Response<Bytes> {
        let format = accept::negotiate(asked.headers);
        let body = match own {
            Some(own) => own.render(refusal, asked.request_id),
            None => self.body(refusal, format, asked.request_id),
        };
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = status(refusal);
        let fields = answer.headers_mut();
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        match own {
            Some(own) => {
                fields.insert(header::CONTENT_TYPE, own.content_type().clone());
                fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            }
            None => self.describe(format, fields),
        }
        if asked.method != Method::HEAD {
            *answer.body_mut() = body.into();
        }
        answer
    }

    /// The bytes of an HTTP/1.1 answer for a connection that ends with it, written past the HTTP server: for a request
    /// that did not arrive whole.
    #[must_use]
    pub fn raw(&self, refusal: &Refusal, request_id: &RequestId) -> Vec<u8> {
        let asked =
            Asked { method: &Method::GET, version: Version::HTTP_11, headers: &HeaderMap::new(), request_id };
        let (head, body) = self.answer(refusal, asked).into_parts();
        let mut bytes = status_line(head.status);
        for (name, value) in &head.headers {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        bytes.extend_from_slice(b"connection: close\r\n\r\n");
        bytes.extend_from_slice(&body);
        bytes
    }

    fn describe(&self, format: Format, fields: &mut HeaderMap) {
        let content_type = match format {
            Format::Problem => "application/problem+json",
            Format::Html => "text/html; charset=utf-8",
            Format::Text => "text/plain; charset=utf-8",
        };
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        fields.insert(header::VARY, HeaderValue::from_static("accept"));
        fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if format == Format::Html {
            fields.insert(header::CONTENT_SECURITY_POLICY, self.page_policy.clone());
        }
    }

    /// What every answer to a refused request has, in whatever form.
    fn explain(&self, refusal: &Refusal, fields: &mut HeaderMap) {
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = refusal.challenge() {
            insert(fields, header::WWW_AUTHENTICATE, &[&*self.challenge, &challenge].concat());
        }
        if let Some(seconds) = refusal.retry_after() {
            fields.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Refusal::MethodNotAllowed { allow } = refusal {
            insert(fields, header::ALLOW, allow);
        }
        if let Refusal::Exceeded(exceeded) = refusal {
            rate_limit::tell(fields, &exceeded.fields);
        }
    }

    fn body(&self, refusal: &Refusal, format: Format, request_id: &RequestId) -> Vec<u8> {
        let code = refusal.code();
        let detail = refusal.detail();
        match format {
            Format::Problem => {
                let body = Body {
                    r#type: [&*self.type_base, code.as_str()].concat(),
                    title: code.title(),
                    status: code.status(),
                    detail: &detail,
                    // A trusted peer's id need not be a UUID, and no other URN is promised.
                    instance: request_id.is_uuid().then(|| ["urn:uuid:", request_id.as_str()].concat()),
                    code: code.as_str(),
                    request_id: request_id.as_str(),
                    errors: refusal.members(),
                };
                let mut bytes = serde_json::to_vec(&body).unwrap_or_default();
                // For those who read it in a terminal.
                bytes.push(b'\n');
                bytes
            }
            Format::Html => page::render(code, &detail, request_id.as_str()).into_bytes(),
            Format::Text => {
                let (status, code) = (code.status(), code.as_str());
                format!("{status} {code}: {detail} (request {request_id})\n").into_bytes()
            }
        }
    }
}

fn status(refusal: &Refusal) -> StatusCode {
    StatusCode::from_u16(refusal.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Sets a field whose value is made of checked parts; one that is not a legal value is left out.
fn insert(fields: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        fields.insert(name, value);
    }
}

fn status_line(status: StatusCode) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or_default();
    ["HTTP/1.1 ", status.as_str(), " ", reason, "\r\n"].concat().into_bytes()
}

/// The bytes of an HTTP/1.1 answer where no request could be read: the status, a line of text where there is something
/// to say, and the connection ends.
#[must_use]
pub fn bare(status: StatusCode, said: &str) -> Vec<u8> {
    let mut bytes = status_line(status);
    let kind = if said.is_empty() { "" } else { "content-type: text/plain\r\n" };
    let head = format!("connection: close\r\n{kind}content-length: {}\r\n\r\n{said}", said.len());
    bytes.extend_from_slice(head.as_bytes());
    bytes
}
