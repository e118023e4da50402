use serde_json::{Value, json};

use super::*;
use crate::auth::principal;
use crate::auth::random::System;
use crate::clock::Timestamp;
use crate::web::request_id::RequestIds;

fn problems() -> Problems {
    Problems::new("urn:keyward:error:", "key\"wa\\rd\n")
}

fn id(sent: Option<&'static str>) -> RequestId {
    let Some(sent) = sent else { return RequestIds::new(&System::default()).unwrap().make(Timestamp(0)) };
    let mut headers = HeaderMap::new();
    headers.insert(request_id::FIELD, HeaderValue::from_static(sent));
    RequestId::sent(&headers).unwrap()
}

fn answer(refusal: &Refusal, method: &Method, accept: &'static str, id: &RequestId) -> Response<Bytes> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    problems().answer(refusal, Asked { method, version: Version::HTTP_11, headers: &headers, request_id: id })
}

fn field<'a>(answer: &'a Response<Bytes>, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().unwrap())
}

fn refusals() -> Vec<Refusal> {
    vec![
        Refusal::MissingCredentials { scheme: None },
        Refusal::InvalidCredentials,
        Refusal::Revoked { of: principal::Method::ApiKey },
        Refusal::Expired { of: principal::Method::ApiKey, at: Timestamp(1_793_491_200_000) },
        Refusal::InsufficientScope { required: "a:read b:write".into() },
        Refusal::NoRoute,
        Refusal::MethodNotAllowed { allow: "GET, HEAD".into() },
        Refusal::BodyTooLarge { limit: 5 },
        Refusal::ValidationUnavailable,
        Refusal::UpstreamTimeout,
    ]
}

#[test]
fn a_problem_says_what_is_wrong_and_what_to_do() {
    let id = id(None);
    let answer = answer(
        &Refusal::Expired { of: principal::Method::ApiKey, at: Timestamp(1_793_491_200_000) },
        &Method::GET,
        "*/*",
        &id,
    );
    assert_eq!(answer.status(), 401);
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(
        body,
        json!({
            "type": "urn:keyward:error:expired_credentials",
            "title": "The credentials have expired",
            "status": 401,
            "detail": "This API key expired on 2026-11-01T00:00:00Z. Generate a new one.",
            "instance": format!("urn:uuid:{id}"),
            "code": "expired_credentials",
            "request_id": id.as_str(),
        })
    );
    let fields = [
        ("content-type", "application/problem+json"),
        ("cache-control", "no-store"),
        ("vary", "accept"),
        ("x-content-type-options", "nosniff"),
        ("x-request-id", id.as_str()),
        (
            "www-authenticate",
            "Bearer realm=\"keyward\", error=\"invalid_token\", error_description=\"The credential expired\"",
        ),
    ];
    for (name, value) in fields {
        assert_eq!(field(&answer, name), Some(value));
    }
}

#[test]
fn fields_go_with_the_refusals_that_have_them() {
    let id = id(None);
    let get = |refusal: &Refusal, name: &str| {
        field(&answer(refusal, &Method::GET, "*/*", &id), name).map(ToOwned::to_owned)
    };
    let scope = Refusal::InsufficientScope { required: "a:read b:write".into() };
    for (refusal, name, want) in [
        (Refusal::MissingCredentials { scheme: None }, "www-authenticate", Some("Bearer realm=\"keyward\"")),
        (
            scope,
            "www-authenticate",
            Some("Bearer realm=\"keyward\", error=\"insufficient_scope\", scope=\"a:read b:write\""),
        ),
        (Refusal::NoRoute, "www-authenticate", None),
        (Refusal::NoRoute, "allow", None),
        (Refusal::NoRoute, "retry-after", None),
        (Refusal::MethodNotAllowed { allow: "GET, HEAD".into() }, "allow", Some("GET, HEAD")),
        (Refusal::ValidationUnavailable, "retry-after", Some("1")),
        (Refusal::NoRoute, "content-security-policy", None),
    ] {
        assert_eq!(get(&refusal, name).as_deref(), want, "{refusal:?} {name}");
    }
}

#[test]
fn each_format_is_whole_and_head_has_its_fields_without_the_body() {
    let id = id(None);
    for refusal in refusals() {
        for (accept, content_type) in [
            ("application/json", "application/problem+json"),
            ("text/html", "text/html; charset=utf-8"),
            ("text/plain", "text/plain; charset=utf-8"),
        ] {
            let got = answer(&refusal, &Method::GET, accept, &id);
            assert_eq!(field(&got, "content-type"), Some(content_type));
            assert_eq!(field(&got, "content-length"), Some(got.body().len().to_string().as_str()));
            assert_eq!(field(&got, "content-security-policy").is_some(), accept == "text/html");
            let text = std::str::from_utf8(got.body()).unwrap();
            assert!(text.contains(refusal.code().as_str()) && text.contains(id.as_str()), "{text}");
            let head = answer(&refusal, &Method::HEAD, accept, &id);
            assert!(head.body().is_empty());
            assert_eq!(head.headers(), got.headers());
        }
    }
}

#[test]
fn text_is_one_line() {
    let answer = answer(&Refusal::NoRoute, &Method::GET, "text/plain", &id(Some("abc")));
    let text = "404 no_route: No route matches this host and path. Check the URL. (request abc)\n";
    assert_eq!(answer.body(), text);
}

#[test]
fn an_id_that_is_no_uuid_is_not_called_one() {
    let answer = answer(&Refusal::NoRoute, &Method::GET, "", &id(Some("abc")));
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!((&body["request_id"], body.get("instance")), (&json!("abc"), None));
}

#[test]
fn raw_answers_end_the_connection() {
    assert_eq!(
        bare(StatusCode::BAD_REQUEST, ""),
        b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    );
    let raw = problems().raw(&Refusal::RequestTimeout, &id(Some("abc")));
    let text = std::str::from_utf8(&raw).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 408 Request Timeout\r\n") && head.ends_with("\r\nconnection: close"),
        "{head}"
    );
    assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())));
    assert_eq!(serde_json::from_str::<Value>(body).unwrap()["code"], "request_timeout");
}
