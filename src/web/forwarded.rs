//! What an upstream learns of the client's connection: `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`.

use http::HeaderMap;

use super::client_address::{self, Trust};
use crate::message::host::Host;

/// How a connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In clear.
    Http,
    /// By TLS.
    Https,
}

impl Scheme {
    /// The port that URLs leave out.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// The name in URLs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// The connection that a request came in on.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Who is at its other end, as text.
    pub peer: &'a [u8],
    /// Whether that one's forwarding fields count.
    pub trust: Trust,
    /// How it is secured.
    pub scheme: Scheme,
    /// The port it was accepted on, as text.
    pub port: &'a [u8],
    /// The request's host, as sent.
    pub host: &'a str,
}

impl Arrival<'_> {
    /// Gives each field to `set`, name and value; the client's own have been dropped before. From a trusted peer
    /// `-For` is appended to, `-Proto` and `-Host` are kept when there is one and it is well-formed. `-Port` always
    /// tells the real connection's.
    pub fn write(&self, headers: &HeaderMap, mut set: impl FnMut(&'static str, &[u8])) {
        let trusted = self.trust == Trust::Trusted;
        if trusted && headers.contains_key(client_address::FIELD) {
            set(client_address::FIELD, &appended(headers, self.peer));
        } else {
            set(client_address::FIELD, self.peer);
        }
        let scheme = if trusted { sent_scheme(headers) } else { None };
        set("x-forwarded-proto", scheme.unwrap_or(self.scheme).as_str().as_bytes());
        let host = if trusted { sent_host(headers) } else { None };
        set("x-forwarded-host", host.unwrap_or(self.host).as_bytes());
        set("x-forwarded-port", self.port);
    }
}

/// All values as one list, and the peer at its end.
fn appended(headers: &HeaderMap, peer: &[u8]) -> Vec<u8> {
    let mut list = Vec::with_capacity(128);
    for value in headers.get_all(client_address::FIELD) {
        let value = value.as_bytes().trim_ascii();
        if !value.is_empty() {
            list.extend_from_slice(value);
            list.extend_from_slice(b", ");
        }
    }
    list.extend_from_slice(peer);
    list
}

fn sent_scheme(headers: &HeaderMap) -> Option<Scheme> {
    match only(headers, "x-forwarded-proto")? {
        sent if sent.eq_ignore_ascii_case("https") => Some(Scheme::Https),
        sent if sent.eq_ignore_ascii_case("http") => Some(Scheme::Http),
        _ => None,
    }
}

fn sent_host(headers: &HeaderMap) -> Option<&str> {
    only(headers, "x-forwarded-host").filter(|sent| Host::parse(sent).is_some())
}

fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// A port as text without a heap.
#[derive(Clone, Copy, Debug)]
pub struct PortText([u8; 5], usize);

impl PortText {
    /// Writes a port.
    #[must_use]
    pub fn new(port: u16) -> Self {
        use std::io::Write;
        let mut bytes = [0; 5];
        let mut left = bytes.as_mut_slice();
        let written = write!(left, "{port}");
        let length = 5 - left.len();
        debug_assert!(written.is_ok(), "the longest port has 5 digits");
        Self(bytes, length)
    }

    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.get(..self.1).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(trust: Trust, fields: &[(&'static str, &str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let port = PortText::new(8080);
        let (peer, port) = (&b"10.0.0.1"[..], port.as_bytes());
        let arrival = Arrival { peer, trust, scheme: Scheme::Http, port, host: "Api.test:8080" };
        let mut lines = Vec::new();
        arrival
            .write(&headers, |name, value| lines.push(format!("{name}: {}", String::from_utf8_lossy(value))));
        lines
    }

    const OWN: [&str; 4] = [
        "x-forwarded-for: 10.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: Api.test:8080",
        "x-forwarded-port: 8080",
    ];

    #[test]
    fn an_untrusted_peer_is_told_as_it_is() {
        assert_eq!(written(Trust::Untrusted, &[]), OWN);
        let claims = [
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.test"),
            ("x-forwarded-port", "443"),
        ];
        assert_eq!(written(Trust::Untrusted, &claims), OWN);
    }

    #[test]
    fn a_trusted_peer_is_appended_and_its_scheme_and_host_are_kept() {
        assert_eq!(written(Trust::Trusted, &[]), OWN);
        let claims = [
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-for", " 10.9.9.9 , x"),
            ("x-forwarded-for", ""),
            ("x-forwarded-proto", "HTTPS"),
            ("x-forwarded-host", "shop.test"),
            ("x-forwarded-port", "443"),
        ];
        assert_eq!(
            written(Trust::Trusted, &claims),
            [
                "x-forwarded-for: 1.2.3.4, 10.9.9.9 , x, 10.0.0.1",
                "x-forwarded-proto: https",
                "x-forwarded-host: shop.test",
                "x-forwarded-port: 8080",
            ]
        );
    }

    #[test]
    fn what_a_trusted_peer_sends_malformed_is_replaced() {
        for claims in [
            [("x-forwarded-proto", "https, http"), ("x-forwarded-host", "a, b")],
            [("x-forwarded-proto", "ftp"), ("x-forwarded-host", "u@a")],
            [("x-forwarded-proto", ""), ("x-forwarded-host", "")],
            [("x-forwarded-proto", "https\t;"), ("x-forwarded-host", "a/b")],
        ] {
            assert_eq!(written(Trust::Trusted, &claims), OWN, "{claims:?}");
        }
        let twice = [("x-forwarded-proto", "https"), ("x-forwarded-proto", "https")];
        assert_eq!(written(Trust::Trusted, &twice), OWN);
    }
}
