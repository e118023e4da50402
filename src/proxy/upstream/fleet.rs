//! What all workers know of the upstreams' servers: made with the plan, kept by a reload that keeps them.
//!
//! An endpoint's state is a few atomics on a cache line of their own, read and written relaxed: a worker that acts on
//! what was true a moment ago sends one request more to a server that fails, which is tried again elsewhere.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::balance;
use super::connections::Connections;
use super::room::Room;
use super::whereabouts::Whereabouts;
use tokio::net::TcpStream;

use crate::clock::Tick;
use crate::config::{self, Ejection, HealthCheck, UpstreamProtocol};
use crate::server::tls::Connector;

/// How long an endpoint that could not be connected to is tried last.
const PUT_ASIDE: Duration = Duration::from_secs(1);
/// The share with which an endpoint begins that comes back.
const FIRST_SHARE: f32 = 0.1;

/// All upstreams, in the order of the configuration.
#[derive(Debug, Default)]
pub struct Fleet {
    groups: Vec<Arc<Group>>,
}

impl Fleet {
    /// Makes what `upstreams` name, each with what makes connections to it secure, or `None` in clear, taking over what `old` knows of the same endpoints under the same names.
    #[must_use]
    pub fn new(upstreams: &[config::Upstream], connectors: Vec<Option<Connector>>, old: &Self) -> Self {
        let known = |name: &str| old.groups.iter().find(|group| *group.name == *name).map(Arc::as_ref);
        let all = upstreams.iter().zip(connectors.into_iter().chain(std::iter::repeat(None)));
        let groups =
            all.map(|(upstream, connector)| Arc::new(Group::new(upstream, connector, known(&upstream.name))));
        Self { groups: groups.collect() }
    }

    /// All of them.
    #[must_use]
    pub fn groups(&self) -> &[Arc<Group>] {
        &self.groups
    }
}

/// What an endpoint does wrong: a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be connected to.
    Connect,
    /// It gives no answer in time.
    Timeout,
    /// It breaks off, or its answer cannot be passed on.
    Broken,
    /// It answers with a status that counts as one.
    Status,
}

impl Fault {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Connect, Self::Timeout, Self::Broken, Self::Status];

    /// Its label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Status => "status",
        }
    }
}

/// One upstream.
#[derive(Debug)]
pub struct Group {
    /// Its name.
    pub name: Arc<str>,
    /// What its servers speak.
    pub protocol: UpstreamProtocol,
    /// What makes connections to them secure; `None` in clear.
    pub connector: Option<Connector>,
    /// In the order of the configuration.
    pub members: Vec<Arc<Member>>,
    /// Requests that were sent again since they were last counted.
    pub retries: AtomicU64,
    /// How its servers are asked whether they are well.
    pub health: Option<HealthCheck>,
    /// How much may be under way to it, if that is bounded.
    pub(super) room: Option<Arc<Room>>,
    /// How many connections there may be to each of them, in their order, if that is bounded.
    pub(super) connections: Vec<Option<Arc<Connections>>>,
    ejection: Ejection,
}

impl Group {
    fn new(config: &config::Upstream, connector: Option<Connector>, old: Option<&Self>) -> Self {
        let known = |place: &config::Endpoint| {
            old.filter(|old| old.protocol == config.protocol)
                .and_then(|old| old.members.iter().find(|member| member.place == *place))
        };
        let member = |place: &config::Endpoint| {
            known(place).map_or_else(|| Arc::new(Member::new(place.clone())), Arc::clone)
        };
        let members: Vec<Arc<Member>> = config.endpoints.iter().map(member).collect();
        let places = |member: &Arc<Member>| {
            let mut old = old.iter().flat_map(|old| old.members.iter().zip(&old.connections));
            let known = old.find(|(other, _)| Arc::ptr_eq(other, member));
            Connections::of(config.max, known.and_then(|(_, places)| places.as_ref()))
        };
        let connections = members.iter().map(places).collect();
        if config.health.is_none() {
            members.iter().for_each(|member| member.unwell.store(false, Ordering::Relaxed));
        }
        Self {
            name: Arc::clone(&config.name),
            protocol: config.protocol,
            connector,
            members,
            retries: AtomicU64::default(),
            health: config.health.clone(),
            connections,
            room: Room::of(config.max, old.and_then(|old| old.room.as_ref())),
            ejection: config.ejection.clone(),
        }
    }

