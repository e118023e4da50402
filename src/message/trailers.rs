//! Trailers (RFC 9110 §6.5): which of them pass, and what is said of them beforehand.
//!
//! A recipient may take a trailer for a field of the head, so what the head may not say the trailers may not either.

use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::fields::{Fate, FieldRules, ResponseFate, response_fate};
use super::names::elements;

/// Fields that direct what is done with a message before its body: too late, and misleading, behind it (RFC 9110 §6.5.1).
/// Those of framing, routing and the connection have fates of their own.
const NEVER: [&str; 21] = [
    "age",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "host",
    "location",
    "max-forwards",
    "pragma",
    "range",
    "retry-after",
    "set-cookie",
    "te",
    "trailer",
    "vary",
    "www-authenticate",
];

/// Names that a message's `Connection` gives to its own connection: they pass neither in its head nor in its trailers
/// (RFC 9110 §7.6.1). Nearly always none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nominated(Vec<HeaderName>);

/// Heads with more options are refused elsewhere.
const MOST: usize = 128;

impl Nominated {
    /// Those that the fields of a head name.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut nominated = Self::default();
        for value in headers.get_all(CONNECTION) {
            nominated.note(value.as_bytes());
        }
        nominated
    }

    /// Takes note of one `Connection` value.
    pub fn note(&mut self, value: &[u8]) {
        let options = elements(value).filter(|option| {
            !option.eq_ignore_ascii_case(b"close") && !option.eq_ignore_ascii_case(b"keep-alive")
        });
        let names = options.filter_map(|option| HeaderName::from_bytes(option).ok());
        self.0.extend(names.take(MOST.saturating_sub(self.0.len())));
    }

    /// Whether a field of this name is one of them.
    #[must_use]
    pub fn has(&self, name: &HeaderName) -> bool {
        self.0.contains(name)
    }
}

/// Whether a `TE` field says that its sender takes trailers (RFC 9110 §10.1.4).
#[must_use]
pub fn accepted(te: &[u8]) -> bool {
    elements(te).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// Whether a request's trailer of this name passes.
#[must_use]
pub fn passes_up(name: &HeaderName, rules: &FieldRules) -> bool {
    rules.fate(name) == Fate::Pass && may_follow(name)
}

/// Whether an answer's trailer of this name passes.
#[must_use]
pub fn passes_down(name: &HeaderName) -> bool {
    response_fate(name.as_str().as_bytes()) == ResponseFate::Pass && may_follow(name)
}

fn may_follow(name: &HeaderName) -> bool {
    !NEVER.contains(&name.as_str())
}

/// Takes out of `trailers` what does not pass.
pub fn strip(trailers: &mut HeaderMap, nominated: &Nominated, passes: impl Fn(&HeaderName) -> bool) {
    let ends_here = |name: &&HeaderName| nominated.has(name) || !passes(name);
    let dropped: Vec<HeaderName> = trailers.keys().filter(ends_here).cloned().collect();
    for name in dropped {
        trailers.remove(name);
    }
}

/// The `Trailer` field that announces, of the names in `fields`, those that pass; `None` when none does.
#[must_use]
pub fn announcement<'a>(
    fields: impl IntoIterator<Item = &'a [u8]>,
    nominated: &Nominated,
    passes: impl Fn(&HeaderName) -> bool,
) -> Option<HeaderValue> {
    let mut text = Vec::new();
    for name in fields.into_iter().flat_map(elements) {
        let Ok(name) = HeaderName::from_bytes(name) else { continue };
        if nominated.has(&name) || !passes(&name) {
            continue;
        }
        if !text.is_empty() {
            text.extend_from_slice(b", ");
        }
        text.extend_from_slice(name.as_str().as_bytes());
    }
    if text.is_empty() { None } else { HeaderValue::from_bytes(&text).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> FieldRules {
        FieldRules::new(&[HeaderName::from_static("x-user")], &[HeaderName::from_static("x-api-key")])
    }

    fn name(text: &str) -> HeaderName {
        HeaderName::from_bytes(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_the_head_may_not_say_the_trailers_may_not_either() {
        for text in [
            "content-length",
            "transfer-encoding",
            "Transfer_Encoding",
            "host",
            "connection",
            "keep-alive",
            "te",
            "trailer",
            "upgrade",
            "proxy-authenticate",
            "authorization",
            "cookie",
            "set-cookie",
            "content-type",
            "x-request-id",
        ] {
            assert!(!passes_up(&name(text), &rules()), "{text}");
            assert!(!passes_down(&name(text)), "{text}");
        }
        for text in
            ["x-user", "X_User", "x-api-key", "x-auth-subject", "x-forwarded-for", "X_Real_IP", "traceparent"]
        {
            assert!(!passes_up(&name(text), &rules()), "{text}");
        }
        assert!(!passes_down(&name("ratelimit")));
        for text in ["grpc-status", "grpc-message", "x-checksum", "etag", "server-timing"] {
            assert!(passes_up(&name(text), &rules()) && passes_down(&name(text)), "{text}");
        }
    }

    #[test]
    fn only_what_passes_is_left_and_announced() {
        let mut head = HeaderMap::new();
        head.append(CONNECTION, HeaderValue::from_static("close, X-Near"));
        let nominated = Nominated::of(&head);
        let mut trailers = HeaderMap::new();
        for (name, value) in [("x-near", "1"), ("x-far", "2"), ("x-far", "3"), ("content-length", "4")] {
            trailers.append(name, HeaderValue::from_static(value));
        }
        strip(&mut trailers, &nominated, passes_down);
        let left: Vec<_> = trailers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(left, [("x-far", &b"2"[..]), ("x-far", b"3")]);

        let announced = |fields: &[&'static str]| {
            announcement(fields.iter().map(|field| field.as_bytes()), &nominated, passes_down)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(announced(&["X-Far,  ,x-near", "content-length, ETag"]).as_deref(), Some("x-far, etag"));
        assert_eq!(announced(&["x-near", "a b", ""]), None);
    }

    #[test]
    fn trailers_are_taken_by_whoever_says_so() {
        for te in ["trailers", "Trailers", "deflate;q=0.5, trailers", ",trailers ,"] {
            assert!(accepted(te.as_bytes()), "{te}");
        }
        for te in ["", "gzip", "trailers;q=0.5", "xtrailers", "trailer"] {
            assert!(!accepted(te.as_bytes()), "{te}");
        }
    }
}
