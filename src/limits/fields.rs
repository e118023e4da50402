//! The fields that tell a client where it stands (draft-ietf-httpapi-ratelimit-headers-10). How many there may be at once
//! is no policy of the draft, which counts over time: it is told in refusals alone.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Report, Span};

const MINUTE: u64 = 60;
const DAY: u64 = 86_400;

/// What `RateLimit-Policy` and `RateLimit` say; nothing where nothing counts over time.
#[must_use]
pub fn fields(report: &Report) -> [String; 2] {
    let mut fields = [String::new(), String::new()];
    for (policy, standing) in report.rows() {
        let window = match policy.span() {
            Span::Minute => MINUTE,
            Span::Day => DAY,
            Span::Now => continue,
        };
        let [policies, state] = &mut fields;
        let part = if policies.is_empty() { "" } else { ", " };
        let (name, reset) = (policy.as_str(), seconds(standing.reset));
        // Writing into a string never fails.
        let _ = write!(policies, "{part}\"{name}\";q={};w={window}", standing.quota);
        let _ = write!(state, "{part}\"{name}\";r={};t={reset}", standing.left);
    }
    fields
}

/// Whole seconds, rounded up.
#[must_use]
pub fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
