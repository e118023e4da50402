//! From a login on: what the use cases give and take is what the data plane judges by, at once.

use std::net::{IpAddr, Ipv4Addr};

use keyward::auth::refusal::Code;
use keyward::issuer::login::{Pair, Visitor};
use zeroize::Zeroizing;

use super::{START, Scene};
use crate::support::keys::origin;

const EMAIL: &str = "test@example.com";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PASSWORD: &str = "correct horse battery staple";

impl Scene {
    async fn set_password(&self, password: &str) {
        let issuer = self.gateway.issuer();
        issuer.set_password(EMAIL, Zeroizing::new(password.to_owned()), &origin()).await.unwrap();
    }

    async fn log_in(&self) -> Pair {
        let visitor = Visitor { address: HERE, browser: None, agent: "test".to_owned() };
        let password = Zeroizing::new(PASSWORD.to_owned());
        self.gateway.issuer().login(EMAIL, password, &visitor, &origin()).await.unwrap()
    }

    fn beside(&self, pair: &Pair) -> String {
        self.gateway.mint().beside(pair).unwrap().token.to_string()
    }
}

#[tokio::test]
async fn a_login_opens_and_a_refresh_goes_on() {
    let scene = Scene::new().await;
    scene.set_password(PASSWORD).await;
    let first = scene.log_in().await;
    let token = scene.beside(&first);
    assert_eq!(scene.client(&token).get("/write").await.status, 200);
    let seen = scene.upstream.only_request();
    assert_eq!(seen.header("x-auth-credential"), Some(first.session.id.as_str()));
    let second = scene.gateway.issuer().refresh(first.refresh.expose(), HERE, &origin()).await.unwrap();
    let newer = scene.beside(&second);
    assert_ne!(newer, token);
    for token in [&token, &newer] {
        assert_eq!(scene.client(token).get("/").await.status, 200);
    }
    // A refresh token is for refreshing.
    scene.client(second.refresh.expose()).get("/").await.refused(Code::InvalidCredentials);
    // Presented again, it ends the session with all that came of it.
    scene.gateway.issuer().refresh(first.refresh.expose(), HERE, &origin()).await.unwrap_err();
    for token in [&token, &newer] {
        scene.client(token).get("/").await.refused(Code::RevokedCredentials);
    }
}

#[tokio::test]
async fn another_password_ends_every_token_at_once() {
    let scene = Scene::new().await;
    for _ in 0..5 {
        scene.set_password(PASSWORD).await;
        let tokens = [scene.beside(&scene.log_in().await), scene.beside(&scene.log_in().await)];
        for token in &tokens {
            assert_eq!(scene.client(token).get("/").await.status, 200);
        }
        scene.set_password("another horse battery staple").await;
        for token in &tokens {
            scene.client(token).get("/").await.refused(Code::RevokedCredentials);
        }
    }
    assert_eq!(scene.clock.now(), START);
}
