//! Fields by which a client might be taken for somebody else, or have the upstream look elsewhere: in every spelling, on
//! every kind of route.

use super::{PATTERNS, Stand};

/// Fields that only the gateway may set, or that end here, under names that fold onto theirs as well.
pub(super) const SPOOFED: &[&str] = &[
    "X-Auth-Subject",
    "X-Auth-Credential",
    "X-Auth-Client",
    "X-Auth-Scopes",
    "X-Auth-Method",
    "X-Auth-Assertion",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Server",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-User",
    "X-Forwarded-",
    "X-Real-IP",
    "X-Client-IP",
    "True-Client-IP",
    "X-Original-URL",
    "X-Original-URI",
    "X-Original-Host",
    "X-Original-Method",
    "X-Original-Forwarded-For",
    "X-Rewrite-URL",
    "X-Rewrite-Path",
    "X-Request-Id",
];

/// Others that never reach the upstream, as they are.
const DROPPED: &[&str] = &[
    "Forwarded: for=evil",
    "FORWARDED: for=evil;host=evil",
    "X-Forwarded: evil",
    "x_forwarded: evil",
    "Keep-Alive: evil",
    "Proxy-Connection: evil",
    "Proxy-Authorization: evil",
    "Proxy_Authorization: evil",
    "Proxy-Authenticate: evil",
    "Proxy-Authentication-Info: evil",
    "TE: evil",
    "Trailer: evil",
    "Upgrade: evil",
    "Upgrade: evil\r\nConnection: Upgrade",
    "HTTP2-Settings: evil",
    "Connection: evil\r\nEvil: 1",
    "Connection: x-a, x-b\r\nX-A: evil\r\nX-B: evil",
    "Connection: close, x-evil\r\nX-Evil: evil",
    "Connection: ,,  X-EVIL  ,\r\nx-evil: evil",
    "Connection: a\r\nConnection: x-evil\r\nX-Evil: evil",
    "traceparent: evil",
    "tracestate: evil",
    "TRACEPARENT: evil",
    "tracestate: evil\r\ntraceparent: 00-zz-b7ad6b7169203331-01",
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntraceparent: evil",
];

/// Fields that nobody else may fold: the request has two readings.
const TWO_READINGS: &[&str] = &[
    "Transfer_Encoding: chunked",
    "Transfer.Encoding: chunked",
    "transfer_encoding: identity",
    "TRANSFER_ENCODING: chunked",
    "Content_Length: 0",
    "Content.Length: 0",
    "content_length: 7",
    "CONTENT.LENGTH: 7",
    "Keep_Alive: x",
    "Keep.Alive: x",
    "Proxy_Connection: x",
    "Proxy.Connection: x",
    "HTTP2_Settings: x",
    "http2.settings: x",
    "Upgrade: h2c",
    "Upgrade: websocket, H2C",
    "Expect: evil",
];

/// Fields that are nobody's business here.
const PASSING: &[&str] = &[
    "X-Auth: 1",
    "X-Auth-User: 1",
    "X-Auth-Subjects: 1",
    "X-AuthSubject: 1",
    "XX-Auth-Subject: 1",
    "X-Auth--Subject: 1",
    "X-Forwardedfor: 1",
    "X-Originals: 1",
    "X-Real-IPs: 1",
    "Remote-User: 1",
    "User_Agent: 1",
    "X-Foo_Bar.Baz: 1",
    "Via: 1.1 x",
    "Cookie: a=b",
    "X-Api-Keys: 1",
    "Range: bytes=0-1",
    "X-HTTP-Method-Override: PUT",
];

fn spellings(name: &str) -> Vec<String> {
    let folded = |to: &str| name.replace('-', to);
    let first = |to: &str| name.replacen('-', to, 1);
    let last = |to: &str| match name.rsplit_once('-') {
        Some((head, tail)) => format!("{head}{to}{tail}"),
        None => name.to_owned(),
    };
    vec![
        name.to_owned(),
        name.to_ascii_lowercase(),
        name.to_ascii_uppercase(),
        folded("_"),
        folded("."),
        first("_").to_ascii_uppercase(),
        first("."),
        last("_"),
        last(".").to_ascii_lowercase(),
    ]
}

/// A host and path, and the fields that its upstream receives besides what passes.
struct Place {
    host: &'static str,
    target: &'static str,
    credential: bool,
    own: Vec<String>,
}

