//! Keys that are almost good: of another time, another case, another prefix, another address.

use std::time::Duration;

use keyward::auth::refusal::Code;
use keyward::clock::{Clock, Timestamp};
use keyward::issuer::{Expiry, NewKey};

use super::Stand;
use crate::support::gateway::{Gateway, Key};
use crate::support::keys::origin;

async fn key(gateway: &Gateway, expiry: Expiry, allowed: &[&str]) -> Key {
    let new = NewKey {
        account: gateway.account().await.to_owned(),
        name: "test".to_owned(),
        scopes: vec!["orders:read".to_owned()],
        expiry,
        allowed_addresses: allowed.iter().map(ToString::to_string).collect(),
    };
    let made = gateway.issuer().create_key(&new, &origin()).await.unwrap();
    Key { id: made.key.id, secret: made.token.expose().to_owned() }
}

async fn verdict(stand: &Stand, secret: &str, more: &str) -> String {
    let outcome = stand
        .ask(&format!("GET /admin HTTP/1.1\r\nHost: a.test\r\n{more}Authorization: Bearer {secret}"))
        .await;
    assert_eq!(outcome.forwarded.len(), usize::from(outcome.answers[0].status == 200));
    outcome.answered().remove(0)
}

#[tokio::test]
async fn a_key_ends_at_its_expiry_and_not_a_moment_later_cached_or_not() {
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let stand = Stand::with(|builder| builder.clock(&clock)).await;
    let cached = key(&stand.gateway, Expiry::In(Duration::from_secs(30)), &[]).await;
    let fresh = key(&stand.gateway, Expiry::In(Duration::from_secs(30)), &[]).await;
    assert_eq!(verdict(&stand, &cached.secret, "").await, "200");
    clock.advance(Duration::from_millis(29_999));
    assert_eq!(verdict(&stand, &cached.secret, "").await, "200");
    clock.advance(Duration::from_millis(1));
    for key in [&cached, &fresh] {
        assert_eq!(verdict(&stand, &key.secret, "").await, "401 expired_credentials");
    }
}

#[tokio::test]
async fn a_key_that_is_not_quite_one_is_none() {
    let stand = Stand::start().await;
    let good = stand.key.secret.clone();
    let mut almost = vec![
        good.to_uppercase(),
        good.to_lowercase(),
        good.replacen("kw_", "KW_", 1),
        good.replacen("kw_", "sk_", 1),
        good.replacen("kw_sk_", "kw_rt_", 1),
        good.replacen("kw_sk_", "kw_ak_", 1),
        good.replacen("kw_sk_", "kw__", 1),
        good.replacen("kw_", "", 1),
        good.replace('_', "-"),
        format!("{good}="),
        format!("{good}%00"),
        format!("{good},"),
        format!("\"{good}\""),
        format!("{good}{good}"),
        good[..good.len() - 1].to_owned(),
        good.chars().rev().collect(),
    ];
    for at in 0..good.len() {
        let swapped: String = good
            .chars()
            .enumerate()
            .map(|(index, letter)| match letter {
                _ if index != at => letter,
                'a'..='z' => letter.to_ascii_uppercase(),
                'A'..='Z' => letter.to_ascii_lowercase(),
                '0'..='8' => char::from(letter as u8 + 1),
                _ => 'x',
            })
            .collect();
        almost.push(swapped);
    }
    for secret in almost {
        assert_eq!(verdict(&stand, &secret, "").await, "401 invalid_credentials", "{secret}");
    }
    let revoked = stand.gateway.key().await;
    assert_eq!(verdict(&stand, &revoked.secret, "").await, "200");
    stand.gateway.issuer().revoke_key(&revoked.id, &origin()).await.unwrap();
    assert_eq!(verdict(&stand, &revoked.secret, "").await, "401 revoked_credentials");
}

#[tokio::test]
async fn a_keys_addresses_are_the_clients_and_nobody_elses() {
    let stand = Stand::start().await;
    let elsewhere = key(&stand.gateway, Expiry::Default, &["203.0.113.0/24"]).await;
    for field in [
        "",
        "X-Forwarded-For: 203.0.113.9\r\n",
        "X-Real-IP: 203.0.113.9\r\n",
        "Forwarded: for=203.0.113.9\r\n",
    ] {
        assert_eq!(verdict(&stand, &elsewhere.secret, field).await, "403 address_not_allowed", "{field}");
    }
    for allowed in ["127.0.0.1", "127.0.0.0/8", "::ffff:127.0.0.1", "::ffff:127.0.0.0/104"] {
        let here = key(&stand.gateway, Expiry::Default, &[allowed]).await;
        assert_eq!(verdict(&stand, &here.secret, "").await, "200", "{allowed}");
    }
    let six = key(&stand.gateway, Expiry::Default, &["::1", "2001:db8::/32"]).await;
    assert_eq!(verdict(&stand, &six.secret, "").await, "403 address_not_allowed");

    let behind = Stand::with(|builder| builder.yaml("trusted_proxies: [127.0.0.0/8]")).await;
    let four = key(&behind.gateway, Expiry::Default, &["203.0.113.0/24"]).await;
    for (told, want) in [
        ("203.0.113.9", "200"),
        ("::ffff:203.0.113.9", "200"),
        ("[::ffff:203.0.113.9]:80", "200"),
        ("::FFFF:cb00:7109", "200"),
        ("198.51.100.1, 203.0.113.9", "200"),
        ("203.0.113.9, 127.0.0.2", "200"),
        ("203.0.113.9, 198.51.100.1", "403 address_not_allowed"),
        ("::203.0.113.9", "403 address_not_allowed"),
        ("64:ff9b::203.0.113.9", "403 address_not_allowed"),
        ("203.0.113.009", "403 address_not_allowed"),
        ("203.0.113.9, junk", "403 address_not_allowed"),
        ("203.0.28937", "403 address_not_allowed"),
        ("0xcb.0.113.9", "403 address_not_allowed"),
        ("203.0.114.9", "403 address_not_allowed"),
        ("", "403 address_not_allowed"),
    ] {
        let field = format!("X-Forwarded-For: {told}\r\n");
        assert_eq!(verdict(&behind, &four.secret, &field).await, want, "{told}");
        let folded = format!("X_Forwarded_For: {told}\r\n");
        assert_eq!(verdict(&behind, &four.secret, &folded).await, "403 address_not_allowed", "{told}");
    }
    // Whoever is refused is told which address is seen.
    for (told, seen) in [
        ("", "127.0.0.1"),
        ("203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:DB8:0::7", "2001:db8::7"),
    ] {
        let mut client = behind.gateway.anonymous().with_key(&four.secret).with_host("a.test");
        let refused = client.request("GET", "/admin").header("X-Forwarded-For", told).send().await;
        let detail = refused.refused(Code::AddressNotAllowed);
        assert!(detail.starts_with(&format!("This API key may not be used from {seen}. ")), "{detail}");
    }
}
