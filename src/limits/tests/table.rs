//! The table: one account by each id, none forgotten that counts, and no count lost on its way to the store.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{Account, Arc, Moment, Rates, START, Table, Tick, Today, admit};
use crate::clock::Timestamp;
use crate::limits::{Asked, DayCount, Subject};

const IDS: u128 = 4;

fn ask(table: &Table, id: u128, rates: &Rates, now: Moment) -> Arc<Account> {
    let account = table.account(id);
    admit(table, &account, &Asked { cost: 1, account: rates, key: None, route: None }, now);
    account
}

const NOON: Timestamp = Timestamp((20_000 * 24 + 12) * 3_600_000);

/// A table at [`START`].
fn begun() -> Table {
    let table = Table::default();
    assert_eq!(table.moment(START.tick, NOON).today, START.today);
    table
}

fn tomorrow() -> Moment {
    Moment { today: Today { number: START.today.number + 1, ..START.today }, ..START }
}

/// A worker that took its moment before midnight, and came to count after another had begun the next day.
#[test]
fn who_is_late_at_midnight_counts_in_the_new_day_and_forgets_none_of_it() {
    let (table, rates) = (begun(), Rates { per_day: Some(3), ..Rates::default() });
    let left = |now| {
        let account = table.account(1);
        let asked = Asked { cost: 1, account: &rates, key: None, route: None };
        let (report, _) = admit(&table, &account, &asked, now);
        report.rows().map(|(_, standing)| standing.left).collect::<Vec<_>>()
    };
    assert_eq!(left(START), [2]);
    assert_eq!(left(tomorrow()), [2]);
    assert_eq!(left(START), [1]);
    assert_eq!(left(tomorrow()), [0]);
}

#[derive(Clone, Debug)]
enum Life {
    Hold(u128),
    LetGo(u128),
    Count(u128),
    Sweep,
    Pass(u64),
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let life = prop_oneof![
        (0..IDS).prop_map(Life::Hold),
        (0..IDS).prop_map(Life::LetGo),
        (0..IDS).prop_map(Life::Count),
        Just(Life::Sweep),
        (0..40_000_000_u64).prop_map(Life::Pass),
    ];
    proptest::collection::vec(life, 1..120)
}

