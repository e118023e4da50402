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

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 1, budget: 20 }
    }
}

/// How servers are asked whether they are well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What they are asked for, by GET.
    pub path: Box<str>,
    /// Between two questions.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Good answers in a row after which one gets requests again.
    pub healthy_after: u32,
    /// Bad ones after which it does not.
    pub unhealthy_after: u32,
    /// Good statuses; none = 200 to 399.
    pub statuses: Vec<u16>,
}

impl HealthCheck {
    /// Whether a server that answers so is well.
    #[must_use]
    pub fn is_good(&self, status: u16) -> bool {
        match self.statuses.is_empty() {
            true => (200..400).contains(&status),
            false => self.statuses.contains(&status),
        }
    }
}

/// How much may be under way to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamMax {
    /// Requests at once; `None` = no limit.
    pub in_flight: Option<usize>,
    /// Connections to each server at once; `None` = no limit.
    pub connections: Option<usize>,
    /// Requests that wait to be among them, or for a connection to each server.
    pub pending: usize,
}
