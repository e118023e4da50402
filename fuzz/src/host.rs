//! The authority of a request: `message::host` beside the reader of `http`.

use std::net::Ipv6Addr;

use http::uri::Authority;
use keyward::message::host::Host;

/// Takes the input as the value of a `Host` field.
pub fn run(data: &[u8]) {
    let Ok(sent) = std::str::from_utf8(data) else { return };
    let Some(host) = Host::parse(sent) else {
        assert!(!is_plain(sent), "refused for nothing");
        return;
    };
    assert_eq!(host.sent(), sent);
    let name = host.name();
    assert!(!name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_uppercase()));
    let again = Host::parse(name).expect("a name is a host");
    assert_eq!((again.name(), again.port()), (name, None), "not in one form at once");
    assert!(sent.bytes().all(|byte| byte.is_ascii_graphic() && !b"@/?#\\%,;\"'<>".contains(&byte)));

    let other: Authority = sent.parse().expect("another reader takes it for an authority");
    assert_eq!(other.port_u16(), host.port(), "the port");
    assert_ne!(host.port(), Some(0));
    assert!(host.port().is_none_or(|port| sent.ends_with(&format!(":{port}"))), "a port in another form");
    match other.host().strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(literal) => {
            let address: Ipv6Addr = literal.parse().expect("an address in brackets");
            assert_eq!(name, format!("[{address}]"));
        }
        None => {
            let read = other.host().to_ascii_lowercase();
            assert_eq!(read.strip_suffix('.').unwrap_or(&read), name);
            assert!(name.split('.').all(|label| !label.is_empty()) && name.len() <= 253);
        }
    }
}

/// A name that everyone takes.
fn is_plain(sent: &str) -> bool {
    let name = sent.strip_suffix(":8080").unwrap_or(sent);
    name.len() <= 253
        && name
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}
