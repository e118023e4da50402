//! The day, under a wall clock that goes forwards and backwards.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Asked, Duration, Moment, Rates, Scene, Standing, Tick, admit};
use crate::clock::Timestamp;
use crate::limits::{DayCount, Subject, day, kept};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Days in a row begin so far apart at least.
const APART: i64 = 23 * HOUR;
const NOON: i64 = 20_000 * DAY + DAY / 2;
const MIDNIGHT: i64 = NOON + DAY / 2;

/// Milliseconds by both clocks.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    /// Since the process began.
    run: i64,
    wall: i64,
}

impl Clocks {
    const fn at(wall: i64) -> Self {
        Self { run: 0, wall }
    }

    const fn after(self, time: i64) -> Self {
        Self { run: self.run + time, wall: self.wall + time }
    }

    const fn jump(self, by: i64) -> Self {
        Self { wall: self.wall + by, ..self }
    }
}

impl Scene {
    fn of_day(per_day: u64) -> Self {
        Self::new(Rates { per_day: Some(per_day), ..Rates::default() })
    }

    fn now(&self, clocks: Clocks) -> Moment {
        self.table.moment(Tick(u64::try_from(clocks.run * 1000).unwrap()), Timestamp(clocks.wall))
    }

    fn ask_at(&self, cost: u32, clocks: Clocks) -> Standing {
        self.ask(cost, self.now(clocks))
    }

    fn passes(&self, clocks: Clocks) -> bool {
        self.ask_at(1, clocks).passes()
    }
}

fn quotas() -> impl Strategy<Value = u64> {
    prop_oneof![1..8_u64, 8..1000_u64, 999_999_999_990..=1_000_000_000_000_u64]
}

fn cost(quota: u64, share: u64) -> u32 {
    u32::try_from(1 + quota.min(1_000_000) * share / 100).unwrap()
}

/// How both clocks run on, and by how much the one on the wall jumps then: not at all, a little, over midnights or years.
fn walks(little: i64) -> impl Strategy<Value = Vec<(i64, i64, u64)>> {
    let far = prop::sample::select(vec![HOUR, 3 * HOUR, 14 * HOUR, DAY, 2 * DAY, 400 * DAY]);
    let jump = prop_oneof![
        4 => Just(0),
        2 => -little..=little,
        1 => (far, any::<bool>()).prop_map(move |(by, back)| if little < HOUR { 0 } else if back { -by } else { by }),
    ];
    proptest::collection::vec((prop_oneof![0..HOUR, 0..DAY], jump, 0..103_u64), 1..80)
}

proptest! {
    #[test]
    fn whatever_the_clock_does_there_is_no_more_than_a_quota_in_23_hours(quota in quotas(), walks in walks(HOUR)) {
        let scene = Scene::of_day(quota);
        let mut now = Clocks::at(NOON);
        // What passed, by the moment at which the first of the day did.
        let mut days = Vec::<(i64, u32, u64)>::new();
        for (time, jump, share) in walks {
            now = now.after(time).jump(jump);
            let cost = cost(quota, share);
            let (today, standing) = (scene.now(now).today, scene.ask_at(cost, now));
            let (number, left) = (today.number, i64::try_from(today.left.as_millis()).unwrap());
            if let Some(wait) = standing.wait {
                prop_assert_eq!(wait, today.left);
                prop_assert!(!scene.look(cost, scene.now(now.after(left - 1))).passes());
                prop_assert_eq!(scene.look(cost, scene.now(now.after(left))).passes(), u64::from(cost) <= quota);
                // To look at what comes begins the day that comes.
                now = now.after(left);
                continue;
            }
            match days.last_mut() {
                Some(last) if last.1 == number => last.2 += u64::from(cost),
                _ => days.push((now.run, number, cost.into())),
            }
            prop_assert_eq!(standing.left, quota - days.last().unwrap().2);
            prop_assert!(days.last().unwrap().2 <= quota);
        }
        // The first has begun before, the second may begin at once.
        for (first, number, _) in days {
            prop_assert!(first >= (i64::from(number) - 2) * APART);
        }
    }

    /// What NTP does.
    #[test]
    fn with_a_clock_that_is_a_little_off_each_day_of_the_calendar_has_its_quota(
        quota in quotas(),
        walks in walks(20 * 60_000)
    ) {
        let scene = Scene::of_day(quota);
        let (mut time, mut off) = (NOON, 0);
        let mut passed = BTreeMap::<u32, u64>::new();
        for (by, jump, share) in walks {
            (time, off) = (time + by, (off + jump).clamp(-25 * 60_000, 25 * 60_000));
            let (cost, clocks) = (cost(quota, share), Clocks { run: time - NOON, wall: time + off });
            scene.now(clocks);
            // About midnight it may be one day or the other.
            let [today, other] = [-25, 25].map(|minutes| day(Timestamp(time + minutes * 60_000)));
            if today != other {
                continue;
            }
            let standing = scene.ask_at(cost, clocks);
            let used = passed.entry(today).or_default();
            *used += if standing.passes() { u64::from(cost) } else { 0 };
            prop_assert_eq!(standing.left, quota - *used);
        }
    }
}

