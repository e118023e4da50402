//! Hosts: as routes name them, as upstreams are reached, as `Host` carries them.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::HeaderValue;
use serde_json::Value;

use super::net::is_port;
use super::{Complaint, Kind, string_schema};
use crate::config::{Endpoint, HostField, HostPattern};
use crate::web::forwarded::Scheme;

/// A host as routes name it.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Pattern;

impl Kind for Pattern {
    type Value = HostPattern;

    fn what(&self) -> String {
        "a host".to_owned()
    }

    fn expected(&self) -> String {
        "a name such as api.example.com, or \"*.example.com\" for every name that ends so, without a port"
            .to_owned()
    }

    fn read(&self, text: &str) -> Result<HostPattern, Complaint> {
        if matches!(text, "*" | "") {
            return Err(Complaint::refused("leave `hosts` out to match every host"));
        }
        let (wildcard, name) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if name.contains('*') {
            return Err(Complaint::because("`*` stands for whole labels at the start, once"));
        }
        let star = if wildcard { "*." } else { "" };
        if let Some((host, port)) = name.rsplit_once(':')
            && is_port(port)
            && host_name(host).is_ok()
        {
            let complaint = Complaint::refused("a host is matched without its port");
            return Err(complaint.instead(format!("{star}{host}")));
        }
        let host = host_name(name).map_err(|complaint| Complaint {
            instead: complaint.instead.map(|better| format!("{star}{better}")),
            ..complaint
        })?;
        let address = host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok();
        match wildcard {
            true if address => Err(Complaint::refused("an IP address has no names under it")),
            true => Ok(HostPattern::Wildcard(format!(".{host}").into())),
            false => Ok(HostPattern::Exact(host.into())),
        }
    }

    fn show(&self, value: &HostPattern) -> String {
        match value {
            HostPattern::Exact(host) => host.to_string(),
            HostPattern::Wildcard(rest) => format!("*{rest}"),
        }
    }

    fn schema(&self) -> Value {
        string_schema("^(\\*\\.)?([a-z0-9_-]+(\\.[a-z0-9_-]+)*|\\[[0-9a-f:.]+\\])$")
    }
}

/// A host as `Host` carries it, without a port.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct HostName;

impl Kind for HostName {
    type Value = Box<str>;

    fn what(&self) -> String {
        "a host".to_owned()
    }

    fn expected(&self) -> String {
        "a name such as auth.example.com, or an address, without a port".to_owned()
    }

    fn read(&self, text: &str) -> Result<Box<str>, Complaint> {
        host_name(text).map(Into::into)
    }

    fn show(&self, value: &Box<str>) -> String {
        value.to_string()
    }

    fn schema(&self) -> Value {
        string_schema("^([a-z0-9_-]+(\\.[a-z0-9_-]+)*|\\[[0-9a-f:.]+\\])$")
    }
}

/// A lower-case DNS name, an IPv4 address, or an IPv6 address in brackets, as it stands in `Host`.
pub(super) fn host_name(text: &str) -> Result<String, Complaint> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = inner.parse().map_err(|_| Complaint::plain())?;
        return match format!("[{address}]") {
            shortest if shortest == text => Ok(shortest),
            shortest => Err(Complaint::refused("it has a shorter form").instead(shortest)),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(Complaint::because("an IPv6 address stands in brackets").instead(format!("[{text}]")));
    }
    if text.contains("://") {
        return Err(Complaint::because("it is a URL"));
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let complaint = Complaint::refused("hosts are written in lower case");
        return Err(complaint.instead(text.to_ascii_lowercase()));
    }
    if !text.is_ascii() {
        let ascii = url::Host::parse(text).ok().map(|host| host.to_string());
        return Err(Complaint::because("it is not ASCII").perhaps(ascii));
    }
    if let Some(name) = text.strip_suffix('.').filter(|name| !name.is_empty()) {
        return Err(Complaint::refused("the dot at the end is left out").instead(name));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if text.len() > 253 || !text.split('.').all(label) {
        return Err(Complaint::plain());
    }
    // What ends in a number is an address in every URL library, so a name that does would be read in two ways.
    let last = text.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<Ipv4Addr>().is_err() {
        return Err(Complaint::because("it is no IPv4 address, and a name does not end in a number"));
    }
    Ok(text.to_owned())
}

/// The URL of one server.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct EndpointUrl;

impl Kind for EndpointUrl {
    type Value = Endpoint;

    fn what(&self) -> String {
        "the URL of an endpoint".to_owned()
    }

    fn expected(&self) -> String {
        "http:// or https://, a host and perhaps a port, such as http://127.0.0.1:9000 or https://backend:9443"
            .to_owned()
    }

