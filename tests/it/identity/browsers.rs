//! Browsers that lately logged in: others' failures do not lock them out.

use super::console::{Browser, FORM, written};
use super::{BEN, IDENTITY, PASSWORD, SITE, Scene};
use crate::support::raw::Response;

#[tokio::test]
async fn a_browser_that_was_there_before_is_not_locked_out_by_others() {
    let scene = Scene::with(&format!("{IDENTITY}trusted_proxies: [127.0.0.1]\n")).await;
    let from = async |browser: &Browser, address: &str, password: &str| {
        let mut client = scene.api();
        let request = client.request("POST", "/console/login").header("X-Forwarded-For", address);
        let request =
            request.header("Content-Type", FORM).header("Origin", SITE).header("Cookie", &browser.mark);
        request.body(written(&[("email", "Ann@example.com"), ("password", password)])).send().await
    };
    let mut known = scene.browser();
    let first = from(&known, "198.51.100.1", PASSWORD).await;
    known.keep(&first);
    for number in 0..20 {
        from(&scene.browser(), &format!("192.0.2.{number}"), "wrong").await;
    }
    let stranger = from(&scene.browser(), "203.0.113.1", PASSWORD).await;
    assert_eq!(stranger.status, 429);
    assert!(stranger.text().contains("Too many logins failed"), "{}", stranger.text());
    assert!(stranger.header("retry-after").is_some(), "{stranger:?}");
    let mut forged = scene.browser();
    forged.mark = format!("{}x", known.mark);
    assert_eq!(from(&forged, "203.0.113.2", PASSWORD).await.status, 429);
    // A mark of somebody else says nothing here.
    let other = scene.logged_in(BEN).await;
    forged.mark.clone_from(&other.mark);
    assert_eq!(from(&forged, "203.0.113.3", PASSWORD).await.status, 429);
    let second = from(&known, "203.0.113.4", PASSWORD).await;
    assert_eq!(second.status, 303, "the first login's mark was lost");
    let marks =
        second.all("set-cookie").into_iter().filter(|cookie| cookie.contains("known=")).collect::<Vec<_>>();
    assert!(marks.len() == 1 && marks[0].starts_with(&known.mark), "a browser keeps its name: {marks:?}");
    let marked = |response: &Response| {
        let mut browser = scene.browser();
        browser.keep(response);
        browser
    };
    // Its own failures count, wherever it is, and are not another browser's.
    let another = from(&scene.browser(), "198.51.100.1", PASSWORD).await;
    for number in 0..6 {
        assert_eq!(from(&known, &format!("203.0.113.{}", 10 + number), "wrong").await.status, 401);
    }
    assert_eq!(from(&known, "203.0.113.99", PASSWORD).await.status, 429);
    let laptop = marked(&another);
    assert_eq!(from(&laptop, "203.0.113.99", PASSWORD).await.status, 303);
    // Whoever gave the old password need not have been the owner.
    scene.set_password(&scene.ann, "another good password").await;
    assert_eq!(from(&laptop, "203.0.113.98", "another good password").await.status, 429);
    let owner = from(&scene.browser(), "198.51.100.1", "another good password").await;
    let desk = marked(&owner);
    assert_eq!(from(&desk, "203.0.113.97", "another good password").await.status, 303);
    // After half a year it is a stranger again.
    scene.pass(181 * 86_400);
    for number in 0..20 {
        from(&scene.browser(), &format!("192.0.2.{number}"), "wrong").await;
    }
    assert_eq!(from(&desk, "203.0.113.96", "another good password").await.status, 429);
}