pub(super) const ALWAYS: [&str; 6] =
    ["host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-request-id"];

fn places(identity: &[&str]) -> Vec<Place> {
    let place = |target, credential: bool| {
        let host = if target == "/users/1" { PATTERNS } else { "a.test" };
        let mut own: Vec<String> = ALWAYS.map(str::to_owned).to_vec();
        if credential {
            own.extend(identity.iter().map(|name| (*name).to_owned()));
        }
        own.sort();
        Place { host, target, credential, own }
    };
    vec![
        place("/sea", false),
        place("/opt", false),
        place("/own", false),
        place("/fixed", false),
        place("/admin", true),
        place("/opt", true),
        place("/users/1", true),
    ]
}

pub(super) const IDENTITY: [&str; 4] =
    ["x-auth-credential", "x-auth-method", "x-auth-scopes", "x-auth-subject"];

/// Sends these fields to each kind of route; the names that reach the upstream must be the place's own and `passing`, and
/// what the gateway says itself must be true.
async fn names_are(stand: &Stand, places: &[Place], fields: &str, passing: &[&str]) {
    for place in places {
        let credential = match place.credential {
            true => format!("\r\nAuthorization: Bearer {}", stand.key.secret),
            false => String::new(),
        };
        let head = format!("GET {} HTTP/1.1\r\nHost: {}\r\n{fields}{credential}", place.target, place.host);
        let outcome = stand.ask(&head).await;
        assert_eq!(outcome.answered(), ["200"], "{head}");
        let request = &outcome.forwarded[0];
        let mut names = place.own.clone();
        names.extend(passing.iter().map(|name| name.to_ascii_lowercase()));
        names.sort();
        assert_eq!(request.names(), names, "{head}");
        assert!(!format!("{:?}", request.headers).contains("evil"), "{head}: {request:?}");
        assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"), "{head}");
        assert_eq!(request.header("x-forwarded-proto"), Some("http"), "{head}");
        assert_eq!(request.header("x-forwarded-host"), Some(place.host), "{head}");
        let port = stand.gateway.public().port().to_string();
        assert_eq!(request.header("x-forwarded-port"), Some(port.as_str()), "{head}");
        assert_eq!(request.header("x-request-id"), outcome.answers[0].header("x-request-id"), "{head}");
        if let Some(subject) = request.header("x-auth-subject") {
            assert_eq!(subject, stand.gateway.account().await, "{head}");
        }
    }
}

#[tokio::test]
async fn no_spelling_of_a_field_of_ours_reaches_the_upstream() {
    let stand = Stand::start().await;
    let places = places(&IDENTITY);
    for name in SPOOFED {
        for spelling in spellings(name) {
            names_are(&stand, &places[4..5], &format!("{spelling}: evil"), &[]).await;
            names_are(&stand, &places[..1], &format!("{spelling}: evil\r\n{spelling}: evil"), &[]).await;
        }
        names_are(&stand, &places, &format!("{name}: evil\r\n{name}: evil"), &[]).await;
        let named = format!("Connection: {name}, {}\r\n{name}: evil", name.to_ascii_lowercase());
        names_are(&stand, &places[4..5], &named, &[]).await;
    }
}

#[tokio::test]
async fn what_ends_here_ends_on_every_kind_of_route() {
    let stand = Stand::start().await;
    let places = places(&IDENTITY);
    for fields in DROPPED {
        names_are(&stand, &places, fields, &[]).await;
    }
}

#[tokio::test]
async fn what_is_nobodys_business_passes() {
    let stand = Stand::start().await;
    let places = places(&IDENTITY);
    for field in PASSING {
        let name = field.split(':').next().unwrap();
        names_are(&stand, &places, field, &[name]).await;
    }
}

#[tokio::test]
async fn a_field_that_folds_onto_framing_is_refused_on_every_kind_of_route() {
    let stand = Stand::start().await;
    for field in TWO_READINGS {
        for target in ["/sea", "/opt", "/admin", "/exact", "/nowhere"] {
            let outcome = stand.ask(&format!("POST {target} HTTP/1.1\r\nHost: a.test\r\n{field}")).await;
            assert_eq!(outcome.answered(), ["400 bad_request"], "{target} {field}");
            assert_eq!(outcome.received(), [""; 0], "{target} {field}");
        }
    }
}

