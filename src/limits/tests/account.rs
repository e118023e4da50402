//! Several limits at once: all of them count a request, or none.

use std::sync::Barrier;

use proptest::prelude::*;

use super::{
    Account, Arc, Asked, Duration, InFlight, Moment, Policy, Rates, Report, START, Scene, Table, Tick,
    Verdict, admit,
};
use crate::limits::Span;

fn any_rates() -> impl Strategy<Value = Rates> {
    let some = || prop::option::of(1..12_u64);
    (some(), some(), some(), prop::option::of(1..5_u32)).prop_map(
        |(per_minute, smooth, per_day, in_flight)| Rates {
            per_minute,
            smooth: smooth.filter(|_| per_minute.is_some()),
            per_day,
            in_flight,
        },
    )
}

/// A limit, how many it leaves, and how long until it leaves all.
type Row = (Policy, u64, Duration);

fn told(report: &Report) -> Vec<Row> {
    report.rows().map(|(policy, it)| (policy, it.left, it.reset)).collect()
}

/// How every limit stands that there is for it, with nothing asked.
fn state(account: &Account, asked: &Asked<'_>, now: Moment) -> Vec<Row> {
    told(&account.look(&Asked { cost: 0, ..*asked }, now))
}

/// How many each leaves after a request of `cost` was counted.
fn less(before: &[Row], cost: u32) -> Vec<(Policy, u64)> {
    let counted = |policy: Policy| if policy.span() == Span::Now { 1 } else { cost };
    before.iter().map(|(policy, left, _)| (*policy, left - u64::from(counted(*policy)))).collect()
}

fn left(rows: &[Row]) -> Vec<(Policy, u64)> {
    rows.iter().map(|(policy, left, _)| (*policy, *left)).collect()
}

/// Asks, and compares all rows before and after.
fn judged_by_all(
    table: &Table,
    asked: &Asked<'_>,
    everything: &Asked<'_>,
    now: Moment,
) -> Result<Option<InFlight>, TestCaseError> {
    let account = table.account(7);
    let rows = |asked: &Asked<'_>| state(&account, asked, now);
    let (all, concerned, looked) = (rows(everything), rows(asked), told(&account.look(asked, now)));
    let (report, held) = admit(table, &account, asked, now);
    prop_assert_eq!(told(&report), looked);
    if report.rows().all(|(_, standing)| standing.passes()) {
        prop_assert_eq!(left(&rows(asked)), less(&concerned, asked.cost));
        prop_assert_eq!(rows(asked), told(&report));
        let others = |all: Vec<Row>| all.into_iter().filter(|(policy, ..)| !has(&concerned, *policy));
        prop_assert!(others(rows(everything)).eq(others(all)));
    } else {
        prop_assert_eq!(rows(everything), all);
        prop_assert_eq!(left(&told(&report)), left(&concerned));
        // Of one that refuses it is told how long it does so.
        for ((_, standing), row) in report.rows().zip(concerned) {
            prop_assert_eq!(standing.reset, standing.wait.unwrap_or(row.2));
        }
    }
    Ok(held)
}

fn has(rows: &[Row], policy: Policy) -> bool {
    rows.iter().any(|(known, ..)| *known == policy)
}

proptest! {
    #[test]
    fn all_limits_count_a_request_or_none_does(
        (own, of_key, of_route) in (any_rates(), any_rates(), any_rates()),
        steps in proptest::collection::vec(
            (0..20_000_000_u64, 1..4_u32, any::<bool>(), any::<bool>(), 0..6_usize),
            1..60,
        )
    ) {
        let name: Arc<str> = "of a key and of a route".into();
        let (table, mut now, mut under_way) = (Table::default(), START, Vec::new());
        let everything =
            Asked { cost: 0, account: &own, key: Some((&name, &of_key)), route: Some((&name, &of_route)) };
        for (time, cost, with_key, with_route, end) in steps {
            now.tick = Tick(now.tick.0 + time);
            let key = everything.key.filter(|_| with_key);
            let route = everything.route.filter(|_| with_route);
            let asked = Asked { cost, key, route, ..everything };
            under_way.extend(judged_by_all(&table, &asked, &everything, now)?);
            if end < under_way.len() {
                under_way.swap_remove(end);
            }
        }
        under_way.clear();
        let at_the_end = table.account(7).look(&everything, now);
        let free = at_the_end.rows().filter(|(policy, _)| policy.span() == Span::Now);
        prop_assert!(free.into_iter().all(|(_, it)| it.left == it.quota));
    }

    #[test]
    fn never_more_at_once_than_may_be_and_each_end_makes_room_for_one(
        most in 1..6_u32,
        steps in proptest::collection::vec(prop::option::of(any::<prop::sample::Index>()), 1..120)
    ) {
        let scene = Scene::new(Rates { in_flight: Some(most), ..Rates::default() });
        let mut under_way = Vec::new();
        for step in steps {
            match step {
                // The cost of a request says nothing of how many it is at once.
                None => match admit(&scene.table, &scene.account, &scene.asked(5), START).1 {
                    Some(held) => under_way.push(held),
                    None => prop_assert_eq!(under_way.len(), most as usize),
                },
                Some(index) if !under_way.is_empty() => drop(under_way.swap_remove(index.index(under_way.len()))),
                Some(_) => {}
            }
            prop_assert!(under_way.len() <= most as usize);
            let left = scene.account.look(&scene.asked(0), START).rows().next().map(|(_, it)| it.left);
            prop_assert_eq!(left, Some(u64::from(most) - under_way.len() as u64));
        }
    }
}

/// Threads meet at the last request that may pass: there, one more would be the fault.
#[test]
fn of_the_requests_of_several_threads_exactly_the_quota_passes() {
    const EACH: usize = 200;
    for _ in 0..500 {
        let rates = Rates { per_minute: Some(201), per_day: Some(250), ..Rates::default() };
        let (scene, start) = (Scene::new(rates), Barrier::new(2));
        let ask = |_: &usize| scene.account.admit(&scene.asked(1), START, scene.table.changed()).0;
        let pass = || {
            start.wait();
            (0..EACH).filter(|number| matches!(ask(number), Verdict::Passes(_))).count()
        };
        let passed: usize = std::thread::scope(|threads| {
            [threads.spawn(pass), threads.spawn(pass)].map(|thread| thread.join().unwrap()).iter().sum()
        });
        assert_eq!(passed, 201);
    }
}

#[test]
fn of_the_requests_of_several_threads_never_more_are_at_once() {
    const EACH: usize = 20_000;
    let scene = Scene::new(Rates { in_flight: Some(1), ..Rates::default() });
    let (at_once, start) = (std::sync::atomic::AtomicU32::new(0), Barrier::new(2));
    let pass = || {
        start.wait();
        for _ in 0..EACH {
            let Some(held) = scene.account.admit(&scene.asked(1), START, scene.table.changed()).1 else {
                continue;
            };
            assert_eq!(at_once.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
            at_once.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            drop(held);
        }
    };
    std::thread::scope(|threads| {
        threads.spawn(pass);
        threads.spawn(pass);
    });
    assert_eq!(scene.look(1, START).left, 0);
    assert!(scene.look(1, START).passes());
}
