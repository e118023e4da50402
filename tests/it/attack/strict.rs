//! A reading of what reached the upstream that takes nothing sloppy: what it accepts, every parser reads alike.

use crate::support::upstream::Received;

/// Fields that never cross the gateway, and those that no folded spelling of crosses it.
const ENDS_HERE: [&str; 11] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "expect",
    "x-auth-assertion",
];
const EXACTLY_ONE: [&str; 6] =
    ["host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-request-id"];
const AT_MOST_ONE: [&str; 7] = [
    "content-length",
    "transfer-encoding",
    "x-auth-subject",
    "x-auth-credential",
    "x-auth-scopes",
    "x-auth-method",
    "x-auth-client",
];
const FAMILIES: [&str; 3] = ["x-forwarded-", "x-original-", "x-rewrite-"];

/// Whether `name` is one of the two fields that ask for a WebSocket, and the request can ask for one.
fn asks_for_a_websocket(request: &Received, name: &str) -> bool {
    let asks =
        (request.header("connection"), request.header("upgrade")) == (Some("Upgrade"), Some("websocket"));
    let bodiless = request.all("content-length").is_empty() && request.all("transfer-encoding").is_empty();
    asks && bodiless && request.method == "GET" && ["connection", "upgrade"].contains(&name)
}

/// Fails unless the request can be read in one way only and carries nothing that only the gateway may say twice.
#[track_caller]
pub fn has_one_reading(request: &Received) {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    assert!(!request.method.is_empty() && request.method.bytes().all(token), "{request:?}");
    let target = request.target.as_bytes();
    assert!(target.starts_with(b"/") && target.iter().all(u8::is_ascii_graphic), "{request:?}");
    assert!(!target.contains(&b'#'), "{request:?}");
    assert_eq!(request.version, "HTTP/1.1");
    for (name, value) in request.headers.iter().chain(&request.trailers) {
        assert!(!name.is_empty() && name.bytes().all(token), "{name:?} in {request:?}");
        assert!(
            !value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f),
            "{value:?} in {request:?}"
        );
        let folded = name.to_ascii_lowercase().replace(['_', '.'], "-");
        let ends_here = ENDS_HERE.contains(&folded.as_str());
        assert!(!ends_here || asks_for_a_websocket(request, name), "{name} in {request:?}");
        let plain = folded == name.to_ascii_lowercase();
        let ours = EXACTLY_ONE.contains(&folded.as_str()) || AT_MOST_ONE.contains(&folded.as_str());
        let family = FAMILIES.iter().any(|family| folded.starts_with(family));
        assert!(plain || !(ours || family), "{name} in {request:?}");
    }
    for name in EXACTLY_ONE {
        assert_eq!(request.all(name).len(), 1, "{name} in {request:?}");
    }
    for name in AT_MOST_ONE {
        assert!(request.all(name).len() < 2, "{name} in {request:?}");
    }
    let coding = request.header("transfer-encoding");
    assert!(coding.is_none() || coding == Some("chunked"), "{request:?}");
    if let Some(length) = request.header("content-length") {
        assert!(coding.is_none(), "{request:?}");
        assert_eq!(length.parse::<u64>().unwrap().to_string(), length, "{request:?}");
    }
    assert!(request.is_whole(), "{request:?}");
    for (name, _) in &request.trailers {
        let name = name.to_ascii_lowercase().replace(['_', '.'], "-");
        let ours = EXACTLY_ONE.contains(&name.as_str()) || AT_MOST_ONE.contains(&name.as_str());
        let family = FAMILIES.iter().any(|family| name.starts_with(family));
        assert!(!ours && !family && coding.is_some(), "{name} in the trailers of {request:?}");
    }
}
