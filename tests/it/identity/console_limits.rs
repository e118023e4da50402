//! What the console tells of limits: where an account and its keys stand, in words.

use keyward::limits::Overrides;

use super::{ANN, BEN, IDENTITY, Scene, origin};
use crate::support::raw::Response;

/// The paragraph of where the account stands, once in the page.
fn told(page: &Response) -> Option<&str> {
    assert_eq!(page.status, 200, "{page:?}");
    let mut parts = page.text().split("You may make ").skip(1);
    let told = parts.next().and_then(|rest| rest.split("</p>").next());
    assert!(parts.next().is_none(), "{page:?}");
    told
}

/// What the page tells of each key's own limits.
fn of_keys(page: &Response) -> Vec<&str> {
    let rows = page.text().split("<dt>Limits of its own</dt><dd>").skip(1);
    rows.map(|rest| rest.split("</dd>").next().unwrap()).collect()
}

#[tokio::test]
async fn the_page_of_keys_tells_where_the_account_stands() {
    let limits = "limits: { account: { per_minute: 600, per_day: 50000 } }\n";
    let scene = Scene::with(&format!("{IDENTITY}{limits}")).await;
    let mut ann = scene.logged_in(ANN).await;
    let fresh = "600 requests a minute, 600 left; 50,000 a day, 50,000 left, until midnight UTC.";
    assert_eq!(told(&ann.get("keys").await), Some(fresh));
    // Of all her credentials, and of nobody else's; and looking counts nothing.
    for key in [scene.key(&scene.ann, &[]).await, scene.key(&scene.ann, &[]).await] {
        assert_eq!(scene.route(&key.secret).await, 200);
    }
    assert_eq!(scene.route(&scene.key(&scene.ben, &[]).await.secret).await, 200);
    let used = "600 requests a minute, 598 left; 50,000 a day, 49,998 left, until midnight UTC.";
    for _ in 0..2 {
        assert_eq!(told(&ann.get("keys").await), Some(used));
    }
    scene.pass(60);
    let later = "600 requests a minute, 600 left; 50,000 a day, 49,998 left, until midnight UTC.";
    assert_eq!(told(&ann.get("keys").await), Some(later));
    let issuer = scene.gateway.issuer();
    let own = Overrides { per_minute: Some(60), smooth: Some(3), per_day: Some(0), in_flight: Some(1) };
    issuer.set_account_limits(&scene.ann, &own, &origin()).await.unwrap();
    let alone = "60 requests a minute at an even pace, 3 of them now; 1 at a time.";
    assert_eq!(told(&ann.get("keys").await), Some(alone));
    let ben = "600 requests a minute, 600 left; 50,000 a day, 49,999 left, until midnight UTC.";
    assert_eq!(told(&scene.logged_in(BEN).await.get("keys").await), Some(ben));
}

#[tokio::test]
async fn where_nothing_is_limited_the_pages_tell_nothing_of_it() {
    let scene = Scene::new().await;
    let key = scene.key(&scene.ann, &[]).await;
    assert_eq!(scene.route(&key.secret).await, 200);
    let mut ann = scene.logged_in(ANN).await;
    for page in ["keys".to_owned(), format!("keys/{}", key.id)] {
        let page = ann.get(&page).await;
        assert_eq!((told(&page), of_keys(&page)), (None, Vec::new()));
    }
}

#[tokio::test]
async fn a_keys_own_limits_are_told_with_it_and_its_accounts_beside() {
    let scene = Scene::with(&format!("{IDENTITY}limits: {{ account: {{ per_day: 50000 }} }}\n")).await;
    let [limited, free] = [scene.key(&scene.ann, &[]).await, scene.key(&scene.ann, &[]).await];
    let own = Overrides { per_minute: Some(2), per_day: Some(1000), ..Overrides::default() };
    scene.gateway.issuer().set_key_limits(&limited.id, &own, &origin()).await.unwrap();
    for status in [200, 200, 429] {
        assert_eq!(scene.route(&limited.secret).await, status);
    }
    assert_eq!(scene.route(&free.secret).await, 200);
    let mut ann = scene.logged_in(ANN).await;
    let words = ["2 requests a minute, 0 left; 1,000 a day, 998 left, until midnight UTC"];
    let account = "50,000 requests a day, 49,997 left, until midnight UTC.";
    for (page, account) in [("keys".to_owned(), Some(account)), (format!("keys/{}", limited.id), None)] {
        let page = ann.get(&page).await;
        assert_eq!((told(&page), &*of_keys(&page)), (account, &words[..]));
    }
    assert!(of_keys(&ann.get(&format!("keys/{}", free.id)).await).is_empty());
    // Of a key that is over nothing is left to tell.
    scene.gateway.issuer().revoke_key(&limited.id, &origin()).await.unwrap();
    assert!(of_keys(&ann.get("keys").await).is_empty());
}
