//! Sessions that are taken up again: by tickets, on every worker, whatever certificate there is meanwhile; never with
//! data that could be replayed.

use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Bed;
use crate::support::tls::Client;
use crate::support::upstream::Upstream;
use crate::support::within;

/// One request, whose answer comes behind the tickets; tells how the handshake went.
async fn visit(client: &Client, bed: &Bed) -> HandshakeKind {
    let mut stream = client.connect(bed.gateway.secure(), "a.test").await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").await.unwrap();
    within("the answer", stream.read_to_end(&mut Vec::new())).await.unwrap();
    assert!(!stream.get_ref().1.is_early_data_accepted());
    stream.get_ref().1.handshake_kind().unwrap()
}

#[tokio::test]
async fn a_session_is_taken_up_again_on_every_worker_and_after_a_renewal() {
    let upstream = Upstream::echo().await;
    let bed = Bed::with(&upstream, "", |builder| builder.workers(2)).await;
    for version in [&TLS12, &TLS13] {
        let client = bed.authority.client_of(&[version]);
        let first = visit(&client, &bed).await;
        assert!(matches!(first, HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest), "{first:?}");
        // The system hands connections to one worker or the other.
        for _ in 0..8 {
            assert_eq!(visit(&client, &bed).await, HandshakeKind::Resumed, "{version:?}");
        }
        bed.authority.issue(&["a.test"]).write(bed.folder.path(), "a");
        bed.gateway.reload_same().await;
        assert_eq!(visit(&client, &bed).await, HandshakeKind::Resumed, "{version:?}");
    }
}

/// A ticket of one server is nothing to another.
#[tokio::test]
async fn the_keys_of_tickets_are_each_servers_own() {
    let upstream = Upstream::echo().await;
    let bed = Bed::before(&upstream).await;
    let client = bed.client.clone();
    visit(&client, &bed).await;
    let keys = bed.folder.path().display();
    let tls = format!("{{ certificates: [{{ cert_file: {keys}/a.pem, key_file: {keys}/a.key }}] }}");
    let builder = crate::support::gateway::Gateway::builder().upstream("api", &upstream.url());
    let other = builder.yaml(super::PUBLIC).tls(&tls).start().await;
    let stream = client.connect(other.secure(), "a.test").await;
    assert_ne!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
}

#[tokio::test]
async fn early_data_is_not_offered() {
    let upstream = Upstream::echo().await;
    let bed = Bed::before(&upstream).await;
    let client = bed.authority.client_of(&[&TLS13]).with(|config| config.enable_early_data = true);
    visit(&client, &bed).await;
    // With a ticket that allowed it, the client would send it.
    assert_eq!(visit(&client, &bed).await, HandshakeKind::Resumed);
}
