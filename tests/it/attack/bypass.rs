//! Ways around a protected place, on every kind of route and by every way to come: each is judged as that place, refused,
//! or reaches the upstream byte for byte as something that no sane backend takes for it.

use super::ground::{Came, Comer, Ground, KINDS, Kind, Verdicts, Way};
use super::paths::{AMBIGUOUS, BAD, BARE, HOST, METHODS, MISSING, NO_FIELD, NO_ROUTE};
use super::spellings::{SPELLINGS, spell};
use crate::support::frames::{END_HEADERS, END_STREAM, HEADERS, fields, frame};

/// Further spellings, as in [`SPELLINGS`].
pub const FURTHER: &[(&str, &str)] = &[
    ("/{}/", "/{}/"),
    ("/{}/x", "/{}/x"),
    ("/{}/%78", "/{}/x"),
    ("/{}/...", "/{}/..."),
    ("/{}/..x", "/{}/..x"),
    ("/{}%2f", AMBIGUOUS),
    ("/{}%2F", AMBIGUOUS),
    ("/{}%5c", AMBIGUOUS),
    ("/{}\\", AMBIGUOUS),
    ("/{}/%2e", AMBIGUOUS),
    ("/{}/%2e%2e/", AMBIGUOUS),
    ("/{}/..;/x", AMBIGUOUS),
    ("/../{}", AMBIGUOUS),
    ("/%2e%2e/{}", AMBIGUOUS),
    ("/..%2f{}", AMBIGUOUS),
    ("/.;/{}", AMBIGUOUS),
    ("/%2e;/{}", AMBIGUOUS),
    ("/%2e%2e;x=y/{}", AMBIGUOUS),
    ("/x/%2e%2e%2f{}", AMBIGUOUS),
    ("/x/..%5C..%5C{}", AMBIGUOUS),
    ("/x/.%00./{}", AMBIGUOUS),
    ("/%252f{}", AMBIGUOUS),
    ("/{}%252f", AMBIGUOUS),
    ("/{}%252e%252e", AMBIGUOUS),
    ("/{}%253b", AMBIGUOUS),
    ("/{}%2500", AMBIGUOUS),
    ("/{}%2500.html", AMBIGUOUS),
    ("/{}%25252500", AMBIGUOUS),
    ("/{}%253fx", AMBIGUOUS),
    ("/{}%2523", AMBIGUOUS),
    ("/{}%25", AMBIGUOUS),
    ("/{}%c0%80", AMBIGUOUS),
    ("/{}%c1%9c", AMBIGUOUS),
    ("/{}%e0%80%af..", AMBIGUOUS),
    ("/{}%f8%80%80%80%af", AMBIGUOUS),
    ("/{}%fe", AMBIGUOUS),
    ("/%c1%a1{}", AMBIGUOUS),
    ("/{}%1b", AMBIGUOUS),
    ("/{}%c2%85", "/{}%C2%85"),
    ("/{}%u0061", AMBIGUOUS),
    ("/{}%0", AMBIGUOUS),
    ("/{}%+1", AMBIGUOUS),
    ("/{}/;/x", AMBIGUOUS),
    ("/{};jsessionid=1", AMBIGUOUS),
    ("/{};jsessionid=1?x", AMBIGUOUS),
    ("/;x=/{}", AMBIGUOUS),
    ("////{}", AMBIGUOUS),
    ("/%2f%2f{}", AMBIGUOUS),
    ("/{}///", AMBIGUOUS),
    ("/x//{}", AMBIGUOUS),
    ("/{}%e2%80%8b", "/{}%E2%80%8B"),
    ("/{}%ef%bc%8f", "/{}%EF%BC%8F"),
    ("/{}%3D", "/{}%3D"),
    ("/{}=x", "/{}=x"),
    ("/{}+x", "/{}+x"),
    ("/{}%26x", "/{}%26x"),
    ("/{}&x", "/{}&x"),
    ("/{}%40x", "/{}%40x"),
    ("/{}.json", "/{}.json"),
    ("/{}.css", "/{}.css"),
    ("/{}%2ejson", "/{}.json"),
    ("/{}-", "/{}-"),
    ("/{}?a=/x#", AMBIGUOUS),
    ("/{}?../x", "/{}"),
    ("/{}?;x", "/{}"),
    ("/{}?%2f..%2fx", "/{}"),
    ("/{}?\\", "/{}"),
];