    fn read(&self, text: &str) -> Result<Endpoint, Complaint> {
        let Some((scheme, rest)) = text.split_once("://") else {
            let better = (!text.is_empty()).then(|| format!("http://{text}"));
            let better = better.filter(|url| self.read(url).is_ok());
            return Err(Complaint::because("it has no scheme").perhaps(better));
        };
        let known = [Scheme::Http, Scheme::Https];
        let Some(meant) = known.into_iter().find(|known| scheme.eq_ignore_ascii_case(known.as_str())) else {
            return Err(Complaint::because("only http and https are spoken to upstreams"));
        };
        if scheme != meant.as_str() {
            let complaint = Complaint::because("the scheme is written in lower case");
            return Err(complaint.instead(format!("{}://{rest}", meant.as_str())));
        }
        let (authority, path) =
            rest.split_at_checked(rest.find(['/', '?', '#']).unwrap_or(rest.len())).unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(Complaint::refused("it holds a user name; Keyward sends none to upstreams"));
        }
        if !path.is_empty() {
            let complaint = Complaint::because(
                "nothing follows host and port: the path of the request is forwarded as it is",
            );
            return Err(complaint.instead(format!("{scheme}://{authority}")));
        }
        let (host, port) = host_and_port(authority)?;
        let port = port.unwrap_or(meant.port());
        Ok(Endpoint { host: host.trim_matches(['[', ']']).into(), port, scheme: meant })
    }

    fn show(&self, value: &Endpoint) -> String {
        let scheme = value.scheme.as_str();
        match value.host.contains(':') {
            true => format!("{scheme}://[{}]:{}", value.host, value.port),
            false => format!("{scheme}://{}:{}", value.host, value.port),
        }
    }

    fn schema(&self) -> Value {
        string_schema("^https?://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?$")
    }
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), Complaint> {
    if authority.contains('/') {
        return Err(Complaint::because("a host is written without scheme and path"));
    }
    if authority.parse::<Ipv6Addr>().is_ok() {
        return Err(Complaint::because("an IPv6 address stands in brackets"));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port = match port {
        None => None,
        Some(text) if text == "0" || !is_port(text) => {
            return Err(Complaint::because("a port is a number from 1 to 65535"));
        }
        Some(text) => text.parse().ok(),
    };
    let host = host_name(host).map_err(|complaint| Complaint::because(complaint.why))?;
    Ok((host, port))
}

/// What the upstream receives as `Host`.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct HostChoice;

impl Kind for HostChoice {
    type Value = HostField;

    fn what(&self) -> String {
        "client, upstream or a host".to_owned()
    }

    fn expected(&self) -> String {
        "client (what the client sent), upstream (the endpoint's own), or a host such as api.internal"
            .to_owned()
    }

    fn read(&self, text: &str) -> Result<HostField, Complaint> {
        match text {
            "client" => return Ok(HostField::Client),
            "upstream" => return Ok(HostField::Upstream),
            _ => {}
        }
        let (host, port) = host_and_port(text)?;
        let value = port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        HeaderValue::from_str(&value).map(HostField::Fixed).map_err(|_| Complaint::plain())
    }

    fn show(&self, value: &HostField) -> String {
        match value {
            HostField::Client => "client".to_owned(),
            HostField::Upstream => "upstream".to_owned(),
            HostField::Fixed(host) => String::from_utf8_lossy(host.as_bytes()).into_owned(),
        }
    }

    fn schema(&self) -> Value {
        string_schema("^([a-z0-9._-]+|\\[[0-9a-f:.]+\\])(:[0-9]{1,5})?$")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_host_and_port() {
        for (url, host, port) in [
            ("http://a", "a", 80),
            ("http://my_service:9000", "my_service", 9000),
            ("http://[::1]:1", "::1", 1),
            ("http://127.0.0.1:65535", "127.0.0.1", 65_535),
            ("https://a", "a", 443),
            ("https://a:80", "a", 80),
        ] {
            let scheme = if url.starts_with("https") { Scheme::Https } else { Scheme::Http };
            assert_eq!(EndpointUrl.read(url), Ok(Endpoint { host: host.into(), port, scheme }), "{url}");
        }
        for bad in [
            "",
            "http://",
            "http://a:",
            "http://a:0",
            "http://:80",
            "HTTPS://a",
            "http://u:p@a",
            "http://a/",
            "http://a?x",
            "http://a#x",
            "HTTP://a",
            "ftp://a",
            "http://1.2.3",
            "http://a b",
            "http://::1",
            "http://a:+1",
            "http://[::1",
        ] {
            assert!(EndpointUrl.read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn host_patterns_are_names_or_wildcards() {
        assert_eq!(Pattern.read("a.b"), Ok(HostPattern::Exact("a.b".into())));
        assert_eq!(Pattern.read("*.a.b"), Ok(HostPattern::Wildcard(".a.b".into())));
        assert_eq!(Pattern.read("[::1]"), Ok(HostPattern::Exact("[::1]".into())));
        for (bad, instead) in [
            ("A.b", Some("a.b")),
            ("*.A.b", Some("*.a.b")),
            ("a.b:80", Some("a.b")),
            ("a.b.", Some("a.b")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("[0::1]", Some("[::1]")),
            ("*", None),
            ("a.*.b", None),
            ("*a.b", None),
            ("*.1.2.3.4", None),
            ("a..b", None),
            ("-a.b", None),
            ("1.2.3", None),
            ("https://a", None),
        ] {
            assert_eq!(Pattern.read(bad).unwrap_err().instead.as_deref(), instead, "{bad}");
        }
    }
}
