//! Whom a certificate stands for.

use std::path::Path;
use std::process::Command;

use keyward::auth::refusal::Code;
use rcgen::DnType;
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

use super::{ANN, ANNS_URI, BEN, BY_URI, Bed, dns, email, uri};
use crate::support::sha256;
use crate::support::tls::{Authority, Issued};

#[tokio::test]
async fn a_client_may_come_without_a_certificate_and_with_none_that_is_not_good() {
    let bed = Bed::new(BY_URI).await;
    for version in [&TLS12, &TLS13] {
        let without = bed.servers.client_of(&[version]);
        let mut client = bed.connecting(&without).await;
        assert_eq!(client.get("/open").await.status, 200);
        let detail = client.get("/").await.refused(Code::MissingCredentials);
        assert!(detail.contains("client certificate"), "{detail}");
        let basic = client.request("GET", "/").header("Authorization", "Basic eDo=").send().await;
        let detail = basic.refused(Code::MissingCredentials);
        assert!(detail.contains("scheme Basic") && detail.contains("client certificate"), "{detail}");

        let foreign =
            Authority::new().issue_with(&[], |params| params.subject_alt_names = vec![uri(ANNS_URI)]);
        let over =
            |params: &mut rcgen::CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        for bad in [foreign, bed.clients.issue_with(&["client.test"], over)] {
            let mut client = bed.connecting(&without.clone().showing(&bad)).await;
            assert!(client.request("GET", "/open").try_send().await.is_err(), "{version:?}");
        }
        let good = without.showing(&bed.anns());
        for _ in 0..3 {
            let stream = good.connect(bed.gateway.secure(), "a.test").await;
            assert_ne!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
        }
        assert_eq!(bed.connecting(&good).await.get("/").await.status, 200);
        assert_eq!(bed.told(), Some(bed.ann.clone()));
    }
}

#[tokio::test]
async fn each_kind_of_name_stands_for_its_account() {
    let mut bed = Bed::new("").await;
    let plain = bed.issue(vec![dns("nobody.example.com")], 1);
    let digest = sha256(&plain.der).to_uppercase();
    let pairs: Vec<&str> = (0..32).map(|at| &digest[2 * at..2 * at + 2]).collect();
    let ann = bed.ann.clone();
    let accounts = format!(
        "{BY_URI}, {{ dns: Ann.Example.com, account: {ann} }}, {{ email: ann@Example.COM, account: {ANN} }}, \
         {{ common_name: ann, account: {ANN} }}, {{ sha256: \"{}\", account: {ANN} }}",
        pairs.join(":")
    );
    bed.reload(&accounts).await;
    let named = |name: &str, names| {
        bed.clients.issue_with(&[], |params| {
            params.subject_alt_names = names;
            params.distinguished_name.push(DnType::CommonName, name);
        })
    };
    for (shown, what) in [
        (bed.anns(), "uri"),
        (bed.issue(vec![dns("ANN.example.com")], 1), "dns"),
        (bed.issue(vec![email("ann@EXAMPLE.com")], 1), "email"),
        (bed.issue(vec![dns("x.example.com"), email("ann@example.com"), uri(ANNS_URI)], 1), "several"),
        (named("ann", vec![]), "common_name"),
        (plain, "sha256"),
    ] {
        let response = bed.client(&shown).await.get("/").await;
        assert_eq!((response.status, bed.told().as_deref()), (200, Some(&*ann)), "{what}");
    }
    for (shown, what) in [
        (bed.issue(vec![uri("spiffe://example.com/Ann")], 1), "another uri"),
        (bed.issue(vec![uri("spiffe://example.com/ann/x")], 1), "a longer uri"),
        (bed.issue(vec![dns("x.ann.example.com")], 1), "a name under it"),
        (bed.issue(vec![email("Ann@example.com")], 1), "another mailbox"),
        (named("ann", vec![dns("x.example.com")]), "a common name beside others"),
        (named("Ann", vec![]), "another common name"),
        (bed.issue(vec![dns("nobody.example.com")], 1), "another certificate"),
    ] {
        let response = bed.client(&shown).await.get("/").await;
        let detail = response.refused(Code::InvalidCredentials);
        assert!(detail.contains("stands for no account") && !detail.contains('@'), "{what}: {detail}");
        assert!(response.header("www-authenticate").unwrap().contains("invalid_token"), "{what}");
    }
}