#[tokio::test]
async fn connection_removes_nothing_that_the_gateway_says() {
    let stand = Stand::start().await;
    let places = places(&IDENTITY);
    for name in
        ALWAYS.iter().chain(&IDENTITY).chain(&["content-length", "transfer-encoding", "authorization"])
    {
        names_are(&stand, &places, &format!("Connection: {name}"), &[]).await;
        names_are(&stand, &places[4..5], &format!("Connection: close, {}", name.to_uppercase()), &[]).await;
    }
    let post = format!(
        "POST /admin HTTP/1.1\r\nHost: a.test\r\nAuthorization: {}\r\nConnection: content-length, host\r\n\
         Content-Length: 3\r\n\r\nabc",
        stand.key.secret
    );
    assert_eq!(stand.attack(post).await.received(), ["POST /admin [abc]"]);
}

#[tokio::test]
async fn no_credential_reaches_an_upstream_that_was_not_promised_it() {
    let stand = Stand::start().await;
    let places = places(&IDENTITY);
    let key = &stand.key.secret;
    for fields in
        ["Authorization: Digest evil", "Authorization: Basic ZXZpbDpldmls", "authorization: evil evil"]
    {
        names_are(&stand, &places[..1], fields, &[]).await;
    }
    for fields in ["X-Api-Key: evil", "x_api_key: evil", "X.Api.Key: evil", "X-API_KEY: evil"] {
        names_are(&stand, &places[2..4], fields, &[]).await;
    }
    for field in ["X_Api_Key", "X.Api.Key", "X-Api_Key"] {
        // A disguised credential field is none.
        let outcome = stand.ask(&format!("GET /admin HTTP/1.1\r\nHost: a.test\r\n{field}: {key}")).await;
        assert_eq!(outcome.answered(), ["401 missing_credentials"], "{field}");
    }
    let api_key = format!("GET /admin HTTP/1.1\r\nHost: a.test\r\nX-Api-Key: {key}");
    let outcome = stand.ask(&api_key).await;
    assert!(!format!("{:?}", outcome.forwarded).contains(key.as_str()));
    let both = stand.ask(&format!("{api_key}\r\nAuthorization: Bearer {key}")).await;
    assert_eq!(both.answered(), ["400 invalid_request"]);
    let promised =
        stand.ask(&format!("GET /fwd HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer {key}")).await;
    assert_eq!(promised.forwarded[0].header("authorization"), Some(format!("Bearer {key}").as_str()));
}

#[tokio::test]
async fn renamed_identity_fields_are_guarded_under_both_names() {
    let names = "identity_headers: { subject: Remote-User, credential: X-Key.Id, client: X-App, scopes: X_Scopes, method: X-Auth-Client }";
    let stand = Stand::with(|builder| builder.yaml(names)).await;
    let places = places(&["remote-user", "x-key.id", "x_scopes", "x-auth-client"]);
    for name in ["Remote-User", "X-Key-Id", "X-App", "X-Scopes"].iter().chain(SPOOFED) {
        for spelling in spellings(name) {
            names_are(&stand, &places[4..5], &format!("{spelling}: evil"), &[]).await;
            names_are(&stand, &places[..1], &format!("{spelling}: evil"), &[]).await;
        }
    }
    let head = format!(
        "GET /admin HTTP/1.1\r\nHost: a.test\r\nRemote_User: evil\r\nAuthorization: {}",
        stand.key.secret
    );
    let request = stand.ask(&head).await.forwarded.remove(0);
    assert_eq!(request.header("remote-user"), Some(stand.gateway.account().await));
    assert_eq!(request.header("x-auth-client"), Some("api_key"));
}

#[tokio::test]
async fn a_trusted_peer_may_tell_of_its_client_but_not_of_the_principal() {
    let stand = Stand::with(|builder| builder.yaml("trusted_proxies: [127.0.0.0/8]")).await;
    for name in SPOOFED {
        for spelling in spellings(name) {
            let outcome = stand.ask(&format!("GET /sea HTTP/1.1\r\nHost: a.test\r\n{spelling}: evil")).await;
            let request = &outcome.forwarded[0];
            let folded = name.to_ascii_lowercase();
            let plain = spelling.to_ascii_lowercase() == folded;
            let told = plain
                && !folded.starts_with("x-auth-")
                && !["x-forwarded-port", "x-forwarded-proto"].contains(&folded.as_str());
            assert_eq!(format!("{:?}", request.headers).contains("evil"), told, "{spelling}: {request:?}");
        }
    }
}
