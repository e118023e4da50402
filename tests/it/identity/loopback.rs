//! The names of this machine where the public URL is one of them.

use keyward::auth::refusal::Code;
use serde_json::json;

use super::console::{FORM, written};
use super::{ANN, PASSWORD, Scene};
use crate::support::raw::Response;

const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

impl Scene {
    async fn login_at(&self, host: &str) -> Response {
        let body = json!({"email": ANN, "password": PASSWORD}).to_string();
        let mut client = self.gateway.anonymous().with_host(host);
        client
            .request("POST", "/user/login")
            .header("Content-Type", "application/json")
            .body(body)
            .send()
            .await
    }

    async fn page_at(&self, host: &str, method: &str, target: &str) -> Response {
        self.gateway.anonymous().with_host(host).request(method, target).send().await
    }
}

#[tokio::test]
async fn programs_find_the_endpoints_under_every_name_of_this_machine() {
    for own in NAMES {
        let scene = Scene::with(&format!("identity: {{ public_url: \"http://{own}:8080\" }}\n")).await;
        for name in NAMES {
            for host in [name.to_owned(), format!("{name}:8080"), format!("{name}:9090")] {
                assert_eq!(scene.login_at(&host).await.status, 200, "{own} at {host}");
            }
        }
        for other in ["127.0.0.2", "auth.localhost", "auth.test"] {
            scene.login_at(other).await.refused(Code::MissingCredentials);
        }
    }
}

#[tokio::test]
async fn a_browser_is_led_to_the_name_that_its_cookies_are_bound_to() {
    let scene = Scene::with("identity: { public_url: \"http://127.0.0.1:8080\" }\n").await;
    for host in ["localhost:8080", "LOCALHOST", "[::1]:8080"] {
        for (target, place) in [
            ("/console", "http://127.0.0.1:8080/console"),
            ("/console/", "http://127.0.0.1:8080/console/"),
            (
                "/console/keys?after=%2F%2Fevil.test",
                "http://127.0.0.1:8080/console/keys?after=%2F%2Fevil.test",
            ),
            ("/console/reset?token=x", "http://127.0.0.1:8080/console/reset?token=x"),
        ] {
            for method in ["GET", "HEAD"] {
                let led = scene.page_at(host, method, target).await;
                assert_eq!((led.status, led.header("location")), (303, Some(place)), "{host}");
                assert_eq!((led.text(), led.header("cache-control")), ("", Some("no-store")));
            }
        }
        // No form is read there.
        let mut client = scene.gateway.anonymous().with_host(host);
        let form = client.request("POST", "/console/login").header("Origin", "http://127.0.0.1:8080");
        let fields = written(&[("email", ANN), ("password", PASSWORD)]);
        let led = form.header("Content-Type", FORM).body(fields).send().await;
        assert_eq!((led.status, led.all("set-cookie").len()), (303, 0), "{led:?}");
        assert_eq!(led.header("location"), Some("http://127.0.0.1:8080/console/login"));
    }
    assert_eq!(scene.page_at("127.0.0.1", "GET", "/console/login").await.status, 200);
    let put = scene.page_at("localhost", "PUT", "/console/login").await;
    put.refused(Code::MethodNotAllowed);
}

#[tokio::test]
async fn where_hosts_are_named_or_the_public_url_is_another_no_name_is_added() {
    for identity in [
        "public_url: \"http://127.0.0.1:8080\", hosts: [127.0.0.1]",
        "public_url: \"http://127.0.0.2:8080\"",
        "public_url: \"http://auth.localhost:8080\"",
        "public_url: \"https://localhost\"",
    ] {
        let scene = Scene::with(&format!("identity: {{ {identity} }}\n")).await;
        let own = identity.contains("https").then_some("localhost");
        for host in NAMES.into_iter().skip(1).filter(|host| Some(*host) != own) {
            scene.login_at(host).await.refused(Code::MissingCredentials);
            scene.page_at(host, "GET", "/console/").await.refused(Code::MissingCredentials);
        }
    }
    let bare = "identity: { public_url: \"http://127.0.0.1:8080\", console: false }\n";
    Scene::with(bare).await.page_at("localhost", "GET", "/console/").await.refused(Code::MissingCredentials);
}
