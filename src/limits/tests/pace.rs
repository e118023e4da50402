//! The even pace, against a bucket of tokens, against the promise itself, and against another implementation.

use std::num::NonZeroU32;

use governor::clock::FakeRelativeClock;
use governor::{Quota, RateLimiter};
use proptest::prelude::*;

use super::{Duration, Rates, START, Scene, Standing, at};

const MINUTE: u128 = 60_000_000_000;

/// Tokens of `each` nanoseconds, a nanosecond of which comes back in a nanosecond.
struct Bucket {
    per_minute: u64,
    each: u128,
    most: u128,
    level: u128,
    at: u128,
}

impl Bucket {
    fn full(per_minute: u64, burst: u64) -> Self {
        let each = MINUTE.div_ceil(u128::from(per_minute));
        let most = each * u128::from(burst);
        Self { per_minute, each, most, level: most, at: u128::from(START.tick.0) * 1000 }
    }

    fn expected(&mut self, cost: u32, now: u64) -> Standing {
        let now = u128::from(now) * 1000;
        self.level = self.most.min(self.level + now - self.at);
        self.at = now;
        let wanted = self.each * u128::from(cost);
        let wait = wanted.saturating_sub(self.level);
        if wait == 0 {
            self.level -= wanted;
        }
        let wait = if wanted > self.most { MINUTE } else { wait };
        Standing {
            quota: self.per_minute,
            most: u64::try_from(self.most / self.each).unwrap(),
            left: u64::try_from(self.level / self.each).unwrap(),
            // What is told is what it waits for.
            reset: nanos(if wait > 0 { wait } else { self.most - self.level }),
            wait: (wait > 0).then(|| nanos(wait)),
        }
    }
}

fn nanos(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap())
}

/// The first reading of the clock after so long.
fn after(now: u64, wait: Duration) -> u64 {
    now + u64::try_from(wait.as_nanos().div_ceil(1000)).unwrap()
}

fn scene(per_minute: u64, burst: u64) -> Scene {
    Scene::new(Rates { per_minute: Some(per_minute), smooth: Some(burst), ..Rates::default() })
}

/// How many a minute, and at once.
fn rates() -> impl Strategy<Value = (u64, u64)> {
    (
        prop_oneof![1..20_u64, 20..100_000_u64, 100_000..=1_000_000_000_u64],
        prop_oneof![1..12_u64, 12..1_000_000_u64],
    )
}

/// Time in thousandths of what a burst takes to come back, and a cost in hundredths of the burst.
fn steps() -> impl Strategy<Value = Vec<(u64, u64)>> {
    proptest::collection::vec((prop_oneof![0..10_u64, 0..500_u64, 990..1010_u64], 0..103_u64), 1..60)
}

fn time(per_minute: u64, burst: u64, share: u64) -> u64 {
    u64::try_from(MINUTE * u128::from(burst) * u128::from(share) / u128::from(per_minute) / 1_000_000)
        .unwrap()
}

fn cost(burst: u64, share: u64) -> u32 {
    u32::try_from(1 + burst * share / 100).unwrap()
}

/// At no time has more passed than a burst and what the pace gives since, by the rate as it was written, not rounded.
fn keeps_the_promise(passed: &[(u64, u32)], (per_minute, burst): (u64, u64)) -> bool {
    (0..passed.len()).all(|first| {
        let mut sum = 0_u128;
        passed[first..].iter().all(|(at, cost)| {
            sum += u128::from(*cost);
            let elapsed = u128::from(at.saturating_sub(passed[first].0)) * 1000;
            sum.saturating_sub(u128::from(burst)) * MINUTE <= elapsed * u128::from(per_minute)
        })
    })
}

