use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::{Clock, Timestamp};
use crate::config::{self, Ejection, Retries, UpstreamMax, UpstreamProtocol};
use crate::proxy::upstream::fleet::{Fault, Fleet};
use crate::server::deadline::Deadlines;
use crate::web::forwarded::Scheme;

const REST: Duration = Duration::from_secs(10);
const SLOW_START: Duration = Duration::from_secs(20);

struct Bed {
    clock: Clock,
    deadlines: Rc<Deadlines>,
    fleet: Fleet,
    upstream: Rc<Upstream>,
}

fn endpoint(port: u16) -> config::Endpoint {
    config::Endpoint { host: "127.0.0.1".into(), port, scheme: Scheme::Http }
}

fn config(ports: &[u16], balance: &Balance) -> config::Upstream {
    config::Upstream {
        name: "api".into(),
        protocol: UpstreamProtocol::Http1,
        endpoints: ports.iter().map(|&port| endpoint(port)).collect(),
        tls: config::UpstreamTls::default(),
        balance: balance.clone(),
        ejection: Ejection { failures: Some(3), rest: REST, slow_start: SLOW_START, statuses: vec![503] },
        health: None,
        max: UpstreamMax { in_flight: None, connections: None, pending: 0 },
        retries: Retries { attempts: 1, budget: 20 },
    }
}

impl Bed {
    fn new(ports: &[u16], balance: &Balance) -> Self {
        let clock = Clock::manual(Timestamp(0));
        let deadlines = Deadlines::new(clock.clone());
        let config = config(ports, balance);
        let fleet = Fleet::new(std::slice::from_ref(&config), Vec::new(), &Fleet::default());
        let upstream = Upstream::build((&config, &[]), &fleet.groups()[0], &[], &deadlines);
        Self { clock, deadlines, fleet, upstream }
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.deadlines.tick();
    }

    /// The port that a request goes to, which stays under way.
    fn sends(&self, key: Option<u64>) -> u16 {
        let choice = Choice::new(&self.upstream, key);
        let endpoint = choice.endpoint(&self.upstream);
        endpoint.member.enter();
        endpoint.place.port
    }

    fn member(&self, port: u16) -> &Member {
        let members = &self.fleet.groups()[0].members;
        members.iter().find(|member| member.place.port == port).unwrap()
    }

    fn fails(&self, port: u16, times: usize) {
        let now = self.deadlines.coarse_now();
        let group = &self.fleet.groups()[0];
        (0..times).for_each(|_| group.failed(self.member(port), Fault::Broken, now));
    }

    /// How many of a thousand requests, one after the other, go to `port`.
    fn of_a_thousand(&self, port: u16) -> usize {
        let choose = |_: &usize| {
            let choice = Choice::new(&self.upstream, None);
            choice.endpoint(&self.upstream).place.port == port
        };
        (0..1000).filter(choose).count()
    }

    /// The ports in the order in which they are tried when each fails.
    fn tried(&self) -> Vec<u16> {
        let mut choice = Choice::new(&self.upstream, None);
        let mut ports = Vec::new();
        loop {
            let endpoint = choice.endpoint(&self.upstream);
            endpoint.member.put_aside(self.deadlines.coarse_now());
            ports.push(endpoint.place.port);
            if !choice.pass_over(&self.upstream) {
                return ports;
            }
        }
    }
}

#[test]
fn every_endpoint_is_tried_once_and_those_that_failed_lately_last() {
    let bed = Bed::new(&[1, 2, 3], &Balance::RoundRobin);
    assert_eq!(bed.tried(), [1, 2, 3]);
    bed.pass(Duration::from_millis(500));
    assert_eq!(bed.tried(), [1, 2, 3], "all of them failed at the same time");
    bed.pass(Duration::from_secs(2));
    bed.member(2).put_aside(bed.deadlines.coarse_now());
    for _ in 0..6 {
        let mut tried = bed.tried();
        assert_eq!(tried.pop(), Some(2), "{tried:?}");
        bed.pass(Duration::from_millis(1100));
        bed.member(2).put_aside(bed.deadlines.coarse_now());
    }
}

