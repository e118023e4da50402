//! `GET /user/limits`: where an account stands. Answered by the worker, which counts on the same.

use http::request::Parts;
use serde_json::{Value, json};

use super::json_answer;
use crate::authenticator::Front;
use crate::limits::{self, Policy, Report, Standing};
use crate::proxy::ticket::Ticket;
use crate::web::errand::Reply;

/// The limits of the account that `ticket` speaks for, of its key as well where that has its own, and what is left of them.
/// Asking counts nothing.
pub(super) fn answer(parts: &Parts, ticket: &Ticket, front: &Front) -> Reply {
    let (tick, wall) = ticket.arrived();
    let now = front.accounts().moment(tick, wall);
    let report = ticket.entry.as_deref().and_then(|entry| entry.meter().standing(now));
    let rows: Vec<Value> = report.iter().flat_map(Report::rows).map(row).collect();
    let response = json_answer(&parts.method, &json!({ "limits": rows }));
    Reply { response, code: None, caller: None }
}

fn row((policy, standing): (Policy, Standing)) -> Value {
    json!({
        "policy": policy.as_str(),
        "quota": standing.quota,
        "remaining": standing.left,
        "reset_seconds": limits::seconds(standing.reset),
    })
}
