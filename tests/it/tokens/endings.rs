//! What lasts ends with its token, too.

use std::time::Duration;

use keyward::store::{AccountStatus, Ending};

use super::Scene;
use crate::support::keys::origin;
use crate::support::noise;
use crate::support::upstream::{Answer, Gate};
use crate::support::websocket::{handshake_with, is_closed, masked, open, opening};

#[derive(Clone, Copy, Debug)]
enum Cause {
    LoggedOut,
    Disabled,
    Expired,
}

impl Scene {
    async fn ends(&self, cause: Cause) -> &'static str {
        match cause {
            Cause::LoggedOut => {
                self.end(Ending::Logout).await;
                "revoked_credentials"
            }
            Cause::Disabled => {
                let (issuer, account) = (self.gateway.issuer(), &self.session.account_id);
                issuer.set_account_status(account, AccountStatus::Disabled, &origin()).await.unwrap();
                "revoked_credentials"
            }
            // Only the wall clock tells.
            Cause::Expired => {
                self.clock.set_wall(self.clock.now().after(Duration::from_mins(15)));
                "expired_credentials"
            }
        }
    }
}

#[tokio::test]
async fn a_websocket_is_told_and_closed_when_its_token_ends() {
    for cause in [Cause::LoggedOut, Cause::Disabled, Cause::Expired] {
        let scene = Scene::with("", opening().then_mirror().then_close()).await;
        let handshake = handshake_with("/", &scene.token("orders:read"));
        let mut tunnel = open(scene.gateway.raw().await, &handshake).await;
        let message = masked(1, b"still there?");
        tunnel.send(&message).await;
        assert_eq!(tunnel.exactly(message.len()).await, message);
        let code = scene.ends(cause).await;
        is_closed(&mut tunnel, 1008, code).await;
    }
}

#[tokio::test]
async fn an_answer_breaks_off_when_its_token_ends() {
    let gate = Gate::new();
    let answer = Answer::new(200)
        .header("Content-Length", "200000")
        .only_head()
        .then_send(noise(1000))
        .then_wait(&gate);
    let scene = Scene::with("", answer.then_send(noise(199_000))).await;
    let mut raw = scene.gateway.raw().await;
    let token = scene.token("orders:read");
    raw.send(format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n")).await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    assert_eq!(raw.exactly(1000).await, noise(1000));
    scene.end(Ending::Logout).await;
    let (rest, _) = raw.rest().await;
    assert!(rest.is_empty(), "{} bytes more", rest.len());
    gate.open();
}