#[test]
fn a_day_ends_at_midnight_whether_somebody_asks_then_or_not() {
    for first in [0, 1, 5 * HOUR, 12 * HOUR, DAY - 1] {
        let scene = Scene::of_day(1);
        let noon = Clocks::at(NOON);
        assert!(scene.passes(noon));
        assert!(!scene.passes(noon.after(DAY / 2 - 1)));
        for days in 0..3 {
            let day = noon.after(DAY / 2 + days * DAY);
            assert!(scene.passes(day.after(first)), "{first} ms after midnight {days}");
            assert!(!scene.passes(day.after(DAY - 1)));
        }
    }
}

#[test]
fn a_process_that_begins_before_midnight_has_a_day_that_ends_soon() {
    let scene = Scene::of_day(1);
    let late = Clocks::at(MIDNIGHT - 5);
    assert!(scene.passes(late));
    assert_eq!(scene.ask_at(1, late).wait, Some(Duration::from_millis(5)));
    assert!(scene.passes(late.after(5)));
    assert_eq!(
        scene.ask_at(1, late.after(6)).wait,
        Some(Duration::from_millis(u64::try_from(DAY - 1).unwrap()))
    );
}

#[test]
fn a_clock_that_wavers_about_midnight_gives_each_day_once() {
    let scene = Scene::of_day(1);
    let now = Clocks::at(MIDNIGHT - 10);
    assert!(scene.passes(now));
    for (jump, passes) in
        [(15, true), (0, false), (15, false), (-HOUR, false), (HOUR, false), (DAY - 16, false)]
    {
        assert_eq!(scene.passes(now.jump(jump)), passes, "{jump}");
    }
    assert!(scene.passes(now.after(DAY + 10)));
}

#[test]
fn a_clock_that_jumps_over_midnights_begins_no_day_before_the_last_is_over() {
    for jump in [14 * HOUR, 400 * DAY, -400 * DAY] {
        let scene = Scene::of_day(1);
        let noon = Clocks::at(NOON);
        assert!(scene.passes(noon));
        let jumped = noon.jump(jump);
        // The day began twelve hours ago.
        assert_eq!(scene.ask_at(1, jumped).wait, Some(Duration::from_hours(11)), "{jump}");
        assert!(!scene.passes(jumped.after(11 * HOUR - 1)));
        assert!(scene.passes(jumped.after(11 * HOUR)));
        // And none by being set right.
        assert!(!scene.passes(noon.after(12 * HOUR)));
    }
}

#[test]
fn a_clock_that_is_set_right_within_the_day_changes_nothing() {
    let scene = Scene::of_day(1);
    let noon = Clocks::at(NOON);
    assert!(scene.passes(noon));
    assert!(!scene.passes(noon.jump(400 * DAY)));
    assert!(!scene.passes(noon.after(DAY / 2 - 1)));
    assert!(scene.passes(noon.after(DAY / 2)));
}

fn rows(scene: &Scene, wall: i64) -> Vec<(u32, u64)> {
    let counts = scene.table.days(std::slice::from_ref(&scene.account), Timestamp(wall));
    assert!(counts.iter().all(|count| count.account == 7 && count.subject == Subject::Account));
    counts.iter().map(|DayCount { day, used, .. }| (*day, *used)).collect()
}

#[test]
fn a_day_is_written_down_by_the_name_by_which_it_will_be_asked_for() {
    let scene = Scene::of_day(9);
    let noon = Clocks::at(NOON);
    scene.ask_at(4, noon);
    for (wall, name) in [
        (NOON, 20_000),
        (MIDNIGHT, 20_000),
        (MIDNIGHT + HOUR - 1, 20_000),
        (MIDNIGHT + HOUR, 20_001),
        (NOON + 400 * DAY, 20_400),
        (MIDNIGHT - DAY - HOUR, 20_000),
        (MIDNIGHT - DAY - HOUR - 1, 19_999),
    ] {
        assert_eq!(rows(&scene, wall), [(name, 4)], "{wall}");
        assert_eq!(scene.table.jumped_to(Timestamp(wall)), Some(name).filter(|name| *name != 20_000));
    }
    // What was counted just before midnight is written just after, and never later.
    for (days, expected) in [(1, &[(20_000, 4)][..]), (2, &[])] {
        let then = noon.after(days * DAY);
        scene.now(then);
        assert_eq!(rows(&scene, then.wall), expected);
    }
}

#[test]
fn who_counted_can_be_forgotten_when_the_day_is_over() {
    let Scene { table, account, rates } = Scene::of_day(1);
    let asked = Asked { cost: 1, account: &rates, key: None, route: None };
    let at = |days: u64| {
        table.moment(Tick(days * 86_400_000_000), Timestamp(NOON + i64::try_from(days).unwrap() * DAY))
    };
    admit(&table, &account, &asked, at(0));
    drop((account, table.take_changed()));
    for (days, left) in [(0, 1), (1, 0)] {
        table.sweep(at(days));
        assert_eq!(table.len(), left);
    }
}

#[test]
fn counts_of_days_to_come_are_not_kept_unless_they_come_soon() {
    assert_eq!(kept(Timestamp(MIDNIGHT - HOUR - 1)), 19_999..=20_000);
    assert_eq!(kept(Timestamp(MIDNIGHT - HOUR)), 19_999..=20_001);
    assert_eq!(kept(Timestamp(MIDNIGHT)), 20_000..=20_001);
}
