//! The stable names of refusals, with their statuses and titles.

/// The stable name of a refusal: the `code` of a problem body, the `outcome` of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the wire names")]
pub enum Code {
    MissingCredentials,
    InvalidRequest,
    InvalidCredentials,
    RevokedCredentials,
    ExpiredCredentials,
    InsufficientScope,
    AddressNotAllowed,
    NoRoute,
    MethodNotAllowed,
    AmbiguousPath,
    InvalidHost,
    BadRequest,
    BodyTooLarge,
    HeadersTooLarge,
    TargetTooLong,
    RequestTimeout,
    ValidationUnavailable,
    UpstreamUnavailable,
    UpstreamUnreachable,
    UpstreamProtocolError,
    UpstreamTimeout,
    Overloaded,
    Draining,
    InvalidBody,
    UnacceptableBody,
    UnsupportedMediaType,
    InvalidLogin,
    InvalidGrant,
    NotFound,
    Conflict,
    IdempotencyMismatch,
    TooManyFailures,
    RateLimited,
    QuotaExceeded,
}

impl Code {
    /// Every code, in the order of the contract's table.
    pub const ALL: [Self; 34] = [
        Self::MissingCredentials,
        Self::InvalidRequest,
        Self::InvalidCredentials,
        Self::RevokedCredentials,
        Self::ExpiredCredentials,
        Self::InsufficientScope,
        Self::AddressNotAllowed,
        Self::NoRoute,
        Self::MethodNotAllowed,
        Self::AmbiguousPath,
        Self::InvalidHost,
        Self::BadRequest,
        Self::BodyTooLarge,
        Self::HeadersTooLarge,
        Self::TargetTooLong,
        Self::RequestTimeout,
        Self::ValidationUnavailable,
        Self::UpstreamUnavailable,
        Self::UpstreamUnreachable,
        Self::UpstreamProtocolError,
        Self::UpstreamTimeout,
        Self::Overloaded,
        Self::Draining,
        Self::InvalidBody,
        Self::UnacceptableBody,
        Self::UnsupportedMediaType,
        Self::InvalidLogin,
        Self::InvalidGrant,
        Self::NotFound,
        Self::Conflict,
        Self::IdempotencyMismatch,
        Self::TooManyFailures,
        Self::RateLimited,
        Self::QuotaExceeded,
    ];

    /// The wire name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().1
    }

    /// The short human name, constant for a code.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    const fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::MissingCredentials => ("missing_credentials", 401, "Credentials are missing"),
            Self::InvalidRequest => ("invalid_request", 400, "The credentials cannot be read"),
            Self::InvalidCredentials => ("invalid_credentials", 401, "The credentials are not valid"),
            Self::RevokedCredentials => ("revoked_credentials", 401, "The credentials were revoked"),
            Self::ExpiredCredentials => ("expired_credentials", 401, "The credentials have expired"),
            Self::InsufficientScope => ("insufficient_scope", 403, "A scope is missing"),
            Self::AddressNotAllowed => ("address_not_allowed", 403, "This address is not allowed"),
            Self::NoRoute => ("no_route", 404, "Nothing is served here"),
            Self::MethodNotAllowed => ("method_not_allowed", 405, "The method is not allowed here"),
            Self::AmbiguousPath => ("ambiguous_path", 400, "The path is ambiguous"),
            Self::InvalidHost => ("invalid_host", 400, "The host is not valid"),
            Self::BadRequest => ("bad_request", 400, "The request is ambiguous"),
            Self::BodyTooLarge => ("body_too_large", 413, "The body is too large"),
            Self::HeadersTooLarge => ("headers_too_large", 431, "The header fields are too large"),
            Self::TargetTooLong => ("target_too_long", 414, "The request target is too long"),
            Self::RequestTimeout => ("request_timeout", 408, "The request took too long to arrive"),
            Self::ValidationUnavailable => {
                ("validation_unavailable", 503, "Credentials cannot be checked right now")
            }
            Self::UpstreamUnavailable => ("upstream_unavailable", 503, "No server is available"),
            Self::UpstreamUnreachable => ("upstream_unreachable", 502, "The server cannot be reached"),
            Self::UpstreamProtocolError => {
                ("upstream_protocol_error", 502, "The server's answer is unusable")
            }
            Self::UpstreamTimeout => ("upstream_timeout", 504, "The server took too long"),
            Self::Overloaded => ("overloaded", 503, "Too many requests are in flight"),
            Self::Draining => ("draining", 503, "This server is shutting down"),
            Self::InvalidBody => ("invalid_body", 400, "The body cannot be read"),
            Self::UnacceptableBody => ("invalid_body", 422, "The body is not acceptable"),
            Self::UnsupportedMediaType => ("unsupported_media_type", 415, "The body must be JSON"),
            Self::InvalidLogin => ("invalid_login", 401, "The login is not valid"),
            Self::InvalidGrant => ("invalid_grant", 400, "The refresh token is not valid"),
            Self::NotFound => ("not_found", 404, "There is no such thing"),
            Self::Conflict => ("conflict", 409, "It contradicts what is there"),
            Self::IdempotencyMismatch => {
                ("idempotency_mismatch", 422, "The Idempotency-Key belongs to another request")
            }
            Self::TooManyFailures => ("too_many_failures", 429, "Too many attempts failed"),
            Self::RateLimited => ("rate_limited", 429, "Too many requests"),
            Self::QuotaExceeded => ("quota_exceeded", 429, "The quota is used up"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_indexed_by_their_order() {
        for (index, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, index);
            let same = |other: &&Code| (other.as_str(), other.status()) == (code.as_str(), code.status());
            assert!(Code::ALL.iter().filter(same).count() == 1);
            assert!((400..600).contains(&code.status()));
        }
    }
}