proptest! {
    #[test]
    fn an_account_is_the_same_while_it_is_held_or_counts_and_then_forgotten(lives in lives()) {
        let (table, rates, mut now) =
            (Table::default(), Rates { per_minute: Some(3), ..Rates::default() }, START);
        let (mut held, mut counts_until) = (HashMap::<u128, Arc<Account>>::new(), HashMap::<u128, u64>::new());
        for life in lives {
            match life {
                Life::Hold(id) => drop(held.insert(id, table.account(id))),
                Life::LetGo(id) => drop(held.remove(&id)),
                Life::Count(id) => {
                    ask(&table, id, &rates, now);
                    let until = counts_until.entry(id).or_default();
                    if *until <= now.tick.0 {
                        *until = now.tick.0 + 60_000_000;
                    }
                }
                Life::Pass(time) => now.tick = Tick(now.tick.0 + time),
                Life::Sweep => {
                    table.sweep(now);
                    for id in 0..IDS {
                        let counts = counts_until.get(&id).is_some_and(|until| now.tick.0 < *until);
                        prop_assert_eq!(table.known(id).is_some(), counts || held.contains_key(&id));
                    }
                }
            }
            for (id, account) in &held {
                prop_assert!(Arc::ptr_eq(account, &table.account(*id)));
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Writing {
    Count(u128),
    Take,
    Read(prop::sample::Index),
    Written(prop::sample::Index),
    Failed(prop::sample::Index),
    Sweep,
}

fn writings() -> impl Strategy<Value = Vec<Writing>> {
    let writing = prop_oneof![
        3 => (0..IDS).prop_map(Writing::Count),
        1 => Just(Writing::Take),
        1 => any::<prop::sample::Index>().prop_map(Writing::Read),
        1 => any::<prop::sample::Index>().prop_map(Writing::Written),
        1 => any::<prop::sample::Index>().prop_map(Writing::Failed),
        1 => Just(Writing::Sweep),
    ];
    proptest::collection::vec(writing, 1..120)
}

/// Some that were taken, and their counts once they were read.
type Batch = (Vec<Arc<Account>>, Vec<DayCount>);

fn written(store: &mut HashMap<u128, u64>, days: &[DayCount]) {
    for day in days {
        let used = store.entry(day.account).or_default();
        *used = day.used.max(*used);
    }
}

proptest! {
    /// However takings, readings, writings and failures follow each other, what was counted is written in the end.
    #[test]
    fn no_count_of_a_day_is_lost_on_its_way_to_the_store(writings in writings()) {
        let (table, rates) = (begun(), Rates { per_day: Some(1000), ..Rates::default() });
        let (mut counted, mut store) = (HashMap::<u128, u64>::new(), HashMap::new());
        let mut batches: Vec<Batch> = Vec::new();
        for writing in writings {
            match writing {
                Writing::Count(id) => {
                    ask(&table, id, &rates, START);
                    *counted.entry(id).or_default() += 1;
                }
                Writing::Take => batches.push((table.take_changed(), Vec::new())),
                // Nobody keeps an account for long that is not in the table any more.
                Writing::Sweep => table.sweep(START),
                _ if batches.is_empty() => {}
                Writing::Read(index) => {
                    let (accounts, days) = index.get_mut(&mut batches);
                    *days = table.days(accounts, NOON);
                }
                Writing::Written(index) => {
                    let (accounts, _) = batches.swap_remove(index.index(batches.len()));
                    written(&mut store, &table.days(&accounts, NOON));
                }
                Writing::Failed(index) => table.not_written(batches.swap_remove(index.index(batches.len())).0),
            }
        }
        for (accounts, _) in batches {
            table.not_written(accounts);
        }
        written(&mut store, &table.days(&table.take_changed(), NOON));
        prop_assert_eq!(store, counted);
        prop_assert!(table.take_changed().is_empty());
    }
}

#[test]
fn what_was_counted_after_its_count_was_read_is_told_again() {
    let (table, rates) = (begun(), Rates { per_day: Some(10), ..Rates::default() });
    let account = ask(&table, 1, &rates, START);
    let used = |accounts: &[Arc<Account>]| table.days(accounts, NOON).iter().map(|day| day.used).sum::<u64>();
    let taken = table.take_changed();
    assert_eq!(used(&taken), 1);
    ask(&table, 1, &rates, START);
    assert_eq!(used(&table.take_changed()), 2);
    assert!(Arc::ptr_eq(&account, &taken[0]));
}

#[test]
fn what_was_used_of_today_elsewhere_is_added() {
    let (table, rates) = (Table::default(), Rates { per_day: Some(10), ..Rates::default() });
    let route: Arc<str> = "orders".into();
    let account = table.account(3);
    let asked = Asked { cost: 1, account: &rates, key: None, route: Some((&route, &rates)) };
    let left = |now| account.look(&asked, now).rows().map(|(_, it)| it.left).collect::<Vec<_>>();
    admit(&table, &account, &asked, START);
    assert_eq!(left(START), [8, 8]);
    let known = |subject: Subject, used| DayCount { account: 3, subject, day: 0, used };
    table.add(&[known(Subject::Account, 4), known(Subject::Route(Arc::clone(&route)), 6)], START);
    assert_eq!(left(START), [4, 2]);
    assert_eq!(left(tomorrow()), [9, 9]);
}

#[test]
fn keys_that_come_and_go_make_room_for_each_other_and_none_that_counts_is_forgotten() {
    let (table, account) = (Table::default(), Table::default().account(1));
    let rates = |per_minute, per_day| Rates { per_minute, per_day, ..Rates::default() };
    let (none, a_minute, a_day) = (Rates::default(), rates(Some(1), None), rates(None, Some(9)));
    let ask = |key: &Arc<str>, rates: &Rates, now| {
        let asked = Asked { cost: 1, account: &none, key: Some((key, rates)), route: None };
        admit(&table, &account, &asked, now)
            .0
            .rows()
            .map(|(_, it)| (it.passes(), it.left))
            .collect::<Vec<_>>()
    };
    let lasting: Arc<str> = "lasting".into();
    assert_eq!(ask(&lasting, &a_day, START), [(true, 8)]);
    for number in 0..100 {
        let now = Moment { tick: Tick(START.tick.0 + number * 60_000_000), ..START };
        let key: Arc<str> = number.to_string().into();
        assert_eq!(ask(&key, &a_minute, now), [(true, 0)]);
        assert_eq!(ask(&key, &a_minute, now), [(false, 0)]);
        assert_eq!(account.others(), 2);
    }
    assert_eq!(ask(&lasting, &a_day, START), [(true, 7)]);
}
