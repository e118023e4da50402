//! Upstreams by TLS: they are verified, they can verify who asks, and what goes through is what goes through in clear.

use std::sync::Arc;

use keyward::auth::refusal::Code;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;

use super::PUBLIC;
use crate::support::gateway::{Builder, Gateway};
use crate::support::h2_upstream::H2Upstream;
use crate::support::http::Client;
use crate::support::tls::{Authority, Issued, paths, terminator};
use crate::support::upstream::{Answer, Upstream};
use crate::support::websocket::{handshake, masked, open, opening};
use crate::support::within;

const MEBI: usize = 1 << 20;

/// An authority whose certificate is in a file, and a certificate of it.
struct Bed {
    authority: Authority,
    folder: TempDir,
    issued: Issued,
}

impl Bed {
    fn new() -> Self {
        let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let issued = authority.issue(&["backend.test", "127.0.0.1"]);
        Self { authority, folder, issued }
    }

    /// `ca_file` with what else is to stand in `tls`.
    fn tls(&self, more: &str) -> String {
        format!("{{ ca_file: {}/ca.pem{more} }}", self.folder.path().display())
    }

    async fn in_front_of(&self, upstream: &Upstream, clients: Option<&Authority>) -> String {
        url(terminator(self.issued.server(&["http/1.1"], clients), upstream.address()).await)
    }
}

fn url(address: std::net::SocketAddr) -> String {
    format!("https://{address}")
}

async fn gateway(url: &str, tls: &str) -> Gateway {
    started(Gateway::builder().upstream("api", url), tls).await
}

async fn started(builder: Builder, tls: &str) -> Gateway {
    builder.yaml(PUBLIC).upstream_tls(tls).start().await
}

#[tokio::test]
async fn requests_go_by_tls_over_connections_that_are_kept() {
    let upstream = Upstream::echo().await;
    let bed = Bed::new();
    let url = bed.in_front_of(&upstream, None).await;
    let gateway = gateway(&url, &bed.tls("")).await;
    let mut client = gateway.anonymous();
    for target in ["/a", "/b", "/c"] {
        assert_eq!(client.get(target).await.json()["target"], target);
    }
    assert_eq!(client.post("/d", "body").await.status, 200);
    assert_eq!(upstream.connections().len(), 1);
    assert_eq!(upstream.requests()[0].header("x-forwarded-proto"), Some("http"), "that is the client's side");
}

#[tokio::test]
async fn much_goes_both_ways() {
    let upstream = Upstream::always(Answer::new(200).filled(8 * MEBI as u64)).await;
    let bed = Bed::new();
    let url = bed.in_front_of(&upstream, None).await;
    let gateway = gateway(&url, &bed.tls("")).await;
    let answer = gateway.anonymous().post("/", vec![b'x'; 8 * MEBI]).await;
    assert_eq!((answer.status, answer.body.len()), (200, 8 * MEBI));
    assert_eq!(upstream.only_request().body_len, 8 * MEBI as u64);
}

#[tokio::test]
async fn a_websocket_goes_through() {
    let upstream = Upstream::answering(|_| opening().then_mirror().then_close()).await;
    let bed = Bed::new();
    let url = bed.in_front_of(&upstream, None).await;
    let gateway = gateway(&url, &bed.tls("")).await;
    let mut raw = open(gateway.raw().await, &handshake("/")).await;
    for length in [5, 100_000] {
        let message = masked(2, &vec![b'm'; length]);
        raw.send(&message).await;
        assert_eq!(raw.exactly(message.len()).await, message);
    }
}

#[tokio::test]
async fn http2_goes_by_tls_where_the_server_agrees() {
    let upstream = H2Upstream::echo().await;
    let bed = Bed::new();
    let config = bed.issued.server(&["h2"], None);
    let url = url(terminator(config, upstream.address()).await);
    let gateway = started(Gateway::builder().http2("api", &[&url]), &bed.tls("")).await;
    let mut client = gateway.anonymous();
    assert_eq!(client.get("/a").await.status, 200);
    assert_eq!(upstream.requests()[0].scheme.as_deref(), Some("https"));
}

#[tokio::test]
async fn a_server_that_agrees_to_no_http2_is_asked_nothing() {
    let upstream = Upstream::echo().await;
    let bed = Bed::new();
    let url = url(terminator(bed.issued.server(&[], None), upstream.address()).await);
    let gateway = started(Gateway::builder().http2("api", &[&url]), &bed.tls("")).await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamUnreachable);
    assert_eq!(upstream.sent(), 0);
}

