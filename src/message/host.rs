//! The one authority of a request (RFC 9112 §3.2, RFC 9113 §8.3.1).

use std::borrow::Cow;
use std::net::Ipv6Addr;

use http::Uri;

/// The longest DNS name, in characters (RFC 1035 §2.3.4).
const NAME_MAX: usize = 253;

/// Who a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    name: Cow<'a, str>,
    port: Option<u16>,
    sent: &'a str,
}

impl<'a> Host<'a> {
    /// Reads `name`, `name:port`, `192.0.2.1` or `[2001:db8::1]`; `None` when it is anything else: user information, a
    /// path, spaces, an empty label, a port that is empty, zero or too large. Underscores pass, for container networks
    /// use them; one dot at the end is dropped from the name.
    #[must_use]
    pub fn parse(sent: &'a str) -> Option<Self> {
        let (name, port) = if sent.starts_with('[') { literal(sent)? } else { named(sent)? };
        let port = match port {
            None => None,
            Some(digits) => Some(parse_port(digits)?),
        };
        Some(Self { name, port, sent })
    }

    /// The name in lower case, without port and without a dot at the end; IPv6 in brackets and in its shortest form.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port, where one was sent.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The value as sent.
    #[must_use]
    pub const fn sent(&self) -> &'a str {
        self.sent
    }

    /// Whether both name the same server, the scheme's own port being the same as none.
    #[must_use]
    fn agrees(&self, other: &Self, scheme: Option<&str>) -> bool {
        let usual = match scheme {
            Some("http") => Some(80),
            Some("https") => Some(443),
            _ => None,
        };
        self.name == other.name && self.port.or(usual) == other.port.or(usual)
    }
}

/// The authority of a request from its target and its `Host` field; `None` when there is none, or they contradict.
/// `field` is the value of the only `Host` field.
pub(super) fn of<'a>(uri: &'a Uri, field: Option<&'a [u8]>, rule: FieldRule) -> Option<Host<'a>> {
    let field = match field {
        Some(value) => Some(Host::parse(std::str::from_utf8(value).ok()?)?),
        None => None,
    };
    let target = match uri.authority() {
        Some(authority) => Some(Host::parse(authority.as_str())?),
        None => None,
    };
    match (field, target) {
        (Some(field), None) => Some(field),
        (Some(field), Some(target)) => field.agrees(&target, uri.scheme_str()).then_some(field),
        (None, target) if rule == FieldRule::Optional => target,
        (None, _) => None,
    }
}

/// Whether a request needs the field beside its target.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldRule {
    /// HTTP/1: always.
    Required,
    /// HTTP/2: `:authority` does.
    Optional,
}

type NameAndPort<'a> = (Cow<'a, str>, Option<&'a str>);

fn literal(sent: &str) -> Option<NameAndPort<'_>> {
    let (address, after) = sent.strip_prefix('[')?.split_once(']')?;
    let port = match after {
        "" => None,
        _ => Some(after.strip_prefix(':')?),
    };
    let address: Ipv6Addr = address.parse().ok()?;
    Some((Cow::Owned(["[", &address.to_string(), "]"].concat()), port))
}

fn named(sent: &str) -> Option<NameAndPort<'_>> {
    let (name, port) = match sent.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (sent, None),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || name.len() > NAME_MAX {
        return None;
    }
    let mut after_dot = true;
    let mut has_upper_case = false;
    for byte in name.bytes() {
        match byte {
            b'.' if after_dot => return None,
            b'A'..=b'Z' => has_upper_case = true,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {}
            _ => return None,
        }
        after_dot = byte == b'.';
    }
    if after_dot {
        return None;
    }
    let name = if has_upper_case { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) };
    Some((name, port))
}

/// 1 to 65535, without sign or leading zero.
fn parse_port(digits: &str) -> Option<u16> {
    let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_and_perhaps_a_port() {
        for (sent, name, port) in [
            ("example.com", "example.com", None),
            ("API.Example.COM:8080", "api.example.com", Some(8080)),
            ("localhost", "localhost", None),
            ("my_service:80", "my_service", Some(80)),
            ("-a-", "-a-", None),
            ("example.com.", "example.com", None),
            ("example.com.:443", "example.com", Some(443)),
            ("127.0.0.1:65535", "127.0.0.1", Some(65535)),
            ("[::1]", "[::1]", None),
            ("[::1]:1", "[::1]", Some(1)),
            ("[2001:DB8:0:0:0:0:0:1]:8080", "[2001:db8::1]", Some(8080)),
            ("[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]", None),
        ] {
            let host = Host::parse(sent).unwrap_or_else(|| panic!("{sent}"));
            assert_eq!((host.name(), host.port(), host.sent()), (name, port, sent));
        }
    }

    #[test]
    fn anything_else_is_no_host() {
        for sent in [
            "",
            " ",
            ".",
            "..",
            ":",
            ":80",
            "a b",
            "a/b",
            "a@b",
            "a#b",
            "a?b",
            "a\\b",
            "a,b",
            "a;b",
            "a%20b",
            "a%2eb",
            "a:b",
            "a:",
            "a:0",
            "a:080",
            "a:65536",
            "a:+80",
            "a: 80",
            "a:80 ",
            "a:80:80",
            "a:999999999999999999999",
            "a..b",
            ".a",
            "a..",
            "user@a:80",
            "user:pass@a",
            "http://a",
            "//a",
            "a\t",
            "a\0",
            "é.com",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]:",
            "[::1]:x",
            "[]",
            "[1]",
            "[127.0.0.1]",
            "[fe80::1%eth0]",
            "[fe80::1%25eth0]",
            "[v1.a]",
            "[[::1]]",
            "a[::1]",
            "*",
            "*.a",
            "a!b",
            "a'b",
            "a(b)",
            "a=b",
            "a~b",
            "<a>",
            "\"a\"",
        ] {
            assert_eq!(Host::parse(sent), None, "{sent:?}");
        }
        assert_eq!(Host::parse(&"a".repeat(254)), None);
        assert!(Host::parse(&"a".repeat(253)).is_some());
    }

    #[test]
    fn target_and_field_agree_or_there_is_no_host() {
        use FieldRule::{Optional, Required};
        for (uri, field, rule, want) in [
            ("/", Some("a"), Required, Some("a")),
            ("/", None, Required, None),
            ("/", None, Optional, None),
            ("/", Some("a@b"), Required, None),
            ("http://a/", Some("a"), Required, Some("a")),
            ("http://A/", Some("a"), Required, Some("a")),
            ("http://a/", Some("b"), Required, None),
            ("http://a/", None, Required, None),
            ("http://a/", None, Optional, Some("a")),
            ("http://a:80/", Some("a"), Required, Some("a")),
            ("http://a/", Some("a:80"), Required, Some("a:80")),
            ("https://a/", Some("a:443"), Required, Some("a:443")),
            ("https://a/", Some("a:80"), Required, None),
            ("http://a:8080/", Some("a"), Required, None),
            ("http://a:8080/", Some("a:8080"), Optional, Some("a:8080")),
            ("http://u@a/", Some("a"), Required, None),
            ("http://u@a/", None, Optional, None),
            ("http://[::1]/", Some("[0::1]"), Required, Some("[0::1]")),
            ("http://a/", Some(""), Optional, None),
        ] {
            let uri: Uri = uri.parse().unwrap();
            let host = of(&uri, field.map(str::as_bytes), rule);
            assert_eq!(host.as_ref().map(Host::sent), want, "{uri} {field:?}");
        }
    }
}