#[test]
fn endpoints_take_turns_and_those_that_are_left_take_those_of_one_that_rests() {
    let bed = Bed::new(&[1, 2, 3], &Balance::RoundRobin);
    let ports: Vec<_> = (0..6).map(|_| bed.sends(None)).collect();
    assert_eq!(ports, [1, 2, 3, 1, 2, 3]);
    bed.fails(2, 3);
    assert_eq!([1, 2, 3].map(|port| bed.of_a_thousand(port)), [500, 0, 500]);
}

#[test]
fn where_none_has_more_to_do_they_take_turns() {
    let bed = Bed::new(&[1, 2, 3], &Balance::LeastRequests);
    for port in [1, 2, 3] {
        assert!((333..=334).contains(&bed.of_a_thousand(port)), "{port}");
    }
}

#[test]
fn what_is_slow_gets_less() {
    let bed = Bed::new(&[1, 2, 3], &Balance::LeastRequests);
    (0..50).for_each(|_| bed.member(2).enter());
    assert_eq!(bed.of_a_thousand(2), 0);
}

#[test]
fn an_endpoint_rests_after_so_many_failures_in_a_row_and_one_more_is_enough_when_it_is_back() {
    let bed = Bed::new(&[1, 2], &Balance::RoundRobin);
    bed.fails(2, 2);
    bed.member(2).succeeded();
    bed.fails(2, 2);
    assert_eq!(bed.of_a_thousand(2), 500);
    bed.fails(2, 1);
    assert_eq!(bed.of_a_thousand(2), 0);
    bed.pass(REST + SLOW_START);
    assert_eq!(bed.of_a_thousand(2), 500);
    bed.fails(2, 1);
    assert_eq!(bed.of_a_thousand(2), 0);
    bed.pass(REST + SLOW_START);
    bed.member(2).succeeded();
    bed.fails(2, 2);
    assert_eq!(bed.of_a_thousand(2), 500);
}

#[test]
fn the_last_endpoint_never_rests() {
    let bed = Bed::new(&[1, 2, 3], &Balance::LeastRequests);
    for port in [1, 2, 3] {
        bed.fails(port, 10);
    }
    assert_eq!(bed.of_a_thousand(3), 1000);
    let alone = Bed::new(&[1], &Balance::LeastRequests);
    alone.fails(1, 1000);
    assert!(alone.member(1).is_fit(alone.deadlines.coarse_now()));
}

/// Two workers may each let one of the last two rest.
#[test]
fn when_all_rest_all_are_used() {
    let bed = Bed::new(&[1, 2], &Balance::RoundRobin);
    bed.fails(1, 3);
    bed.pass(Duration::from_secs(1));
    // As if the other had been looked at before.
    let earlier = Tick(bed.deadlines.coarse_now().0 + u64::try_from(REST.as_micros()).unwrap());
    for _ in 0..3 {
        bed.fleet.groups()[0].failed(bed.member(2), Fault::Broken, earlier);
    }
    let now = bed.deadlines.coarse_now();
    assert!(bed.member(1).is_resting(now) && bed.member(2).is_resting(now));
    assert_eq!([1, 2].map(|port| bed.of_a_thousand(port)), [500, 500]);
}

#[test]
fn an_endpoint_that_comes_back_has_its_share_by_and_by() {
    for balance in [Balance::RoundRobin, Balance::LeastRequests] {
        let bed = Bed::new(&[1, 2], &balance);
        bed.fails(2, 3);
        let mut shares = Vec::new();
        for wait in [REST, SLOW_START / 4, SLOW_START / 4, SLOW_START / 2] {
            bed.pass(wait);
            shares.push(bed.of_a_thousand(2));
        }
        // A tenth of its half, a third of it, a half of it, all of it.
        let expected = [50, 162, 275, 500];
        let near = shares.iter().zip(expected).all(|(is, should)| is.abs_diff(should) <= 45);
        assert!(near, "{shares:?}");
        assert_eq!(shares[3], 500);
    }
}