/// Of another authority, for another name, or over: nothing of a request is sent to it.
#[tokio::test]
async fn who_does_not_prove_to_be_the_server_is_asked_nothing() {
    let upstream = Upstream::echo().await;
    let bed = Bed::new();
    let over = |params: &mut rcgen::CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    for (what, issued, tls) in [
        ("another authority", Authority::new().issue(&["127.0.0.1"]), bed.tls("")),
        ("authorities of the system", bed.authority.issue(&["127.0.0.1"]), "{ }".to_owned()),
        ("another host", bed.authority.issue(&["other.test"]), bed.tls("")),
        ("another name", bed.authority.issue(&["127.0.0.1"]), bed.tls(", server_name: backend.test")),
        ("over", bed.authority.issue_with(&["127.0.0.1"], over), bed.tls("")),
    ] {
        let address = terminator(issued.server(&["http/1.1"], None), upstream.address()).await;
        let gateway = gateway(&url(address), &tls).await;
        let detail = gateway.anonymous().get("/").await.refused(Code::UpstreamUnreachable);
        assert!(!detail.contains("certificate"), "the cause is for the log: {detail}");
        assert_eq!(upstream.connections().len(), 0, "{what}");
    }
}

#[tokio::test]
async fn a_server_can_be_known_by_another_name_than_its_url_has() {
    let upstream = Upstream::echo().await;
    let bed = Bed::new();
    let issued = bed.authority.issue(&["backend.test"]);
    let address = terminator(issued.server(&["http/1.1"], None), upstream.address()).await;
    let gateway = gateway(&url(address), &bed.tls(", server_name: backend.test")).await;
    assert_eq!(gateway.anonymous().get("/").await.status, 200);
}

#[tokio::test]
async fn a_server_can_ask_who_asks() {
    let upstream = Upstream::echo().await;
    let (bed, clients) = (Bed::new(), Authority::new());
    clients.issue(&["keyward.test"]).write(bed.folder.path(), "own");
    let (cert, key) = paths(bed.folder.path(), "own");
    let url = bed.in_front_of(&upstream, Some(&clients)).await;
    let shown = format!(", cert_file: {}, key_file: {}", cert.display(), key.display());
    assert_eq!(gateway(&url, &bed.tls(&shown)).await.anonymous().get("/").await.status, 200);
    let nobody = gateway(&url, &bed.tls("")).await.anonymous().get("/").await;
    assert_eq!(nobody.status, 502, "{}", nobody.text());
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn operators_can_see_when_what_a_server_is_shown_ends() {
    let upstream = Upstream::echo().await;
    let (bed, clients) = (Bed::new(), Authority::new());
    let (folder, url) = (bed.folder.path(), bed.in_front_of(&upstream, Some(&clients)).await);
    let (cert, key) = paths(folder, "own");
    let own = |year: i32| {
        let end = rcgen::date_time_ymd(year, 1, 2);
        clients.issue_with(&["keyward.test"], |params| params.not_after = end).write(folder, "own");
        format!(
            "{name}{{file=\"{}\",upstream=\"api\"}} {}",
            cert.display(),
            end.unix_timestamp(),
            name = ENDS
        )
    };
    let told = own(2040);
    let shown = format!(", cert_file: {}, key_file: {}", cert.display(), key.display());
    let gateway = gateway(&url, &bed.tls(&shown)).await;
    let lines = async || -> Vec<String> {
        let metrics = Client::new(gateway.admin()).get("/metrics").await;
        metrics.text().lines().filter(|line| line.starts_with(ENDS)).map(str::to_owned).collect()
    };
    assert_eq!(lines().await, [told]);
    let ready = Client::new(gateway.admin()).get("/readyz?verbose").await.json();
    let file = cert.display().to_string();
    let expected =
        serde_json::json!([{ "upstream": "api", "file": file, "expires": "2040-01-02T00:00:00Z" }]);
    assert_eq!(ready["checks"]["certificates"], expected);
    // Without a reload.
    let told = own(2050);
    within("the new end", async { while lines().await != [&*told] {} }).await;
    let over = own(2020);
    let warned = gateway.reload_same().await;
    assert!(
        warned.iter().any(|line| line.contains("upstream api: ") && line.contains("servers refuse it")),
        "{warned:?}"
    );
    assert_eq!(lines().await, [over]);
}

const ENDS: &str = "keyward_upstream_tls_certificate_expires_timestamp_seconds";

/// A connection that was verified by what no longer holds serves no further request; one by the same goes on.
#[tokio::test]
async fn what_is_trusted_is_read_anew_by_a_reload() {
    let upstream = Upstream::echo().await;
    let bed = Bed::new();
    let url = bed.in_front_of(&upstream, None).await;
    let gateway = gateway(&url, &bed.tls("")).await;
    let mut client = gateway.anonymous();
    assert_eq!(client.get("/").await.status, 200);
    gateway.reload_same().await;
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!(upstream.connections().len(), 1, "the reload dropped a connection to a server that stayed");
    std::fs::write(bed.folder.path().join("ca.pem"), Authority::new().pem()).unwrap();
    gateway.reload_same().await;
    client.get("/").await.refused(Code::UpstreamUnreachable);
    std::fs::write(bed.folder.path().join("ca.pem"), "nonsense").unwrap();
    let told = gateway.reload_same().await;
    assert!(
        told[0].contains("upstream api: ") && told[0].contains("ca.pem: holds no certificate"),
        "{told:?}"
    );
}

/// Asks until the answer has this status.
async fn until_status(gateway: &Gateway, target: &str, status: u16) {
    let mut client = gateway.anonymous();
    within("another status", async { while client.get(target).await.status != status {} }).await;
}

#[tokio::test]
async fn files_that_change_are_noticed_without_a_reload_and_wrong_ones_change_nothing() {
    let upstream = Upstream::echo().await;
    let (bed, clients) = (Bed::new(), Authority::new());
    let url = bed.in_front_of(&upstream, Some(&clients)).await;
    let folder = bed.folder.path();
    Authority::new().issue(&["keyward.test"]).write(folder, "own");
    let (cert, key) = paths(folder, "own");
    let shown = format!(", cert_file: {}, key_file: {}", cert.display(), key.display());
    let gateway = gateway(&url, &bed.tls(&shown)).await;
    assert_eq!(gateway.anonymous().get("/").await.status, 502, "the server wants another certificate");
    clients.issue(&["keyward.test"]).write(folder, "own");
    until_status(&gateway, "/", 200).await;
    std::fs::write(folder.join("ca.pem"), Authority::new().pem()).unwrap();
    until_status(&gateway, "/", 502).await;
    std::fs::write(folder.join("ca.pem"), bed.authority.pem()).unwrap();
    until_status(&gateway, "/", 200).await;
}

#[tokio::test]
async fn wrong_files_of_one_upstream_leave_it_as_it_was_and_hold_up_no_other() {
    let upstream = Upstream::echo().await;
    let beds = [Bed::new(), Bed::new()];
    let routes = "routes:
  - { name: one, match: { path_prefix: / }, auth: public, upstream: api }
  - { name: two, match: { path_prefix: /two }, auth: public, upstream: other }
";
    let mut builder = Gateway::builder();
    for (bed, name) in beds.iter().zip(["api", "other"]) {
        let url = bed.in_front_of(&upstream, None).await;
        builder = builder.upstream_by(name, &url, &bed.tls(""));
    }
    let gateway = builder.yaml(routes).start().await;
    let mut client = gateway.anonymous();
    assert_eq!((client.get("/").await.status, client.get("/two").await.status), (200, 200));
    std::fs::write(beds[0].folder.path().join("ca.pem"), "nonsense").unwrap();
    std::fs::write(beds[1].folder.path().join("ca.pem"), Authority::new().pem()).unwrap();
    until_status(&gateway, "/two", 502).await;
    assert_eq!(client.get("/").await.status, 200);
}

/// Reads the head of a request.
async fn past_head(stream: &mut (impl AsyncRead + Unpin)) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
}

