//! `listeners` and `admin`: where Keyward listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;

use super::clients;
use crate::config::kind::net::{Address, Network};
use crate::config::kind::text::{File, Name};
use crate::config::kind::words::Words;
use crate::config::problem::Problem;
use crate::config::read::Placed;
use crate::config::section::{Least, Section};
use crate::config::{Admin, CertificateFiles, Listener, Tls, TlsVersion};

const PUBLIC: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);
const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8081);

/// The public listeners, each placed at its address.
pub(super) fn listeners(s: &mut Section<'_>) -> Vec<Placed<Listener>> {
    let comment = "Where requests arrive. A change needs a restart, but for what stands in `tls`.";
    let Some(read) = s.sections("listeners", Least::OneIfGiven, comment, listener) else {
        let public = Listener { name: "public".into(), address: PUBLIC, tls: None, balancers: Vec::new() };
        return vec![Placed::default(public, s.at())];
    };
    let names: Vec<&Placed<_>> = read.iter().filter_map(|(name, ..)| name.as_ref()).collect();
    super::distinct(s, "listeners", &names);
    let mut listeners: Vec<Placed<Listener>> = Vec::new();
    for (name, address, tls, balancers) in read {
        let (Some(name), Some(address)) = (name, address) else { continue };
        if let Some(other) = listeners.iter().find(|other| collide(other.value.address, address.value)) {
            conflict(s, &address, other);
        }
        let listener = Listener { name: name.value, address: address.value, tls, balancers };
        listeners.push(Placed { value: listener, at: address.at, written: address.written, given: true });
    }
    listeners
}

type Read = (Option<Placed<std::sync::Arc<str>>>, Option<Placed<SocketAddr>>, Option<Tls>, Vec<IpNet>);

fn listener(s: &mut Section<'_>) -> Read {
    let name = s.required("name", &Name, "public", "Its name in metrics.");
    let address =
        s.required("address", &Address, "0.0.0.0:8080", "IP address and port; port 0 takes any free one.");
    let comment = "HTTPS in place of HTTP; absent = in clear. Its files are read anew when they change.";
    let tls = s.optional_section("tls", comment, tls);
    let comment = "For a load balancer that says who its client is by the PROXY protocol, version 1 or 2.";
    let balancers = s.optional_section("proxy_protocol", comment, balancers).unwrap_or_default();
    (name, address, tls, balancers)
}

fn balancers(s: &mut Section<'_>) -> Vec<IpNet> {
    let comment = "Networks of the peers that have to say it; of all others it is not taken.";
    let networks = s.scalars_needed("from", &Network, "10.0.0.0/8", comment);
    networks.into_iter().map(|network| network.value).collect()
}

const VERSIONS: Words<TlsVersion> = Words(&[("TLSv1.2", TlsVersion::Tls12), ("TLSv1.3", TlsVersion::Tls13)]);

fn tls(s: &mut Section<'_>) -> Tls {
    let comment = "Which one a client gets goes by the host that it asks for; the first is for all others.";
    let certificates = s.sections("certificates", Least::One, comment, |s| {
        let chain = "The certificate, then its chain, as PEM.";
        let cert_file = s.required("cert_file", &File, "tls/cert.pem", chain);
        let key_file = s.required("key_file", &File, "tls/key.pem", "Its private key, as PEM.");
        Some(CertificateFiles { cert_file: cert_file?.value, key_file: key_file?.value })
    });
    let certificates = certificates.unwrap_or_default().into_iter().flatten().collect();
    let comment = "The oldest version that is spoken: TLSv1.2 or TLSv1.3.";
    let min_version = s.value("min_version", &VERSIONS, TlsVersion::Tls12, comment).value;
    let clients = clients::read(s);
    Tls {
        certificates,
        min_version,
        client_ca_file: clients.ca_file,
        client_auth: clients.auth,
        crl_files: clients.crl_files,
        client_accounts: clients.accounts,
    }
}

/// The admin listener.
pub(super) fn admin(s: &mut Section<'_>, listeners: &[Placed<Listener>]) -> Admin {
    let comment = "Health and metrics, for operators and probes. A change needs a restart.";
    let address = s.section("admin", comment, |s| {
        s.value("address", &Address, ADMIN, "Keep it where only operators and probes reach it.")
    });
    if let Some(other) = listeners.iter().find(|other| collide(other.value.address, address.value)) {
        conflict(s, &address, other);
    }
    if !address.value.ip().to_canonical().is_loopback() {
        s.tell(
            Problem::warning(address.at, "the admin listener is open to other machines")
                .label("not a loopback address")
                .expected("127.0.0.1:8081, or a network that only operators and probes reach"),
        );
    }
    Admin { address: address.value }
}

/// Whether the system would refuse the second of two.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let covers = |a: IpAddr, b: IpAddr| a == b || a.is_unspecified() && a.is_ipv4() == b.is_ipv4();
    a.port() == b.port() && a.port() != 0 && (covers(a.ip(), b.ip()) || covers(b.ip(), a.ip()))
}

fn conflict(s: &Section<'_>, address: &Placed<SocketAddr>, other: &Placed<Listener>) {
    let expected = "another port; 0.0.0.0 and [::] cover every address of their family";
    let problem = match (address.given, other.given) {
        (true, true) => {
            Problem::error(address.at, "two listeners share an address").and(other.at, "the other one")
        }
        (true, false) => {
            Problem::error(address.at, format!("the listener public has this address by default: {PUBLIC}"))
        }
        (false, _) => {
            Problem::error(other.at, format!("the admin listener has this address by default: {ADMIN}"))
        }
    };
    s.tell(problem.expected(expected));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_collide_when_one_covers_the_other() {
        for (a, b, expected) in [
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "0.0.0.0:80", true),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("0.0.0.0:0", "0.0.0.0:0", false),
            ("[::]:80", "[::1]:80", true),
            ("[::]:80", "127.0.0.1:80", false),
        ] {
            assert_eq!(collide(a.parse().unwrap(), b.parse().unwrap()), expected, "{a} {b}");
        }
    }
}
