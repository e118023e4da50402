//! The fields that tell a client where it stands (draft-ietf-httpapi-ratelimit-headers-10). How many there may be at once
//! is no policy of the draft, which counts over time: it is told in refusals alone.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Report, Span};

const MINUTE: u64 = 60;
const DAY: u64 = 86_400;

/// `RateLimit-Policy`; empty where nothing counts over time.
#[must_use]
pub fn policies(report: &Report) -> String {
    let mut text = String::new();
    for (policy, standing) in report.rows() {
        let window = match policy.span() {
            Span::Minute => MINUTE,
            Span::Day => DAY,
            Span::Now => continue,
        };
        let part = if text.is_empty() { "" } else { ", " };
        // Writing into a string fails never.
        let _ = write!(text, "{part}\"{}\";q={};w={window}", policy.as_str(), standing.quota);
    }
    text
}

/// `RateLimit`.
#[must_use]
pub fn standing(report: &Report) -> String {
    let mut text = String::new();
    for (policy, standing) in report.rows().filter(|(policy, _)| policy.span() != Span::Now) {
        let part = if text.is_empty() { "" } else { ", " };
        let reset = seconds(standing.reset);
        let _ = write!(text, "{part}\"{}\";r={};t={reset}", policy.as_str(), standing.left);
    }
    text
}

/// Whole seconds, rounded up.
#[must_use]
pub fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
