//! The day, under a wall clock that goes forwards and backwards.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{Asked, DAY_MILLIS, Duration, Moment, Rates, START, Scene, Standing, Timestamp, admit};

const HOUR: i64 = 3_600_000;
const MIDNIGHT: i64 = START.wall.0 + DAY_MILLIS / 2;

/// The day that counts, and what was used of it.
struct Model {
    day: i64,
    used: u64,
    /// How often the clock was set back by more than a day.
    set_right: u64,
}

impl Model {
    fn turn(&mut self, wall: i64) {
        let day = wall.div_euclid(DAY_MILLIS);
        if day > self.day {
            (self.day, self.used) = (day, 0);
        }
        if day < self.day - 1 {
            self.day = day;
            self.set_right += 1;
        }
    }

    fn expected(&mut self, quota: u64, cost: u32, wall: i64) -> Standing {
        let (day, used) = (self.day, self.used);
        self.turn(wall);
        let reset = Duration::from_millis(u64::try_from((self.day + 1) * DAY_MILLIS - wall).unwrap());
        let (before, after) = (self.used, self.used + u64::from(cost));
        if after <= quota {
            self.used = after;
            return Standing { quota, most: quota, left: quota - after, reset, wait: None };
        }
        // What is refused begins no day.
        if self.day > day {
            (self.day, self.used) = (day, used);
        }
        Standing { quota, most: quota, left: quota - before, reset, wait: Some(reset) }
    }
}

fn wall(wall: i64) -> Moment {
    Moment { wall: Timestamp(wall), ..START }
}

fn scene(per_day: u64) -> Scene {
    Scene::new(Rates { per_day: Some(per_day), ..Rates::default() })
}

fn quotas() -> impl Strategy<Value = u64> {
    prop_oneof![1..8_u64, 8..1000_u64, 999_999_999_990..=1_000_000_000_000_u64]
}

fn cost(quota: u64, share: u64) -> u32 {
    u32::try_from(1 + quota.min(1_000_000) * share / 100).unwrap()
}

/// How the clock on the wall goes: on, over midnight and back, or far off and back.
fn walls() -> impl Strategy<Value = Vec<(i64, u64)>> {
    let jump = prop_oneof![
        4 => 0..HOUR,
        2 => -HOUR..HOUR,
        1 => prop::sample::select(vec![DAY_MILLIS, -DAY_MILLIS, 400 * DAY_MILLIS, -400 * DAY_MILLIS]),
    ];
    proptest::collection::vec((jump, 0..103_u64), 1..80)
}

proptest! {
    #[test]
    fn a_day_lets_pass_its_quota_whatever_the_clock_does(quota in quotas(), walls in walls()) {
        let scene = scene(quota);
        let mut model = Model { day: 0, used: 0, set_right: 0 };
        let (mut now, mut passed) = (MIDNIGHT - HOUR, HashMap::<i64, u64>::new());
        for (jump, share) in walls {
            now = (now + jump).max(0);
            let cost = cost(quota, share);
            let standing = scene.ask(cost, wall(now));
            prop_assert_eq!(standing, model.expected(quota, cost, now));
            if let Some(wait) = standing.wait {
                let then = now + i64::try_from(wait.as_millis()).unwrap();
                prop_assert!(!scene.look(cost, wall(then - 1)).passes());
                prop_assert_eq!(scene.look(cost, wall(then)).passes(), u64::from(cost) <= quota);
                continue;
            }
            let of_day = passed.entry(model.day).or_default();
            *of_day += u64::from(cost);
            // A clock that was wrong by days and was set right costs one quota, and no more.
            prop_assert!(*of_day <= quota * (1 + model.set_right));
        }
    }

    #[test]
    fn a_clock_that_wavers_about_midnight_gives_each_day_once(
        quota in quotas(),
        walls in proptest::collection::vec((-HOUR..HOUR, 0..103_u64), 1..120)
    ) {
        let (scene, mut total) = (scene(quota), 0);
        for (off, share) in walls {
            let cost = cost(quota, share);
            if scene.ask(cost, wall(MIDNIGHT + off)).passes() {
                total += u64::from(cost);
            }
        }
        prop_assert!(total <= 2 * quota);
        prop_assert_eq!(scene.look(1, wall(MIDNIGHT + DAY_MILLIS)).left, quota - 1);
    }
}

#[test]
fn what_was_used_of_a_day_that_is_not_yet_counts_for_the_day_that_it_is() {
    let scene = scene(10);
    assert!(scene.ask(6, wall(START.wall.0 + 400 * DAY_MILLIS)).passes());
    assert_eq!(scene.ask(3, START).left, 1);
    assert!(!scene.ask(3, START).passes());
}

/// A client that had used up a day of next year was refused until that day came.
#[test]
fn a_clock_that_was_wrong_is_forgotten_by_the_next_day() {
    let scene = scene(1);
    assert!(scene.ask(1, wall(START.wall.0 + 400 * DAY_MILLIS)).passes());
    assert!(!scene.ask(1, START).passes());
    let tomorrow = wall(START.wall.0 + DAY_MILLIS);
    assert!(scene.ask(1, tomorrow).passes());
}

#[test]
fn who_counted_for_a_day_that_is_not_yet_can_be_forgotten_when_it_would_be_else() {
    let Scene { table, account, rates } = scene(1);
    let asked = Asked { cost: 1, account: &rates, key: None, route: None };
    admit(&table, &account, &asked, wall(START.wall.0 + 400 * DAY_MILLIS));
    drop((account, table.take_changed()));
    for (days, left) in [(0, 1), (1, 1), (2, 0)] {
        table.sweep(wall(START.wall.0 + days * DAY_MILLIS));
        assert_eq!(table.len(), left);
    }
}
