//! Refusals of gRPC requests: a status of gRPC in the fields of an answer that ends with them ("Trailers-Only").

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode, Version};

use crate::auth::refusal::{Code, Refusal};

const CONTENT_TYPE: &str = "application/grpc";
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether a request is one of gRPC: over HTTP/2, with content of its type.
#[must_use]
pub fn is_request(version: Version, headers: &HeaderMap) -> bool {
    version == Version::HTTP_2
        && headers.get(header::CONTENT_TYPE).is_some_and(|value| is_content_type(value.as_bytes()))
}

/// `application/grpc`, perhaps with `+` and a message format, perhaps with parameters.
fn is_content_type(value: &[u8]) -> bool {
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let Some((start, format)) = essence.split_at_checked(CONTENT_TYPE.len()) else { return false };
    start.eq_ignore_ascii_case(CONTENT_TYPE.as_bytes()) && matches!(format, [] | [b'+', ..])
}

/// The refusal as such an answer, before the fields that every refusal has.
pub(super) fn answer<B: Default>(refusal: &Refusal) -> Response<B> {
    let mut answer = Response::new(B::default());
    *answer.status_mut() = StatusCode::OK;
    let code = refusal.code();
    let fields = answer.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    fields.insert(STATUS, HeaderValue::from(status(code)));
    let message = encode(&[code.as_str(), ": ", &refusal.detail()].concat());
    if let Ok(message) = HeaderValue::from_str(&message) {
        fields.insert(MESSAGE, message);
    }
    answer
}

/// What gRPC calls it.
const fn status(code: Code) -> u16 {
    const INVALID_ARGUMENT: u16 = 3;
    const DEADLINE_EXCEEDED: u16 = 4;
    const NOT_FOUND: u16 = 5;
    const PERMISSION_DENIED: u16 = 7;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const ABORTED: u16 = 10;
    const UNIMPLEMENTED: u16 = 12;
    const INTERNAL: u16 = 13;
    const UNAVAILABLE: u16 = 14;
    const UNAUTHENTICATED: u16 = 16;
    match code {
        Code::MissingCredentials
        | Code::InvalidCredentials
        | Code::RevokedCredentials
        | Code::ExpiredCredentials
        | Code::InvalidLogin => UNAUTHENTICATED,
        Code::InvalidRequest
        | Code::AmbiguousPath
        | Code::InvalidHost
        | Code::BadRequest
        | Code::InvalidBody
        | Code::UnacceptableBody
        | Code::UnsupportedMediaType
        | Code::InvalidGrant
        | Code::IdempotencyMismatch => INVALID_ARGUMENT,
        Code::InsufficientScope | Code::AddressNotAllowed => PERMISSION_DENIED,
        Code::NotFound => NOT_FOUND,
        Code::Conflict => ABORTED,
        Code::NoRoute | Code::MethodNotAllowed => UNIMPLEMENTED,
        Code::BodyTooLarge
        | Code::HeadersTooLarge
        | Code::TargetTooLong
        | Code::TooManyFailures
        | Code::RateLimited
        | Code::QuotaExceeded => RESOURCE_EXHAUSTED,
        Code::RequestTimeout | Code::UpstreamTimeout => DEADLINE_EXCEEDED,
        Code::UpstreamProtocolError => INTERNAL,
        Code::ValidationUnavailable
        | Code::UpstreamUnavailable
        | Code::UpstreamUnreachable
        | Code::Overloaded
        | Code::Draining => UNAVAILABLE,
    }
}

/// Percent-encodes what `grpc-message` cannot hold as it is.
fn encode(message: &str) -> String {
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'$' | b'&'..=b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_content_type_over_http_2_makes_a_request_one_of_grpc() {
        for (content_type, version, want) in [
            ("application/grpc", Version::HTTP_2, true),
            ("application/grpc+proto", Version::HTTP_2, true),
            ("Application/GRPC+json; x=y", Version::HTTP_2, true),
            ("application/grpc;x=y", Version::HTTP_2, true),
            ("application/grpc", Version::HTTP_11, false),
            ("application/grpc-web", Version::HTTP_2, false),
            ("application/grpcx", Version::HTTP_2, false),
            ("application/json", Version::HTTP_2, false),
            ("text/application/grpc", Version::HTTP_2, false),
            ("", Version::HTTP_2, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            assert_eq!(is_request(version, &headers), want, "{content_type} {version:?}");
        }
        assert!(!is_request(Version::HTTP_2, &HeaderMap::new()));
    }

    #[test]
    fn every_code_has_the_status_of_the_contract() {
        let statuses = Code::ALL.map(status);
        assert_eq!(
            statuses,
            [
                16, 3, 16, 16, 16, 7, 7, 12, 12, 3, 3, 3, 8, 8, 8, 4, 14, 14, 14, 13, 4, 14, 14, 3, 3, 3, 16,
                3, 5, 10, 3, 8, 8, 8
            ]
        );
    }

    #[test]
    fn a_message_is_a_legal_value_whatever_it_says() {
        assert_eq!(encode("100 % of\r\nä~"), "100 %25 of%0D%0A%C3%A4~");
    }
}