    /// Whether a server that comes back begins as slowly as it does in `other`.
    pub(super) fn begins_like(&self, other: &Self) -> bool {
        self.ejection.slow_start == other.ejection.slow_start
    }

    /// Whether an answer with this status counts as a failure.
    #[must_use]
    pub fn counts_as_failure(&self, status: u16) -> bool {
        !self.ejection.statuses.is_empty() && self.ejection.statuses.contains(&status)
    }

    /// A request to `member` failed by its fault: after so many in a row it rests, unless none else is fit.
    pub fn failed(&self, member: &Member, fault: Fault, now: Tick) {
        let failures = member.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let Some(most) = self.ejection.failures.filter(|most| failures >= *most) else { return };
        let others = self.members.iter().filter(|other| !std::ptr::eq(&***other, member));
        if member.is_resting(now) || !others.into_iter().any(|other| other.is_up(now)) {
            return;
        }
        // The first failure afterwards is one too many again.
        member.failures.store(most - 1, Ordering::Relaxed);
        let until = now.after(self.ejection.rest);
        if member.rest(now, until) {
            if let Some(count) = member.ejections.get(fault as usize) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            let (upstream, endpoint) = (&*self.name, &*member.authority);
            let rest = self.ejection.rest.as_secs_f64();
            let reason = fault.as_str();
            tracing::warn!(
                upstream,
                endpoint,
                reason,
                failures,
                rest,
                "an endpoint gets no requests for a while"
            );
        }
    }

    /// Says, once each, which endpoints have rested enough. For the workers' ticks.
    pub fn tell_returned(&self, now: Tick) {
        for member in self.members.iter().filter(|member| member.has_rested(now)) {
            let (upstream, endpoint) = (&*self.name, &*member.authority);
            tracing::info!(upstream, endpoint, "an endpoint gets requests again");
        }
    }

    /// Whether none of its servers is to get requests, so that all do.
    #[must_use]
    pub fn is_down(&self, now: Tick) -> bool {
        !self.members.iter().any(|member| member.is_up(now))
    }

    /// A server turned out to be well, or not: from now on it gets requests, or none while another is.
    pub fn found(&self, member: &Member, well: bool, why: &str, now: Tick) {
        let (upstream, endpoint) = (&*self.name, &*member.authority);
        if well {
            if !self.ejection.slow_start.is_zero() {
                member.back_at.store(now.0, Ordering::Relaxed);
            }
            member.unwell.store(false, Ordering::Relaxed);
            tracing::info!(upstream, endpoint, "an endpoint is well again");
            return;
        }
        member.unwell.store(true, Ordering::Relaxed);
        tracing::warn!(upstream, endpoint, why, "an endpoint is not well");
        if self.is_down(now) {
            tracing::warn!(upstream, "no endpoint is well, so all of them get requests");
        }
    }

    /// The share of its requests that `member` is to have, of 1: less while it begins anew.
    #[must_use]
    pub fn share(&self, member: &Member, now: Tick) -> f32 {
        let back = member.back_at.load(Ordering::Relaxed);
        let slow_start = self.ejection.slow_start;
        // One that rests is asked only when all do.
        if back == 0 || back > now.0 || slow_start.is_zero() {
            return 1.0;
        }
        let ramp = now.since(Tick(back)).as_secs_f32() / slow_start.as_secs_f32();
        if ramp >= 1.0 {
            member.back_at.store(0, Ordering::Relaxed);
        }
        FIRST_SHARE + (1.0 - FIRST_SHARE) * ramp.min(1.0)
    }
}

/// One server of an upstream.
#[derive(Debug)]
#[repr(align(64))]
pub struct Member {
    in_flight: AtomicUsize,
    /// Failures in a row.
    failures: AtomicU32,
    /// Until when it rests, in ticks; 0 if it does not, or it was said that it no longer does.
    rests_until: AtomicU64,
    /// Until when it is tried last, in ticks.
    aside_until: AtomicU64,
    /// When it begins, or began, to have its share again, in ticks; 0 once it has all of it.
    back_at: AtomicU64,
    /// Whether it said, or did not say, that it is well.
    unwell: AtomicBool,
    /// How often it was made to rest since that was last counted, by [`Fault`].
    pub ejections: [AtomicU64; Fault::ALL.len()],
    /// What it is told apart by where keys choose.
    pub(super) seed: u64,
    /// Where it is.
    pub place: config::Endpoint,
    /// `host:port`, as a `Host` field has it.
    pub authority: Box<str>,
    whereabouts: Whereabouts,
}

