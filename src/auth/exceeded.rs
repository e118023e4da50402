//! A limit that a request is over, in words for its client.

use std::borrow::Cow;

/// What is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The limit's name on the wire.
    pub policy: &'static str,
    /// Over which time it counts.
    pub over: Over,
    /// How many there may be.
    pub quota: u64,
    /// How many the request counts as.
    pub cost: u32,
    /// Whether it can never pass, because it counts as more than may come at once.
    pub never: bool,
    /// Whole seconds until it would pass.
    pub retry_after: u32,
    /// What `RateLimit-Policy`, `RateLimit` and the three `X-RateLimit-*` say; an empty one is not told.
    pub fields: [String; 5],
}

/// Over which time a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// A minute.
    Minute,
    /// A day of UTC.
    Day,
    /// No time: at once.
    Once,
}

impl Exceeded {
    /// Which limit, how much, and when.
    pub(super) fn detail(&self) -> Cow<'static, str> {
        let Self { policy, quota, cost, retry_after, .. } = self;
        let whose = match policy.split_once('_') {
            Some(("key", _)) => "this key may make",
            _ => "this account may make",
        };
        let place = if policy.starts_with("route_") { " on this route" } else { "" };
        let counts = if *cost == 1 { String::new() } else { format!(", and this one counts as {cost}") };
        match self.over {
            _ if self.never => format!(
                "This request counts as {cost}, which is more than the limit {policy} ever lets pass at once. Ask for a higher one."
            ),
            Over::Minute => format!(
                "Too many requests: {whose} {quota} a minute{place}{counts}. Try again in {retry_after} s."
            ),
            Over::Day => format!(
                "The quota of the day is used up: {whose} {quota} a day{place}{counts}. It begins anew at midnight UTC, in {retry_after} s."
            ),
            Over::Once => format!(
                "Too many requests at once: {whose} {quota} at a time{place}. Send the next when one of them has been answered."
            ),
        }
        .into()
    }
}
