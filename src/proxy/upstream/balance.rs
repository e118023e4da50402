//! Which endpoint a request goes to.

use std::cell::Cell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use http::HeaderMap;

use super::fleet::Member;
use super::{Endpoint, Upstream};
use crate::clock::Tick;
use crate::config::Balance;

/// What one worker remembers for choosing.
#[derive(Debug)]
pub(super) struct Dice {
    turn: Cell<usize>,
    /// Enough to share out requests by; no client is to guess anything by it.
    state: Cell<u64>,
}

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self { turn: Cell::new(0), state: Cell::new(seed) }
    }

    /// Whose turn it is.
    fn turn(&self) -> usize {
        self.turn.replace(self.turn.get().wrapping_add(1))
    }

    /// Any number (SplitMix64).
    fn roll(&self) -> u64 {
        let next = self.state.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.state.set(next);
        mix(next)
    }

    /// Whether something happens that does in `share` of all cases.
    fn happens(&self, share: f32) -> bool {
        (self.roll() >> 40) as f32 / ((1_u64 << 24) as f32) < share
    }
}

const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A 64-bit hash that all workers and processes agree on.
pub(super) fn hash(value: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The endpoint of one request, and what chooses another if it fails.
#[derive(Debug)]
pub(super) struct Choice {
    key: Option<u64>,
    turn: usize,
    current: usize,
    /// Those that were passed over. Nothing is allocated until one is.
    tried: Vec<usize>,
}

impl Choice {
    /// For a request that `key` tells the endpoint of, where its upstream goes by that.
    pub(super) fn new(upstream: &Upstream, key: Option<u64>) -> Self {
        let mut choice = Self { key, turn: 0, current: 0, tried: Vec::new() };
        if upstream.endpoints.len() > 1 {
            choice.turn = upstream.dice.turn();
            choice.current = choice.pick(upstream).unwrap_or_default();
        }
        choice
    }

    /// The endpoint of the next attempt.
    pub(super) fn endpoint<'u>(&self, upstream: &'u Upstream) -> &'u Rc<Endpoint> {
        #[expect(clippy::expect_used, reason = "the configuration refuses an upstream without endpoints")]
        upstream.endpoints.get(self.current).expect("an upstream has an endpoint")
    }

    /// Goes on to an endpoint that was not tried yet, if there is one.
    pub(super) fn pass_over(&mut self, upstream: &Upstream) -> bool {
        self.tried.push(self.current);
        let next = self.pick(upstream);
        self.current = next.unwrap_or(self.current);
        next.is_some()
    }

    /// Of the endpoints that were not tried yet one that is fit, and that has room for a request where some have not; if
    /// there is none, one that rests; if there is none
    /// either, the one that could not be connected to for the longest time.
    fn pick(&self, upstream: &Upstream) -> Option<usize> {
        let now = upstream.deadlines.coarse_now();
        let members = || upstream.group.members.iter().enumerate();
        let left = |index: usize| !self.tried.contains(&index);
        let fit = |index: usize, member: &Member| left(index) && member.is_fit(now);
        let resting = |index: usize, member: &Member| left(index) && member.aside_until(now) == Tick(0);
        let roomy = |index: usize, member: &Member| fit(index, member) && upstream.has_room(index);
        let bounded = upstream.group.connections.iter().any(Option::is_some);
        let roomy = bounded.then(|| self.among(upstream, now, &roomy)).flatten();
        let fit = || self.among(upstream, now, &fit);
        roomy.or_else(fit).or_else(|| self.among(upstream, now, &resting)).or_else(|| {
            let left = members().filter(|(index, _)| left(*index));
            left.min_by_key(|(_, member)| member.aside_until(now)).map(|(index, _)| index)
        })
    }

    /// One of those that `may` be chosen. One that has just come back is passed over now and then for another.
    fn among(&self, upstream: &Upstream, now: Tick, may: &dyn Fn(usize, &Member) -> bool) -> Option<usize> {
        let first = self.by_rule(upstream, may)?;
        let share = upstream.group.members.get(first).map_or(1.0, |member| upstream.group.share(member, now));
        if share >= 1.0 || upstream.dice.happens(share) {
            return Some(first);
        }
        self.by_rule(upstream, &|index, member| index != first && may(index, member)).or(Some(first))
    }

    fn by_rule(&self, upstream: &Upstream, may: &dyn Fn(usize, &Member) -> bool) -> Option<usize> {
        let pool = || upstream.group.members.iter().enumerate().filter(|(index, member)| may(*index, member));
        if let Some(key) = self.key {
            // Rendezvous: whatever else comes and goes, an endpoint keeps its keys.
            return pool().max_by_key(|(_, member)| mix(key ^ member.seed)).map(|(index, _)| index);
        }
        let count = pool().count();
        let first = self.turn.checked_rem(count)?;
        let (index, member) = pool().nth(first)?;
        if count == 1 || upstream.balance == Balance::RoundRobin {
            return Some(index);
        }
        // Of two the one with less to do; with the same, the one whose turn it is.
        let others = u64::try_from(count - 1).unwrap_or(1).max(1);
        let step = usize::try_from(upstream.dice.roll() % others).unwrap_or_default() + 1;
        let (other_index, other) = pool().nth((first + step) % count)?;
        Some(if other.in_flight() < member.in_flight() { other_index } else { index })
    }
}

impl Upstream {
    fn has_room(&self, index: usize) -> bool {
        self.endpoints.get(index).is_some_and(|endpoint| endpoint.has_room(self.protocol))
    }

    /// What tells the endpoint of a request of this account with these fields, if anything is to.
    #[must_use]
    pub fn key(&self, account: Option<&str>, fields: &HeaderMap) -> Option<u64> {
        match &self.balance {
            Balance::LeastRequests | Balance::RoundRobin => None,
            Balance::HashAccount => account.map(|account| hash(account.as_bytes())),
            Balance::HashField(name) => fields.get(name).map(|value| hash(value.as_bytes())),
        }
    }
}

#[cfg(test)]
#[path = "balance/tests.rs"]
mod tests;
