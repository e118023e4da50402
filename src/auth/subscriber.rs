//! Who stands behind an address, as far as an address tells.

use std::net::{IpAddr, Ipv6Addr};

/// Bits of an IPv6 address that one subscriber has at least; the rest he changes at will.
const SUBSCRIBER_BITS: u32 = 64;

/// The address, of IPv6 the network that one subscriber has.
#[must_use]
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> SUBSCRIBER_BITS << SUBSCRIBER_BITS))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_subscriber_and_a_mapped_address_is_ipv4() {
        for (address, want) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2::1", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::"),
            ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ] {
            let [address, want] = [address, want].map(|text| text.parse::<IpAddr>().unwrap());
            assert_eq!(subscriber(address), want);
        }
    }
}
