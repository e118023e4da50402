//! The last of the judgements: whether an account, and the key that speaks for it, have any requests left. A request that passes has been counted.

use std::sync::Arc;

use super::{Decision, Rule};
use crate::auth::exceeded::{Exceeded, Over};
use crate::auth::refusal::Refusal;
use crate::authenticator::{Front, Valid};
use crate::clock::{Tick, Timestamp};
use crate::config::LimitMode;
use crate::limits::{self, Asked, InFlight, Moment, Policy, Report, Span, Standing, Told, Verdict};
use crate::telemetry::limit_counts::LimitOutcome;

/// A request that was judged by limits.
#[derive(Debug)]
pub struct Counted {
    /// How its account stands now.
    pub report: Report,
    /// Its place among those at once, where only so many may be.
    pub held: Option<InFlight>,
    /// Why it may not pass; then it was not counted.
    pub refusal: Option<Refusal>,
    /// By which fields its client is told.
    told: Told,
}

impl Decision {
    /// Judges a request on `route` by the limits of its account, its key and the route, and counts it if it passes; `None` where nothing is limited.
    #[must_use]
    pub fn limit(
        &self,
        route: usize,
        entry: &Valid,
        front: &Front,
        (tick, wall): (Tick, Timestamp),
    ) -> Option<Counted> {
        let asked = self.asked(route, entry)?;
        let account = &entry.meter().account;
        let (verdict, held) =
            account.admit(&asked, front.accounts().moment(tick, wall), front.accounts().changed());
        let (Verdict::Passes(report) | Verdict::Refused(report)) = verdict;
        Some(Counted { refusal: self.judged(route, &report).err(), report, held, told: self.told })
    }

    /// How a request on `route` would stand to its limits, without counting it; `None` where nothing is limited.
    #[must_use]
    pub fn standing(&self, route: usize, entry: &Valid, now: Moment) -> Option<Report> {
        let asked = self.asked(route, entry)?;
        Some(entry.meter().account.look(&asked, now))
    }

    /// What a request on `route` that stands so is told.
    ///
    /// # Errors
    /// When it is over a limit, and limits are in force.
    pub fn judged(&self, route: usize, report: &Report) -> Result<(), Refusal> {
        let cost = self.rules.get(route).map_or(1, |rule| rule.cost);
        let passes = report.rows().all(|(_, standing)| standing.passes());
        match self.mode {
            LimitMode::Enforce if !passes => {
                Err(Refusal::Exceeded(Arc::new(exceeded(report, cost, self.told))))
            }
            LimitMode::Enforce | LimitMode::Shadow => Ok(()),
        }
    }

    fn asked<'a>(&'a self, route: usize, entry: &'a Valid) -> Option<Asked<'a>> {
        let Rule { cost, limits: (name, rates), .. } = self.rules.get(route)?;
        entry.meter().asked(*cost, Some((name, &**rates)))
    }
}

impl Counted {
    /// What its client is told of where it stands.
    #[must_use]
    pub fn fields(&self) -> limits::Fields {
        limits::fields(&self.report, self.told)
    }

    /// What each limit decided: where one refuses, the others decided nothing.
    pub fn outcomes(&self) -> impl Iterator<Item = (Policy, LimitOutcome)> + '_ {
        let passed = self.report.rows().all(|(_, standing)| standing.passes());
        self.report.rows().filter_map(move |(policy, standing)| match (standing.passes(), &self.refusal) {
            (true, _) => passed.then_some((policy, LimitOutcome::Allowed)),
            (false, Some(_)) => Some((policy, LimitOutcome::Refused)),
            (false, None) => Some((policy, LimitOutcome::Shadowed)),
        })
    }
}

/// What is told of limits that a request is over: of the one that it has to wait for longest, and until when.
fn exceeded(report: &Report, cost: u32, told: Told) -> Exceeded {
    let refused = report.rows().filter_map(|(policy, standing)| Some((policy, standing, standing.wait?)));
    let longest = refused.max_by_key(|(_, _, wait)| *wait);
    let (policy, Standing { quota, most, .. }, wait) =
        longest.unwrap_or((Policy::Minute, Standing::default(), std::time::Duration::ZERO));
    Exceeded {
        policy: policy.as_str(),
        over: match policy.span() {
            Span::Minute => Over::Minute,
            Span::Day => Over::Day,
            Span::Now => Over::Once,
        },
        quota,
        never: u64::from(cost) > most,
        cost,
        retry_after: u32::try_from(limits::seconds(wait)).unwrap_or(u32::MAX).max(1),
        fields: limits::fields(report, told),
    }
}
