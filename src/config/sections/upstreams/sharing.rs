//! How requests are shared out among an upstream's servers, and what becomes of one that fails.

use std::time::Duration;

use crate::config::kind::http::FieldName;
use crate::config::kind::number::Count;
use crate::config::kind::target::Target;
use crate::config::kind::time::Span;
use crate::config::section::Section;
use crate::config::{Balance, Ejection, HealthCheck, UpstreamMax};

const IN_A_ROW: Count = Count { least: 1, most: 100 };
const AT_ONCE: Count = Count { least: 0, most: 10_000_000 };
const FAILURES: Count = Count { least: 0, most: 10_000 };
const STATUS: Count = Count { least: 100, most: 599 };

/// `balance`.
pub(super) fn balance(s: &mut Section<'_>) -> Balance {
    let comment =
        "least_requests, round_robin, or hash: each account, or each value of a field, has its server.";
    let read = s.tagged("balance", &["least_requests", "round_robin", "hash"], &["hash"], comment, |s| {
        s.required("field", &FieldName::Sharing, "X-Tenant", "The field of the request.")
    });
    match read {
        Some(("round_robin", _)) => Balance::RoundRobin,
        Some(("hash", None)) => Balance::HashAccount,
        Some(("hash", Some(Some(field)))) => Balance::HashField(field.value),
        _ => Balance::LeastRequests,
    }
}

/// `health`.
pub(super) fn health(s: &mut Section<'_>) -> Option<HealthCheck> {
    let comment = "Asking the servers whether they are well; absent = not at all.";
    s.optional_section("health", comment, |s| {
        let path = s.required("path", &Target, "/health", "What they are asked for, by GET.");
        let comment = "Between two questions to each.";
        let interval = s.value("interval", &Span::SOME, Duration::from_secs(5), comment).value;
        let comment = "How long an answer may take.";
        let timeout = s.value("timeout", &Span::SOME, Duration::from_secs(2), comment).value;
        let comment = "Good answers in a row after which a server gets requests again.";
        let healthy_after = small(s.value("healthy_after", &IN_A_ROW, 2, comment).value);
        let comment = "Bad answers in a row after which it gets none while another is well.";
        let unhealthy_after = small(s.value("unhealthy_after", &IN_A_ROW, 3, comment).value);
        let statuses = statuses(s, "Good statuses, such as [200]; none listed = 200 to 399.");
        let path = path?.value;
        Some(HealthCheck { path, interval, timeout, healthy_after, unhealthy_after, statuses })
    })
    .flatten()
}

fn statuses(s: &mut Section<'_>, comment: &'static str) -> Vec<u16> {
    let statuses = s.scalars("statuses", &STATUS, comment).into_iter();
    statuses.map(|status| u16::try_from(status.value).unwrap_or_default()).collect()
}

/// `max`.
pub(super) fn max(s: &mut Section<'_>) -> UpstreamMax {
    s.section("max", "How much may be under way to its servers together.", |s| {
        let comment = "Requests at once, tunnels included; 0 = no limit.";
        let in_flight = s.value("in_flight", &AT_ONCE, 0, comment).value;
        let comment = "Connections to each server at once, of all workers, tunnels included; 0 = no limit.";
        let connections = s.value("connections", &AT_ONCE, 0, comment).value;
        let comment = "Requests that wait for timeouts.connect for in_flight, and for connections to each server; all others are refused.";
        let pending = s.value("pending", &AT_ONCE, 100, comment).value;
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let limit = |most: u64| (most > 0).then_some(number(most));
        UpstreamMax {
            in_flight: limit(in_flight),
            connections: limit(connections),
            pending: number(pending),
        }
    })
}

/// `ejection`.
pub(super) fn ejection(s: &mut Section<'_>) -> Ejection {
    let comment = "When a server that fails gets no requests for a while; never the last one.";
    s.section("ejection", comment, |s| {
        let comment =
            "Failures in a row: no connection, no answer in time, or none that can be passed on; 0 = never.";
        let failures = small(s.value("failures", &FAILURES, 5, comment).value);
        let rest = s.value("for", &Span::SOME, Duration::from_secs(10), "For how long.").value;
        let comment = "How long it takes afterwards to have its whole share again.";
        let slow_start = s.value("slow_start", &Span::ANY, Duration::from_secs(10), comment).value;
        let comment = "Statuses that count as failures, such as [502, 503]; none by default.";
        let statuses = statuses(s, comment);
        Ejection { failures: (failures > 0).then_some(failures), rest, slow_start, statuses }
    })
}

pub(super) fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