#[tokio::test]
async fn names_of_two_accounts_stand_for_nobody() {
    let accounts = format!("{BY_URI}, {{ dns: a.test, account: {ANN} }}, {{ dns: b.test, account: {BEN} }}");
    let bed = Bed::new(&accounts).await;
    let both = bed.issue(vec![uri(ANNS_URI), dns("a.test"), dns("b.test")], 1);
    let detail = bed.client(&both).await.get("/").await.refused(Code::InvalidCredentials);
    assert!(detail.contains("more than one account") && !detail.contains('@'), "{detail}");
    let hers = bed.issue(vec![uri(ANNS_URI), dns("a.test")], 1);
    assert_eq!(bed.client(&hers).await.get("/").await.status, 200);
    let his = bed.issue(vec![dns("b.test"), dns("c.test")], 1);
    assert_eq!(bed.client(&his).await.get("/").await.status, 200);
    assert_eq!(bed.told(), Some(bed.ben.clone()));
}

/// It is the configuration that names it, so it is no junk; and it may come to be.
#[tokio::test]
async fn an_account_that_there_is_not_counts_as_unknown_until_it_is_made() {
    let yaml = format!("{}limits: {{ failures: {{ per_minute: 1 }} }}\n", super::ROUTES);
    let bed = Bed::with("{ dns: eve.test, account: eve@example.com }", &yaml).await;
    let mut client = bed.client(&bed.issue(vec![dns("eve.test")], 1)).await;
    client.get("/").await.refused(Code::InvalidCredentials);
    let unknown = format!("Bearer {}", crate::support::keys::unknown());
    let other = client.request("GET", "/").header("Authorization", &unknown).send().await;
    other.refused(Code::TooManyFailures);
    client.get("/").await.refused(Code::InvalidCredentials);
    let eve = crate::support::keys::account(&bed.gateway.issuer(), "eve@example.com").await;
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!((bed.told(), client.connections), (Some(eve), 1));
}

#[tokio::test]
async fn certificates_that_openssl_made_are_read_alike() {
    let bed = Bed::new(BY_URI).await;
    let made = by_openssl(bed.folder.path(), "URI:spiffe://example.com/ann,DNS:x.example.com");
    let authority = std::fs::read(bed.folder.path().join("authority.pem")).unwrap();
    std::fs::write(bed.folder.path().join("clients.pem"), authority).unwrap();
    std::fs::write(bed.folder.path().join("revoked.pem"), revocations(bed.folder.path())).unwrap();
    bed.gateway.reload_same().await;
    assert_eq!(bed.client(&made).await.get("/").await.status, 200);
    let told = bed.upstream.requests().last().unwrap().header("x-auth-credential").map(str::to_owned);
    let told_by_openssl = openssl(bed.folder.path(), "x509 -in client.pem -noout -fingerprint -sha256");
    let digest = told_by_openssl.trim().rsplit('=').next().unwrap().replace(':', "").to_lowercase();
    assert_eq!((bed.told(), told), (Some(bed.ann.clone()), Some(digest)));
}

/// An authority, and a certificate of it with these names.
fn by_openssl(folder: &Path, names: &str) -> Issued {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        folder,
        &format!("req -x509 {key} -keyout authority.key -out authority.pem -days 9000 -subj /CN=ours"),
    );
    openssl(folder, &format!("req {key} -keyout client.key -out client.csr -subj /O=example/CN=client"));
    std::fs::write(folder.join("names"), format!("subjectAltName={names}\n")).unwrap();
    let by = "-CA authority.pem -CAkey authority.key -CAcreateserial -extfile names";
    openssl(folder, &format!("x509 -req -in client.csr -out client.pem -days 9000 {by}"));
    openssl(folder, "x509 -in client.pem -outform der -out client.der");
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let der = std::fs::read(folder.join("client.der")).unwrap();
    Issued { cert: text("client.pem"), key: text("client.key"), der }
}

/// Its list, with nothing on it.
fn revocations(folder: &Path) -> String {
    std::fs::write(folder.join("index"), "").unwrap();
    std::fs::write(folder.join("number"), "01\n").unwrap();
    let config = "[ca]\ndefault_ca=own\n[own]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=9000\ncrlnumber=number\n\
                  crl_extensions=more\n[more]\nauthorityKeyIdentifier=keyid\n";
    std::fs::write(folder.join("ca.conf"), config).unwrap();
    openssl(folder, "ca -config ca.conf -gencrl -keyfile authority.key -cert authority.pem")
}

fn openssl(folder: &Path, words: &str) -> String {
    let done = Command::new("openssl").args(words.split(' ')).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}
