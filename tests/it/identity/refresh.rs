//! Sessions over the wire: single use, reuse, and what ends everything at once.
//!
//! `KEYWARD_REFRESH_ROUNDS=1000 cargo test --test it identity::refresh::of_fifty` is the long run.

use std::sync::Arc;

use keyward::auth::random::System;
use keyward::auth::refusal::Code;
use keyward::auth::token::{Kind, PlainToken, Prefix};

use super::{ANN, BEN, Scene, Tokens, same_but_for_ids, tokens};
use crate::support::chaos;
use crate::support::keys::origin;

#[tokio::test]
async fn a_token_used_twice_ends_the_session_with_all_its_tokens() {
    let scene = Scene::new().await;
    let other = scene.login(ANN).await;
    let first = scene.login(ANN).await;
    let second = tokens(&scene.try_refresh(&first.refresh).await);
    for token in [&first, &second, &other] {
        assert_eq!(scene.route(&token.access).await, 200, "seen, and cached");
    }
    let detail = scene.try_refresh(&first.refresh).await.refused(Code::InvalidGrant);
    assert_eq!(detail, "This refresh token is unknown, used, or over. Log in again.");
    for token in [&first, &second] {
        assert_eq!(scene.route(&token.access).await, 401);
    }
    scene.try_refresh(&second.refresh).await.refused(Code::InvalidGrant);
    assert_eq!(scene.route(&other.access).await, 200, "another session");
    assert_eq!(scene.try_refresh(&other.refresh).await.status, 200);
}

#[tokio::test]
async fn of_fifty_at_once_exactly_one_gets_a_pair() {
    let scene = Arc::new(Scene::new().await);
    for _ in 0..chaos::refresh_rounds(5) {
        let first = scene.login(ANN).await;
        let together = Arc::new(tokio::sync::Barrier::new(50));
        let asking: Vec<_> = (0..50)
            .map(|_| {
                let (scene, token, together) =
                    (Arc::clone(&scene), first.refresh.clone(), Arc::clone(&together));
                tokio::spawn(async move {
                    together.wait().await;
                    scene.try_refresh(&token).await
                })
            })
            .collect();
        let mut won: Vec<Tokens> = Vec::new();
        for asked in asking {
            let response = asked.await.unwrap();
            match response.status {
                200 => won.push(tokens(&response)),
                _ => drop(response.refused(Code::InvalidGrant)),
            }
        }
        assert_eq!(won.len(), 1);
        // The others presented a dead token: nothing of the session is left.
        scene.try_refresh(&won[0].refresh).await.refused(Code::InvalidGrant);
        assert_eq!(scene.route(&won[0].access).await, 401);
    }
}

#[tokio::test]
async fn within_the_window_the_same_token_gets_the_same_successor() {
    let yaml = "identity: { public_url: \"https://auth.test\", refresh: { reuse_window: 10s } }\n";
    let scene = Scene::with(yaml).await;
    let first = scene.login(ANN).await;
    let second = tokens(&scene.try_refresh(&first.refresh).await);
    scene.pass(9);
    let again = tokens(&scene.try_refresh(&first.refresh).await);
    assert_eq!(again.refresh, second.refresh);
    let third = tokens(&scene.try_refresh(&second.refresh).await);
    let slow = tokens(&scene.try_refresh(&first.refresh).await);
    assert_eq!(slow.refresh, second.refresh, "though it was used meanwhile");
    assert_eq!(tokens(&scene.try_refresh(&slow.refresh).await).refresh, third.refresh);
    for token in [&second, &again, &third, &slow] {
        assert_eq!(scene.route(&token.access).await, 200);
    }
    scene.pass(2);
    scene.try_refresh(&first.refresh).await.refused(Code::InvalidGrant);
    scene.try_refresh(&third.refresh).await.refused(Code::InvalidGrant);
    assert_eq!(scene.route(&again.access).await, 401);
}

/// Whatever is wrong with it, nobody learns which.
#[tokio::test]
async fn every_token_that_is_exchanged_for_nothing_is_told_the_same() {
    let scene = Scene::new().await;
    let made = |prefix: &str| {
        let prefix = Prefix::parse(prefix).unwrap();
        PlainToken::generate(&prefix, Kind::RefreshToken, &System::default()).unwrap().expose().to_owned()
    };
    let expired = scene.login(ANN).await.refresh;
    scene.pass(30 * 86_400);
    let used = scene.login(ANN).await.refresh;
    let successor = tokens(&scene.try_refresh(&used).await).refresh;
    let ended = scene.login(ANN).await;
    assert_eq!(scene.ask("POST", "/user/logout", &ended.access, None).await.status, 204);
    let disabled = scene.login(BEN).await.refresh;
    scene.disable(&scene.ben).await;
    let mut told = Vec::new();
    for (what, token) in [
        ("nothing", String::new()),
        ("junk", "junk".to_owned()),
        ("bytes that no token has", "kw_rt_\u{0}\u{202e}<script>".to_owned()),
        ("too long", "x".repeat(50_000)),
        ("cut", successor[..successor.len() - 1].to_owned()),
        ("mistyped", format!("{}{}", &successor[..successor.len() - 1], '-')),
        ("never made", made("kw")),
        ("of another installation", made("other")),
        ("expired", expired),
        ("of a session that ended", ended.refresh),
        ("of an account that is disabled", disabled),
        ("used", used),
        ("of the session that this ended", successor),
    ] {
        let answer = scene.try_refresh(&token).await;
        answer.refused(Code::InvalidGrant);
        let fields = answer.headers.iter().filter(|(name, _)| name != "x-request-id" && name != "date");
        told.push((what, same_but_for_ids(&answer), format!("{:?}", fields.collect::<Vec<_>>())));
    }
    assert!(told.iter().all(|(_, body, fields)| (body, fields) == (&told[0].1, &told[0].2)), "{told:#?}");
}

#[tokio::test]
async fn a_refresh_token_ends_with_its_time() {
    let scene = Scene::new().await;
    let pair = scene.login(ANN).await;
    scene.pass(30 * 86_400);
    scene.try_refresh(&pair.refresh).await.refused(Code::InvalidGrant);
}

#[tokio::test]
async fn disabling_and_a_new_password_end_every_session_at_once() {
    let scene = Scene::new().await;
    let pair = scene.login(ANN).await;
    assert_eq!(scene.route(&pair.access).await, 200);
    scene.set_password(&scene.ann, "another good password").await;
    assert_eq!(scene.route(&pair.access).await, 401);
    scene.try_refresh(&pair.refresh).await.refused(Code::InvalidGrant);
    let pair = tokens(&scene.try_login(ANN, "another good password").await);
    assert_eq!(scene.route(&pair.access).await, 200);
    scene.disable(&scene.ann).await;
    assert_eq!(scene.route(&pair.access).await, 401);
    scene.ask("GET", "/user/api-keys", &pair.access, None).await.refused(Code::RevokedCredentials);
    scene.try_refresh(&pair.refresh).await.refused(Code::InvalidGrant);
    let issuer = scene.gateway.issuer();
    issuer.set_account_status(&scene.ann, keyward::store::AccountStatus::Active, &origin()).await.unwrap();
    scene.try_refresh(&pair.refresh).await.refused(Code::InvalidGrant);
}
