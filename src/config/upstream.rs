//! How requests are shared out among the servers of an upstream.

use std::time::Duration;

use http::HeaderName;

/// By what the endpoint of a request is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Of two at random the one with fewer requests in flight.
    #[default]
    LeastRequests,
    /// Each in its turn.
    RoundRobin,
    /// The same for each account.
    HashAccount,
    /// The same for each value of this field.
    HashField(HeaderName),
}

/// When an endpoint that fails gets no requests for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Failures in a row; `None` = never.
    pub failures: Option<u32>,
    /// For how long.
    pub rest: Duration,
    /// How long it takes afterwards until it has its whole share again.
    pub slow_start: Duration,
    /// Statuses of answers that count as failures.
    pub statuses: Vec<u16>,
}

/// How requests are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// How often one request is, to other endpoints.
    pub attempts: u32,
    /// How many are, in percent of all requests.
    pub budget: u32,
}
