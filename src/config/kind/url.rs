//! URLs: where clients reach Keyward itself, and whom tokens are for.

use serde_json::Value;
use url::{Host, Url};

use super::{Complaint, Kind, string_schema};
use crate::config::{PublicUrl, Reach};
use crate::message::target::{self, Quirks};
use crate::web::cors;

/// The longest text of an audience.
const AUDIENCE_MAX: usize = 500;

/// The public URL: an origin in its canonical form, because issuers are compared character by character (RFC 9207 §2.4).
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Origin;

impl Kind for Origin {
    type Value = PublicUrl;

    fn what(&self) -> String {
        "a public URL".to_owned()
    }

    fn expected(&self) -> String {
        "https://, a host and perhaps a port, nothing after them, such as https://auth.example.com".to_owned()
    }

    fn read(&self, text: &str) -> Result<PublicUrl, Complaint> {
        let Ok(url) = Url::parse(text) else {
            let better = format!("https://{text}");
            let better = (!text.contains("://")).then_some(better).filter(|url| self.read(url).is_ok());
            return Err(Complaint::plain().perhaps(better));
        };
        let ("http" | "https", Some(host)) = (url.scheme(), url.host()) else {
            return Err(Complaint::because("it starts with neither https:// nor http://"));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Complaint::refused("it holds a user name; a URL that others are told has none"));
        }
        if url.port() == Some(0) {
            return Err(Complaint::refused("nothing can be reached at port 0"));
        }
        let origin = url.origin().ascii_serialization();
        if origin == text {
            let reach = reach(url.scheme(), &host);
            return Ok(PublicUrl { text: origin.into(), host: host.to_string().into(), reach });
        }
        let why = match (url.query(), url.fragment(), url.path()) {
            (None, None, "/") => "it is compared character by character and has a canonical form",
            (None, None, _) => {
                "the endpoints are at the root of their host; a path cannot be put before them"
            }
            _ => "it has a query or a fragment",
        };
        Err(Complaint::refused(why).instead(origin))
    }

    fn show(&self, value: &PublicUrl) -> String {
        value.as_str().to_owned()
    }

    fn schema(&self) -> Value {
        string_schema("^https?://([a-z0-9._-]+|\\[[0-9a-f:.]+\\])(:[0-9]{1,5})?$")
    }
}

fn reach(scheme: &str, host: &Host<&str>) -> Reach {
    let loopback = match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    match scheme {
        "https" => Reach::Secure,
        _ if loopback => Reach::Loopback,
        _ => Reach::Clear,
    }
}

/// The origin of a page as browsers write it, perhaps with `*` for its first label, or `*` for any, which is `None`.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct PageOrigin;

impl Kind for PageOrigin {
    type Value = Option<cors::Origin>;

    fn what(&self) -> String {
        "an origin".to_owned()
    }

    fn expected(&self) -> String {
        "https://, a host and perhaps a port, such as https://app.example.com or \"https://*.example.com\", or \"*\" for any"
            .to_owned()
    }

    fn read(&self, text: &str) -> Result<Option<cors::Origin>, Complaint> {
        if text == "*" {
            return Ok(None);
        }
        if text.contains('*') {
            return wildcard(text).map(Some).map_err(Complaint::refused);
        }
        let origin = Origin.read(text).map_err(|complaint| Complaint {
            why: match complaint.instead {
                Some(_) => "browsers write it in its canonical form, without a path".to_owned(),
                None => complaint.why,
            },
            ..complaint
        })?;
        Ok(Some(cors::Origin::Exact(origin.as_str().into())))
    }

    fn show(&self, value: &Option<cors::Origin>) -> String {
        match value {
            None => "*".to_owned(),
            Some(cors::Origin::Exact(origin)) => origin.to_string(),
            Some(cors::Origin::Wildcard(scheme, rest)) => format!("{scheme}*{rest}"),
        }
    }

    fn schema(&self) -> Value {
        string_schema("^(\\*|https?://((\\*\\.)?[a-z0-9._-]+|\\[[0-9a-f:.]+\\])(:[0-9]{1,5})?)$")
    }
}

/// `https://*.example.com`. What stands for everybody's names, such as `*.com`, is none; a name without a dot is one only
/// for the machine itself.
fn wildcard(text: &str) -> Result<cors::Origin, &'static str> {
    const PLACE: &str = "`*` stands alone, for any origin, or for the first label of a host";
    let (scheme, rest) = text.split_once('*').ok_or(PLACE)?;
    let host = rest.strip_prefix('.').filter(|host| !host.contains('*')).ok_or(PLACE)?;
    if !matches!(scheme, "https://" | "http://") {
        return Err(PLACE);
    }
    let name = host.split(':').next().unwrap_or_default();
    if !name.contains('.') && name != "localhost" {
        return Err("the name behind `*.` is too short: anybody could have such a host");
    }
    // An address has no labels.
    match Origin.read(&format!("{scheme}x.{host}")) {
        Ok(_) => Ok(cors::Origin::Wildcard(scheme.into(), rest.into())),
        Err(_) => {
            Err("what stands behind `*.` is no name of a host in its canonical form, with or without a port")
        }
    }
}

/// Where a client is sent: a URL in its canonical form, or a path on the same host.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Destination;

