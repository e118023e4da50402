//! `identity`: what is issued to people, and how long it holds.

use std::time::Duration;

use crate::auth::algorithm::SigningAlgorithm;
use crate::config::kind::host::HostName;
use crate::config::kind::number::Count;
use crate::config::kind::time::Span;
use crate::config::kind::url::{Audience, Origin};
use crate::config::kind::words::{Switch, Words};
use crate::config::problem::Problem;
use crate::config::read::Placed;
use crate::config::section::Section;
use crate::config::{Identity, Passwords, PublicUrl, Reach, Refresh};

const ALGORITHMS: Words<SigningAlgorithm> =
    Words(&[("eddsa", SigningAlgorithm::EdDsa), ("es256", SigningAlgorithm::Es256)]);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Longer than a year nobody remembers where he is logged in.
const YEAR: Duration = Duration::from_secs(366 * DAY);

const ACCESS: Span = Span::within(
    Duration::from_secs(10),
    Duration::from_secs(DAY),
    "an access token lives between 10s and 24h: shorter is over before it is used, longer is an API key's work",
);
const IDLE: Span = Span::within(
    Duration::from_secs(MINUTE),
    YEAR,
    "a refresh token can wait between 1m and 366d for its use",
);
const REUSE: Span = Span::within(
    Duration::ZERO,
    Duration::from_secs(MINUTE),
    "a window over 60s would let a stolen refresh token pass unseen",
);
const SESSION: Span =
    Span::within(Duration::from_secs(MINUTE), YEAR, "a session can last between 1m and 366d");
const SIGNING: Span = Span::within(
    Duration::from_secs(HOUR),
    Duration::from_secs(1_100 * DAY),
    "a signing key can sign for between 1h and 1100d",
);

/// `identity`; nothing without a public URL, which is told.
pub(super) fn identity(s: &mut Section<'_>) -> Option<Identity> {
    let (https, where_to) = (
        "https://auth.example.com",
        "Where clients reach it: issuer, links, metadata; never taken from Host.",
    );
    let public_url = s.required("public_url", &Origin, https, where_to);
    let hosts = s.scalars(
        "hosts",
        &HostName,
        "Hosts with its endpoints; none = the host of public_url, on loopback by all its names.",
    );
    let console = s.value("console", &Switch, true, "Whether there is a console for people.").value;
    let audience = audience(s, public_url.as_ref());
    let signing = signing(s);
    let lives = lives(s);
    let passwords = s.section("passwords", "How passwords are judged.", passwords);
    let insecure_http = s.value(
        "insecure_http",
        &Switch,
        false,
        "Whether passwords may travel in clear: a public_url with http that is not this machine.",
    );
    let public_url = public_url?;
    if public_url.value.reach() == Reach::Clear && !insecure_http.value {
        in_clear(s, &public_url);
    }
    Some(Identity {
        other_names: if hosts.is_empty() { other_names(&public_url.value) } else { Vec::new() },
        hosts: hosts_or(hosts, &public_url.value),
        audience: audience.unwrap_or_else(|| public_url.value.as_str().into()),
        public_url: public_url.value,
        console,
        algorithm: signing.0,
        signing_key_lifetime: signing.1,
        access_token_ttl: lives.access.value,
        refresh: Refresh { idle: lives.idle.value, reuse_window: lives.reuse_window },
        session_max: lives.session.value,
        passwords,
        insecure_http: insecure_http.value,
    })
}

fn hosts_or(hosts: Vec<Placed<Box<str>>>, url: &PublicUrl) -> Vec<Box<str>> {
    if hosts.is_empty() {
        return vec![url.host().into()];
    }
    hosts.into_iter().map(|host| host.value).collect()
}

/// What people write for this machine alone.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// The other names of a loopback host that people write.
fn other_names(url: &PublicUrl) -> Vec<Box<str>> {
    if url.reach() != Reach::Loopback || !LOOPBACK.contains(&url.host()) {
        return Vec::new();
    }
    LOOPBACK.into_iter().filter(|name| *name != url.host()).map(Box::from).collect()
}

