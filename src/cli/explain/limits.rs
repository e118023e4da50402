//! Which limits a request has, and where they come from. What is used of them only the server knows that counts.

use super::Story;
use crate::auth::refusal::Refusal;
use crate::authenticator::Valid;
use crate::clock::{Tick, Timestamp};
use crate::config::{LimitMode, Limits};
use crate::limits::{Policy, Span, Table};
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
        let source = source(policy, account.as_ref(), &plan.config.limits);
        story.tell("limits", format!("{}: {} {time}{source}", policy.as_str(), standing.quota));
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

/// Who says so.
fn source(policy: Policy, account: Option<&Account>, limits: &Limits) -> String {
    let is_said: fn(&Account) -> bool = match policy {
        Policy::Minute => |account| account.limits.per_minute.is_some(),
        Policy::Day => |account| account.limits.per_day.is_some(),
        Policy::InFlight => |account| account.limits.in_flight.is_some(),
        Policy::KeyMinute | Policy::KeyDay | Policy::KeyInFlight => return " (the key's own)".to_owned(),
        Policy::RouteMinute | Policy::RouteDay | Policy::RouteInFlight => return " (the route's)".to_owned(),
    };
    let Some(account) = account else { return String::new() };
    match account.plan.as_deref().filter(|plan| limits.plans.contains_key(*plan)) {
        _ if is_said(account) => " (the account's own)".to_owned(),
        Some(plan) => format!(" (plan {plan})"),
        None => " (limits.account)".to_owned(),
    }
}
