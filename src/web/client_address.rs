//! Whose request it is: the rightmost address of `X-Forwarded-For` that no trusted peer wrote about itself.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// The field in which proxies tell whom they speak for.
pub const FIELD: &str = "x-forwarded-for";

/// Peers whose forwarding fields count. Nobody's by default.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Box<[IpNet]>);

/// Whether a peer's forwarding fields count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// They do.
    Trusted,
    /// They are removed.
    Untrusted,
}

impl TrustedProxies {
    /// Trusts these networks. IPv4 networks hold for mapped addresses too.
    #[must_use]
    pub fn new(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }

    /// Whether an address is a trusted peer's.
    #[must_use]
    pub fn trust(&self, address: IpAddr) -> Trust {
        let address = address.to_canonical();
        let known = self.0.iter().any(|network| network.contains(&address));
        if known { Trust::Trusted } else { Trust::Untrusted }
    }

    /// The client's address for a request from `peer`, in canonical form (mapped IPv4 is IPv4).
    ///
    /// From right to left, each trusted address vouches for the one before it. The walk ends at the first that is not
    /// trusted, or at an entry that is no address: then the last good one counts.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if self.trust(client) == Trust::Untrusted {
            return client;
        }
        for value in headers.get_all(FIELD).iter().rev() {
            for entry in value.as_bytes().rsplit(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                if entry.is_empty() {
                    continue;
                }
                let Some(address) = parse_entry(entry) else { return client };
                client = address;
                if self.trust(client) == Trust::Untrusted {
                    return client;
                }
            }
        }
        client
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn parse_entry(entry: &[u8]) -> Option<IpAddr> {
    // A zone (`%eth0`) means something on the machine that wrote it alone.
    let text = std::str::from_utf8(entry).ok().filter(|text| !text.contains('%'))?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = text.parse().ok().or_else(bracketed).or_else(with_port)?;
    Some(address.to_canonical())
}

/// An address as text without a heap: bare, as `X-Forwarded-For` has it.
#[derive(Clone, Copy, Debug)]
pub struct AddressText {
    bytes: [u8; 45],
    length: usize,
}

impl AddressText {
    /// Writes an address.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        use std::io::Write;
        let mut bytes = [0; 45];
        let mut left = bytes.as_mut_slice();
        let written = write!(left, "{address}");
        let length = 45 - left.len();
        debug_assert!(written.is_ok(), "the longest address has 45 bytes");
        Self { bytes, length }
    }

    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(peer: &str, fields: &[&str]) -> String {
        let networks: Vec<IpNet> =
            ["10.0.0.0/8", "fd00::/8", "192.0.2.7/32"].map(|text| text.parse().unwrap()).to_vec();
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(FIELD, HeaderValue::from_bytes(field.as_bytes()).unwrap());
        }
        TrustedProxies::new(&networks).client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_sends() {
        for fields in [&[][..], &["1.2.3.4"], &["10.0.0.1, 1.2.3.4"]] {
            assert_eq!(client("203.0.113.9", fields), "203.0.113.9");
        }
        assert_eq!(client("::ffff:203.0.113.9", &[]), "203.0.113.9");
        assert_eq!(
            TrustedProxies::default().client([10, 0, 0, 1].into(), &HeaderMap::new()).to_string(),
            "10.0.0.1"
        );
    }

    #[test]
    fn behind_trusted_peers_the_rightmost_untrusted_address_counts() {
        for (fields, want) in [
            (&[][..], "10.0.0.1"),
            (&["1.2.3.4"], "1.2.3.4"),
            (&["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
            (&["6.6.6.6, 1.2.3.4, 10.1.1.1"], "1.2.3.4"),
            (&["6.6.6.6", "1.2.3.4", "10.1.1.1, 10.2.2.2"], "1.2.3.4"),
            (&["6.6.6.6, 1.2.3.4 ,\tfd00::1 , 192.0.2.7"], "1.2.3.4"),
            (&["10.9.9.9, 10.1.1.1"], "10.9.9.9"),
            (&["1.2.3.4:5678"], "1.2.3.4"),
            (&["[2001:DB8::1]:443"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["::ffff:1.2.3.4"], "1.2.3.4"),
            (&["6.6.6.6, ::ffff:10.1.1.1"], "6.6.6.6"),
            (&["[::ffff:1.2.3.4]:80"], "1.2.3.4"),
            (&["1.2.3.4,,", ""], "1.2.3.4"),
        ] {
            assert_eq!(client("10.0.0.1", fields), want, "{fields:?}");
            assert_eq!(client("::ffff:10.0.0.1", fields), want, "{fields:?}");
        }
    }

    #[test]
    fn an_entry_that_is_no_address_ends_the_walk() {
        for bad in [
            "unknown",
            "_hidden",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "01.2.3.4",
            "1.2.3.4:",
            "1.2.3.4:99999",
            "[::1",
            "::1]",
            "[1.2.3.4]",
            "fe80::1%eth0",
            "[fe80::1%1]:80",
            "1.2.3.4 5.6.7.8",
            "\"1.2.3.4\"",
            "for=1.2.3.4",
            "1.2.3.4;5.6.7.8",
            "\u{e9}",
        ] {
            assert_eq!(client("10.0.0.1", &[&format!("6.6.6.6, {bad}, 10.1.1.1")]), "10.1.1.1", "{bad}");
            assert_eq!(client("10.0.0.1", &["6.6.6.6", bad]), "10.0.0.1", "{bad}");
        }
    }

    #[test]
    fn an_address_is_written_without_a_heap() {
        for text in [
            "1.2.3.4",
            "255.255.255.255",
            "::",
            "2001:db8::1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "0.0.0.0",
        ] {
            assert_eq!(AddressText::new(text.parse().unwrap()).as_bytes(), text.as_bytes());
        }
    }
}