/// Hosts: `{}` is the kind's own. Whatever is not refused is judged as it, or has no route.
pub const HOSTS: &[(&str, &str)] = &[
    ("{}", MISSING),
    ("{UP}", MISSING),
    ("{}.", MISSING),
    ("{}:80", MISSING),
    ("{UP}.:443", MISSING),
    ("{}:65535", MISSING),
    ("{}\t", MISSING),
    ("\t {}", MISSING),
    ("{}..", HOST),
    (".{}", HOST),
    ("{}:", HOST),
    ("{}:0", HOST),
    ("{}:080", HOST),
    ("{}:65536", HOST),
    ("{}:http", HOST),
    ("{}:80:80", HOST),
    ("{}:+80", HOST),
    ("{}, other.test", HOST),
    ("{},{}", HOST),
    ("{} other.test", HOST),
    ("user@{}", HOST),
    ("user:pass@{}", HOST),
    ("{}@other.test", HOST),
    ("{}/x", HOST),
    ("{}?x", HOST),
    ("{}#x", HOST),
    ("{};x", HOST),
    ("{}\\", HOST),
    ("http://{}", HOST),
    ("//{}", HOST),
    ("%61.{}", HOST),
    ("{}%00", HOST),
    ("*.{}", HOST),
    ("[{}]", HOST),
    ("", HOST),
    ("other.test\r\nHost: {}", HOST),
    ("{}\r\nHost: {}", HOST),
    ("{}\r\nhost: other.test", HOST),
    ("{}\0", BARE),
    ("other.test\r\n {}", BARE),
    ("other.test", NO_ROUTE),
    ("x.{}", NO_ROUTE),
    ("x{}", NO_ROUTE),
    ("{}.other", NO_ROUTE),
    ("127.0.0.1", NO_ROUTE),
    ("[::1]:80", NO_ROUTE),
];

/// Fields by which some servers choose another path, host or method, besides [`NO_FIELD`].
pub const FIELDS: &[&str] = &[
    "X-Original-URL: /",
    "X-Original-Path: /",
    "X-Rewrite-Path: /",
    "X-Forwarded-Path: /",
    "X-Forwarded-Scheme: https",
    "X-Forwarded-Server: other.test",
    "X-Custom-IP-Authorization: 127.0.0.1",
    "X-Client-IP: 127.0.0.1",
    "True-Client-IP: 127.0.0.1",
    "CF-Connecting-IP: 127.0.0.1",
    "X-Cluster-Client-IP: 127.0.0.1",
    "X-ProxyUser-IP: 127.0.0.1",
    "X-HTTP-Method: OPTIONS",
    "X-HTTP-Method-Override: HEAD",
    "X-Envoy-Original-Path: /",
    "X-Envoy-Internal: true",
    "X-Accel-Redirect: /",
    "X-Sendfile: /",
    "X-Auth-Subject: admin\r\nX-Auth-Method: api_key",
    "X-Auth-Scopes: orders:read",
    "X-Canary: always",
    "Destination: /",
    "Proxy-Authorization: Basic eDp5",
    "Sec-Fetch-Site: same-origin",
    "Access-Control-Request-Method: GET",
    "Expect: 100-continue",
    "Connection: keep-alive, x-auth-subject",
    "Range: bytes=0-",
];

/// What is expected of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Want {
    /// It is read as this one, whatever serves that.
    Read(String),
    Refused(&'static str),
}

/// `MISSING` in a table of spellings: read as the place itself.
fn wanted(kind: &Kind, template: &str, want: &'static str) -> (String, Want) {
    let target = spell(template, kind.place())
        .replace("a.test", &kind.host())
        .replace("A.TEST", &kind.host().to_uppercase());
    let want = match want {
        MISSING => Want::Read(format!("/{}", kind.place())),
        want if want.starts_with('/') => {
            let path = spell(want, kind.place());
            Want::Read(path.split('?').next().unwrap_or_default().to_owned())
        }
        want => Want::Refused(want),
    };
    (target, want)
}

/// Every way to read a path that some backend has.
fn readings(target: &str) -> Vec<String> {
    let path = target.split(['?', '#']).next().unwrap_or_default().to_owned();
    let mut all = vec![path];
    let steps: [fn(&str) -> String; 7] = [
        decoded,
        decoded,
        |path| path.replace('\\', "/"),
        |path| {
            path.split('/')
                .map(|part| part.split(';').next().unwrap_or_default())
                .collect::<Vec<_>>()
                .join("/")
        },
        |path| path.split(['\0', '?', '#']).next().unwrap_or_default().to_owned(),
        merged,
        without_dots,
    ];
    // In this order and in the reverse one, each step taken or left.
    for step in steps.iter().chain(steps.iter().rev()) {
        let more: Vec<String> =
            all.iter().map(|path| step(path)).filter(|path| !all.contains(path)).collect();
        all.extend(more);
        all.sort_unstable();
        all.dedup();
    }
    all
}

