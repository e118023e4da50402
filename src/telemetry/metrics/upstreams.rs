//! What is told of upstreams' servers.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::Broken;
use super::register::Register;

/// The servers of all upstreams. Labels are the names and places of the configuration.
#[derive(Debug)]
pub struct Upstreams {
    up: IntGaugeVec,
    in_flight: IntGaugeVec,
    ejections: IntCounterVec,
    retries: IntCounterVec,
}

impl Upstreams {
    pub(super) fn new(add: &Register<'_>) -> Result<Self, Broken> {
        let of_endpoint = ["upstream", "endpoint"];
        let ejections = "Times a server was given no requests for a while, by what it last did wrong.";
        Ok(Self {
            up: add.gauges(
                "keyward_upstream_endpoint_up",
                "Whether a server gets requests: 1 or 0.",
                &of_endpoint,
            )?,
            in_flight: add.gauges(
                "keyward_upstream_requests_in_flight",
                "Requests that are under way to a server.",
                &of_endpoint,
            )?,
            ejections: add.counters(
                "keyward_upstream_ejections_total",
                ejections,
                &["upstream", "endpoint", "reason"],
            )?,
            retries: add.counters(
                "keyward_upstream_retries_total",
                "Requests that were sent again to another server.",
                &["upstream"],
            )?,
        })
    }

    /// How a server is now.
    pub fn show(&self, upstream: &str, endpoint: &str, up: bool, in_flight: usize) {
        let labels = [upstream, endpoint];
        self.up.with_label_values(&labels).set(i64::from(up));
        self.in_flight.with_label_values(&labels).set(i64::try_from(in_flight).unwrap_or(i64::MAX));
    }

    /// A server is no longer in the configuration. What was counted of it stays, as counters never go back.
    pub fn forget(&self, upstream: &str, endpoint: &str) {
        let labels = [upstream, endpoint];
        // Fails only where it was never shown.
        let _ = (self.up.remove_label_values(&labels), self.in_flight.remove_label_values(&labels));
    }

    /// So often a server was given no requests for a while, since this was last told.
    pub fn ejected(&self, upstream: &str, endpoint: &str, reason: &str, times: u64) {
        self.ejections.with_label_values(&[upstream, endpoint, reason]).inc_by(times);
    }

    /// So many requests were sent again, since this was last told.
    pub fn retried(&self, upstream: &str, requests: u64) {
        self.retries.with_label_values(&[upstream]).inc_by(requests);
    }
}