proptest! {
    #[test]
    fn an_even_pace_lets_pass_what_the_bucket_has_tokens_for(rates in rates(), steps in steps()) {
        let (per_minute, burst) = rates;
        let (scene, mut bucket) = (scene(per_minute, burst), Bucket::full(per_minute, burst));
        let (mut now, mut passed) = (START.tick.0, Vec::new());
        for (share, heavy) in steps {
            now += time(per_minute, burst, share);
            let cost = cost(burst, heavy);
            let standing = scene.ask(cost, at(now));
            prop_assert_eq!(standing, bucket.expected(cost, now));
            let Some(wait) = standing.wait else {
                passed.push((now, cost));
                continue;
            };
            prop_assert!(!scene.look(cost, at(after(now, wait) - 1)).passes());
            prop_assert_eq!(scene.look(cost, at(after(now, wait))).passes(), u64::from(cost) <= burst);
        }
        prop_assert!(keeps_the_promise(&passed, rates));
    }

    #[test]
    fn an_even_pace_gives_no_more_for_an_earlier_reading_of_the_clock(
        rates in rates(),
        steps in proptest::collection::vec((0..500_u64, 0..500_u64, 0..103_u64), 1..60)
    ) {
        let (per_minute, burst) = rates;
        let (scene, mut latest, mut total) = (scene(per_minute, burst), START.tick.0, 0_u128);
        let mut earliest = latest;
        for (share, behind, heavy) in steps {
            latest += time(per_minute, burst, share);
            let behind = time(per_minute, burst, behind).min(1_000_000_000);
            let cost = cost(burst, heavy);
            earliest = earliest.min(latest - behind);
            if scene.ask(cost, at(latest - behind)).passes() {
                total += u128::from(cost);
            }
            let elapsed = u128::from(latest - earliest) * 1000;
            prop_assert!(total.saturating_sub(u128::from(burst)) * MINUTE <= elapsed * u128::from(per_minute));
        }
    }

    #[test]
    fn an_even_pace_is_that_of_another_implementation(
        per_minute in prop::sample::select(vec![1_u64, 6, 60, 600, 1000, 60_000, 1_000_000, 1_000_000_000]),
        burst in prop_oneof![1..12_u32, 12..10_000_u32],
        steps in steps()
    ) {
        let clock = FakeRelativeClock::default();
        let each = nanos(MINUTE / u128::from(per_minute));
        let quota = Quota::with_period(each).unwrap().allow_burst(NonZeroU32::new(burst).unwrap());
        let other = RateLimiter::direct_with_clock(quota, clock.clone());
        let (scene, mut now) = (scene(per_minute, burst.into()), START.tick.0);
        for (share, heavy) in steps {
            let time = time(per_minute, burst.into(), share);
            clock.advance(Duration::from_micros(time));
            now += time;
            let cost = cost(burst.into(), heavy);
            let passes = matches!(other.check_n(NonZeroU32::new(cost).unwrap()), Ok(Ok(())));
            prop_assert_eq!(scene.ask(cost, at(now)).passes(), passes);
        }
    }
}

/// What was used is kept as requests: whoever is granted more has not to wait as long as at the pace of before.
#[test]
fn a_higher_pace_makes_up_for_what_was_used_at_a_lower_one() {
    let mut scene = scene(6, 100);
    assert_eq!((0..120).filter(|_| scene.ask(1, START).passes()).count(), 100);
    scene.rates.per_minute = Some(6000);
    let refused = scene.ask(1, START);
    assert_eq!((refused.left, refused.wait), (0, Some(Duration::from_millis(10))));
    let second = at(START.tick.0 + 1_000_000);
    assert_eq!((0..120).filter(|_| scene.ask(1, second).passes()).count(), 100);
}

#[test]
fn a_window_and_a_pace_go_on_with_what_the_other_has_counted() {
    let mut scene = scene(5, 2);
    let paces = [Some(2), None];
    let passed = (0..100).filter(|turn| {
        scene.rates.smooth = paces[turn % 2];
        scene.ask(1, START).passes()
    });
    assert!(passed.count() <= 5);
    scene.rates.smooth = None;
    assert_eq!(scene.look(1, START).left, 0);
}
