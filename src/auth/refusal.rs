//! Every reason for which Keyward answers a request itself, once: code, status, title, challenge and what to do.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

pub use super::ambiguity::Ambiguity;
pub use super::code::Code;
use super::credential::Malformed;
use super::exceeded::{Exceeded, Over};
use super::principal::{Method, Wanted};
use super::token::Kind;
use crate::clock::Timestamp;

/// One refusal, with what its answer needs beyond the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No credential; the scheme that was sent instead, when it is a registered one.
    MissingCredentials {
        /// A scheme that is not read here.
        scheme: Option<&'static str>,
    },
    /// The same where a client certificate would do as well, and none was shown.
    NothingShown {
        /// A scheme that is not read here.
        scheme: Option<&'static str>,
    },
    /// No credential, where only one that acts for its account will do.
    NobodyAsks(Wanted),
    /// The credential cannot be read.
    InvalidRequest(Malformed),
    /// Unknown, or its checksum is wrong.
    InvalidCredentials,
    /// No name in the client certificate stands for an account that there is.
    UnknownCertificate,
    /// Its names stand for different accounts.
    AmbiguousCertificate,
    /// A secret made here that belongs elsewhere, as its form alone tells.
    WrongKind(Kind),
    /// The key, or the session of the token, was revoked.
    Revoked {
        /// What kind of credential it was.
        of: Method,
    },
    /// The account is disabled.
    AccountDisabled {
        /// What kind of credential it was.
        of: Method,
    },
    /// The credential has expired.
    Expired {
        /// What kind of credential it was.
        of: Method,
        /// When it ended.
        at: Timestamp,
    },
    /// The credential lacks a scope that the route requires.
    InsufficientScope {
        /// All scopes the route requires, parted by spaces.
        required: Arc<str>,
    },
    /// The credential belongs to no session, and one is to end.
    NoSession {
        /// What kind of credential it was.
        of: Method,
    },
    /// The key may not be used from the client's address.
    AddressNotAllowed {
        /// That address, as it is seen here.
        client: IpAddr,
    },
    /// No route matches.
    NoRoute,
    /// Routes match the path, none the method.
    MethodNotAllowed {
        /// The value of `Allow`.
        allow: Arc<str>,
    },
    /// The path has more than one reading.
    AmbiguousPath(Ambiguity),
    /// `Host` is missing, repeated, malformed, or contradicts the target.
    InvalidHost,
    /// Another ambiguity of framing; the text says which.
    BadRequest(&'static str),
    /// The body is over the limit.
    BodyTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The header fields are over the limit.
    HeadersTooLarge,
    /// The request target is over the limit.
    TargetTooLong,
    /// The client sent too slowly.
    RequestTimeout,
    /// The credential cannot be validated now; it may be good.
    ValidationUnavailable,
    /// No endpoint is healthy.
    UpstreamUnavailable,
    /// No connection to an endpoint could be made.
    UpstreamUnreachable,
    /// The upstream broke the protocol or the connection.
    UpstreamProtocolError,
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// Too much is in flight.
    Overloaded,
    /// More passwords wait to be checked than there is room for.
    TooManyPasswords,
    /// Too many connections are open.
    TooManyConnections,
    /// The process is ending.
    Draining,
    /// The body is not what the endpoint takes.
    Body(Arc<BodyFault>),
    /// The body is of another type than JSON.
    UnsupportedMediaType,
    /// The body is compressed, or encoded otherwise.
    EncodedBody,
    /// Address and password do not belong together.
    InvalidLogin,
    /// A refresh token that is unknown, used, over, or another client's.
    InvalidGrant,
    /// No such thing, or another's.
    NotFound(&'static str),
    /// It contradicts what is there; the text says how, in whole sentences.
    Conflict(Arc<str>),
    /// The same `Idempotency-Key` came with another body.
    IdempotencyMismatch,
    /// What is asked for cannot be looked up or kept at the moment.
    NotNow,
    /// Too many attempts failed; the seconds until the next is looked at.
    TooManyFailures {
        /// At least one.
        retry_after: u32,
    },
    /// Too many credentials from its address were unknown, so this one is not looked up; the seconds until one is.
    TooManyUnknown {
        /// At least one.
        retry_after: u32,
    },
    /// It is over a limit.
    Exceeded(Arc<Exceeded>),
}

/// What is wrong with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// It is not JSON, or not an object; the text says where.
    Unreadable(String),
    /// Members are missing, wrong or unknown.
    Members(Vec<MemberFault>),
}

