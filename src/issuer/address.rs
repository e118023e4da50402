//! The networks that a key may be used from.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::error::Problem;
use super::text;

/// Most networks of a key: each request that uses it walks the list.
pub const NETWORKS_MAX: usize = 64;
/// Bits of an IPv6 address before the IPv4 address that it maps (RFC 4291 §2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// Reads addresses and networks, without repeats; all that is wrong with them goes to `problems`.
pub(super) fn read(given: &[String], problems: &mut Vec<Problem>) -> Vec<IpNet> {
    if given.len() > NETWORKS_MAX {
        problems.push(Problem::TooManyNetworks(given.len()));
        return Vec::new();
    }
    let mut networks = Vec::new();
    for text in given {
        match network(text) {
            Ok(network) if networks.contains(&network) => {}
            Ok(network) => networks.push(network),
            Err(problem) => problems.push(problem),
        }
    }
    networks
}

fn network(text: &str) -> Result<IpNet, Problem> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network: IpNet = text.parse().map_err(|_| Problem::Address(text.to_owned()))?;
    if network != network.trunc() {
        let (written, network) = (text::quoted(text), network.trunc().to_string());
        return Err(Problem::HostBits { written, network });
    }
    Ok(canonical(network))
}

/// Addresses are compared as IPv4 where they map one, so networks of them are too.
fn canonical(network: IpNet) -> IpNet {
    if let IpNet::V6(six) = network
        && let Some(address) = six.addr().to_ipv4_mapped()
        && let Some(length) = six.prefix_len().checked_sub(MAPPED_BITS)
        && let Ok(four) = Ipv4Net::new(address, length)
    {
        return IpNet::V4(four);
    }
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(given: &[&str]) -> Result<Vec<String>, Vec<Problem>> {
        let given: Vec<String> = given.iter().map(ToString::to_string).collect();
        let mut problems = Vec::new();
        let networks = read(&given, &mut problems);
        if problems.is_empty() {
            Ok(networks.iter().map(ToString::to_string).collect())
        } else {
            Err(problems)
        }
    }

    #[test]
    fn addresses_become_networks_of_one_and_mapped_ones_ipv4() {
        let given =
            ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1", "::ffff:10.0.0.0/104", "::ffff:192.0.2.7"];
        let read = read_all(&given).unwrap();
        assert_eq!(read, ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32", "::1/128"]);
    }

    #[test]
    fn what_is_no_network_is_named() {
        assert_eq!(read_all(&["office"]), Err(vec![Problem::Address("office".to_owned())]));
        let problems = read_all(&["10.1.2.3/8"]).unwrap_err();
        assert_eq!(
            problems[0].to_string(),
            "\"10.1.2.3/8\" sets bits behind its length; the network is 10.0.0.0/8"
        );
        let many = vec!["10.0.0.1"; 65];
        assert_eq!(read_all(&many), Err(vec![Problem::TooManyNetworks(65)]));
    }
}