#[test]
fn a_reload_forgets_nothing_of_what_stays() {
    let bed = Bed::new(&[1, 2], &Balance::RoundRobin);
    bed.fails(2, 3);
    let now = bed.deadlines.coarse_now();
    let again = Fleet::new(&[config(&[3, 2], &Balance::LeastRequests)], Vec::new(), &bed.fleet);
    let fit: Vec<_> = again.groups()[0].members.iter().map(|member| member.is_fit(now)).collect();
    assert_eq!(fit, [true, false]);
    let other = config::Upstream { name: "other".into(), ..config(&[2], &Balance::RoundRobin) };
    let other = Fleet::new(&[other], Vec::new(), &bed.fleet);
    assert!(other.groups()[0].members[0].is_fit(now), "it is another upstream's");
}

#[test]
fn an_answer_counts_as_a_failure_only_where_its_status_is_said_to() {
    let bed = Bed::new(&[1, 2], &Balance::RoundRobin);
    let group = &bed.fleet.groups()[0];
    assert_eq!(
        [200, 500, 502, 503].map(|status| group.counts_as_failure(status)),
        [false, false, false, true]
    );
    assert!(Arc::ptr_eq(&bed.upstream.group, group));
}

proptest! {
    /// However long requests take, no endpoint is far from what each should have.
    #[test]
    fn of_two_the_one_with_less_to_do_keeps_all_of_them_near_each_other(
        count in 2_u16..12,
        ends in prop::collection::vec(any::<u16>(), 400),
    ) {
        let ports: Vec<u16> = (1..=count).collect();
        let bed = Bed::new(&ports, &Balance::LeastRequests);
        let mut open: Vec<u16> = Vec::new();
        for end in ends {
            open.push(bed.sends(None));
            // Two in three end, whichever.
            if end % 3 != 0 {
                let ended = open.swap_remove(usize::from(end) % open.len());
                bed.member(ended).leave();
            }
        }
        let in_flight: Vec<usize> = ports.iter().map(|&port| bed.member(port).in_flight()).collect();
        let most = in_flight.iter().max().unwrap();
        prop_assert!(*most <= open.len() / usize::from(count) + 8, "{in_flight:?}");
    }

    /// What goes takes its own keys along, and none of those of others.
    #[test]
    fn a_key_stays_where_it_is_while_its_endpoint_is_there(
        count in 2_u16..9,
        gone in any::<prop::sample::Index>(),
        keys in prop::collection::vec(any::<u64>(), 200),
    ) {
        let ports: Vec<u16> = (1..=count).collect();
        let bed = Bed::new(&ports, &Balance::HashAccount);
        let before: Vec<u16> = keys.iter().map(|&key| bed.sends(Some(key))).collect();
        let gone = *gone.get(&ports);
        bed.fails(gone, 3);
        for (&key, &port) in keys.iter().zip(&before) {
            let now = bed.sends(Some(key));
            prop_assert!(now != gone && (port == gone || port == now), "{key} {port} {now}");
        }
        bed.pass(REST + SLOW_START);
        let after: Vec<u16> = keys.iter().map(|&key| bed.sends(Some(key))).collect();
        prop_assert_eq!(after, before);
    }
}

#[test]
fn keys_are_shared_out_evenly() {
    let bed = Bed::new(&[1, 2, 3, 4], &Balance::HashAccount);
    let key = |number: u32| Some(hash(format!("acc_{number}").as_bytes()));
    let ports: Vec<u16> = (0..4000).map(|number| bed.sends(key(number))).collect();
    for port in 1..=4 {
        let count = ports.iter().filter(|&&other| other == port).count();
        assert!(count.abs_diff(1000) < 150, "{port}: {count}");
    }
}

#[test]
fn a_request_goes_by_its_account_or_field_where_it_has_one() {
    let field = http::HeaderName::from_static("x-tenant");
    let mut fields = HeaderMap::new();
    let by_account = Bed::new(&[1, 2], &Balance::HashAccount).upstream;
    let by_field = Bed::new(&[1, 2], &Balance::HashField(field.clone())).upstream;
    assert_eq!(by_account.key(None, &fields), None);
    assert_eq!(by_account.key(Some("a"), &fields), Some(hash(b"a")));
    assert_eq!(by_field.key(Some("a"), &fields), None);
    fields.insert(field, http::HeaderValue::from_static("t"));
    assert_eq!(by_field.key(Some("a"), &fields), Some(hash(b"t")));
    assert_eq!(Bed::new(&[1, 2], &Balance::LeastRequests).upstream.key(Some("a"), &fields), None);
}