fn decoded(path: &str) -> String {
    let bytes = path.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out.into_iter().map(char::from).collect()
}

fn merged(path: &str) -> String {
    let mut out = path.to_owned();
    while out.contains("//") {
        out = out.replace("//", "/");
    }
    out
}

fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Credential {
    None,
    /// A good one that lacks the scope.
    Poor,
}

struct Asker<'g> {
    ground: &'g Ground,
    comer: Comer<'g>,
    credential: Credential,
    verdicts: Verdicts,
}

impl<'g> Asker<'g> {
    fn new(ground: &'g Ground, way: Way, credential: Credential) -> Self {
        Self { ground, comer: Comer::new(ground, way), credential, verdicts: Verdicts::default() }
    }

    /// What the protected place answers.
    const fn turned_away(&self) -> &'static str {
        match self.credential {
            Credential::None => MISSING,
            Credential::Poor => "403 insufficient_scope",
        }
    }

    fn authorization(&self) -> String {
        match self.credential {
            Credential::None => String::new(),
            Credential::Poor => format!("Authorization: Bearer {}\r\n", self.ground.poor.secret),
        }
    }

    async fn ask(&mut self, host: &str, method: &str, target: &str, more: &str) -> Came {
        let authorization = self.authorization();
        let request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{more}{authorization}\r\n");
        self.comer.send(&request).await
    }

    async fn path(&mut self, kind: &Kind, template: &str, want: &'static str) {
        let (target, want) = wanted(kind, template, want);
        let case = format!("{} {:?} {:?}: {target:?}", kind.name, self.comer.way, self.credential);
        let came = self.ask(&kind.host(), "GET", &target, "").await;
        self.judge(kind, &case, &came, &want);
    }

    /// The same over HTTP/2, for which a target is a path.
    async fn path2(&mut self, kind: &Kind, template: &str, want: &'static str) {
        if !template.starts_with('/') {
            return;
        }
        let (target, want) = wanted(kind, template, want);
        let case = format!("{} {:?} {:?}: {target:?}", kind.name, self.comer.way, self.credential);
        let (host, bearer) = (kind.host(), format!("Bearer {}", self.ground.poor.secret));
        let mut list =
            vec![(":method", "GET"), (":scheme", "http"), (":authority", &*host), (":path", &*target)];
        if self.credential == Credential::Poor {
            list.push(("authorization", &*bearer));
        }
        let came = self
            .comer
            .exchange(|stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, fields(&list)))
            .await;
        let want = match want {
            // How it is refused is HTTP/2's matter.
            Want::Refused(_) if came.verdict == "0" => Want::Refused("0"),
            Want::Refused(BARE) => Want::Refused(if came.verdict == BAD { BAD } else { AMBIGUOUS }),
            want => want,
        };
        self.judge(kind, &case, &came, &want);
    }

    fn judge(&mut self, kind: &Kind, case: &str, came: &Came, want: &Want) {
        let turned_away = self.turned_away();
        self.verdicts.judge(|| judge(kind, case, came, want, turned_away));
    }
}

fn judge(kind: &Kind, case: &str, came: &Came, want: &Want, turned_away: &str) {
    if came.verdict == "200" {
        let request = came.forwarded(case);
        for reading in readings(&request.target) {
            assert!(!kind.covers(&reading), "{case}: forwarded as {}, and read {reading:?}", request.target);
        }
        assert_eq!(request.header("x-auth-subject"), None, "{case}");
    } else {
        assert_eq!(came.received, [], "{case}: {}", came.verdict);
    }
    match want {
        Want::Read(path) if kind.covers(path) => assert_eq!(came.verdict, turned_away, "{case}"),
        Want::Read(path) => {
            let target = &came.forwarded(case).target;
            assert_eq!(target.split('?').next(), Some(path.as_str()), "{case}");
        }
        // What the route itself allows is judged by it.
        Want::Refused(AMBIGUOUS) if kind.trusts() && came.verdict == turned_away => {}
        // What is no target at all is refused before it is read.
        Want::Refused(BAD) if came.verdict == BARE => {}
        // What is allowed around it may pass, as what it is.
        Want::Refused(AMBIGUOUS) if kind.is_loose() && came.verdict == "200" => {}
        Want::Refused(verdict) => assert_eq!(came.verdict, *verdict, "{case}"),
    }
}

fn paths() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    SPELLINGS.iter().chain(FURTHER)
}

