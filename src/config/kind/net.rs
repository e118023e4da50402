//! Addresses to listen on, and networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use serde_json::Value;

use super::host::host_name;
use super::{Complaint, Kind, string_schema};

/// Where something listens.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Address;

impl Kind for Address {
    type Value = SocketAddr;

    fn what(&self) -> String {
        "an address to listen on".to_owned()
    }

    fn expected(&self) -> String {
        "an IP address and a port: 0.0.0.0:8080 for all of IPv4, 127.0.0.1:8080 for this machine, \"[::]:8080\" for IPv6"
            .to_owned()
    }

    fn read(&self, text: &str) -> Result<SocketAddr, Complaint> {
        if let Ok(address) = text.parse() {
            return Ok(address);
        }
        let port_only = text.strip_prefix(':').or_else(|| text.strip_prefix("*:")).unwrap_or(text);
        if is_port(port_only) {
            return Err(Complaint::because("it has no IP address").instead(format!("0.0.0.0:{port_only}")));
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return Err(Complaint::because("it is a URL"));
        }
        if text.parse::<Ipv4Addr>().is_ok() {
            return Err(Complaint::because("it has no port").instead(format!("{text}:8080")));
        }
        if let Ok(address) = text.trim_matches(['[', ']']).parse::<Ipv6Addr>() {
            let complaint = Complaint::because("an IPv6 address stands in brackets, followed by a port");
            return Err(complaint.instead(format!("\"[{address}]:8080\"")));
        }
        let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
        if !port.is_empty() && !is_port(port) {
            return Err(Complaint::because("a port is a number from 0 to 65535"));
        }
        let port = if port.is_empty() { "8080" } else { port };
        match host {
            "localhost" => Err(by_name().instead(format!("127.0.0.1:{port}"))),
            name if host_name(name).is_ok() => Err(by_name()),
            _ => Err(Complaint::plain()),
        }
    }

    fn show(&self, value: &SocketAddr) -> String {
        value.to_string()
    }

    fn schema(&self) -> Value {
        string_schema("^([0-9.]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5}$")
    }
}

fn by_name() -> Complaint {
    Complaint::refused("a listener takes an IP address, not a name")
}

pub(super) fn is_port(text: &str) -> bool {
    !text.starts_with('+') && text.parse::<u16>().is_ok()
}

/// A network, or one address of one.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Network;

impl Kind for Network {
    type Value = IpNet;

    fn what(&self) -> String {
        "a network".to_owned()
    }

    fn expected(&self) -> String {
        "an IP address, or a network in CIDR form, such as 10.0.0.0/8 or \"fd00::/8\"".to_owned()
    }

    fn read(&self, text: &str) -> Result<IpNet, Complaint> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(address.into());
        }
        let network: IpNet = text.parse().map_err(|_| Complaint::plain())?;
        if network.trunc() != network {
            let complaint = Complaint::refused("bits are set after the network's own");
            return Err(complaint.instead(network.trunc().to_string()));
        }
        Ok(network)
    }

    fn show(&self, value: &IpNet) -> String {
        value.to_string()
    }

    fn schema(&self) -> Value {
        string_schema("^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_an_ip_and_a_port() {
        for good in ["0.0.0.0:8080", "[::1]:0", "127.0.0.1:65535"] {
            assert!(Address.read(good).is_ok(), "{good}");
        }
        for (bad, instead) in [
            ("8080", Some("0.0.0.0:8080")),
            (":8080", Some("0.0.0.0:8080")),
            ("*:80", Some("0.0.0.0:80")),
            ("localhost:80", Some("127.0.0.1:80")),
            ("10.0.0.1", Some("10.0.0.1:8080")),
            ("::1", Some("\"[::1]:8080\"")),
            ("example.com:80", None),
            ("1.2.3.4:70000", None),
            ("http://a:80", None),
            ("", None),
        ] {
            assert_eq!(Address.read(bad).unwrap_err().instead.as_deref(), instead, "{bad}");
        }
    }
}
