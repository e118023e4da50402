//! Every rule of counting against a model that does the same in another way.

use std::sync::Arc;
use std::time::Duration;

use super::{
    Account, Asked, InFlight, Moment, Overrides, Policy, Rates, Report, Standing, Table, Today, Verdict,
};
use crate::clock::Tick;

mod account;
mod day;
mod failures;
mod pace;
mod table;
mod window;

/// Noon of the first day, and some time after the process began.
const START: Moment =
    Moment { tick: Tick(5_000_000_000), today: Today { number: 1, left: Duration::from_hours(12) } };

/// One account with limits of its own and nothing else.
struct Scene {
    table: Table,
    account: Arc<Account>,
    rates: Rates,
}

impl Scene {
    fn new(rates: Rates) -> Self {
        let table = Table::default();
        let account = table.account(7);
        Self { table, account, rates }
    }

    const fn asked(&self, cost: u32) -> Asked<'_> {
        Asked { cost, account: &self.rates, key: None, route: None }
    }

    /// How the request stood to the only limit, counted if it passed.
    fn ask(&self, cost: u32, now: Moment) -> Standing {
        only(&admit(&self.table, &self.account, &self.asked(cost), now).0)
    }

    fn look(&self, cost: u32, now: Moment) -> Standing {
        only(&self.account.look(&self.asked(cost), now))
    }
}

fn admit(
    table: &Table,
    account: &Arc<Account>,
    asked: &Asked<'_>,
    now: Moment,
) -> (Report, Option<InFlight>) {
    match account.admit(asked, now, table.changed()) {
        (Verdict::Passes(report), held) => {
            assert!(rows(&report).iter().all(|(_, standing)| standing.passes()));
            (report, held)
        }
        (Verdict::Refused(report), held) => {
            assert!(held.is_none() && rows(&report).iter().any(|(_, standing)| !standing.passes()));
            (report, held)
        }
    }
}

fn rows(report: &Report) -> Vec<(Policy, Standing)> {
    report.rows().collect()
}

fn only(report: &Report) -> Standing {
    let rows = rows(report);
    assert_eq!(rows.len(), 1);
    rows[0].1
}

fn at(tick: u64) -> Moment {
    Moment { tick: Tick(tick), ..START }
}

/// Each of a field: not said, no limit, so many.
fn said(which: u32, quota: u64) -> Option<u64> {
    [None, Some(0), Some(quota)][(which % 3) as usize]
}

/// What holds of a field where that is said of it and `base` is what it would be else.
fn holds(said: Option<u64>, base: Option<u64>) -> Option<u64> {
    match said {
        None => base,
        Some(0) => None,
        Some(quota) => Some(quota),
    }
}

#[test]
fn what_is_said_holds_and_what_is_not_said_somebody_else_says() {
    for case in 0..81 {
        let own = Overrides {
            per_minute: said(case, 10),
            smooth: said(case / 3, 20),
            per_day: said(case / 9, 30),
            in_flight: said(case / 27, 40).map(|most| u32::try_from(most).unwrap()),
        };
        for bases in 0..16 {
            let base = |bit: u32, quota: u64| (bases & bit > 0).then_some(quota);
            let base = Rates {
                per_minute: base(1, 1),
                smooth: base(1, 2).and(base(2, 2)),
                per_day: base(4, 3),
                in_flight: base(8, 4).map(|_| 4),
            };
            let rates = own.over(&base);
            let per_minute = holds(own.per_minute, base.per_minute);
            assert_eq!(rates.per_minute, per_minute, "{own:?} over {base:?}");
            assert_eq!(rates.per_day, holds(own.per_day, base.per_day), "{own:?} over {base:?}");
            let in_flight = holds(own.in_flight.map(u64::from), base.in_flight.map(u64::from));
            assert_eq!(rates.in_flight.map(u64::from), in_flight, "{own:?} over {base:?}");
            // Whoever says how many a minute says at which pace, too.
            let pace = if own.per_minute.is_some() { None } else { base.smooth };
            let pace = holds(own.smooth, pace).filter(|_| per_minute.is_some());
            assert_eq!(rates.smooth, pace, "{own:?} over {base:?}");
        }
    }
}
