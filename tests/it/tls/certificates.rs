//! Which certificate is shown, and how others take its place.

use rcgen::{KeyPair, PKCS_RSA_SHA256};
use rustls::CipherSuite;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Bed, PUBLIC, shown};
use crate::support::gateway::Gateway;
use crate::support::http::Client;
use crate::support::tls::{Authority, paths};
use crate::support::upstream::Upstream;
use crate::support::within;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

#[tokio::test]
async fn the_name_asked_for_chooses_exact_before_wildcard_before_the_first() {
    let upstream = Upstream::echo().await;
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let first = authority.issue(&["first.test"]);
    let wild = authority.issue(&["*.wild.test", "wild.test"]);
    let exact = authority.issue(&["exact.wild.test", "Other.Test"]);
    let listed: Vec<String> =
        [("f", &first), ("w", &wild), ("e", &exact)].map(|(name, one)| one.write(folder.path(), name)).into();
    let tls = format!("{{ certificates: [{}] }}", listed.join(", "));
    let gateway = Gateway::builder().upstream("api", &upstream.url()).yaml(PUBLIC).tls(&tls).start().await;
    // Who is shown a certificate for another name would not go on.
    let client = authority.client().with(|config| {
        config.dangerous().set_certificate_verifier(std::sync::Arc::new(anything::Anything));
    });
    for (host, expected) in [
        ("first.test", &first),
        ("exact.wild.test", &exact),
        ("EXACT.wild.TEST", &exact),
        ("other.test", &exact),
        ("any.wild.test", &wild),
        ("wild.test", &wild),
        ("two.labels.wild.test", &first),
        ("unknown.test", &first),
        ("127.0.0.1", &first),
    ] {
        assert_eq!(shown(&client.connect(gateway.secure(), host).await), expected.der, "{host}");
    }
    let nameless = client.with(|config| config.enable_sni = false);
    assert_eq!(shown(&nameless.connect(gateway.secure(), "wild.test").await), first.der);
}

/// A verifier for clients that only look.
mod anything {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    #[derive(Debug)]
    pub struct Anything;

    impl ServerCertVerifier for Anything {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            rustls::crypto::aws_lc_rs::default_provider()
                .signature_verification_algorithms
                .supported_schemes()
        }
    }
}

/// An old client that judges RSA only is shown the certificate that it can judge, others the one that costs less.
#[tokio::test]
async fn of_two_for_one_name_a_client_is_shown_the_one_that_it_can_judge() {
    let upstream = Upstream::echo().await;
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let elliptic = authority.issue(&["a.test"]);
    let rsa = authority.certify(&["a.test"], &KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap(), |_| {});
    let listed = [elliptic.write(folder.path(), "ec"), rsa.write(folder.path(), "rsa")].join(", ");
    let tls = format!("{{ certificates: [{listed}] }}");
    let gateway = Gateway::builder().upstream("api", &upstream.url()).yaml(PUBLIC).tls(&tls).start().await;
    let client = authority.client_of(&[&rustls::version::TLS12]);
    assert_eq!(shown(&client.connect(gateway.secure(), "a.test").await), elliptic.der);
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .retain(|suite| suite.suite() == CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256);
    let old = authority.client_by(provider, &[&rustls::version::TLS12]);
    let stream = old.connect(gateway.secure(), "a.test").await;
    assert_eq!(shown(&stream), rsa.der);
}

#[tokio::test]
async fn a_reload_shows_new_certificates_and_leaves_connections_alone() {
    let upstream = Upstream::echo().await;
    let bed = Bed::before(&upstream).await;
    let mut kept = bed.connect().await;
    let old = shown(&kept);
    let new = bed.authority.issue(&["a.test"]);
    new.write(bed.folder.path(), "a");
    let warned = bed.gateway.reload_same().await;
    assert!(!warned.iter().any(|warning| warning.contains("secure")), "{warned:?}");
    assert_eq!(shown(&bed.connect().await), new.der);
    assert_ne!(old, new.der);
    kept.write_all(GET).await.unwrap();
    within("an answer", kept.read_exact(&mut [0; 12])).await.unwrap();
}

/// Without a signal: it is enough that the files change. A renewal writes one file after the other.
#[tokio::test]
async fn files_that_change_are_noticed_and_half_a_renewal_changes_nothing() {
    let upstream = Upstream::echo().await;
    let bed = Bed::before(&upstream).await;
    let old = shown(&bed.connect().await);
    let new = bed.authority.issue(&["a.test"]);
    let (cert, key) = paths(bed.folder.path(), "a");
    std::fs::write(cert, &new.cert).unwrap();
    let warned = bed.gateway.reload_same().await;
    assert!(warned[0].contains("a.key: this private key is not that of the certificate"), "{warned:?}");
    assert_eq!(shown(&bed.connect().await), old);
    std::fs::write(key, &new.key).unwrap();
    within("the new certificate", async { while shown(&bed.connect().await) != new.der {} }).await;
}

#[tokio::test]
async fn a_reload_whose_files_are_wrong_changes_nothing() {
    let upstream = Upstream::echo().await;
    let mut bed = Bed::before(&upstream).await;
    let old = shown(&bed.connect().await);
    std::fs::write(paths(bed.folder.path(), "a").0, "").unwrap();
    let (folder, url) = (bed.folder.path().display().to_string(), upstream.url());
    let tls = format!("{{ certificates: [{{ cert_file: {folder}/a.pem, key_file: {folder}/a.key }}] }}");
    bed.gateway
        .reload(|builder| builder.instead().upstream("other", &url).tls(&tls).yaml("routes: []\n"))
        .await;
    assert_eq!(shown(&bed.connect().await), old);
    let mut stream = bed.connect().await;
    stream.write_all(GET).await.unwrap();
    let mut start = [0; 12];
    within("an answer by the old routes", stream.read_exact(&mut start)).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
}

#[tokio::test]
async fn operators_can_see_when_certificates_end() {
    let upstream = Upstream::echo().await;
    let bed = Bed::before(&upstream).await;
    let end = |year: i32| rcgen::date_time_ymd(year, 1, 2);
    for year in [2040, 2050] {
        let issued = bed.authority.issue_with(&["a.test"], |params| params.not_after = end(year));
        issued.write(bed.folder.path(), "a");
        bed.gateway.reload_same().await;
        let file = paths(bed.folder.path(), "a").0.display().to_string();
        let ready = Client::new(bed.gateway.admin()).get("/readyz?verbose").await.json();
        let expires = format!("{year}-01-02T00:00:00Z");
        let told = serde_json::json!([{ "listener": "secure", "file": file, "expires": expires }]);
        assert_eq!(ready["checks"]["certificates"], told);
        let metrics = Client::new(bed.gateway.admin()).get("/metrics").await;
        let name = "keyward_tls_certificate_expires_timestamp_seconds";
        let lines: Vec<_> = metrics.text().lines().filter(|line| line.starts_with(name)).collect();
        let expected =
            format!("{name}{{file=\"{file}\",listener=\"secure\"}} {}", end(year).unix_timestamp());
        assert_eq!(lines, [expected]);
    }
}