impl Member {
    /// One that nothing is known of.
    #[must_use]
    pub fn new(place: config::Endpoint) -> Self {
        let host =
            if place.host.contains(':') { format!("[{}]", place.host) } else { place.host.to_string() };
        let authority = match place.port {
            port if port == place.scheme.port() => host,
            port => format!("{host}:{port}"),
        };
        Self {
            in_flight: AtomicUsize::default(),
            failures: AtomicU32::default(),
            rests_until: AtomicU64::default(),
            aside_until: AtomicU64::default(),
            back_at: AtomicU64::default(),
            unwell: AtomicBool::default(),
            ejections: <[AtomicU64; Fault::ALL.len()]>::default(),
            seed: balance::hash(authority.as_bytes()),
            whereabouts: Whereabouts::of(&place),
            place,
            authority: authority.into(),
        }
    }

    /// Whether there is a name to look up.
    #[must_use]
    pub(super) const fn has_name(&self) -> bool {
        self.whereabouts.has_name()
    }

    /// Its name leads to these addresses now; whether it led elsewhere before.
    pub(super) fn is_at(&self, addresses: &[IpAddr]) -> bool {
        self.whereabouts.are(addresses)
    }

    /// Its name led nowhere; whether it never led anywhere.
    pub(super) fn was_not_found(&self) -> bool {
        self.whereabouts.are_unknown();
        self.whereabouts.is_nowhere()
    }

    /// How often its name ceased to lead to an address.
    pub(super) fn losses(&self) -> usize {
        self.whereabouts.losses()
    }

    /// Whether its name leads there still.
    pub(super) fn is_still_at(&self, address: Option<IpAddr>) -> bool {
        address.is_some_and(|address| self.whereabouts.include(address))
    }

    /// Makes a connection.
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        self.whereabouts.connect(&self.place).await
    }

    /// Requests that are under way to it, of all workers.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// One request more is under way to it. Each that entered has to [`leave`](Self::leave).
    pub fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// It answered.
    pub fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// It could not be connected to: it is tried last for a second.
    pub fn put_aside(&self, now: Tick) {
        self.aside_until.store(now.after(PUT_ASIDE).0, Ordering::Relaxed);
    }

    /// Until when it is tried last; the past, if it is not.
    #[must_use]
    pub fn aside_until(&self, now: Tick) -> Tick {
        let until = Tick(self.aside_until.load(Ordering::Relaxed));
        if until > now { until } else { Tick(0) }
    }

    /// Whether it was found not to be well.
    #[must_use]
    pub fn is_unwell(&self) -> bool {
        self.unwell.load(Ordering::Relaxed)
    }

    /// Whether it gets requests: it does not rest, is not unwell, and has an address.
    #[must_use]
    pub fn is_up(&self, now: Tick) -> bool {
        !self.is_resting(now) && !self.is_unwell() && !self.whereabouts.is_nowhere()
    }

    /// Whether it failed too often lately.
    #[must_use]
    pub fn is_resting(&self, now: Tick) -> bool {
        self.rests_until.load(Ordering::Relaxed) > now.0
    }

    /// Whether it is as good as any.
    #[must_use]
    pub fn is_fit(&self, now: Tick) -> bool {
        self.is_up(now) && self.aside_until.load(Ordering::Relaxed) <= now.0
    }

    /// Lets it rest; whether it did not already.
    fn rest(&self, now: Tick, until: Tick) -> bool {
        let was = self.rests_until.load(Ordering::Relaxed);
        let begins = was <= now.0
            && self.rests_until.compare_exchange(was, until.0, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if begins {
            self.back_at.store(until.0, Ordering::Relaxed);
        }
        begins
    }

    /// Whether its rest is over and that was not yet said.
    fn has_rested(&self, now: Tick) -> bool {
        let until = self.rests_until.load(Ordering::Relaxed);
        let over = (1..=now.0).contains(&until);
        over && self.rests_until.compare_exchange(until, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
