//! What must be true of what was forwarded: it has one reading, and that is the reading of what was sent.

use keyward::message::target;
use keyward::web::client_address::Trust;

use super::super::fields::{folded, is_kept_back};
use super::super::strict::{self, Framing, Head, Read};
use super::Seen;
use super::bed::{CONFIGURED, PEER};

/// A request as it was sent, strictly read.
struct Sent<'a> {
    head: Head<'a>,
    framing: Framing,
    body: Read<Vec<u8>>,
}

/// Fields that every forwarded request has once.
const OWN: [&str; 6] =
    ["host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-request-id"];

/// Holds every request that was admitted against the strict reading of the stream. Where that ends, nothing may be
/// admitted any more.
pub fn hold(seen: &[Seen], stream: &[u8], trust: Trust) {
    let sent = read_all(stream);
    for (at, seen) in seen.iter().enumerate() {
        let Some(forwarded) = &seen.forwarded else { continue };
        let Some(sent) = sent.get(at) else {
            panic!("request {at} is admitted, and strictly there is none: {}", forwarded.escape_ascii())
        };
        hold_line(forwarded, sent);
        hold_own(&reread(forwarded), sent, trust);
        hold_passed(&reread(forwarded), &sent.head, trust);
        if let Some(body) = &seen.body {
            match &sent.body {
                Read::Whole(strictly, _) => assert_eq!(body, strictly, "the body of request {at}"),
                other => panic!("the body of request {at} is whole, and strictly it is {other:?}"),
            }
        }
    }
}

fn read_all(stream: &[u8]) -> Vec<Sent<'_>> {
    let mut all = Vec::new();
    let mut rest = stream;
    loop {
        // Empty lines before a request are legal (RFC 9112 §2.2).
        while let Some(behind) = rest.strip_prefix(b"\r\n") {
            rest = behind;
        }
        let Read::Whole(head, length) = strict::request(rest) else { return all };
        rest = &rest[length..];
        let Ok(framing) = head.framing() else { return all };
        let body = match framing {
            Framing::Silent => Read::Whole(Vec::new(), 0),
            Framing::Length(length) => {
                match usize::try_from(length).ok().and_then(|length| rest.get(..length)) {
                    Some(body) => Read::Whole(body.to_vec(), body.len()),
                    None => Read::Part,
                }
            }
            Framing::Chunked => strict::chunked(rest),
        };
        let end = if let Read::Whole(_, length) = &body { Some(*length) } else { None };
        all.push(Sent { head, framing, body });
        match end {
            Some(length) => rest = &rest[length..],
            None => return all,
        }
    }
}

fn reread(forwarded: &[u8]) -> Head<'_> {
    match strict::request(forwarded) {
        Read::Whole(head, length) if length == forwarded.len() => head,
        other => panic!("forwarded, and strictly it is {other:?}: {}", forwarded.escape_ascii()),
    }
}

fn hold_line(forwarded: &[u8], sent: &Sent<'_>) {
    let [method, target, version] = reread(forwarded).line;
    assert_eq!((method, version), (sent.head.line[0], &b"HTTP/1.1"[..]));
    let (path, query) = split(target);
    let (sent_path, sent_query) = split(sent.head.line[1]);
    assert_eq!(query, sent_query, "the query");
    let canonical = target::canonical(sent_path).expect("what is refused is not forwarded");
    assert_eq!(path, canonical.as_str(), "what is forwarded is what is matched");
    assert_eq!(target::canonical(path).as_ref().map(target::Path::as_str), Ok(path));
}

/// Path and query of a target in origin form or absolute form.
fn split(target: &[u8]) -> (&str, Option<&str>) {
    let target = std::str::from_utf8(target).expect("visible ASCII");
    let behind_host = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            &rest[end..]
        }
        _ => target,
    };
    let (path, query) = match behind_host.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (behind_host, None),
    };
    (if path.is_empty() { "/" } else { path }, query)
}

/// What Keyward says itself.
fn hold_own(forwarded: &Head<'_>, sent: &Sent<'_>, trust: Trust) {
    for name in OWN {
        assert_eq!(forwarded.all(name).len(), 1, "{name}");
    }
    assert_eq!(forwarded.all("host"), sent.head.all("host"));
    assert_eq!(forwarded.framing(), Ok(sent.framing), "where the body ends");
    assert!(sent.framing != Framing::Chunked || sent.head.line[2] == b"HTTP/1.1", "chunks in HTTP/1.0");
    if let (Framing::Length(length), [value]) = (sent.framing, &*forwarded.all("content-length")) {
        assert_eq!(*value, length.to_string().as_bytes());
    }
    let told = forwarded.all("x-forwarded-for").concat();
    let last = told.rsplit(|byte| *byte == b',').next().map(<[u8]>::trim_ascii);
    assert_eq!(last, Some(PEER.as_bytes()), "who sent it");
    if trust == Trust::Untrusted {
        assert_eq!(told, PEER.as_bytes());
        assert_eq!(forwarded.all("x-forwarded-proto"), [b"http"]);
        assert_eq!(forwarded.all("x-forwarded-host"), sent.head.all("host"));
    }
    assert_eq!(forwarded.all("x-forwarded-port"), [b"8080"]);
}

/// What passed, and what must have.
fn hold_passed(forwarded: &Head<'_>, sent: &Head<'_>, trust: Trust) {
    for (name, value) in &forwarded.fields {
        let name = std::str::from_utf8(name).expect("a token");
        let own = OWN.contains(&name) || matches!(name, "content-length" | "transfer-encoding");
        if own || name == "te" && *value == b"trailers" || name == "trailer" {
            continue;
        }
        assert!(!is_ours(name) && (!is_kept_back(name) || is_vouched_for(name, trust)), "{name} passes");
        assert!(!is_named(sent, name) || name == "close", "{name} passes, which Connection names");
        assert_eq!(forwarded.all(name), sent.all(name), "{name}");
    }
    for (name, _) in &sent.fields {
        let name = std::str::from_utf8(name).expect("a token");
        let traces = ["traceparent", "tracestate"].contains(&folded(name.as_bytes()).as_str());
        if !is_ours(name) && !is_kept_back(name) && !is_named(sent, name) && !traces {
            assert!(!forwarded.all(name).is_empty(), "{name} is missing");
        }
    }
    assert!(forwarded.all("traceparent").len() < 2);
}

/// Whether only this configuration keeps it back.
fn is_ours(name: &str) -> bool {
    CONFIGURED.contains(&folded(name.as_bytes()).as_str())
}

/// Whether a trusted peer may say it, under its plain name.
fn is_vouched_for(name: &str, trust: Trust) -> bool {
    let families = [
        "x-forwarded",
        "x-original-",
        "x-rewrite-",
        "forwarded",
        "x-real-ip",
        "x-client-ip",
        "true-client-ip",
    ];
    trust == Trust::Trusted
        && families.iter().any(|family| name.starts_with(family))
        && !name.contains(['_', '.'])
}

fn is_named(sent: &Head<'_>, name: &str) -> bool {
    let values = sent.all("connection");
    values
        .iter()
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
}