/// What is wrong with one member of a body.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MemberFault {
    /// Where it is, or should be (RFC 6901).
    pub pointer: String,
    /// What to do about it.
    pub detail: String,
}

impl Refusal {
    /// The stable name.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::MissingCredentials { .. } | Self::NothingShown { .. } | Self::NobodyAsks(_) => {
                Code::MissingCredentials
            }
            Self::InvalidRequest(_) => Code::InvalidRequest,
            Self::InvalidCredentials
            | Self::UnknownCertificate
            | Self::AmbiguousCertificate
            | Self::WrongKind(_) => Code::InvalidCredentials,
            Self::Revoked { .. } | Self::AccountDisabled { .. } => Code::RevokedCredentials,
            Self::Expired { .. } => Code::ExpiredCredentials,
            Self::InsufficientScope { .. } | Self::NoSession { .. } => Code::InsufficientScope,
            Self::AddressNotAllowed { .. } => Code::AddressNotAllowed,
            Self::NoRoute => Code::NoRoute,
            Self::MethodNotAllowed { .. } => Code::MethodNotAllowed,
            Self::AmbiguousPath(_) => Code::AmbiguousPath,
            Self::InvalidHost => Code::InvalidHost,
            Self::BadRequest(_) => Code::BadRequest,
            Self::BodyTooLarge { .. } => Code::BodyTooLarge,
            Self::HeadersTooLarge => Code::HeadersTooLarge,
            Self::TargetTooLong => Code::TargetTooLong,
            Self::RequestTimeout => Code::RequestTimeout,
            Self::ValidationUnavailable | Self::NotNow => Code::ValidationUnavailable,
            Self::UpstreamUnavailable => Code::UpstreamUnavailable,
            Self::UpstreamUnreachable => Code::UpstreamUnreachable,
            Self::UpstreamProtocolError => Code::UpstreamProtocolError,
            Self::UpstreamTimeout => Code::UpstreamTimeout,
            Self::Overloaded | Self::TooManyPasswords | Self::TooManyConnections => Code::Overloaded,
            Self::Draining => Code::Draining,
            Self::Body(fault) => match **fault {
                BodyFault::Unreadable(_) => Code::InvalidBody,
                BodyFault::Members(_) => Code::UnacceptableBody,
            },
            Self::UnsupportedMediaType | Self::EncodedBody => Code::UnsupportedMediaType,
            Self::InvalidLogin => Code::InvalidLogin,
            Self::InvalidGrant => Code::InvalidGrant,
            Self::NotFound(_) => Code::NotFound,
            Self::Conflict(_) => Code::Conflict,
            Self::IdempotencyMismatch => Code::IdempotencyMismatch,
            Self::TooManyFailures { .. } | Self::TooManyUnknown { .. } => Code::TooManyFailures,
            Self::Exceeded(exceeded) => match exceeded.over {
                Over::Minute | Over::Once => Code::RateLimited,
                Over::Day => Code::QuotaExceeded,
            },
        }
    }

    /// What is wrong with single members of the body.
    #[must_use]
    pub fn members(&self) -> &[MemberFault] {
        match self {
            Self::Body(fault) => match &**fault {
                BodyFault::Members(members) => members,
                BodyFault::Unreadable(_) => &[],
            },
            _ => &[],
        }
    }

    /// What is wrong and what to do about it, for the client: no secret, no internal address, no cause.
    #[must_use]
    pub fn detail(&self) -> Cow<'static, str> {
        match self {
            Self::MissingCredentials { scheme: None } => {
                "Send an API key with the request: Authorization: Bearer YOUR_KEY".into()
            }
            Self::MissingCredentials { scheme: Some(scheme) } => format!(
                "The Authorization field uses the scheme {scheme}, which is not accepted here. Send: Authorization: Bearer YOUR_KEY"
            )
            .into(),
            Self::NothingShown { scheme: None } => {
                "Connect with a client certificate that stands for an account, or send an API key: Authorization: Bearer YOUR_KEY".into()
            }
            Self::NothingShown { scheme: Some(scheme) } => format!(
                "The Authorization field uses the scheme {scheme}, which is not accepted here. Connect with a client certificate that stands for an account, or send: Authorization: Bearer YOUR_KEY"
            )
            .into(),
            Self::NobodyAsks(wanted) => wanted.detail().into(),
            Self::InvalidRequest(why) => why.detail().into(),
            Self::InvalidCredentials => {
                "This credential is not known. Check that it was copied whole, or generate a new API key.".into()
            }
            Self::UnknownCertificate => {
                "This client certificate stands for no account here. Connect with another one, send an API key, or ask the operator of this service to let it stand for your account.".into()
            }
            Self::AmbiguousCertificate => {
                "The names in this client certificate stand for more than one account, so it stands for none. Connect with one that has fewer names, or send an API key.".into()
            }
            Self::WrongKind(kind) => kind.remedy().into(),
            Self::Revoked { of: Method::ApiKey } => "This API key was revoked. Generate a new one.".into(),
            Self::Revoked { of: Method::AccessToken } => {
                "The session of this access token has ended. Log in again.".into()
            }
            Self::Revoked { of: Method::Certificate } => {
                "This client certificate was revoked, or its authority is trusted no more. Connect with a new one.".into()
            }
            Self::AccountDisabled { of } => format!(
                "The account of this {} is disabled. Contact the operator of this service.",
                of.noun()
            )
            .into(),
            Self::Expired { of, at } => {
                format!("This {} expired on {at}. {}", of.noun(), of.remedy()).into()
            }
            Self::InsufficientScope { required } => format!(
                "This request needs the scope {required}. Use a key that has it, or ask for it."
            )
            .into(),
            Self::NoSession { of } => format!(
                "This {} has no session to end. Log out with the access token of the login that is to end.",
                of.noun()
            )
            .into(),
            Self::AddressNotAllowed { client } => format!(
                "This API key may not be used from {}. Use it from an allowed network, or change its address rules.",
                client.to_canonical()
            )
            .into(),
            Self::NoRoute => "No route matches this host and path. Check the URL.".into(),
            Self::MethodNotAllowed { allow } => format!("Use one of these methods: {allow}").into(),
            Self::AmbiguousPath(why) => why.detail().into(),
            Self::InvalidHost => {
                "The Host field is missing, repeated, malformed, or differs from the request target. Send exactly one.".into()
            }
            Self::BadRequest(why) => (*why).into(),
            Self::Conflict(why) => why.to_string().into(),
            Self::BodyTooLarge { limit } => format!("The body may have at most {limit} bytes.").into(),
            Self::HeadersTooLarge => "The header fields are too many or too large. Send fewer or shorter ones.".into(),
            Self::TargetTooLong => "The request target is too long. Send data in the body instead.".into(),
            Self::RequestTimeout => "The request did not arrive in time. Send it again.".into(),
            Self::ValidationUnavailable => {
                "Your credential could not be checked; it may be valid. Try again shortly.".into()
            }
            Self::NotNow => "This cannot be done right now. Try again shortly.".into(),
            Self::UpstreamUnavailable => "No server is ready for this request. Try again shortly.".into(),
            Self::UpstreamUnreachable => "The server behind this gateway cannot be reached. Try again shortly.".into(),
            Self::UpstreamProtocolError => {
                "The server behind this gateway broke off or gave an answer that cannot be passed on.".into()
            }
            Self::UpstreamTimeout => "The server behind this gateway did not answer in time.".into(),
            Self::Overloaded => "Too many requests are in flight. Try again shortly.".into(),
            Self::TooManyPasswords => {
                "More passwords wait to be checked than there is room for. Try again in a second.".into()
            }
            Self::TooManyConnections => "Too many connections are open. Try again shortly.".into(),
            Self::Draining => "This server is shutting down. Send the request again.".into(),
            Self::Body(fault) => match &**fault {
                BodyFault::Unreadable(why) => why.clone().into(),
                BodyFault::Members(members) => told(members).into(),
            },
            Self::UnsupportedMediaType => {
                "Send the body as JSON: Content-Type: application/json".into()
            }
            Self::EncodedBody => "Send the body as it is, without a Content-Encoding.".into(),
            Self::InvalidLogin => "The email address or the password is wrong.".into(),
            Self::InvalidGrant => {
                "This refresh token is unknown, used, or over. Log in again.".into()
            }
            Self::NotFound(what) => format!("There is no such {what}, or it is not yours.").into(),
            Self::IdempotencyMismatch => {
                "This Idempotency-Key came with another body before. Use a new one for a new request.".into()
            }
            Self::TooManyFailures { retry_after } => {
                format!("Too many attempts failed. Try again in {retry_after} s.").into()
            }
            Self::TooManyUnknown { retry_after } => format!(
                "Too many unknown credentials came from your address, so this one was not checked; it may be valid. Try again in {retry_after} s."
            )
            .into(),
            Self::Exceeded(exceeded) => exceeded.detail(),
        }
    }

    /// What follows `Bearer realm="…"` in `WWW-Authenticate` (RFC 6750 §3); `None` when there is no challenge.
    #[must_use]
    pub fn challenge(&self) -> Option<Cow<'static, str>> {
        let error = match self {
            // Every 401 names a way in (RFC 9110 §15.5.2).
            Self::MissingCredentials { .. }
            | Self::NothingShown { .. }
            | Self::NobodyAsks(_)
            | Self::InvalidLogin => "",
            Self::InvalidRequest(_) => r#", error="invalid_request""#,
            Self::InvalidCredentials
            | Self::UnknownCertificate
            | Self::AmbiguousCertificate
            | Self::WrongKind(_) => r#", error="invalid_token""#,
            Self::Revoked { .. } => {
                r#", error="invalid_token", error_description="The credential was revoked""#
            }
            Self::AccountDisabled { .. } => {
                r#", error="invalid_token", error_description="The account is disabled""#
            }
            Self::Expired { .. } => r#", error="invalid_token", error_description="The credential expired""#,
            Self::InsufficientScope { required } => {
                return Some(format!(r#", error="insufficient_scope", scope="{required}""#).into());
            }
            // No scope would help.
            Self::NoSession { .. } => r#", error="insufficient_scope""#,
            _ => return None,
        };
        Some(error.into())
    }

    /// Seconds for `Retry-After`, where trying again later can help.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::ValidationUnavailable
            | Self::NotNow
            | Self::UpstreamUnavailable
            | Self::Overloaded
            | Self::TooManyPasswords
            | Self::TooManyConnections
            | Self::Draining => Some(1),
            Self::TooManyFailures { retry_after } | Self::TooManyUnknown { retry_after } => {
                Some(*retry_after)
            }
            Self::Exceeded(exceeded) => Some(exceeded.retry_after),
            _ => None,
        }
    }
}

/// All that is wrong with a body, in one line.
fn told(members: &[MemberFault]) -> String {
    members.iter().map(|member| member.detail.as_str()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_401_has_a_challenge_and_says_when_it_expired() {
        let expired = Refusal::Expired { of: Method::ApiKey, at: Timestamp(1_793_491_200_000) };
        assert_eq!(expired.detail(), "This API key expired on 2026-11-01T00:00:00Z. Generate a new one.");
        assert!(expired.challenge().unwrap().contains("invalid_token"));
        assert_eq!(Refusal::MissingCredentials { scheme: None }.challenge().unwrap(), "");
        assert_eq!(Refusal::InvalidLogin.challenge().unwrap(), "");
        assert_eq!(Refusal::NoRoute.challenge(), None);
    }
}
