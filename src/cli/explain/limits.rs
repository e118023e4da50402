//! Which limits a request has, and where they come from. What is used of them only the server knows that counts.

use super::Story;
use crate::auth::refusal::Refusal;
use crate::authenticator::{Meter, Valid};
use crate::clock::{Tick, Timestamp};
use crate::config::{LimitMode, Route};
use crate::limits::{Overrides, Plans, Policy, Span, Table};
use crate::proxy::plan::Plan;
use crate::store::{Account, Store};

/// Tells each that applies to a request on `route`.
///
/// # Errors
/// When it could never pass.
pub(super) async fn tell(
    (plan, store): (&Plan, &dyn Store),
    route: usize,
    entry: Option<&Valid>,
    (tick, wall): (Tick, Timestamp),
    story: &mut Story,
) -> Result<(), Refusal> {
    let now = Table::default().moment(tick, wall);
    let found = entry.and_then(|entry| Some((entry, plan.decision.standing(route, entry, now)?)));
    let Some((entry, report)) = found else {
        story.tell("limits", "none apply");
        return Ok(());
    };
    // Without it, only where a limit comes from is not told.
    let account = store.account(entry.principal().identity.account()).await.ok();
    for (policy, standing) in report.rows() {
        let time = match policy.span() {
            Span::Minute => "a minute",
            Span::Day => "a day",
            Span::Now => "at once",
        };
        let pace = pace(policy, entry.meter(), plan.route(route));
        let pace =
            pace.map_or_else(String::new, |burst| format!(" at an even pace, {burst} of them at once"));
        let source = source(policy, account.as_ref(), &plan.config.limits.plans);
        story.tell("limits", format!("{}: {} {time}{pace}{source}", policy.as_str(), standing.quota));
    }
    let cost = plan.route(route).map_or(1, |route| route.cost);
    if cost > 1 {
        story.tell("limits", format!("it counts as {cost}"));
    }
    if plan.config.limits.mode == LimitMode::Shadow {
        story.tell("limits", "they are counted and told, and refuse nothing (limits.mode is shadow)");
    }
    // Of nothing used, only what never passes is refused.
    plan.decision.judged(route, &report)
}

/// How many may come at once of those of a minute, where they come at an even pace.
fn pace(policy: Policy, meter: &Meter, route: Option<&Route>) -> Option<u64> {
    match policy {
        Policy::Minute => meter.rates.smooth,
        Policy::KeyMinute => meter.key.as_ref().and_then(|key| key.rates.smooth),
        Policy::RouteMinute => route.and_then(|route| route.limits.smooth),
        _ => None,
    }
}

/// Who says so.
fn source(policy: Policy, account: Option<&Account>, plans: &Plans) -> String {
    let is_said: fn(&Overrides) -> bool = match policy {
        Policy::Minute => |said| said.per_minute.is_some(),
        Policy::Day => |said| said.per_day.is_some(),
        Policy::InFlight => |said| said.in_flight.is_some(),
        Policy::KeyMinute | Policy::KeyDay | Policy::KeyInFlight => return " (the key's own)".to_owned(),
        Policy::RouteMinute | Policy::RouteDay | Policy::RouteInFlight => return " (the route's)".to_owned(),
    };
    let Some(account) = account else { return String::new() };
    let plan = account.plan.as_deref().and_then(|name| Some((name, plans.get(name)?)));
    match plan.filter(|(_, plan)| is_said(&plan.said)) {
        _ if is_said(&account.limits) => " (the account's own)".to_owned(),
        Some((name, _)) => format!(" (plan {name})"),
        None => " (limits.account)".to_owned(),
    }
}
