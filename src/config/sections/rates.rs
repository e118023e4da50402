//! `limits`: how many requests whom.

use std::ops::RangeInclusive;

use crate::config::kind::number::Count;
use crate::config::kind::text::Name;
use crate::config::kind::words::{Switch, Words};
use crate::config::problem::Problem;
use crate::config::section::Section;
use crate::config::source::Span;
use crate::config::{Auth, LimitMode, Limits, Route};
use crate::limits::{self, FailureLimit, Overrides, Plans, Rates};

const MODES: Words<LimitMode> = Words(&[("enforce", LimitMode::Enforce), ("shadow", LimitMode::Shadow)]);
const MANY: Count = within(&limits::PER_MINUTE);
const DAILY: Count = within(&limits::PER_DAY);
const BURST: Count = within(&limits::BURST);
const AT_ONCE: Count = within(&limits::IN_FLIGHT);

const fn within(bounds: &RangeInclusive<u64>) -> Count {
    Count { least: *bounds.start(), most: *bounds.end() }
}

/// A key with a typing error fails now and then, somebody who tries them does all the time.
const FAILURES: u64 = 300;
const FAILURES_MOST: Count = Count { least: 0, most: 1_000_000 };

/// `limits`.
pub(super) fn limits(s: &mut Section<'_>, routes: &[Route]) -> Limits {
    let comment = "enforce, or shadow: count and tell what would be refused, and refuse nothing.";
    let mode = s.value("mode", &MODES, LimitMode::Enforce, comment).value;
    let account = s.section("account", "Of each account without a plan.", |s| {
        let said = overrides(s);
        let rates = said.over(&Rates::default());
        tell_if_unpaced(s, s.at(), &said, &rates);
        tell_if_never_on(s, routes, &rates);
        rates
    });
    let comment = "Plans by name, which accounts are given; what one does not say is as under `account`.";
    let plans = s.map("plans", &Name, "pro", comment, |s| {
        let said = overrides(s);
        tell_if_unpaced(s, s.at(), &said, &said.over(&account));
        tell_if_never_on(s, routes, &said.said_over(&account));
        said
    });
    let plans = Plans::new(account, plans.into_iter().map(|(name, said)| (name.value, said)));
    let comment = "Of each client address: how often it may send a credential that turns out to be unknown.";
    let failures = s.section("failures", comment, failures);
    let comment = "Whether answers carry X-RateLimit-Limit, -Remaining and -Reset as well.";
    let legacy_fields = s.value("x_ratelimit", &Switch, false, comment).value;
    let refuses = mode == LimitMode::Enforce;
    let failures = (failures > 0).then_some(FailureLimit { per_minute: failures, refuses });
    Limits { mode, plans, failures, legacy_fields }
}

fn failures(s: &mut Section<'_>) -> u64 {
    let comment = "Unknown credentials a minute; over that only known ones pass. 0 = no limit.";
    s.value("per_minute", &FAILURES_MOST, FAILURES, comment).value
}

/// Warns of a pace that nothing is paced by.
pub(super) fn tell_if_unpaced(s: &Section<'_>, at: Span, said: &Overrides, rates: &Rates) {
    if said.smooth.is_some() && rates.per_minute.is_none() {
        let message = "`smooth` limits nothing here: there is no `per_minute` that it could spread out";
        s.tell(Problem::warning(at, message).help("add `per_minute`, or leave `smooth` out"));
    }
}

/// Warns of limits of accounts that no request of one of these routes ever passes.
fn tell_if_never_on(s: &Section<'_>, routes: &[Route], rates: &Rates) {
    for Route { name, cost, .. } in routes.iter().filter(|route| route.auth != Auth::Public) {
        tell_if_never(s, s.at(), (rates, *cost), &format!("route `{name}`"));
    }
}

/// Warns of limits that no request of a route ever passes.
pub(super) fn tell_if_never(s: &Section<'_>, at: Span, (rates, cost): (&Rates, u32), route: &str) {
    let minute = rates
        .per_minute
        .map(|quota| (rates.smooth.map_or("per_minute", |_| "smooth.burst"), rates.smooth.unwrap_or(quota)));
    let limits = [minute, rates.per_day.map(|quota| ("per_day", quota))];
    for (name, most) in limits.into_iter().flatten().filter(|(_, most)| *most < u64::from(cost)) {
        let message =
            format!("a request on {route} counts as {cost}, which `{name}: {most}` never lets pass");
        s.tell(
            Problem::warning(at, message)
                .help(format!("give the route a lower `cost`, or `{name}` at least {cost}")),
        );
    }
}

/// What a section says of how much.
pub(super) fn overrides(s: &mut Section<'_>) -> Overrides {
    let per_minute = s.value("per_minute", &MANY, 0, "Requests a minute; 0 = no limit.");
    let per_day = s.value("per_day", &DAILY, 0, "Requests a day (UTC); 0 = no limit.");
    let comment = "Instead of a window of a minute an even pace, with so many at once.";
    let smooth = s.absent_section("smooth", comment, |s| {
        s.value("burst", &BURST, 10, "How many may come at once.").value
    });
    let in_flight = s.value("in_flight", &AT_ONCE, 0, "Requests at once; 0 = no limit.");
    Overrides {
        per_minute: per_minute.given.then_some(per_minute.value),
        smooth,
        per_day: per_day.given.then_some(per_day.value),
        in_flight: in_flight.given.then(|| u32::try_from(in_flight.value).unwrap_or(u32::MAX)),
    }
}
