//! What a peer says of others and of itself: client address, request id, trace context, preferred format.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};
use keyward::web::accept;
use keyward::web::client_address::{FIELD, Trust, TrustedProxies};
use keyward::web::forwarded::{Arrival, Scheme};
use keyward::web::request_id::RequestId;
use keyward::web::traceparent;

/// Fields that a line begins with the number of.
const NAMES: [&str; 7] = [
    FIELD,
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-request-id",
    "traceparent",
    "accept",
    "x-forwarded-port",
];

/// Takes the input as lines: a digit that names a field, and its value.
pub fn run(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Some((digit, value)) = line.split_first() else { continue };
        let name = NAMES[usize::from(digit.wrapping_sub(b'0')) % NAMES.len()];
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    judge_client(&headers);
    judge_written(&headers);
    judge_ids(&headers);
    // Its verdict is held by tests; here it has only to give one.
    let _ = accept::negotiate(&headers);
}

/// The rightmost address that nobody vouches for, found from a list of all.
fn judge_client(headers: &HeaderMap) {
    let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().expect("a network"));
    let trusted = TrustedProxies::new(&networks);
    let peer = IpAddr::from([10, 1, 2, 3]);
    let told: Vec<Option<IpAddr>> = headers
        .get_all(FIELD)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|entry| !entry.is_empty())
        .map(|entry| std::str::from_utf8(entry).ok().and_then(address))
        .collect();
    let mut client = peer;
    for entry in told.into_iter().rev() {
        let vouched_for = trusted.trust(client) == Trust::Trusted;
        match entry {
            Some(entry) if vouched_for => client = entry,
            _ => break,
        }
    }
    assert_eq!(trusted.client(peer, headers), client, "{:?}", headers.get_all(FIELD));
    let stranger = IpAddr::from([192, 0, 2, 1]);
    assert_eq!(trusted.client(stranger, headers), stranger);
}

/// An address with or without brackets and port.
fn address(text: &str) -> Option<IpAddr> {
    let inner = match text.strip_prefix('[') {
        Some(rest) => {
            let (inner, port) = rest.split_once(']')?;
            let fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            return inner
                .parse()
                .ok()
                .filter(|_| fits)
                .map(|address: std::net::Ipv6Addr| IpAddr::V6(address).to_canonical());
        }
        None => match text.split_once(':') {
            Some((before, port)) if before.contains('.') && is_port(port) => before,
            _ => text,
        },
    };
    inner.parse().ok().map(|address: IpAddr| address.to_canonical())
}

fn is_port(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.trim_start_matches('0').len() < 6
        && text.parse::<u16>().is_ok()
}

/// Whatever was claimed, four proper fields are told.
fn judge_written(headers: &HeaderMap) {
    for trust in [Trust::Trusted, Trust::Untrusted] {
        let arrival =
            Arrival { peer: b"10.1.2.3", trust, scheme: Scheme::Https, port: b"443", host: "a.test" };
        let mut told = Vec::new();
        arrival.write(headers, |name, value| told.push((name, value.to_vec())));
        let names: Vec<_> = told.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"]);
        let [chain, scheme, host, port] = told.try_into().expect("four");
        assert!(chain.1.ends_with(b"10.1.2.3") && HeaderValue::from_bytes(&chain.1).is_ok());
        assert!(matches!(&*scheme.1, b"http" | b"https"));
        assert!(host.1.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(byte)));
        assert_eq!(port.1, b"443");
        if trust == Trust::Untrusted {
            assert_eq!((&*chain.1, &*scheme.1, &*host.1), (&b"10.1.2.3"[..], &b"https"[..], &b"a.test"[..]));
        }
    }
}

fn judge_ids(headers: &HeaderMap) {
    if let Some(id) = RequestId::sent(headers) {
        let text = id.as_str();
        assert_eq!(headers.get_all("x-request-id").iter().count(), 1);
        assert!((1..=128).contains(&text.len()));
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
        assert!(!id.is_uuid() || text.len() == 36);
    }
    if traceparent::is_well_formed(headers) {
        let values: Vec<_> = headers.get_all("traceparent").iter().collect();
        let [value] = &*values else { panic!("several traceparents pass") };
        let text = value.to_str().expect("visible ASCII");
        let parts: Vec<&str> = text.split('-').collect();
        assert_eq!(parts.iter().take(4).map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2]);
        assert!(
            parts[..4].iter().all(|part| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
        );
        assert!(parts[0] != "ff" && (parts[0] != "00" || parts.len() == 4));
    }
}
