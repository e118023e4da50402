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
        let counts = if *cost == 1 { String::new() } else { format!(", and this one counts as {cost}") };
        match self.over {
            Over::Minute if u64::from(*cost) > *quota => format!(
                "This request counts as {cost}, and the limit {policy} allows {quota}: it cannot pass. Ask for a higher limit."
            ),
            Over::Minute => format!(
                "Too many requests: the limit {policy} is {quota}{counts}. Try again in {retry_after} s."
            ),
            Over::Day => format!(
                "The quota of the day is used up: the limit {policy} is {quota}{counts}. It begins anew at midnight UTC, in {retry_after} s."
            ),
            Over::Once => format!(
                "Too many requests at once: the limit {policy} is {quota}. Send the next when one of them has been answered."
            ),
        }
        .into()
    }
}