impl Kind for Destination {
    type Value = Box<str>;

    fn what(&self) -> String {
        "a URL or a path".to_owned()
    }

    fn expected(&self) -> String {
        "a URL such as https://www.example.com/docs, or a path on the same host, such as /docs/".to_owned()
    }

    fn read(&self, text: &str) -> Result<Box<str>, Complaint> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Complaint::because("it has characters that no URL contains"));
        }
        if text.starts_with('/') {
            let path = text.split(['?', '#']).next().unwrap_or_default();
            let plain = target::canonical(path)
                .is_ok_and(|read| read.as_str() == path && read.quirks() == Quirks::NONE);
            return plain
                .then(|| text.into())
                .ok_or_else(|| Complaint::refused("its path can be read in more than one way"));
        }
        let url = Url::parse(text).map_err(|_| Complaint::plain())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Complaint::because("it starts with neither https:// nor http://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Complaint::refused("it holds a user name"));
        }
        Ok(url.as_str().into())
    }

    fn show(&self, value: &Box<str>) -> String {
        value.to_string()
    }

    fn schema(&self) -> Value {
        string_schema("^(/[!-~]*|https?://[!-~]+)$")
    }
}

/// Whom tokens are for: a URI or a plain name (RFC 7519 §4.1.3).
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Audience;

impl Kind for Audience {
    type Value = Box<str>;

    fn what(&self) -> String {
        "an audience".to_owned()
    }

    fn expected(&self) -> String {
        "1 to 500 visible ASCII characters without spaces, such as https://api.example.com".to_owned()
    }

    fn read(&self, text: &str) -> Result<Box<str>, Complaint> {
        let legal =
            (1..=AUDIENCE_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !legal {
            return Err(Complaint::plain());
        }
        // RFC 7519 §2, StringOrURI: what has a colon is a URI.
        if text.contains(':') && Url::parse(text).is_err() {
            return Err(Complaint::because("what holds a colon must be a URI"));
        }
        Ok(text.into())
    }

    fn show(&self, value: &Box<str>) -> String {
        value.to_string()
    }

    fn schema(&self) -> Value {
        string_schema("^[!-~]{1,500}$")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_a_canonical_origin() {
        for (text, host, reach) in [
            ("https://auth.example.com", "auth.example.com", Reach::Secure),
            ("https://auth.example.com:8443", "auth.example.com", Reach::Secure),
            ("http://127.0.0.1:8080", "127.0.0.1", Reach::Loopback),
            ("http://[::1]:8080", "[::1]", Reach::Loopback),
            ("http://localhost:8080", "localhost", Reach::Loopback),
            ("http://auth.example.com", "auth.example.com", Reach::Clear),
            ("http://127.0.0.1.example.com", "127.0.0.1.example.com", Reach::Clear),
        ] {
            let url = Origin.read(text).unwrap();
            assert_eq!((url.as_str(), url.host(), url.reach()), (text, host, reach));
        }
    }

    #[test]
    fn anything_else_is_complained_of_with_the_canonical_form() {
        for (text, instead) in [
            ("https://auth.example.com/", Some("https://auth.example.com")),
            ("https://auth.example.com:443", Some("https://auth.example.com")),
            ("HTTPS://Auth.example.com", Some("https://auth.example.com")),
            ("https://auth.example.com/login", Some("https://auth.example.com")),
            ("https://auth.example.com?x=1", Some("https://auth.example.com")),
            ("https://auth.example.com#x", Some("https://auth.example.com")),
            ("auth.example.com", Some("https://auth.example.com")),
            ("https://u:p@auth.example.com", None),
            ("https://auth.example.com:0", None),
            ("http://127.0.0.1:0", None),
            ("ftp://auth.example.com", None),
            ("urn:a", None),
            ("https://", None),
            ("", None),
            ("/auth", None),
        ] {
            assert_eq!(Origin.read(text).unwrap_err().instead.as_deref(), instead, "{text}");
        }
    }

    #[test]
    fn a_star_stands_for_the_first_label_of_an_origin() {
        for good in ["https://*.example.com", "http://*.a.b.example:8080", "http://*.localhost:3000", "*"] {
            assert_eq!(PageOrigin.read(good).map(|origin| PageOrigin.show(&origin)).as_deref(), Ok(good));
        }
        for bad in [
            "https://*",
            "https://*.",
            "https://*.com",
            "https://*.com:8443",
            "https://*example.com",
            "https://a.*.example.com",
            "https://*.*.example.com",
            "https://*.example.com/",
            "https://*.example.com:443",
            "https://*.Example.com",
            "https://*.example.com.*",
            "https://*.1.2.3",
            "https://u@*.example.com",
            "*.example.com",
            "*://a.example.com",
            "https://app.example.com:*",
            "ftp://*.example.com",
            "https://*.[::1]",
        ] {
            assert!(PageOrigin.read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_audience_is_a_name_or_a_uri() {
        for good in ["api", "https://api.example.com", "urn:example:api"] {
            assert_eq!(Audience.read(good).as_deref(), Ok(good));
        }
        for bad in ["", "a b", "é", "a\n", ":x", &*"x".repeat(501)] {
            assert!(Audience.read(bad).is_err(), "{bad:?}");
        }
    }
}
