//! What ends a certificate while its connection lives.

use std::fs;

use keyward::auth::refusal::Code;
use keyward::clock::Timestamp;
use keyward::store::AccountStatus;

use super::{BEN, BY_URI, Bed, START, dns, uri};
use crate::support::keys::{self, origin};
use crate::support::raw::Raw;
use crate::support::tls::Authority;
use crate::support::upstream::Upstream;
use crate::support::websocket::{handshake, is_closed, masked, open, opening};

#[tokio::test]
async fn a_disabled_account_is_refused_from_the_next_request_on() {
    let bed = Bed::new(BY_URI).await;
    let mut client = bed.client(&bed.anns()).await;
    for (status, refusal) in [
        (AccountStatus::Active, None),
        (AccountStatus::Disabled, Some(Code::RevokedCredentials)),
        (AccountStatus::Active, None),
    ] {
        bed.gateway.issuer().set_account_status(&bed.ann, status, &origin()).await.unwrap();
        for _ in 0..2 {
            let response = client.get("/").await;
            match refusal {
                None => assert_eq!(response.status, 200),
                Some(code) => {
                    let detail = response.refused(code);
                    assert!(
                        detail.starts_with("The account of this client certificate is disabled."),
                        "{detail}"
                    );
                }
            }
        }
    }
    assert_eq!(client.connections, 1);
}

#[tokio::test]
async fn a_reload_counts_at_once_on_connections_that_are_there() {
    let mut bed = Bed::new(BY_URI).await;
    let mut client = bed.client(&bed.anns()).await;
    assert_eq!(client.get("/").await.status, 200);
    bed.reload("{ dns: other.test, account: ann@example.com }").await;
    client.get("/").await.refused(Code::InvalidCredentials);
    bed.reload(&BY_URI.replace("Ann@example.com", BEN)).await;
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!((bed.told(), client.connections), (Some(bed.ben.clone()), 1));
    bed.reload("").await;
    client.get("/").await.refused(Code::InvalidCredentials);
}

#[tokio::test]
async fn its_end_comes_on_a_connection_that_lives() {
    let bed = Bed::new(BY_URI).await;
    let ends = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names = vec![uri(super::ANNS_URI)];
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    };
    let mut client = bed.client(&bed.clients.issue_with(&[], ends)).await;
    let end: i64 = 1_893_456_000_000;
    bed.clock.set_wall(Timestamp(end - 1));
    assert_eq!(client.get("/").await.status, 200);
    bed.clock.set_wall(Timestamp(end));
    for _ in 0..2 {
        let detail = client.get("/").await.refused(Code::ExpiredCredentials);
        assert_eq!(
            detail,
            "This client certificate expired on 2030-01-01T00:00:00Z. Connect with a new one."
        );
    }
    // Read anew, it is still told as what it is.
    bed.gateway.reload_same().await;
    client.get("/").await.refused(Code::ExpiredCredentials);
    bed.clock.set_wall(START);
    assert_eq!((client.get("/").await.status, client.connections), (200, 1));
}

#[tokio::test]
async fn what_was_revoked_meanwhile_is_refused_before_its_next_request_is_judged() {
    let bed = Bed::new(BY_URI).await;
    let mut seven = bed.client(&bed.issue(vec![uri(super::ANNS_URI)], 7)).await;
    let mut eight = bed.client(&bed.issue(vec![uri(super::ANNS_URI)], 8)).await;
    assert_eq!([seven.get("/").await.status, eight.get("/").await.status], [200; 2]);
    let file = |name: &str| bed.folder.path().join(name);
    for (revoked, of_seven, of_eight) in [(vec![7], 401, 200), (vec![7, 8], 401, 401), (vec![8], 200, 401)] {
        fs::write(file("revoked.pem"), bed.clients.revoke(&revoked, 2090)).unwrap();
        bed.gateway.reload_same().await;
        for (client, expected) in [(&mut seven, of_seven), (&mut eight, of_eight)] {
            for path in ["/", "/maybe"] {
                let response = client.get(path).await;
                assert_eq!(response.status, expected, "{revoked:?}");
                if expected == 401 {
                    response.refused(Code::RevokedCredentials);
                }
            }
            assert_eq!(client.get("/open").await.status, 200);
        }
    }
    let other = Authority::new();
    fs::write(file("clients.pem"), other.pem()).unwrap();
    fs::write(file("revoked.pem"), other.revoke(&[], 2090)).unwrap();
    bed.gateway.reload_same().await;
    seven.get("/").await.refused(Code::RevokedCredentials);
    assert_eq!([seven.connections, eight.connections], [1; 2]);
    let renewed =
        other.issue_with(&[], |params| params.subject_alt_names = vec![uri(super::ANNS_URI), dns("x")]);
    assert_eq!(bed.client(&renewed).await.get("/").await.status, 200);
}

/// As nobody is let in then, nobody stays.
#[tokio::test]
async fn a_list_that_is_out_of_date_is_no_word_for_connections_that_are_there() {
    let bed = Bed::new(BY_URI).await;
    let mut client = bed.client(&bed.issue(vec![uri(super::ANNS_URI)], 7)).await;
    assert_eq!(client.get("/").await.status, 200);
    let over = rcgen::date_time_ymd(2090, 1, 1).unix_timestamp() * 1000;
    for (now, status) in [(over - 1, 200), (over, 401), (START.0, 200), (over + 1, 401)] {
        bed.clock.set_wall(Timestamp(now));
        let response = client.get("/").await;
        assert_eq!(response.status, status, "at {now}");
        if status == 401 {
            response.refused(Code::RevokedCredentials);
        }
    }
    assert_eq!(client.connections, 1);
}

/// They have no next request.
#[tokio::test]
async fn websockets_end_with_the_certificate_that_they_were_opened_by() {
    let mirror = Upstream::answering(|_| opening().then_mirror().then_close()).await;
    let mut bed = Bed::before(mirror, BY_URI, super::ROUTES).await;
    let shown = bed.servers.client().showing(&bed.issue(vec![uri(super::ANNS_URI)], 7));
    let address = shown.bridge(bed.gateway.secure(), "a.test").await;
    let key = format!("Bearer {}", keys::key(&bed.gateway.issuer(), &bed.ann, &[]).await.secret);
    let key = handshake("/").replace("\r\n\r\n", &format!("\r\nAuthorization: {key}\r\n\r\n"));
    let mut by_key = open(Raw::connect(address).await, &key).await;

    let mut revoked = open(Raw::connect(address).await, &handshake("/")).await;
    fs::write(bed.folder.path().join("revoked.pem"), bed.clients.revoke(&[7], 2090)).unwrap();
    bed.gateway.reload_same().await;
    is_closed(&mut revoked, 1008, "revoked_credentials").await;

    fs::write(bed.folder.path().join("revoked.pem"), bed.clients.revoke(&[], 2090)).unwrap();
    bed.gateway.reload_same().await;
    let mut renamed = open(Raw::connect(address).await, &handshake("/")).await;
    bed.reload(&BY_URI.replace("Ann@example.com", BEN)).await;
    is_closed(&mut renamed, 1008, "invalid_credentials").await;

    let mut disabled = open(Raw::connect(address).await, &handshake("/")).await;
    let status = AccountStatus::Disabled;
    bed.gateway.issuer().set_account_status(&bed.ben, status, &origin()).await.unwrap();
    is_closed(&mut disabled, 1008, "revoked_credentials").await;
    by_key.send(masked(1, b"still there")).await;
    assert_eq!(by_key.exactly(17).await, masked(1, b"still there"));
}
