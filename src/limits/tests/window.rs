//! The window of a minute, against the list of all that passed.

use proptest::prelude::*;

use super::{Duration, Rates, START, Scene, Standing, at};

const MINUTE: u64 = 60_000_000;

/// Everything that passed: when, and as how many.
struct Passed(Vec<(u64, u64)>);

impl Passed {
    /// When the last window opened, and what passed in it: each opens with the first that is not in the one before.
    fn last_window(&self) -> Option<(u64, u64)> {
        self.0.iter().fold(None, |window, (at, cost)| match window {
            Some((opened, used)) if *at < opened + MINUTE => Some((opened, used + cost)),
            _ => Some((*at, *cost)),
        })
    }

    fn expected(&mut self, quota: u64, cost: u32, now: u64) -> Standing {
        let window = self.last_window().filter(|(opened, _)| now < opened + MINUTE);
        let (opened, used) = window.unwrap_or((now, 0));
        let reset = Duration::from_micros((opened + MINUTE - now).min(MINUTE));
        if used + u64::from(cost) <= quota {
            self.0.push((now, u64::from(cost)));
            return Standing { quota, most: quota, left: quota - used - u64::from(cost), reset, wait: None };
        }
        Standing { quota, most: quota, left: quota - used, reset, wait: Some(reset) }
    }

    /// Most that passed in any minute there is.
    fn most_in_a_minute(&self) -> u64 {
        let from = |since: u64| {
            let within = self.0.iter().filter(|(at, _)| (since..since + MINUTE).contains(at));
            within.map(|(_, cost)| cost).sum()
        };
        self.0.iter().map(|(since, _)| from(*since)).max().unwrap_or(0)
    }
}

fn quotas() -> impl Strategy<Value = u64> {
    prop_oneof![1..8_u64, 8..1000_u64, 999_999_990..=1_000_000_000_u64]
}

fn scene(per_minute: u64) -> Scene {
    Scene::new(Rates { per_minute: Some(per_minute), ..Rates::default() })
}

/// As many that a few of them use up the quota, or one alone is too many.
fn cost(quota: u64, share: u64) -> u32 {
    u32::try_from(1 + quota * share / 100).unwrap()
}

fn steps() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let time = prop_oneof![0..1000_u64, 0..20_000_000_u64, MINUTE - 2..MINUTE + 2];
    proptest::collection::vec((time, prop_oneof![0..40_u64, 90..103_u64]), 1..60)
}

proptest! {
    #[test]
    fn a_window_lets_pass_what_the_list_of_all_that_passed_has_room_for(quota in quotas(), steps in steps()) {
        let (scene, mut passed, mut now) = (scene(quota), Passed(Vec::new()), START.tick.0);
        for (time, share) in steps {
            now += time;
            let cost = cost(quota, share);
            let standing = scene.ask(cost, at(now));
            prop_assert_eq!(standing, passed.expected(quota, cost, now));
            if let Some(wait) = standing.wait {
                let then = now + u64::try_from(wait.as_micros()).unwrap();
                prop_assert!(!scene.look(cost, at(then - 1)).passes());
                prop_assert_eq!(scene.look(cost, at(then)).passes(), u64::from(cost) <= quota);
            }
        }
        prop_assert!(passed.most_in_a_minute() <= 2 * quota);
    }

    /// The workers' readings of the clock differ, and none of them gains by it.
    #[test]
    fn an_earlier_reading_of_the_clock_opens_no_window(
        quota in quotas(),
        steps in proptest::collection::vec((0..20_000_000_u64, 0..2000_u64, 0..40_u64), 1..60)
    ) {
        let (scene, mut passed, mut latest) = (scene(quota), Passed(Vec::new()), START.tick.0);
        for (time, behind, share) in steps {
            latest += time;
            let cost = cost(quota, share);
            let expected = passed.expected(quota, cost, latest - behind);
            prop_assert_eq!(scene.ask(cost, at(latest - behind)), expected);
        }
    }
}

#[test]
fn a_clock_that_goes_back_to_its_beginning_gives_nothing() {
    let scene = scene(2);
    for _ in 0..2 {
        assert!(scene.ask(1, START).passes());
    }
    for tick in [START.tick.0 - 1, 1, 0] {
        assert!(!scene.ask(1, at(tick)).passes());
    }
}

#[test]
fn a_smaller_quota_counts_what_was_used_of_a_larger_one() {
    let mut scene = scene(10);
    for _ in 0..5 {
        assert!(scene.ask(1, START).passes());
    }
    scene.rates.per_minute = Some(3);
    assert_eq!((scene.ask(1, START).passes(), scene.ask(1, START).left), (false, 0));
    scene.rates.per_minute = Some(6);
    assert_eq!(scene.ask(1, START).left, 0);
    assert!(!scene.ask(1, START).passes());
}
