//! What can go wrong between a request and its upstream's answer, and whose fault it is.

use std::io;
use std::sync::Arc;

use h2::Reason;

use super::fleet::Fault;
use crate::auth::refusal::Refusal;
use crate::server::incoming::Broken;

/// Why the client's body could not be passed on.
#[derive(Debug, thiserror::Error)]
pub enum BodyFailure {
    /// It is over the limit.
    #[error("the body is over the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The client broke it off or framed it wrongly.
    #[error("the client's body broke off")]
    Broken(#[source] Broken),
    /// Its end is in doubt.
    #[error("a trailer of the client's body ends with LF alone")]
    DoubtfulEnd,
}

/// Why an exchange with an endpoint gave no answer, or no whole one.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection could be made.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// No connection was made in time.
    #[error("no connection within timeouts.connect")]
    ConnectTimeout,
    /// No endpoint is fit, which was known, and those that were asked all the same could not be connected to.
    #[error("no endpoint is fit: each is unwell, rests or has no address")]
    Unfit(#[source] Box<Failure>),
    /// The endpoint does not speak HTTP/2, or ended the connection instead.
    #[error("the connection does not begin HTTP/2")]
    Handshake(#[source] Option<Arc<h2::Error>>),
    /// As many requests as the endpoint allows were under way, and none ended in time.
    #[error("no connection had room for one more request within timeouts.connect")]
    Full,
    /// As many requests as `upstreams.max` says were under way, and as many waited or none ended in time.
    #[error("as many requests as upstreams.max.in_flight says were under way")]
    Crowded,
    /// There were as many connections to the endpoint as `upstreams.max` says, and as many waited or none got free in time.
    #[error("as many connections as upstreams.max.connections says were in use")]
    Saturated,
    /// The endpoint says that it did not act upon the request, or nothing of it was sent.
    #[error("the endpoint did not take the request")]
    Unprocessed(#[source] h2::Error),
    /// The endpoint ended the connection before its answer's fields were complete.
    #[error("the connection ended before the answer")]
    Closed {
        /// Whether any byte of an answer had come.
        answered: bool,
        #[source]
        /// What the socket said, if not a plain end.
        source: Option<io::Error>,
    },
    /// The endpoint's bytes are no answer that can be passed on.
    #[error("the answer is malformed: {0}")]
    Malformed(&'static str),
    /// What came over HTTP/2 breaks its rules.
    #[error("the answer breaks the rules of HTTP/2")]
    Violation(#[source] h2::Error),
    /// The endpoint took its answer back.
    #[error("the endpoint reset the stream")]
    Reset(#[source] h2::Error),
    /// The answer's body ended before it was complete.
    #[error("the answer's body broke off")]
    Truncated(#[source] Option<io::Error>),
    /// The endpoint took too long.
    #[error("no answer within timeouts.response_head")]
    Timeout,
    /// The whole request took too long.
    #[error("not done within timeouts.total")]
    TotalTimeout,
    /// The endpoint stopped in the middle of its answer.
    #[error("the answer's body stood still for timeouts.response_body_idle")]
    Stalled,
    /// The client stopped taking its answer.
    #[error("the client took nothing of its answer for timeouts.response_body_idle")]
    SlowReader,
    /// The client sent its body too slowly.
    #[error("the client's body stood still for timeouts.request_body_idle")]
    SlowClient,
    /// The client's body is at fault.
    #[error(transparent)]
    Body(#[from] BodyFailure),
    /// The credential ended meanwhile.
    #[error("the credential no longer holds ({})", .0.code().as_str())]
    Fallen(Refusal),
}

impl Failure {
    /// Whether the request cannot have been acted upon, because its connection was closed before a byte of the answer.
    #[must_use]
    pub const fn is_silent_close(&self) -> bool {
        matches!(self, Self::Closed { answered: false, .. })
    }

    /// Whether the client, not the endpoint, is at fault.
    #[must_use]
    pub const fn is_clients(&self) -> bool {
        matches!(self, Self::SlowClient | Self::SlowReader | Self::Body(_) | Self::Fallen(_))
    }

    /// What the endpoint did wrong, if it is a sign that it fails.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        match self {
            Self::Connect(_) | Self::ConnectTimeout => Some(Fault::Connect),
            Self::Timeout | Self::Stalled => Some(Fault::Timeout),
            // It is alive and has enough to do, or says itself that another is to be asked; and how long a request may
            // take as a whole is between the client and us.
            Self::Full
            | Self::Crowded
            | Self::Saturated
            | Self::Unfit(_)
            | Self::Unprocessed(_)
            | Self::TotalTimeout
            | Self::SlowClient
            | Self::SlowReader
            | Self::Body(_)
            | Self::Fallen(_) => None,
            Self::Handshake(_)
            | Self::Closed { .. }
            | Self::Malformed(_)
            | Self::Violation(_)
            | Self::Reset(_)
            | Self::Truncated(_) => Some(Fault::Broken),
        }
    }

    /// Whether there was no connection to send anything on.
    const fn is_of_connecting(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::ConnectTimeout)
    }

    /// What it is where, as was known, no endpoint was fit: nobody was expected to take a connection.
    #[must_use]
    pub fn where_none_is_fit(self, none_is: bool) -> Self {
        if none_is && self.is_of_connecting() { Self::Unfit(Box::new(self)) } else { self }
    }

    /// What the client is told.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Connect(_) | Self::ConnectTimeout | Self::Unprocessed(_) => Refusal::UpstreamUnreachable,
            Self::Unfit(_) | Self::Full | Self::Crowded | Self::Saturated => Refusal::UpstreamUnavailable,
            Self::Timeout | Self::Stalled | Self::TotalTimeout => Refusal::UpstreamTimeout,
            Self::Closed { .. }
            | Self::Handshake(_)
            | Self::Malformed(_)
            | Self::Violation(_)
            | Self::Reset(_)
            | Self::Truncated(_) => Refusal::UpstreamProtocolError,
            Self::SlowClient | Self::SlowReader => Refusal::RequestTimeout,
            Self::Fallen(refusal) => refusal.clone(),
            Self::Body(BodyFailure::TooLarge { limit }) => Refusal::BodyTooLarge { limit: *limit },
            Self::Body(BodyFailure::Broken(_) | BodyFailure::DoubtfulEnd) => {
                Refusal::BadRequest("The body broke off or is framed wrongly. Send the request again.")
            }
        }
    }
}

/// With what an answer over HTTP/2 that broke off is reset (RFC 9113 §7).
impl From<Failure> for Reason {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Body(BodyFailure::TooLarge { .. }) => Self::ENHANCE_YOUR_CALM,
            Failure::Timeout
            | Failure::TotalTimeout
            | Failure::Stalled
            | Failure::SlowReader
            | Failure::SlowClient
            | Failure::Body(_)
            | Failure::Fallen(_) => Self::CANCEL,
            // The others speak of the upstream's connection, or would tell the client that it can try again.
            Failure::Reset(error) => match error.reason() {
                Some(reason @ (Self::CANCEL | Self::ENHANCE_YOUR_CALM)) => reason,
                _ => Self::INTERNAL_ERROR,
            },
            Failure::Connect(_)
            | Failure::ConnectTimeout
            | Failure::Unfit(_)
            | Failure::Handshake(_)
            | Failure::Full
            | Failure::Crowded
            | Failure::Saturated
            | Failure::Unprocessed(_)
            | Failure::Closed { .. }
            | Failure::Malformed(_)
            | Failure::Violation(_)
            | Failure::Truncated(_) => Self::INTERNAL_ERROR,
        }
    }
}