async fn every_path(way: Way, credential: Credential) {
    let ground = Ground::with(|builder| builder).await;
    for kind in KINDS {
        let mut asker = Asker::new(&ground, way, credential);
        for (template, want) in paths() {
            match way {
                Way::Http2 => asker.path2(kind, template, want).await,
                Way::Http1 | Way::Announced => asker.path(kind, template, want).await,
            }
        }
    }
}

#[tokio::test]
async fn no_path_leads_around_a_place_on_any_kind_of_route() {
    every_path(Way::Http1, Credential::None).await;
}

#[tokio::test]
async fn no_path_leads_somebody_without_the_scope_around_it() {
    every_path(Way::Http1, Credential::Poor).await;
}

#[tokio::test]
async fn no_path_leads_around_it_behind_a_balancer() {
    every_path(Way::Announced, Credential::None).await;
}

#[tokio::test]
async fn no_path_leads_around_it_over_http2() {
    every_path(Way::Http2, Credential::Poor).await;
}

#[tokio::test]
async fn no_host_leads_around_a_place_on_any_kind_of_route() {
    let ground = Ground::with(|builder| builder).await;
    for kind in KINDS {
        let mut asker = Asker::new(&ground, Way::Http1, Credential::None);
        for (template, want) in HOSTS {
            let host = template.replace("{}", &kind.host()).replace("{UP}", &kind.host().to_uppercase());
            let came = asker.ask(&host, "GET", &format!("/{}", kind.place()), "").await;
            let found = (came.verdict.as_str(), came.received.len());
            asker.verdicts.judge(|| assert_eq!(found, (*want, 0), "{} {host:?}", kind.name));
        }
    }
}

#[tokio::test]
async fn no_field_and_no_method_leads_around_a_place_whoever_sends_it() {
    for trusted in ["trusted_proxies: []", "trusted_proxies: [127.0.0.0/8, 192.0.2.0/24]"] {
        let ground = Ground::with(|builder| builder.yaml(trusted)).await;
        for (kind, way) in KINDS.iter().flat_map(|kind| [(kind, Way::Http1), (kind, Way::Announced)]) {
            let mut asker = Asker::new(&ground, way, Credential::None);
            let place = format!("/{}", kind.place());
            for field in NO_FIELD.iter().chain(FIELDS) {
                // What asks to leave HTTP is answered as well; its connection is of no more use.
                let came = asker.ask(&kind.host(), "GET", &place, &format!("{field}\r\n")).await;
                let found = (came.verdict.as_str(), came.received.len());
                asker.verdicts.judge(|| assert_eq!(found, (MISSING, 0), "{} {field:?}", kind.name));
            }
            for method in METHODS {
                let came = asker.ask(&kind.host(), method, &place, "").await;
                let verdict = came.verdict.split(' ').next();
                let found = (verdict, came.received.len());
                asker.verdicts.judge(|| assert_eq!(found, (Some("401"), 0), "{} {method}", kind.name));
            }
        }
    }
}

#[test]
fn the_readings_of_a_path_are_those_of_careless_backends() {
    for target in [
        "/admin",
        "/%61dmin",
        "/%2561dmin",
        "//admin",
        "/./admin",
        "/x/../admin",
        "/x/..%2fadmin",
        "/x/%2e%2e/admin",
        "/admin;x",
        "/;/admin",
        "/x/..;/admin",
        "/\\admin",
        "/x\\..\\admin",
        "/admin%00.html",
        "/x%252f..%252fadmin",
        "/%5cadmin?x",
        "/admin%2fx",
    ] {
        assert!(
            readings(target).iter().any(|path| KINDS[0].covers(path)),
            "{target}: {:?}",
            readings(target)
        );
    }
    for target in ["/adminx", "/x/admin", "/x?/../admin", "/Admin", "/admin%20", "/admin.", "/admin%C3%BC"] {
        assert!(
            !readings(target).iter().any(|path| KINDS[0].covers(path)),
            "{target}: {:?}",
            readings(target)
        );
    }
}

/// How many different things are tried on each kind of route; the tables are not to shrink in silence.
#[test]
fn the_cases_are_as_many_as_they_were() {
    let paths = paths().count() + HOSTS.len() + NO_FIELD.len() + FIELDS.len() + METHODS.len();
    let fields = super::spoofing::rows().len();
    assert!(
        paths >= 310 && fields >= 530,
        "{paths} paths, hosts, fields and methods, {fields} spoofed fields"
    );
    assert!(KINDS.len() >= 25, "{} kinds of route", KINDS.len());
}
