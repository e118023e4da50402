//! Methods, header names and protocols.

use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::{Complaint, Kind, or_variable, string_schema};
use crate::message::fields::{Fate, FieldRules, ResponseFate, response_fate};

/// A request method.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct MethodName;

const USUAL: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

impl Kind for MethodName {
    type Value = Method;

    fn what(&self) -> String {
        "a method".to_owned()
    }

    fn expected(&self) -> String {
        "a method in capitals, such as GET or POST; leave `methods` out for all".to_owned()
    }

    fn read(&self, text: &str) -> Result<Method, Complaint> {
        let upper = text.to_ascii_uppercase();
        if upper == "CONNECT" {
            return Err(Complaint::refused("CONNECT is for forward proxies, and Keyward is none"));
        }
        if upper != text && USUAL.contains(&upper.as_str()) {
            return Err(Complaint::because("methods are case-sensitive").instead(upper));
        }
        if matches!(text, "*" | "ALL" | "ANY") {
            return Err(Complaint::because("leave `methods` out for all of them"));
        }
        let token = text.len() <= 32
            && !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        token.then(|| Method::from_bytes(text.as_bytes()).ok()).flatten().ok_or_else(Complaint::plain)
    }

    fn show(&self, value: &Method) -> String {
        value.as_str().to_owned()
    }

    fn schema(&self) -> Value {
        string_schema("^[A-Za-z0-9_-]{1,32}$")
    }
}

/// A protocol that HTTP/1.1 can be left for (RFC 9110 §7.8), in lower case: names are compared without regard to it.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Protocol;

/// Behind these, requests would follow that nobody reads here (RFC 9113 §3.1, RFC 2817).
const READ_PAST_US: [&str; 4] = ["h2", "h2c", "http", "tls"];

impl Kind for Protocol {
    type Value = Box<str>;

    fn what(&self) -> String {
        "a protocol".to_owned()
    }

    fn expected(&self) -> String {
        "the token of an Upgrade field, such as websocket or SPDY/3.1; [] for none".to_owned()
    }

    fn read(&self, text: &str) -> Result<Box<str>, Complaint> {
        let token = |part: &str| {
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            !part.is_empty() && part.len() <= 32 && part.bytes().all(legal)
        };
        let (name, version) = text.split_once('/').unwrap_or((text, "1"));
        if !token(name) || !token(version) {
            return Err(Complaint::plain());
        }
        if READ_PAST_US.iter().any(|past| name.eq_ignore_ascii_case(past)) {
            return Err(Complaint::refused("the requests behind it would be read by nobody here"));
        }
        Ok(text.to_ascii_lowercase().into())
    }

    fn show(&self, value: &Box<str>) -> String {
        value.to_string()
    }

    fn schema(&self) -> Value {
        const TOKEN: &str = "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}";
        string_schema(&format!("^{TOKEN}(/{TOKEN})?$"))
    }
}

/// The status of an answer that Keyward gives itself.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) enum Status {
    /// Of one that sends its client elsewhere.
    Redirect,
    /// Of any other.
    Answer,
}

const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

impl Kind for Status {
    type Value = StatusCode;

    fn what(&self) -> String {
        match self {
            Self::Redirect => "the status of a redirect",
            Self::Answer => "the status of an answer",
        }
        .to_owned()
    }

    fn expected(&self) -> String {
        match self {
            Self::Redirect => "301, 302, 303, 307 or 308",
            Self::Answer => "a number from 200 to 599, such as 200, 204, 404 or 503",
        }
        .to_owned()
    }

    fn read(&self, text: &str) -> Result<StatusCode, Complaint> {
        let status = StatusCode::from_bytes(text.as_bytes()).map_err(|_| Complaint::plain())?;
        match (self, status.as_u16()) {
            (Self::Redirect, number) if REDIRECTS.contains(&number) => Ok(status),
            (Self::Answer, number) if REDIRECTS.contains(&number) => {
                Err(Complaint::refused("an answer that sends its client elsewhere is a `redirect`"))
            }
            (Self::Answer, 205 | 206 | 304) => {
                Err(Complaint::refused("it speaks of something that was asked for before"))
            }
            (Self::Answer, 401 | 407) => {
                Err(Complaint::refused("it wants a challenge; who may pass is what `auth` says"))
            }
            (Self::Answer, 200..=599) => Ok(status),
            _ => Err(Complaint::plain()),
        }
    }

    fn show(&self, value: &StatusCode) -> String {
        value.as_str().to_owned()
    }

    fn schema(&self) -> Value {
        or_variable(vec![match self {
            Self::Redirect => json!({ "enum": REDIRECTS }),
            Self::Answer => json!({ "type": "integer", "minimum": 200, "maximum": 599 }),
        }])
    }
}

/// The value of a field.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct FieldText;

impl Kind for FieldText {
    type Value = HeaderValue;

    fn what(&self) -> String {
        "the value of a header field".to_owned()
    }

    fn expected(&self) -> String {
        "1 to 4096 visible ASCII characters, with spaces between them at most".to_owned()
    }

    fn read(&self, text: &str) -> Result<HeaderValue, Complaint> {
        let legal = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let padded = text.starts_with(' ') || text.ends_with(' ');
        if !legal || padded || !(1..=4096).contains(&text.len()) {
            return Err(Complaint::plain());
        }
        HeaderValue::from_str(text).map_err(|_| Complaint::plain())
    }

    fn show(&self, value: &HeaderValue) -> String {
        value.to_str().unwrap_or_default().to_owned()
    }

    fn schema(&self) -> Value {
        string_schema("^[!-~]([ -~]{0,4094}[!-~])?$")
    }
}

/// Any header field, such as one that pages may read.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct AnyField;

impl Kind for AnyField {
    type Value = HeaderName;

