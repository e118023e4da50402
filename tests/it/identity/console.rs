//! The console over bare HTTP: what a browser is given, and what is taken from it.

use keyward::auth::refusal::Code;

use super::{ANN, BEN, HOST, PASSWORD, SITE, Scene};
use crate::support::http::Client;
use crate::support::raw::Response;

pub const FORM: &str = "application/x-www-form-urlencoded";

/// A browser as far as cookies go.
pub struct Browser {
    client: Client,
    pub site: &'static str,
    /// The session's cookie, with its name.
    pub session: String,
    pub mark: String,
}

impl Scene {
    pub fn browser(&self) -> Browser {
        Browser { client: self.api(), site: SITE, session: String::new(), mark: String::new() }
    }

    /// A browser in which somebody is logged in.
    pub async fn logged_in(&self, email: &str) -> Browser {
        let mut browser = self.browser();
        let response = browser.log_in(email, PASSWORD).await;
        assert_eq!((response.status, response.header("location")), (303, Some("/console/keys")));
        browser
    }
}

/// Fields of a form as a browser writes them.
pub fn written(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

impl Browser {
    fn cookies(&self) -> String {
        let both = [&*self.session, &*self.mark];
        both.into_iter().filter(|cookie| !cookie.is_empty()).collect::<Vec<_>>().join("; ")
    }

    pub fn keep(&mut self, response: &Response) {
        for cookie in response.all("set-cookie") {
            let pair = cookie.split(';').next().unwrap().to_owned();
            let kept = if pair.contains("known=") || pair.contains("_known") {
                &mut self.mark
            } else {
                &mut self.session
            };
            *kept = pair;
        }
    }

    pub async fn get(&mut self, page: &str) -> Response {
        let cookies = self.cookies();
        let request = self.client.request("GET", &format!("/console/{page}"));
        request.header("Cookie", &cookies).send().await
    }

    /// Sends a form as it is, from this origin.
    pub async fn send(&mut self, page: &str, origin: Option<&str>, fields: &[(&str, &str)]) -> Response {
        let cookies = self.cookies();
        let request = self.client.request("POST", &format!("/console/{page}"));
        let mut request = request.header("Content-Type", FORM).header("Cookie", &cookies);
        if let Some(origin) = origin {
            request = request.header("Origin", origin);
        }
        let response = request.body(written(fields)).send().await;
        self.keep(&response);
        response
    }

    pub async fn log_in(&mut self, email: &str, password: &str) -> Response {
        self.send("login", Some(self.site), &[("email", email), ("password", password)]).await
    }

    /// What this session's forms carry.
    pub async fn token(&mut self) -> String {
        field(&self.get("keys").await, "form")
    }

    /// Sends a form of this session.
    pub async fn submit(&mut self, page: &str, fields: &[(&str, &str)]) -> Response {
        let token = self.token().await;
        self.send(page, Some(self.site), &[&[("form", &*token)], fields].concat()).await
    }
}

/// The value of a field of a form on a page.
pub fn field(page: &Response, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let rest = page.text().split(&start).nth(1).unwrap_or_else(|| panic!("no {name} in {}", page.text()));
    rest.split('"').next().unwrap().to_owned()
}

impl Response {
    /// Fails unless this leads to the page of the login.
    #[track_caller]
    pub fn is_logged_out(&self) {
        assert_eq!((self.status, self.header("location")), (303, Some("/console/login")), "{self:?}");
        assert_eq!(self.text(), "");
    }
}

#[tokio::test]
async fn cookies_are_bound_to_host_and_transport() {
    let scene = Scene::new().await;
    let mut browser = scene.browser();
    let response = browser.log_in(ANN, PASSWORD).await;
    let cookies = response.all("set-cookie");
    let attributes = |cookie: &str| cookie.split_once("; ").unwrap().1.to_owned();
    assert_eq!(cookies.len(), 2);
    assert!(cookies[0].starts_with("__Host-keyward="), "{cookies:?}");
    assert_eq!(
        attributes(cookies[0]),
        format!("Path=/; Max-Age={}; HttpOnly; SameSite=Lax; Secure", 30 * 86_400)
    );
    assert!(cookies[1].starts_with("__Host-keyward-known="), "{cookies:?}");
    assert_eq!(
        attributes(cookies[1]),
        format!("Path=/; Max-Age={}; HttpOnly; SameSite=Lax; Secure", 180 * 86_400)
    );
    let out = browser.submit("logout", &[]).await;
    assert_eq!(out.all("set-cookie"), ["__Host-keyward=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"]);

    let scene =
        Scene::with("identity: { public_url: \"http://127.0.0.1:8080\", hosts: [auth.test] }\n").await;
    let mut browser = scene.browser();
    browser.site = "http://127.0.0.1:8080";
    let response = browser.log_in(ANN, PASSWORD).await;
    let cookies = response.all("set-cookie");
    assert!(
        cookies[0].starts_with("keyward_dev=") && cookies[1].starts_with("keyward_dev_known="),
        "{cookies:?}"
    );
    assert_eq!(attributes(cookies[0]), format!("Path=/; Max-Age={}; HttpOnly; SameSite=Lax", 30 * 86_400));
    assert_eq!(browser.get("keys").await.status, 200);
}

#[tokio::test]
async fn nothing_secret_of_a_session_is_in_its_cookie_and_none_of_it_can_be_made_up() {
    let scene = Scene::new().await;
    let mut browser = scene.logged_in(ANN).await;
    let other = scene.logged_in(BEN).await;
    let (name, value) = browser.session.split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let (session, seal) = value.split_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let others = other.session.split_once('=').unwrap().1.split_once('.').unwrap().0.to_owned();
    let mark = browser.mark.split_once('.').unwrap().1.to_owned();
    let form = browser.token().await;
    let mut flipped = seal.clone().into_bytes();
    flipped[0] = if flipped[0] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    browser.mark.clear();
    for forged in [
        String::new(),
        session.clone(),
        format!("{session}."),
        format!("{session}.{flipped}"),
        format!("{others}.{seal}"),
        format!("{session}.{form}"),
        format!("{session}.{mark}"),
        format!("{session}.{seal}="),
        format!("{session}.{seal}.x"),
        format!(".{seal}"),
        "\u{fffd}".to_owned(),
    ] {
        browser.session = format!("{name}={forged}");
        browser.get("keys").await.is_logged_out();
    }
    // One of two is somebody else's, and nobody can tell which.
    browser.session = format!("{name}={value}; {name}={value}");
    browser.get("keys").await.is_logged_out();
    browser.session = format!("{name}={value}; {}", other.session);
    browser.get("keys").await.is_logged_out();
    browser.session = format!("keyward_dev={value}");
    browser.get("keys").await.is_logged_out();
    browser.session = format!("{name}={value}");
    assert_eq!(browser.get("keys").await.status, 200);
}

#[tokio::test]
async fn a_session_from_before_the_login_is_not_the_one_after_it() {
    let scene = Scene::new().await;
    let mut attacker = scene.logged_in(BEN).await;
    let mut victim = scene.browser();
    victim.session.clone_from(&attacker.session);
    victim.log_in(ANN, PASSWORD).await;
    assert_ne!(victim.session, attacker.session);
    assert!(victim.get("keys").await.text().contains(ANN));
    // It ended with the cookie's end.
    attacker.get("keys").await.is_logged_out();
    // A made-up one is not taken over either.
    let mut victim = scene.browser();
    victim.session = "__Host-keyward=chosen".to_owned();
    victim.log_in(ANN, PASSWORD).await;
    assert!(!victim.session.contains("chosen"));
}

#[tokio::test]
async fn a_form_from_elsewhere_does_nothing() {
    let scene = Scene::new().await;
    let mut ann = scene.logged_in(ANN).await;
    let mut ben = scene.logged_in(BEN).await;
    let id = scene.key(&scene.ann, &[]).await.id;
    let issuer = scene.gateway.issuer();
    let session = issuer.sessions(Some(&scene.ann), None, 9).await.unwrap().items.remove(0).id;
    let (own, others) = (ann.token().await, ben.token().await);
    let seal = ann.session.split_once('.').unwrap().1.to_owned();
    let before = format!("{:?}", issuer.keys(None, None, 99).await.unwrap().items);
    let fields = [("name", "x"), ("old", PASSWORD), ("new", "another good password"), ("overlap", "0")];
    for page in [
        "keys".to_owned(),
        format!("keys/{id}/rotate"),
        format!("keys/{id}/revoke"),
        format!("sessions/{session}/end"),
        "password".to_owned(),
        "logout".to_owned(),
    ] {
        for (origin, form) in [
            (None, Some(&*own)),
            (Some("null"), Some(&*own)),
            (Some(""), Some(&*own)),
            (Some("https://evil.test"), Some(&*own)),
            (Some("http://auth.test"), Some(&*own)),
            (Some("https://auth.test.evil.test"), Some(&*own)),
            (Some("https://auth.test:8443"), Some(&*own)),
            (Some("https://auth.test/"), Some(&*own)),
            (Some("https://AUTH.test"), Some(&*own)),
            (Some(SITE), None),
            (Some(SITE), Some("")),
            (Some(SITE), Some(&*others)),
            (Some(SITE), Some(&*seal)),
        ] {
            let form = form.map(|form| ("form", form));
            let fields: Vec<_> = form.into_iter().chain(fields).collect();
            let response = ann.send(&page, origin, &fields).await;
            assert_eq!(response.status, 403, "{page} from {origin:?}: {response:?}");
            assert!(response.text().contains("Nothing was done"));
        }
    }
    assert_eq!(format!("{:?}", issuer.keys(None, None, 99).await.unwrap().items), before);
    assert_eq!(ann.get("keys").await.status, 200);
    for page in ["login", "reset"] {
        for origin in [None, Some("null"), Some("https://evil.test")] {
            let fields = [("email", ANN), ("password", PASSWORD), ("token", "x")];
            let response = scene.browser().send(page, origin, &fields).await;
            assert_eq!((response.status, response.all("set-cookie").len()), (403, 0), "{page} {origin:?}");
        }
    }
    // Not a form that a browser sends from a page of ours.
    let mut client = scene.api();
    let mut of_types = async |types: &[&str]| {
        let request = client.request("POST", "/console/keys").header("Cookie", &ann.session);
        let request = request.header("Origin", SITE).body(written(&[("form", &own)]));
        types.iter().fold(request, |request, kind| request.header("Content-Type", kind)).send().await
    };
    for types in [&["text/plain"][..], &["application/x-www-form-urlencodedx"], &[FORM, "text/plain"]] {
        let plain = of_types(types).await;
        assert_eq!(plain.status, 415, "{types:?}");
        let text = plain.text();
        assert!(text.contains("This is not a form of the console") && !text.contains("JSON"), "{text}");
    }
    assert_eq!(
        of_types(&["Application/X-WWW-Form-Urlencoded;charset=UTF-8"]).await.status,
        422,
        "without a name"
    );
    let request = client.request("POST", "/console/logout").header("Cookie", &ann.session);
    let twice = request.header("Origin", SITE).header("Origin", SITE).header("Content-Type", FORM);
    assert_eq!(twice.body(written(&[("form", &own)])).send().await.status, 403);
}

#[tokio::test]
async fn a_form_that_a_browser_says_another_site_sent_does_nothing() {
    let scene = Scene::new().await;
    let mut ann = scene.logged_in(ANN).await;
    let token = ann.token().await;
    for (sites, status) in [
        (&["cross-site"][..], 403),
        (&["same-site"], 403),
        (&[""], 403),
        (&["Same-Origin"], 403),
        (&["same-origin", "cross-site"], 403),
        (&["same-origin"], 200),
        (&["none"], 200),
        (&[], 200),
    ] {
        let mut client = scene.api();
        let request = client.request("POST", "/console/keys").header("Cookie", &ann.session);
        let request = request.header("Origin", SITE).header("Content-Type", FORM);
        let request = sites.iter().fold(request, |request, site| request.header("Sec-Fetch-Site", site));
        let sent = request.body(written(&[("form", &token), ("name", "x")])).send().await;
        assert_eq!(sent.status, status, "{sites:?}");
    }
    assert_eq!(scene.gateway.issuer().keys(None, None, 9).await.unwrap().items.len(), 3);
}

#[tokio::test]
async fn a_form_by_get_does_nothing() {
    let scene = Scene::new().await;
    let mut ann = scene.logged_in(ANN).await;
    let id = scene.key(&scene.ann, &[]).await.id;
    let token = ann.token().await;
    for page in ["logout".to_owned(), format!("keys/{id}/revoke"), format!("keys/{id}/rotate")] {
        assert_eq!(ann.get(&format!("{page}?form={token}")).await.status, 404, "{page}");
    }
    assert_eq!(ann.get("keys").await.status, 200);
    assert!(ann.get(&format!("keys/{id}")).await.text().contains("badge active"));
}

#[tokio::test]
async fn logged_out_there_is_nothing_to_see_or_to_do() {
    let scene = Scene::new().await;
    let id = scene.key(&scene.ann, &[]).await.id;
    let mut nobody = scene.browser();
    for page in ["keys", &format!("keys/{id}"), "sessions", "password"] {
        nobody.get(page).await.is_logged_out();
    }
    for page in [
        "keys",
        &format!("keys/{id}/revoke"),
        &format!("keys/{id}/rotate"),
        "sessions/x/end",
        "password",
        "logout",
    ] {
        nobody.send(page, Some(SITE), &[("name", "x")]).await.is_logged_out();
    }
    for page in ["nothing", "keys/1/2/3", "sessions/x", "../admin", "login/"] {
        let status = nobody.get(page).await.status;
        assert!([400, 404].contains(&status), "{page}: {status}");
    }
    let start = nobody.get("").await;
    assert_eq!((start.status, start.header("location")), (303, Some("/console/keys")));
}

#[tokio::test]
async fn another_accounts_things_are_on_no_page() {
    let scene = Scene::new().await;
    let theirs = scene.key(&scene.ben, &[]).await.id;
    scene.login(BEN).await;
    let issuer = scene.gateway.issuer();
    let session = issuer.sessions(Some(&scene.ben), None, 1).await.unwrap().items.remove(0).id;
    let mut ann = scene.logged_in(ANN).await;
    for id in [&*theirs, "01a3185c-5000-73c0-b954-626744fd9b7f"] {
        assert_eq!(ann.get(&format!("keys/{id}")).await.status, 404);
        for deed in ["rotate", "revoke"] {
            assert_eq!(ann.submit(&format!("keys/{id}/{deed}"), &[("overlap", "0")]).await.status, 404);
        }
    }
    assert_eq!(ann.submit(&format!("sessions/{session}/end"), &[]).await.status, 404);
    for page in ["keys", "keys?after=", "sessions"] {
        let page = ann.get(page).await;
        assert!(
            !page.text().contains(&theirs) && !page.text().contains(&session) && !page.text().contains(BEN)
        );
    }
    assert_eq!(issuer.session(&session).await.unwrap().ended, None);
    assert_eq!(issuer.key(&theirs).await.unwrap().revoked_at, None);
}

#[tokio::test]
async fn nothing_leads_out_of_the_console() {
    let scene = Scene::new().await;
    for hint in ["next", "return_to", "redirect_uri", "url", "continue"] {
        let mut browser = scene.browser();
        let fields = [("email", ANN), ("password", PASSWORD), (hint, "https://evil.test/")];
        let response = browser.send(&format!("login?{hint}=https://evil.test/"), Some(SITE), &fields).await;
        assert_eq!((response.status, response.header("location")), (303, Some("/console/keys")));
        let page = browser.get(&format!("login?{hint}=//evil.test")).await;
        assert_eq!(page.header("location"), Some("/console/keys"));
    }
    for page in ["/evil.test", "%2f%2fevil.test", "login?//evil.test", "keys/https:evil.test"] {
        let response = scene.browser().get(page).await;
        assert!(
            response.header("location").is_none_or(|place| place.starts_with("/console/")),
            "{response:?}"
        );
        assert!(!response.text().contains("href=\"//evil"), "{response:?}");
    }
    // Not even where Host says so.
    let response = scene.gateway.anonymous().with_host(HOST).get("/console/keys").await;
    assert_eq!(response.header("location"), Some("/console/login"));
}

#[tokio::test]
async fn logging_out_ends_the_session_and_its_tokens_and_nobody_elses() {
    let scene = Scene::new().await;
    let mut here = scene.logged_in(ANN).await;
    let mut there = scene.logged_in(ANN).await;
    let token = here.token().await;
    let old = here.session.clone();
    let out = here.submit("logout", &[]).await;
    assert_eq!((out.status, out.header("location")), (303, Some("/console/login?out")));
    assert!(here.get("login?out").await.text().contains("You are logged out."));
    here.session = old;
    here.get("keys").await.is_logged_out();
    here.send("keys", Some(SITE), &[("form", &token), ("name", "x")]).await.is_logged_out();
    assert_eq!(there.get("keys").await.status, 200);
    scene.disable(&scene.ann).await;
    there.get("keys").await.is_logged_out();
}

#[tokio::test]
async fn a_changed_password_ends_every_other_session_at_once() {
    let scene = Scene::new().await;
    let mut here = scene.logged_in(ANN).await;
    let mut there = scene.logged_in(ANN).await;
    let tokens = scene.login(ANN).await;
    assert_eq!(scene.route(&tokens.access).await, 200);
    for (old, new, words) in [
        ("wrong", "another good password", "The present password is wrong."),
        (PASSWORD, "short", "The password has 5 characters; at least 8 are needed."),
        (PASSWORD, "password1", "one of the most common"),
    ] {
        let page = here.submit("password", &[("old", old), ("new", new)]).await;
        assert_eq!(page.status, 422);
        assert!(page.text().contains(words), "{}", page.text());
        assert!(!page.text().contains(PASSWORD) && !page.text().contains(&format!("\"{new}\"")));
    }
    assert_eq!(there.get("keys").await.status, 200);
    let mut stolen = scene.browser();
    stolen.session.clone_from(&here.session);
    let done = here.submit("password", &[("old", PASSWORD), ("new", "another good password")]).await;
    assert_eq!((done.status, done.header("location")), (303, Some("/console/password?changed")));
    stolen.get("keys").await.is_logged_out();
    assert_eq!(here.get("keys").await.status, 200);
    there.get("keys").await.is_logged_out();
    assert_eq!(scene.route(&tokens.access).await, 401);
    scene.try_refresh(&tokens.refresh).await.refused(Code::InvalidGrant);
    scene.try_login(ANN, PASSWORD).await.refused(Code::InvalidLogin);
    assert_eq!(scene.try_login(ANN, "another good password").await.status, 200);
}

#[tokio::test]
async fn one_session_is_ended_from_the_list_of_them() {
    let scene = Scene::new().await;
    let mut here = scene.logged_in(ANN).await;
    let mut there = scene.logged_in(ANN).await;
    let page = here.get("sessions").await;
    let form = page.text().split("action=\"/console/sessions/").nth(1).unwrap();
    let id = form.split('/').next().unwrap().to_owned();
    let done = here.submit(&format!("sessions/{id}/end"), &[]).await;
    assert_eq!(done.header("location"), Some("/console/sessions?ended"));
    there.get("keys").await.is_logged_out();
    assert_eq!(here.get("sessions?ended").await.text().matches("badge active").count(), 1);
}

#[tokio::test]
async fn of_very_many_sessions_the_newest_and_this_one_are_listed() {
    let scene = Scene::new().await;
    let mut here = scene.logged_in(ANN).await;
    let mut ids = Vec::new();
    for _ in 0..105 {
        ids.push(crate::support::keys::session_of(&scene.gateway, &scene.ann, super::START).await.id);
    }
    ids.sort();
    let page = here.get("sessions").await;
    assert_eq!(page.text().matches("<li class=\"card key\">").count(), 101);
    assert_eq!(page.text().matches("badge active").count(), 1);
    assert!(page.text().contains(&ids[104]) && !page.text().contains(&ids[0]));
    assert!(page.text().contains("the newest are shown"));
}

#[tokio::test]
async fn over_http2_cookies_may_come_in_crumbs() {
    let scene = Scene::new().await;
    let ann = scene.logged_in(ANN).await;
    let mut h2 = crate::support::h2::H2::connect(scene.gateway.public()).await;
    let request = http::Request::builder().uri(format!("http://{HOST}/console/keys"));
    let request = request.header("cookie", "a=b").header("cookie", &ann.session).header("cookie", &ann.mark);
    let page = h2.ask(request).await.whole().await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains(ANN));
}
