//! Failures by address, against another implementation of the pace, and in a room that does not grow.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::clock::FakeRelativeClock;
use governor::{Quota, RateLimiter};
use proptest::prelude::*;

use super::{Duration, START};
use crate::clock::Tick;
use crate::limits::{FailureCounts, FailureLimit, Failures};

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const NOW: Tick = START.tick;

const fn limit(per_minute: u64) -> FailureLimit {
    FailureLimit { per_minute, refuses: true }
}

/// Looks so many different credentials up in vain, or as many of them as may be; how many those were.
fn fail(failures: &Failures, address: IpAddr, many: u64, limit: FailureLimit, now: Tick) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let may = |_: &u64| {
        let may = failures.may_look_up(address, limit, now).is_ok();
        if may {
            failures.failed(address, NEXT.fetch_add(1, Ordering::Relaxed), limit, now);
        }
        may
    };
    (0..many).filter(may).count() as u64
}

proptest! {
    #[test]
    fn as_many_failures_pass_as_another_implementation_lets(
        per_minute in prop::sample::select(vec![1_u32, 2, 6, 60, 600, 1000, 60_000, 1_000_000]),
        steps in proptest::collection::vec((0..2_000_u64, 0..40_u64), 1..60)
    ) {
        let clock = FakeRelativeClock::default();
        let each = Duration::from_secs(60) / per_minute;
        let quota = Quota::with_period(each).unwrap().allow_burst(NonZeroU32::new(per_minute).unwrap());
        let other = RateLimiter::direct_with_clock(quota, clock.clone());
        let (failures, mut now) = (Failures::default(), NOW);
        for (share, many) in steps {
            let time = each * u32::try_from(share).unwrap() / 1000;
            let time = Duration::from_micros(u64::try_from(time.as_micros()).unwrap());
            clock.advance(time);
            now = now.after(time);
            let passed = (0..many).filter(|_| other.check().is_ok()).count() as u64;
            prop_assert_eq!(fail(&failures, ADDRESS, many, limit(per_minute.into()), now), passed);
        }
    }
}

#[test]
fn who_is_told_to_wait_may_after_that_and_not_before() {
    let failures = Failures::default();
    assert_eq!(fail(&failures, ADDRESS, 10, limit(6), NOW), 6);
    let wait = failures.may_look_up(ADDRESS, limit(6), NOW).unwrap_err();
    assert_eq!(wait, Duration::from_secs(10));
    assert!(failures.may_look_up(ADDRESS, limit(6), NOW.after(wait).before(1)).is_err());
    assert!(failures.may_look_up(ADDRESS, limit(6), NOW.after(wait)).is_ok());
    let counts = FailureCounts { allowed: 7, refused: 4 + 2, shadowed: 0 };
    assert_eq!(failures.counts(), counts);
}

#[test]
fn a_flood_is_told_of_once_a_minute() {
    let failures = Failures::default();
    assert!(failures.may_tell(NOW) && !failures.may_tell(NOW.after(Duration::from_secs(59))));
    assert!(failures.may_tell(NOW.after(Duration::from_secs(60))));
}

#[test]
fn in_shadow_mode_what_would_be_refused_is_counted_and_passes() {
    let failures = Failures::default();
    let shadow = FailureLimit { per_minute: 2, refuses: false };
    assert_eq!(fail(&failures, ADDRESS, 5, shadow, NOW), 5);
    assert_eq!(failures.counts(), FailureCounts { allowed: 2, refused: 0, shadowed: 3 });
}

#[test]
fn the_same_credential_again_and_again_is_one_failure() {
    let failures = Failures::default();
    for _ in 0..1000 {
        failures.failed(ADDRESS, 7, limit(2), NOW);
    }
    assert!(failures.may_look_up(ADDRESS, limit(2), NOW).is_ok());
    failures.failed(ADDRESS, 8, limit(2), NOW);
    assert!(failures.may_look_up(ADDRESS, limit(2), NOW).is_err());
}

#[test]
fn a_few_clients_with_a_wrong_key_each_do_not_add_up() {
    let failures = Failures::default();
    for round in 0..1000 {
        failures.failed(ADDRESS, 7 + round % 4, limit(5), NOW);
    }
    assert!(failures.may_look_up(ADDRESS, limit(5), NOW).is_ok());
    failures.failed(ADDRESS, 1, limit(5), NOW);
    assert!(failures.may_look_up(ADDRESS, limit(5), NOW).is_err());
}

#[test]
fn what_failed_late_takes_nothing_back() {
    let failures = Failures::default();
    (0..10_000).for_each(|credential| failures.failed(ADDRESS, credential, limit(6), NOW));
    let wait = failures.may_look_up(ADDRESS, limit(6), NOW);
    failures.failed(ADDRESS, 10_001, limit(6), NOW.before(30_000_000));
    assert_eq!(failures.may_look_up(ADDRESS, limit(6), NOW), wait);
}

#[test]
fn however_many_were_under_way_nobody_waits_longer_than_two_minutes() {
    let failures = Failures::default();
    (0..10_000).for_each(|credential| failures.failed(ADDRESS, credential, limit(6), NOW));
    let wait = failures.may_look_up(ADDRESS, limit(6), NOW).unwrap_err();
    assert!(wait <= Duration::from_secs(120), "{wait:?}");
    assert!(failures.may_look_up(ADDRESS, limit(6), NOW.after(Duration::from_secs(120))).is_ok());
}

#[test]
fn an_address_fails_for_itself_and_a_network_of_ipv6_as_one() {
    let failures = Failures::default();
    let of = |network: u16, host: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host));
    let passed: u64 = (0..10).map(|host| fail(&failures, of(1, host), 1, limit(3), NOW)).sum();
    assert_eq!(passed, 3);
    for other in [of(2, 0), ADDRESS, IpAddr::V4(Ipv4Addr::new(192, 0, 2, 8))] {
        assert!(failures.may_look_up(other, limit(3), NOW).is_ok(), "{other}");
    }
    let mapped = IpAddr::V6(Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped());
    assert_eq!(fail(&failures, mapped, 3, limit(3), NOW), 3);
    assert!(failures.may_look_up(ADDRESS, limit(3), NOW).is_err());
}

/// A hundred thousand addresses and more: whoever has failed most keeps its place, and nobody who has not failed is
/// taken for one who has.
#[test]
fn of_more_addresses_than_there_is_room_for_the_worst_are_remembered() {
    let failures = Failures::default();
    assert_eq!(fail(&failures, ADDRESS, 5, limit(5), NOW), 5);
    for number in 0..150_000_u32 {
        let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number));
        assert_eq!(fail(&failures, address, 1, limit(5), NOW), 1);
    }
    assert!(failures.may_look_up(ADDRESS, limit(5), NOW).is_err());
    for number in 0..150_000_u32 {
        let address = IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 + number));
        assert!(failures.may_look_up(address, limit(5), NOW).is_ok());
    }
}
