//! What a balancer says of its client: `server::proxy_protocol` beside the reader of `ppp`.

use std::net::{IpAddr, SocketAddr};

use keyward::server::proxy_protocol::{Parsed, Source, parse};
use ppp::{HeaderResult, v1, v2};

/// Takes the input as the first bytes of a connection.
pub fn run(data: &[u8]) {
    // As they would come, and never more than belongs to it.
    let mut seen = 0;
    while let Parsed::Part(more) = parse(data.get(..seen).unwrap_or_default()) {
        assert!(more > 0);
        seen += more;
        if seen > data.len() {
            return;
        }
    }
    let Parsed::Whole(source, length) = parse(data.get(..seen).unwrap_or_default()) else { return };
    assert_eq!((length, parse(data)), (seen, Parsed::Whole(source, length)), "read beyond its end");
    let other = match HeaderResult::parse(data.get(..length).unwrap_or_default()) {
        HeaderResult::V1(read) => by_line(&read.expect("another reader takes it for version 1")),
        HeaderResult::V2(read) => in_binary(&read.expect("another reader takes it for version 2")),
    };
    assert_eq!(source, other);
}

fn by_line(header: &v1::Header<'_>) -> Source {
    match header.addresses {
        v1::Addresses::Unknown => Source::Peer,
        v1::Addresses::Tcp4(addresses) => client(addresses.source_address.into(), addresses.source_port),
        v1::Addresses::Tcp6(addresses) => client(addresses.source_address.into(), addresses.source_port),
    }
}

fn in_binary(header: &v2::Header<'_>) -> Source {
    // Whatever stands where the balancer speaks of itself is not to be read.
    match (header.command, header.addresses) {
        (v2::Command::Proxy, v2::Addresses::IPv4(named)) => {
            client(named.source_address.into(), named.source_port)
        }
        (v2::Command::Proxy, v2::Addresses::IPv6(named)) => {
            client(named.source_address.into(), named.source_port)
        }
        _ => Source::Peer,
    }
}

fn client(address: IpAddr, port: u16) -> Source {
    Source::Client(SocketAddr::new(address.to_canonical(), port))
}