    fn what(&self) -> String {
        FieldName::Identity.what()
    }

    fn expected(&self) -> String {
        "a name of letters, digits and `-`, such as X-Request-Id".to_owned()
    }

    fn read(&self, text: &str) -> Result<HeaderName, Complaint> {
        HeaderName::from_bytes(text.as_bytes()).map_err(|_| Complaint::plain())
    }

    fn show(&self, value: &HeaderName) -> String {
        FieldName::Identity.show(value)
    }

    fn schema(&self) -> Value {
        FieldName::Identity.schema()
    }
}

/// A header field that a route changes: one that passes unchanged where no route changes it.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) enum ChangedField {
    Request,
    Response,
}

impl Kind for ChangedField {
    type Value = HeaderName;

    fn what(&self) -> String {
        FieldName::Identity.what()
    }

    fn expected(&self) -> String {
        "a field that concerns neither the connection nor the form of the body nor who is asking, such as X-Tenant"
            .to_owned()
    }

    fn read(&self, text: &str) -> Result<HeaderName, Complaint> {
        let name = AnyField.read(text)?;
        let passes = match self {
            Self::Request => FieldRules::default().fate(&name) == Fate::Pass,
            Self::Response => response_fate(name.as_str().as_bytes()) == ResponseFate::Pass,
        };
        match passes {
            true => Ok(name),
            false => Err(Complaint::refused("HTTP or Keyward has rules of its own for this field")),
        }
    }

    fn show(&self, value: &HeaderName) -> String {
        FieldName::Identity.show(value)
    }

    fn schema(&self) -> Value {
        FieldName::Identity.schema()
    }
}

/// A header field of the operator's choice: what it is for decides what it may not be.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) enum FieldName {
    /// It carries a credential in.
    Credential,
    /// It carries who is asking to the upstream.
    Identity,
    /// It says which server a request is for.
    Sharing,
}

/// Fields of one connection (RFC 9110 §7.6.1), of framing and of routing: nobody else's to give a meaning.
const TAKEN: [&str; 17] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Fields that Keyward sets or removes by rules of its own.
const OURS: [&str; 16] = [
    "authorization",
    "cookie",
    "forwarded",
    "set-cookie",
    "traceparent",
    "tracestate",
    "true-client-ip",
    "www-authenticate",
    "x-client-ip",
    "x-credential-expires",
    "x-real-ip",
    "x-request-id",
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "x-auth-assertion",
];

const OUR_FAMILIES: [&str; 3] = ["x-forwarded-", "x-original-", "x-rewrite-"];

/// A field name as backends may read it: `_` and `.` like `-`.
pub(in crate::config) fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

impl Kind for FieldName {
    type Value = HeaderName;

    fn what(&self) -> String {
        "a header field's name".to_owned()
    }

    fn expected(&self) -> String {
        match self {
            Self::Credential => "a field of your clients' own, of letters, digits and `-`, such as X-Api-Key",
            Self::Identity => {
                "a field that only Keyward sets, of letters, digits and `-`, such as X-Auth-Subject"
            }
            Self::Sharing => "a field of your clients' own, of letters, digits and `-`, such as X-Tenant",
        }
        .to_owned()
    }

    fn read(&self, text: &str) -> Result<HeaderName, Complaint> {
        let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| Complaint::plain())?;
        let folded = folded(text);
        if folded == "authorization" && matches!(self, Self::Credential) {
            return Err(Complaint::refused("Authorization is always read; list further fields only"));
        }
        if TAKEN.contains(&folded.as_str()) {
            return Err(Complaint::refused("HTTP itself gives this field its meaning"));
        }
        let family = OUR_FAMILIES.iter().any(|family| folded.starts_with(family));
        if family || OURS.contains(&folded.as_str()) {
            return Err(Complaint::refused("Keyward has another use for this field"));
        }
        Ok(name)
    }

    fn show(&self, value: &HeaderName) -> String {
        let capital = |part: &str| {
            let (first, rest) = part.split_at_checked(1).unwrap_or((part, ""));
            format!("{}{rest}", first.to_ascii_uppercase())
        };
        value.as_str().split('-').map(capital).collect::<Vec<_>>().join("-")
    }

    fn schema(&self) -> Value {
        string_schema("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_a_meaning_of_their_own_are_refused() {
        for bad in [
            "Host",
            "x_forwarded.for",
            "Transfer_Encoding",
            "Cookie",
            "Authorization",
            "a b",
            "",
            "X-Original-URL",
        ] {
            assert!(FieldName::Identity.read(bad).is_err(), "{bad}");
            assert!(FieldName::Credential.read(bad).is_err(), "{bad}");
        }
        let name = FieldName::Credential.read("x-API-key").unwrap();
        assert_eq!(FieldName::Credential.show(&name), "X-Api-Key");
    }

    #[test]
    fn a_protocol_is_a_token_perhaps_with_a_version_and_never_one_that_carries_requests() {
        assert_eq!(*Protocol.read("SPDY/3.1").unwrap(), *"spdy/3.1");
        for bad in [
            "",
            "/",
            "a/",
            "/1",
            "a/b/c",
            "a b",
            "a,b",
            "websocket\u{e4}",
            "h2c",
            "H2C",
            "h2",
            "HTTP/2.0",
            "TLS/1.2",
        ] {
            assert!(Protocol.read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn methods_are_tokens_in_capitals() {
        assert_eq!(MethodName.read("PROPFIND").unwrap().as_str(), "PROPFIND");
        assert_eq!(MethodName.read("get").unwrap_err().instead.as_deref(), Some("GET"));
        for bad in ["", "G T", "*", "CONNECT", "connect"] {
            assert!(MethodName.read(bad).is_err(), "{bad}");
        }
    }
}
