//! What pages show: fields of answers, names that mean harm, keys that are made there, the page behind a reset link.

use keyward::issuer::NAME_MAX;
use serde_json::json;

use super::console::{field, written};
use super::{ANN, BEN, PASSWORD, SITE, Scene};
use crate::support::http::Client;
use crate::support::keys::origin;
use crate::support::raw::Response;

const POLICY: &[&str] = &[
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
];

#[track_caller]
fn is_guarded(response: &Response, what: &str) {
    let policy = response.header("content-security-policy").unwrap_or_else(|| panic!("{what}: {response:?}"));
    for rule in POLICY {
        assert!(policy.contains(rule), "{what}: {policy} without {rule}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(response.header(name), Some(value), "{name} of {what}");
    }
    assert!(response.header("x-request-id").is_some());
    let text = response.text();
    let page = text.is_empty() || response.header("content-type") == Some("text/html; charset=utf-8");
    assert!(page, "{what}: {response:?}");
    for inline in ["<style", " style=", " onclick=", "javascript:", "http://", "<iframe"] {
        assert!(!text.contains(inline), "{what} has {inline}");
    }
    assert_eq!(
        text.matches("<script").count(),
        text.matches("<script src=\"/console/console.js\" defer></script>").count()
    );
}

#[tokio::test]
async fn every_page_and_every_refusal_is_guarded() {
    let scene = Scene::new().await;
    let id = scene.key(&scene.ann, &["orders:read"]).await.id;
    let link = scene.gateway.issuer().make_reset_link(ANN, &origin()).await.unwrap();
    let reset = format!("reset?token={}", link.url.split_once("token=").unwrap().1);
    let mut nobody = scene.browser();
    for (page, status) in
        [("", 303), ("keys", 303), ("login", 200), (&*reset, 200), ("reset", 404), ("nothing", 404)]
    {
        let response = nobody.get(page).await;
        assert_eq!(response.status, status, "{page}");
        is_guarded(&response, page);
    }
    for (page, status) in [("login", 401), ("reset", 404), ("keys", 303)] {
        let response = nobody.send(page, Some(SITE), &[("email", ANN), ("password", "wrong")]).await;
        assert_eq!(response.status, status, "{page}");
        is_guarded(&response, page);
    }
    let mut ann = scene.logged_in(ANN).await;
    for (page, status) in [
        ("", 303),
        ("login", 303),
        ("keys", 200),
        (&*format!("keys/{id}"), 200),
        ("keys/none", 404),
        ("sessions", 200),
        ("password", 200),
        ("nothing", 404),
    ] {
        let response = ann.get(page).await;
        assert_eq!(response.status, status, "{page}");
        is_guarded(&response, page);
    }
    for (page, status) in
        [("keys", 422), ("password", 422), (&*format!("keys/{id}/rotate"), 200), ("logout", 303)]
    {
        let response = ann.submit(page, &[("overlap", "0")]).await;
        assert_eq!(response.status, status, "{page}");
        is_guarded(&response, page);
    }
    is_guarded(&ann.send("keys", None, &[]).await, "a form from elsewhere");
    for (file, kind) in [
        ("style.css", "text/css; charset=utf-8"),
        ("console.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let response = nobody.get(file).await;
        assert_eq!((response.status, response.header("content-type")), (200, Some(kind)));
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    }
    // What workers answer themselves is a page that loads nothing.
    let mut client = scene.api();
    let put = client.request("PUT", "/console/keys").header("Accept", "text/html").send().await;
    assert_eq!(put.status, 405);
    let policy = put.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
}

#[tokio::test]
async fn head_of_a_page_is_its_fields() {
    let scene = Scene::new().await;
    let ann = scene.logged_in(ANN).await;
    let mut client = scene.api();
    for page in ["/console/keys", "/console/style.css", "/console/login", "/console/none"] {
        let head = client.request("HEAD", page).header("Cookie", &ann.session).send().await;
        let get = client.request("GET", page).header("Cookie", &ann.session).send().await;
        assert_eq!((head.status, head.text()), (get.status, ""), "{page}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{page}");
        assert_eq!(head.header("content-length"), get.header("content-length"), "{page}");
    }
}

/// Texts that would be markup, code, or another text than they show.
fn hostile() -> Vec<String> {
    vec![
        "<script>alert(1)</script>".to_owned(),
        "\"><img src=x onerror=alert(1)>".to_owned(),
        "' onfocus='alert(1)' autofocus='".to_owned(),
        "{{ 7 * 7 }} ${7*7} <%= 7 %>".to_owned(),
        "</title></textarea><svg onload=alert(1)>".to_owned(),
        "javascript:alert(1)".to_owned(),
        "&lt;b&gt; &amp;quot;".to_owned(),
        "\u{0}\u{1}\u{1b}[31m\r\nSet-Cookie: x=y".to_owned(),
        "\u{202e}evil\u{2066}\u{200f}".to_owned(),
        "x".repeat(10_000),
        "<".repeat(10_000),
        "שלום مرحبا 👩‍💻".to_owned(),
    ]
}

/// Fails when a hostile text stands in a page as it is.
#[track_caller]
fn is_harmless(page: &Response, text: &str) {
    let shown = page.text();
    for markup in ["<script>alert", "<img src=x", "' onfocus='", "<svg onload", "href=\"javascript:"] {
        assert!(!shown.contains(markup), "{text:?} → {shown}");
    }
    assert!(page.all("set-cookie").iter().all(|cookie| !cookie.starts_with("x=")), "{page:?}");
    if text.contains('\u{1b}') || text.contains('\u{202e}') {
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{0}'), "{shown:?}");
    }
}

#[tokio::test]
async fn hostile_text_is_text_on_every_page() {
    let scene = Scene::new().await;
    let mut ann = scene.logged_in(ANN).await;
    for text in hostile() {
        let made = ann.submit("keys", &[("name", &text), ("scopes", &text), ("addresses", &text)]).await;
        assert!([413, 422].contains(&made.status), "{}", made.status);
        is_harmless(&made, &text);
        let named = ann.submit("keys", &[("name", &text)]).await;
        assert!([200, 422].contains(&named.status), "{}", named.status);
        is_harmless(&named, &text);
        let query = written(&[("after", &text), ("token", &text)]);
        for page in ["keys", "reset", "login"] {
            is_harmless(&ann.get(&format!("{page}?{query}")).await, &text);
        }
        let failed = scene.browser().send("login", Some(SITE), &[("email", &text), ("password", "x")]).await;
        is_harmless(&failed, &text);
        is_harmless(&ann.submit("password", &[("old", &text), ("new", &text)]).await, &text);
    }
    let keys = ann.get("keys").await;
    assert!(keys.text().contains("&#60;script&#62;alert(1)&#60;/script&#62;"), "{}", keys.text());
    is_harmless(&keys, "");
    let listed = scene.gateway.issuer().keys(Some(&scene.ann), None, 99).await.unwrap().items;
    assert!(listed.len() >= 6, "{listed:?}");
    for key in listed {
        is_harmless(&ann.get(&format!("keys/{}", key.id)).await, &key.name);
    }
    // What a program says of itself is shown in the list of sessions.
    for agent in ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onfocus='alert(1)"] {
        let mut client: Client = scene.api();
        let request = client.request("POST", "/user/login").header("Content-Type", "application/json");
        let body = json!({"email": ANN, "password": PASSWORD}).to_string();
        assert_eq!(request.header("User-Agent", agent).body(body).send().await.status, 200);
    }
    let sessions = ann.get("sessions").await;
    assert!(sessions.text().contains("&#60;script&#62;"), "{}", sessions.text());
    is_harmless(&sessions, "");
}

#[tokio::test]
async fn a_key_is_made_once_shown_once_and_works() {
    let scene = Scene::new().await;
    let mut ann = scene.logged_in(ANN).await;
    let page = ann.get("keys").await;
    let once = field(&page, "once");
    let fields = [
        ("once", &*once),
        ("name", "nightly"),
        ("scopes", "orders:read"),
        ("expires", "86400"),
        ("addresses", "127.0.0.0/8\r\n\r\n"),
    ];
    let made = ann.submit("keys", &fields).await;
    assert_eq!(made.status, 200);
    let secret = made
        .text()
        .split("id=\"secret\" readonly value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(scene.route(&secret).await, 200);
    let again = ann.submit("keys", &fields).await;
    assert_eq!(again.status, 200);
    assert!(!again.text().contains(&secret) && again.text().contains("made already"), "{}", again.text());
    let keys = scene.gateway.issuer().keys(Some(&scene.ann), None, 9).await.unwrap().items;
    assert_eq!(keys.len(), 1);
    assert_eq!(
        (&*keys[0].name, keys[0].scopes.as_str(), keys[0].allowed_addresses.len()),
        ("nightly", "orders:read", 1)
    );
    let path = format!("keys/{}", keys[0].id);
    for page in ["keys", &*path] {
        let page = ann.get(page).await;
        assert!(page.text().contains("nightly") && !page.text().contains(&secret));
        assert!(page.text().contains(&format!("kw_sk_…{}", keys[0].last4)));
    }
    let rotated = ann.submit(&format!("{path}/rotate"), &[("overlap", "3600")]).await;
    assert!(rotated.text().contains("The key before it works until"), "{}", rotated.text());
    assert_eq!(scene.route(&secret).await, 200);
    let revoked = ann.submit(&format!("{path}/revoke"), &[]).await;
    assert_eq!(revoked.header("location"), Some("/console/keys?revoked"));
    assert_eq!(scene.route(&secret).await, 401);
    let wide = ann.submit("keys", &[("name", "x"), ("scopes", "orders:admin")]).await;
    assert_eq!(wide.status, 422);
    assert!(wide.text().contains("orders:admin"), "{}", wide.text());
}

#[tokio::test]
async fn a_reset_link_sets_a_password_once() {
    let scene = Scene::new().await;
    let before = scene.login(ANN).await;
    let mut there = scene.logged_in(ANN).await;
    let link = scene.gateway.issuer().make_reset_link(ANN, &origin()).await.unwrap();
    assert!(link.url.starts_with("https://auth.test/console/reset?token="));
    let token = link.url.split_once("token=").unwrap().1.to_owned();
    let mut browser = scene.browser();
    for _ in 0..2 {
        let page = browser.get(&format!("reset?token={token}")).await;
        assert_eq!((page.status, field(&page, "token")), (200, token.clone()), "looking uses nothing up");
    }
    let weak = browser.send("reset", Some(SITE), &[("token", &token), ("new", "short")]).await;
    assert_eq!((weak.status, field(&weak, "token")), (422, token.clone()));
    let done =
        browser.send("reset", Some(SITE), &[("token", &token), ("new", "another good password")]).await;
    assert_eq!((done.status, done.header("location")), (303, Some("/console/login?set")));
    assert!(browser.get("login?set").await.text().contains("Your new password is set."));
    assert_eq!(done.all("set-cookie").len(), 0, "a link logs nobody in");
    assert_eq!(scene.route(&before.access).await, 401);
    there.get("keys").await.is_logged_out();
    for page in [
        browser.send("reset", Some(SITE), &[("token", &token), ("new", "yet another password")]).await,
        browser.get(&format!("reset?token={token}")).await,
        browser.get("reset?token=").await,
        browser.get("reset").await,
    ] {
        assert_eq!(page.status, 404);
        assert!(page.text().contains("The link is unknown, used or expired"), "{}", page.text());
        assert!(!page.text().contains("name=\"new\""));
    }
    assert_eq!(scene.try_login(ANN, "another good password").await.status, 200);
}

#[tokio::test]
async fn a_reset_link_ends_after_an_hour_by_another_and_with_its_account() {
    let scene = Scene::new().await;
    let issuer = scene.gateway.issuer();
    let link = async || {
        let link = issuer.make_reset_link(ANN, &origin()).await.unwrap();
        link.url.split_once("token=").unwrap().1.to_owned()
    };
    let status = async |token: &str| scene.browser().get(&format!("reset?token={token}")).await.status;
    let set = async |token: &str| {
        let fields = [("token", token), ("new", "another good password")];
        scene.browser().send("reset", Some(SITE), &fields).await.status
    };
    let (first, second) = (link().await, link().await);
    assert_eq!((status(&first).await, set(&first).await, status(&second).await), (404, 404, 200));
    scene.pass(3599);
    assert_eq!(status(&second).await, 200);
    scene.pass(1);
    assert_eq!((status(&second).await, set(&second).await), (404, 404));
    let third = link().await;
    scene.disable(&scene.ann).await;
    assert_eq!((status(&third).await, set(&third).await), (404, 404));
    scene.enable(&scene.ann).await;
    assert_eq!((status(&third).await, set(&third).await), (404, 404), "it ended with the account");
    assert_eq!(status(&link().await).await, 200);
}

#[tokio::test]
async fn after_what_is_no_key_comes_the_first_page() {
    let scene = Scene::new().await;
    let mut ann = scene.logged_in(ANN).await;
    let key = scene.key(&scene.ann, &[]).await.id;
    let link = format!("/console/keys/{key}");
    for (after, is_shown) in [("zzz", true), ("", true), (&*key.to_uppercase(), true), (&*key, false)] {
        let page = ann.get(&format!("keys?after={after}")).await;
        assert_eq!((page.status, page.text().contains(&link)), (200, is_shown), "{after}");
    }
}

#[tokio::test]
async fn who_logs_in_again_leaves_no_session_behind() {
    let scene = Scene::new().await;
    let issuer = scene.gateway.issuer();
    let sessions = async |account: &str| issuer.sessions(Some(account), None, 9).await.unwrap().items;
    let mut elsewhere = scene.logged_in(ANN).await;
    let mut ann = scene.logged_in(ANN).await;
    let before = ann.session.clone();
    assert_eq!(ann.log_in(ANN, "wrong").await.status, 401);
    assert_eq!((sessions(&scene.ann).await.len(), &ann.session), (2, &before), "it failed");
    assert_eq!(ann.log_in(ANN, PASSWORD).await.status, 303);
    let after = std::mem::replace(&mut ann.session, before);
    assert_eq!(sessions(&scene.ann).await.len(), 2);
    ann.get("keys").await.is_logged_out();
    ann.session = after;
    assert_eq!(ann.get("keys").await.status, 200);
    // Whoever it was.
    assert_eq!(ann.log_in(BEN, PASSWORD).await.status, 303);
    assert_eq!((sessions(&scene.ann).await.len(), sessions(&scene.ben).await.len()), (1, 1));
    assert_eq!(elsewhere.get("keys").await.status, 200);
}

#[tokio::test]
async fn a_field_that_is_absent_or_empty_is_the_usual_one() {
    let scene = Scene::new().await;
    let mut ann = scene.logged_in(ANN).await;
    let after = |days: u64| scene.gateway.now().after(std::time::Duration::from_secs(days * 86_400));
    for fields in [&[][..], &[("overlap", ""), ("expires", ""), ("once", "")]] {
        let key = scene.key(&scene.ann, &[]).await;
        assert_eq!(ann.submit(&format!("keys/{}/rotate", key.id), fields).await.status, 200);
        assert_eq!(scene.gateway.issuer().key(&key.id).await.unwrap().expires_at, after(1), "{fields:?}");
        let made = ann.submit("keys", &[&[("name", "made")], fields].concat()).await;
        assert_eq!(made.status, 200, "{made:?}");
    }
    let keys = scene.gateway.issuer().keys(Some(&scene.ann), None, 99).await.unwrap().items;
    let made: Vec<_> = keys.iter().filter(|key| key.name == "made").map(|key| key.expires_at).collect();
    assert_eq!(made, [after(90), after(90)]);
}

#[tokio::test]
async fn a_field_that_cannot_be_read_says_what_to_choose_and_does_nothing() {
    let scene = Scene::new().await;
    let mut ann = scene.logged_in(ANN).await;
    let key = scene.key(&scene.ann, &[]).await;
    let keys = async || format!("{:?}", scene.gateway.issuer().keys(None, None, 99).await.unwrap().items);
    let (before, rotate) = (keys().await, format!("keys/{}/rotate", key.id));
    let again = "Open the page again and send the form from there.";
    let long = "A".repeat(256);
    for (page, field, values, words) in [
        (
            "keys",
            "expires",
            &["soon", "-1", "1.5", "99999999999999999999", " 1"][..],
            "Choose from the list when the key is to expire.",
        ),
        (&*rotate, "overlap", &["soon", "-1"], "Choose from the list how long the old key is to work on."),
        ("keys", "once", &["x", "é", "AAAAAAAAAAAAAAAAAAAAAA=", &*long], again),
        (&*rotate, "once", &["x"], again),
    ] {
        for value in values {
            let refused = ann.submit(page, &[("name", "x"), (field, value)]).await;
            assert_eq!(refused.status, 422, "{field}={value}");
            let text = refused.text();
            assert!(text.contains(words) && text.contains("Nothing was done."), "{text}");
            assert!(!text.contains("Idempotency"), "{text}");
        }
    }
    assert_eq!(keys().await, before);
}

#[tokio::test]
async fn a_name_is_as_long_in_the_form_as_in_the_api() {
    let scene = Scene::new().await;
    let mut ann = scene.logged_in(ANN).await;
    let page = ann.get("keys").await;
    let most = format!("name=\"name\" required maxlength=\"{NAME_MAX}\"");
    assert!(page.text().contains(&most), "{}", page.text());
    let token = scene.login(ANN).await.access;
    for (length, form, api) in [(NAME_MAX, 200, 201), (NAME_MAX + 1, 422, 422)] {
        let name = "n".repeat(length);
        assert_eq!(ann.submit("keys", &[("name", &name)]).await.status, form, "{length}");
        let made = scene.post("/user/api-keys", &token, json!({"name": name})).await;
        assert_eq!(made.status, api, "{length}");
    }
}

#[tokio::test]
async fn a_form_that_was_sent_before_with_other_content_is_told_so() {
    let scene = Scene::new().await;
    let mut ann = scene.logged_in(ANN).await;
    let once = field(&ann.get("keys").await, "once");
    assert_eq!(ann.submit("keys", &[("once", &once), ("name", "x")]).await.status, 200);
    let refused = ann.submit("keys", &[("once", &once), ("name", "y")]).await;
    assert_eq!(refused.status, 422);
    let text = refused.text();
    assert!(text.contains("This form was sent before with other content."), "{text}");
    assert!(!text.contains("Idempotency"), "{text}");
    assert_eq!(scene.gateway.issuer().keys(None, None, 9).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_key_that_was_replaced_leads_to_its_successor_and_is_not_replaced_again() {
    let scene = Scene::new().await;
    let mut ann = scene.logged_in(ANN).await;
    let key = scene.key(&scene.ann, &[]).await;
    let (page, rotate) = (format!("keys/{}", key.id), format!("keys/{}/rotate", key.id));
    assert!(ann.get(&page).await.text().contains("/rotate\""));
    assert_eq!(ann.submit(&rotate, &[]).await.status, 200);
    let again = ann.submit(&rotate, &[]).await;
    assert_eq!(again.status, 409);
    let words = "This key was replaced already. Rotate the key that replaced it, or make a new one.";
    assert!(again.text().contains(words), "{}", again.text());
    let successor = scene.gateway.issuer().key(&key.id).await.unwrap().replaced_by.unwrap();
    let shown = ann.get(&page).await;
    assert!(shown.text().contains(&format!("href=\"/console/keys/{successor}\"")), "{}", shown.text());
    assert!(!shown.text().contains("/rotate\"") && shown.text().contains("/revoke\""), "{}", shown.text());
    assert!(ann.get(&format!("keys/{successor}")).await.text().contains("/rotate\""));
}
