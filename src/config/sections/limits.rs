//! `cache`, `timeouts` and `max`: the numbers that bound things.

use std::time::Duration;

use crate::config::kind::number::{Count, Size};
use crate::config::kind::time::Span;
use crate::config::problem::Problem;
use crate::config::section::Section;
use crate::config::{Cache, Max, Timeouts, Times};

const KIB: u64 = 1024;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `cache`.
pub(super) fn cache(s: &mut Section<'_>) -> Cache {
    let entries = Count { least: 1, most: 100_000_000 };
    Cache {
        capacity: s.value("capacity", &entries, 100_000, "Most valid credentials held.").value,
        ttl: s
            .value("ttl", &Span::SOME, seconds(60), "Longest life of one before the store is asked again.")
            .value,
        negative_capacity: s
            .value("negative_capacity", &entries, 100_000, "Most refusals held, apart from the valid.")
            .value,
        negative_ttl: s.value("negative_ttl", &Span::SOME, seconds(5), "Longest life of one.").value,
        stale_while_unavailable: s
            .value(
                "stale_while_unavailable",
                &Span::ANY,
                seconds(300),
                "How long what was good serves while the store is away; 0s = not at all.",
            )
            .value,
    }
}

/// `timeouts`.
pub(super) fn timeouts(s: &mut Section<'_>) -> Timeouts {
    let some = Span::SOME;
    let total = Span::ANY;
    let mut phase = |key, default, comment| s.value(key, &some, seconds(default), comment).value;
    let first_byte = phase("first_byte", 10, "Connection accepted to its first byte.");
    let request_head = phase("request_head", 10, "First byte of a request to the end of its fields.");
    let idle = phase("idle", 60, "Between requests on a connection.");
    let request_body_idle = phase("request_body_idle", 30, "Between pieces of a request's body.");
    let connect = phase("connect", 2, "Making a connection to an endpoint.");
    let response_head = phase("response_head", 30, "Request sent to the end of the answer's fields.");
    let response_body_idle = phase("response_body_idle", 60, "Between pieces of an answer's body.");
    let total = s.value("total", &total, seconds(0), "The whole of a request; 0s = no limit.").value;
    let upstream_idle =
        s.value("upstream_idle", &some, seconds(60), "Keeping an unused connection to an endpoint.").value;
    let tunnel_idle =
        s.value("tunnel_idle", &some, seconds(3600), "Between bytes in a tunnel, such as a WebSocket.").value;
    Timeouts {
        first_byte,
        request_head,
        idle,
        request_body_idle,
        connect,
        response_head,
        response_body_idle,
        total: (!total.is_zero()).then_some(total),
        upstream_idle,
        tunnel_idle,
    }
}

/// What a route says of its own of how long; `base` is what holds where it says nothing.
pub(super) fn times(s: &mut Section<'_>, base: &Times) -> Times {
    let some = Span::SOME;
    let mut phase = |key, default, comment| s.value(key, &some, default, comment).value;
    let comment = "Between pieces of a request's body.";
    let request_body_idle = phase("request_body_idle", base.request_body_idle, comment);
    let connect = phase("connect", base.connect, "Making a connection to an endpoint.");
    let comment = "Request sent to the end of the answer's fields.";
    let response_head = phase("response_head", base.response_head, comment);
    let comment = "Between pieces of an answer's body.";
    let response_body_idle = phase("response_body_idle", base.response_body_idle, comment);
    let comment = "The whole of a request; 0s = no limit.";
    let total = s.value("total", &Span::ANY, base.total.unwrap_or_default(), comment).value;
    let comment = "Between bytes in a tunnel, such as a WebSocket.";
    let tunnel_idle = s.value("tunnel_idle", &some, base.tunnel_idle, comment).value;
    Times {
        request_body_idle,
        connect,
        response_head,
        response_body_idle,
        total: (!total.is_zero()).then_some(total),
        tunnel_idle,
    }
}

/// What a route says of its own of how much.
pub(super) fn max_body(s: &mut Section<'_>, base: Option<u64>) -> Option<u64> {
    let body = s.value("body", &BODY, base.unwrap_or_default(), "A request's body; 0 = no limit.").value;
    (body > 0).then_some(body)
}

const BODY: Size = Size { least: 0, most: u64::MAX };

/// `max`.
pub(super) fn max(s: &mut Section<'_>) -> Max {
    let fields = Size { least: 8 * KIB, most: 1024 * KIB };
    let target = Size { least: 256, most: 1024 * KIB };
    let many = Count { least: 1, most: 10_000_000 };
    let body = max_body(s, Some(10 * KIB * KIB));
    let headers = s.value("headers", &fields, 32 * KIB, "Request line and header fields together.");
    let fields = Count { least: 1, most: 1000 };
    let header_count = s.value("header_count", &fields, 100, "Header fields of a request.").value;
    let target =
        s.value("target", &target, 16 * KIB, "The request target, query included; never more than headers.");
    let connections = s.value("connections", &many, 20_000, "Client connections at once.").value;
    let streams = Count { least: 1, most: 1000 };
    let streams = s.value("streams", &streams, 100, "Requests at once on one connection of HTTP/2.").value;
    let in_flight = s.value("in_flight", &many, 10_000, "Requests at once.").value;
    let tunnels = s.value("tunnels", &many, 10_000, "Tunnels at once, such as WebSockets.").value;
    if target.given && target.value > headers.value {
        s.tell(
            Problem::error(target.at, "`target` is larger than `headers`, of which it is a part")
                .expected("a target of at most headers (32KiB by default)"),
        );
    }
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Max {
        body,
        headers: number(headers.value),
        header_count: number(header_count),
        target: number(target.value.min(headers.value)),
        connections: number(connections),
        streams: u32::try_from(streams).unwrap_or(u32::MAX),
        in_flight: number(in_flight),
        tunnels: number(tunnels),
    }
}
