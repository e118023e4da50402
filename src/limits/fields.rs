//! The fields that tell a client where it stands (draft-ietf-httpapi-ratelimit-headers-10), and those that were in use before
//! it. How many there may be at once is no policy of the draft, which counts over time: it is told in refusals alone.

use std::cmp::Ordering;
use std::time::Duration;

use super::{Report, Span, Standing};

const MINUTE: u64 = 60;
const DAY: u64 = 86_400;
/// Bytes for which room is made at first: two or three limits.
const ROOM: usize = 96;

/// What `RateLimit-Policy`, `RateLimit`, `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` say; empty where
/// there is nothing to say.
pub type Fields = [String; 5];

/// Which fields there are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Those of the draft.
    Draft,
    /// `X-RateLimit-*` as well.
    LegacyToo,
}

/// What a client is told; nothing where nothing counts over time.
#[must_use]
pub fn fields(report: &Report, told: Told) -> Fields {
    let mut fields = Fields::default();
    let [policies, state, legacy @ ..] = &mut fields;
    let mut digits = itoa::Buffer::new();
    for (policy, standing) in report.rows() {
        let window = match policy.span() {
            Span::Minute => MINUTE,
            Span::Day => DAY,
            Span::Now => continue,
        };
        let name = policy.as_str();
        item(policies, name, [("q", standing.quota), ("w", window)], &mut digits);
        item(state, name, [("r", standing.left), ("t", seconds(standing.reset))], &mut digits);
    }
    if told == Told::LegacyToo
        && let Some(Standing { quota, left, reset, .. }) = nearest(report)
    {
        *legacy = [quota, left, seconds(reset)].map(|number| number.to_string());
    }
    fields
}

/// Adds an item of a list (RFC 9651 §3.1): a string and its parameters. On every answer, so piece by piece: what formats
/// costs ten times as much.
fn item(list: &mut String, name: &str, parameters: [(&str, u64); 2], digits: &mut itoa::Buffer) {
    match list.is_empty() {
        true => list.reserve(ROOM),
        false => list.push_str(", "),
    }
    list.push('"');
    list.push_str(name);
    list.push('"');
    for (parameter, number) in parameters {
        list.push(';');
        list.push_str(parameter);
        list.push('=');
        list.push_str(digits.format(number));
    }
}

/// The older fields have room for one limit: the one of which the smallest part is left, and of equals the one that has to be
/// waited for longest.
fn nearest(report: &Report) -> Option<Standing> {
    let over_time = report.rows().filter(|(policy, _)| policy.span() != Span::Now);
    let standings = over_time.map(|(_, standing)| standing);
    standings.min_by(|one, other| parts_left(one, other).then(other.reset.cmp(&one.reset)))
}

/// Compares what is left as parts of the quotas, without dividing.
fn parts_left(one: &Standing, other: &Standing) -> Ordering {
    let scaled = |part: &Standing, by: &Standing| u128::from(part.left) * u128::from(by.quota);
    scaled(one, other).cmp(&scaled(other, one))
}

/// Whole seconds, rounded up.
#[must_use]
pub fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
