//! Clients that have to prove who they are: at every connection, and by what is not revoked.

use rcgen::SerialNumber;
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::tls::{Authority, Client, Issued};
use crate::support::upstream::Upstream;
use crate::support::within;

/// A gateway whose clients have to be certified by `clients`.
struct Bed {
    gateway: Gateway,
    servers: Authority,
    clients: Authority,
    folder: TempDir,
}

impl Bed {
    /// With these files of revocations, which stand in its folder.
    async fn new(upstream: &Upstream, revoked: &[u64]) -> Self {
        let (servers, clients, folder) = (Authority::new(), Authority::new(), TempDir::new().unwrap());
        let own = servers.issue(&["a.test"]).write(folder.path(), "a");
        let at = folder.path().display();
        std::fs::write(folder.path().join("clients.pem"), clients.pem()).unwrap();
        std::fs::write(folder.path().join("revoked.pem"), clients.revoke(revoked, 2090)).unwrap();
        let tls = format!(
            "{{ certificates: [{own}], client_ca_file: {at}/clients.pem, crl_files: [{at}/revoked.pem] }}"
        );
        let gateway =
            Gateway::builder().upstream("api", &upstream.url()).yaml(PUBLIC).tls(&tls).start().await;
        Self { gateway, servers, clients, folder }
    }

    /// How a request goes, and how its handshake went.
    async fn visit(&self, client: &Client) -> Option<HandshakeKind> {
        // Under 1.3 a client is refused after it has said its last (RFC 8446 §4.4).
        let mut stream = client.try_connect(self.gateway.secure(), "a.test").await.ok()?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").await.ok()?;
        let mut answer = Vec::new();
        within("the end", stream.read_to_end(&mut answer)).await.ok()?;
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        stream.get_ref().1.handshake_kind()
    }

    fn number(&self, serial: u64) -> Issued {
        self.clients
            .issue_with(&["client.test"], |params| params.serial_number = Some(SerialNumber::from(serial)))
    }
}

#[tokio::test]
async fn who_proves_nothing_is_asked_for_nothing() {
    let upstream = Upstream::echo().await;
    let bed = Bed::new(&upstream, &[]).await;
    let over = |params: &mut rcgen::CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    for version in [&TLS12, &TLS13] {
        let client = bed.servers.client_of(&[version]);
        assert_eq!(bed.visit(&client).await, None, "none");
        let other = client.clone().showing(&Authority::new().issue(&["client.test"]));
        assert_eq!(bed.visit(&other).await, None, "of another authority");
        let old = client.clone().showing(&bed.clients.issue_with(&["client.test"], over));
        assert_eq!(bed.visit(&old).await, None, "over");
        assert_eq!(upstream.requests().len(), 0);
    }
    for version in [&TLS12, &TLS13] {
        let good = bed.servers.client_of(&[version]).showing(&bed.number(1));
        assert!(bed.visit(&good).await.is_some(), "{version:?}");
    }
}

/// What is taken up again would not be verified again.
#[tokio::test]
async fn every_connection_is_verified_anew() {
    let upstream = Upstream::echo().await;
    let bed = Bed::new(&upstream, &[]).await;
    for version in [&TLS12, &TLS13] {
        let client = bed.servers.client_of(&[version]).showing(&bed.number(1));
        for _ in 0..3 {
            let how = bed.visit(&client).await.unwrap();
            assert_ne!(how, HandshakeKind::Resumed, "{version:?}");
        }
    }
}

#[tokio::test]
async fn who_was_revoked_is_refused_as_soon_as_the_list_says_so() {
    let upstream = Upstream::echo().await;
    let bed = Bed::new(&upstream, &[7]).await;
    let (seven, eight) = (bed.number(7), bed.number(8));
    let [seven, eight] = [seven, eight].map(|issued| bed.servers.client().showing(&issued));
    assert_eq!(bed.visit(&seven).await, None);
    assert!(bed.visit(&eight).await.is_some());
    std::fs::write(bed.folder.path().join("revoked.pem"), bed.clients.revoke(&[8], 2090)).unwrap();
    bed.gateway.reload_same().await;
    assert!(bed.visit(&seven).await.is_some());
    assert_eq!(bed.visit(&eight).await, None);
}

/// Nobody knows what was revoked since; it is told where operators look.
#[tokio::test]
async fn a_list_that_is_out_of_date_lets_nobody_in() {
    let upstream = Upstream::echo().await;
    let bed = Bed::new(&upstream, &[]).await;
    let client = bed.servers.client().showing(&bed.number(1));
    assert!(bed.visit(&client).await.is_some());
    std::fs::write(bed.folder.path().join("revoked.pem"), bed.clients.revoke(&[], 2021)).unwrap();
    let told = bed.gateway.reload_same().await;
    assert!(
        told.iter().any(|told| told.contains("revoked.pem: the list of revocations was good until 2021")),
        "{told:?}"
    );
    assert_eq!(bed.visit(&client).await, None);
    std::fs::write(bed.folder.path().join("revoked.pem"), "nonsense").unwrap();
    let told = bed.gateway.reload_same().await;
    assert!(told[0].contains("revoked.pem: holds no list of revocations"), "{told:?}");
}