/// Whom access tokens are for; `None` = the public URL.
fn audience(s: &mut Section<'_>, url: Option<&Placed<PublicUrl>>) -> Option<Box<str>> {
    let default = url.map_or("https://auth.example.com", |url| url.value.as_str());
    let audience =
        s.value("audience", &Audience, default.into(), "Whom access tokens are for; by default public_url.");
    audience.given.then_some(audience.value)
}

fn signing(s: &mut Section<'_>) -> (SigningAlgorithm, Duration) {
    let comment = "What access tokens are signed with: eddsa or es256.";
    let algorithm = s.value("algorithm", &ALGORITHMS, SigningAlgorithm::EdDsa, comment);
    let lifetime = s.value(
        "signing_key_lifetime",
        &SIGNING,
        Duration::from_secs(90 * DAY),
        "How long a signing key signs before another takes over, which is published before.",
    );
    (algorithm.value, lifetime.value)
}

struct Lives {
    access: Placed<Duration>,
    idle: Placed<Duration>,
    reuse_window: Duration,
    session: Placed<Duration>,
}

fn lives(s: &mut Section<'_>) -> Lives {
    let access = s.value(
        "access_token_ttl",
        &ACCESS,
        Duration::from_secs(15 * MINUTE),
        "The life of an access token.",
    );
    let (idle, reuse_window) = s.section("refresh", "How refresh tokens live.", refresh);
    let session = s.value(
        "session_max",
        &SESSION,
        Duration::from_secs(90 * DAY),
        "The life of a session, however often it is refreshed.",
    );
    in_order(s, [("access_token_ttl", &access), ("refresh.idle", &idle)]);
    in_order(s, [("refresh.idle", &idle), ("session_max", &session)]);
    Lives { access, idle, reuse_window, session }
}

fn refresh(s: &mut Section<'_>) -> (Placed<Duration>, Duration) {
    let comment = "How long a refresh token may wait for its use.";
    let idle = s.value("idle", &IDLE, Duration::from_secs(30 * DAY), comment);
    let window = s.value(
        "reuse_window",
        &REUSE,
        Duration::ZERO,
        "How long after its use the same client, by its address, gets the same successor; 0s = a second use ends the session.",
    );
    (idle, window.value)
}

/// Tells when the first lives longer than the second, which would end it early.
fn in_order(s: &Section<'_>, [(short, first), (long, second)]: [(&str, &Placed<Duration>); 2]) {
    if first.value <= second.value {
        return;
    }
    let (at, other) = if first.given { (first.at, second) } else { (second.at, first) };
    let problem = Problem::error(at, format!("`{short}` is longer than `{long}`"));
    let problem = match other.given {
        true => problem.and(other.at, "the other one"),
        false => problem.label("the other one has its default"),
    };
    s.tell(problem.expected(format!("a {short} of at most {long}; set both where the default does not fit")));
}

fn in_clear(s: &Section<'_>, url: &Placed<PublicUrl>) {
    s.tell(
        Problem::error(url.at, "passwords and tokens would travel in clear: this public URL is http")
            .expected("https, or http on this machine alone, such as http://127.0.0.1:8080")
            .help("`insecure_http: true` permits it, for a network that nobody else can read"),
    );
}

fn passwords(s: &mut Section<'_>) -> Passwords {
    let length = Count { least: 8, most: 64 };
    let at_once = Count { least: 1, most: 64 };
    let min = s.value("min_length", &length, 8, "The fewest characters of a new password.");
    let concurrent = s.value(
        "concurrent",
        &at_once,
        1,
        "Most passwords that are checked at once, each for some 20 ms of a core and 19 MiB.",
    );
    let small = |number| usize::try_from(number).unwrap_or(usize::MAX);
    Passwords { min_length: small(min.value), concurrent: small(concurrent.value) }
}