/// What TLS has taken may wait below it, and nothing more comes to push it.
#[tokio::test]
async fn the_last_of_a_body_comes_to_a_server_that_was_slow() {
    let bed = Bed::new();
    let acceptor = TlsAcceptor::from(Arc::new(bed.issued.server(&["http/1.1"], None)));
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let gateway = gateway(&url(listener.local_addr().unwrap()), &bed.tls("")).await;
    let serving = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        past_head(&mut stream).await;
        stream.read_exact(&mut vec![0; 8 * MEBI]).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        stream.flush().await.unwrap();
        stream
    };
    let mut client = gateway.anonymous();
    let (answer, _stream) = tokio::join!(client.post("/", vec![b'x'; 8 * MEBI]), within("the body", serving));
    assert_eq!(answer.text(), "ok");
}

/// It goes orderly, by a message of TLS; nobody waits for a request to fail on it.
#[tokio::test]
async fn a_kept_connection_that_the_server_ended_is_let_go() {
    let bed = Bed::new();
    let acceptor = TlsAcceptor::from(Arc::new(bed.issued.server(&["http/1.1"], None)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = gateway(&url(listener.local_addr().unwrap()), &bed.tls("")).await;
    let mut client = gateway.anonymous();
    for _ in 0..2 {
        let serving = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            past_head(&mut stream).await;
            assert_eq!(stream.read_u8().await.unwrap(), b'x');
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            stream.get_mut().1.send_close_notify();
            stream.flush().await.unwrap();
            // Its socket is still open.
            stream.get_mut().0.read_to_end(&mut Vec::new()).await.unwrap();
        };
        let (answer, ()) = tokio::join!(client.post("/", "x"), within("the end of the connection", serving));
        assert_eq!(answer.text(), "ok");
    }
}
