//! Paths of routes, in the canonical form in which requests are matched.
//!
//! A route whose path no request can have would never be used, so what canonicalisation changes or refuses is refused
//! here, with the form that was probably meant.

use serde_json::Value;

use super::{Complaint, Kind, string_schema};
use crate::auth::refusal::Ambiguity;
use crate::config::PathPattern;

/// Which of the three path keys of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Form {
    Exact,
    Prefix,
    Pattern,
}

/// A path of one form, before the route's `allow` list is known.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct RawPath(pub Form);

impl Kind for RawPath {
    type Value = String;

    fn what(&self) -> String {
        match self.0 {
            Form::Exact => "a path",
            Form::Prefix => "the start of a path",
            Form::Pattern => "a path pattern",
        }
        .to_owned()
    }

    fn expected(&self) -> String {
        match self.0 {
            Form::Exact => "one whole path, such as /health",
            Form::Prefix => "the first segments of a path, such as /v1/orders, or / for everything",
            Form::Pattern => {
                "a path with {name} for any one segment and {*name} for any rest, such as \"/users/{id}/orders\""
            }
        }
        .to_owned()
    }

    fn read(&self, text: &str) -> Result<String, Complaint> {
        if text.contains("://") {
            return Err(Complaint::because("it is a URL; hosts are set under `hosts`"));
        }
        if !text.starts_with('/') {
            let better = (!text.is_empty()).then(|| format!("/{text}"));
            return Err(Complaint::because("it does not start with /").perhaps(better));
        }
        if let Some(at) = text.find('?') {
            let complaint = Complaint::refused("the query never decides");
            return Err(complaint.instead(text.get(..at).unwrap_or_default()));
        }
        if text.contains('#') {
            return Err(Complaint::refused("a fragment is never sent to a server"));
        }
        Ok(text.to_owned())
    }

    fn show(&self, value: &String) -> String {
        value.clone()
    }

    fn schema(&self) -> Value {
        string_schema("^/[^?#]*$")
    }
}

/// The path in canonical form, on a route that allows `allow`.
///
/// # Errors
/// When no request could have it.
pub(in crate::config) fn compile(
    form: Form,
    text: &str,
    allow: &[Ambiguity],
) -> Result<PathPattern, Complaint> {
    let canonical = match form {
        Form::Pattern => return pattern(text, allow),
        Form::Exact | Form::Prefix => text,
    };
    if canonical.contains(['{', '}']) {
        return Err(Complaint::refused("{name} stands in a `path_pattern` only"));
    }
    if let Some(under) = canonical.strip_suffix("/*") {
        let under = if under.is_empty() { "/" } else { under };
        let complaint = Complaint::refused("`*` is no wildcard; a prefix takes everything under it");
        return Err(complaint.instead(match form {
            Form::Prefix => under.to_owned(),
            _ => format!("path_prefix: {under}"),
        }));
    }
    literal(canonical, allow)?;
    if form == Form::Exact {
        return Ok(PathPattern::Exact(canonical.into()));
    }
    if canonical.len() > 1 && canonical.ends_with('/') {
        let why = "a prefix is matched by whole segments, without a slash at its end";
        return Err(Complaint::refused(why).instead(canonical.trim_end_matches('/')));
    }
    Ok(PathPattern::Prefix(canonical.into()))
}

fn pattern(text: &str, allow: &[Ambiguity]) -> Result<PathPattern, Complaint> {
    let segments: Vec<&str> = text.split('/').skip(1).collect();
    let mut names: Vec<&str> = Vec::new();
    for (place, segment) in segments.iter().enumerate() {
        if let Some(name) = segment.strip_prefix(':').filter(|name| is_name(name)) {
            return Err(Complaint::refused("a segment of any value is written {name}")
                .instead(format!("\"{}\"", text.replacen(&format!(":{name}"), &format!("{{{name}}}"), 1))));
        }
        if !segment.contains(['{', '}']) {
            continue;
        }
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
        let rest = name.strip_prefix('*');
        let name = rest.unwrap_or(name);
        if !is_name(name) {
            let why = "{name} fills a whole segment; its name is of letters, digits and `_`";
            return Err(Complaint::refused(why));
        }
        if rest.is_some() && place + 1 < segments.len() {
            return Err(Complaint::refused("{*name} stands for all the rest, so it comes last"));
        }
        if names.contains(&name) {
            return Err(Complaint::refused(format!("the name `{name}` is in it twice")));
        }
        names.push(name);
    }
    if names.is_empty() {
        return Err(Complaint::refused("it has no {name} in it; write it as `path` or `path_prefix`"));
    }
    let filled: Vec<&str> =
        segments.iter().map(|segment| if segment.contains('{') { "x" } else { segment }).collect();
    literal(&format!("/{}", filled.join("/")), allow)
        .map_err(|complaint| Complaint { instead: None, ..complaint })?;
    Ok(PathPattern::Pattern(text.into()))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Checks a path without placeholders.
fn literal(text: &str, allow: &[Ambiguity]) -> Result<(), Complaint> {
    characters(text, allow)?;
    let allows = |ambiguity: Ambiguity| allow.contains(&ambiguity);
    let canonical = canonical(text);
    let dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    if canonical.split('/').any(dots) {
        return Err(Complaint::refused("requests with dot segments are refused"));
    }
    if canonical != text {
        let why = "requests are matched with unreserved characters decoded and escapes in capitals";
        return Err(Complaint::refused(why).instead(canonical));
    }
    for (escape, ambiguity, word) in [
        ("%2F", Ambiguity::EncodedSlash, "encoded_slash"),
        ("%25", Ambiguity::EncodedPercent, "encoded_percent"),
        ("%3B", Ambiguity::Semicolon, "semicolon"),
        ("%5C", Ambiguity::Backslash, "backslash"),
        (";", Ambiguity::Semicolon, "semicolon"),
        ("\\", Ambiguity::Backslash, "backslash"),
        ("//", Ambiguity::DoubleSlash, "double_slash"),
    ] {
        if text.contains(escape) && !allows(ambiguity) {
            return Err(Complaint::refused(format!(
                "requests with `{escape}` are refused unless the route has path: {{ allow: [{word}] }}"
            )));
        }
    }
    Ok(())
}

/// Every character is one that a path can have, every escape whole.
fn characters(text: &str, allow: &[Ambiguity]) -> Result<(), Complaint> {
    let bytes = text.split('%').skip(1).map(|rest| hex(rest.get(..2).unwrap_or_default()));
    let Some(escaped) = bytes.collect::<Option<Vec<u8>>>() else {
        return Err(Complaint::refused("two hexadecimal digits follow every %"));
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/%\\".contains(c);
    if let Some(illegal) = text.chars().find(|c| !legal(*c)) {
        let encode = |c: char| match legal(c) {
            true => c.to_string(),
            false => c.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect(),
        };
        let better: String = text.chars().map(encode).collect();
        return Err(Complaint::refused(format!("`{illegal}` must be escaped in a path")).instead(better));
    }
    if escaped.iter().any(u8::is_ascii_control) {
        return Err(Complaint::refused("requests with escaped control characters are refused"));
    }
    if std::str::from_utf8(&decoded(text)).is_err() && !allow.contains(&Ambiguity::NonUtf8) {
        let why = "its escapes are not UTF-8, which needs path: { allow: [non_utf8] } on the route";
        return Err(Complaint::refused(why));
    }
    Ok(())
}

fn hex(digits: &str) -> Option<u8> {
    let whole = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    whole.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// Escapes of unreserved characters decoded, all others in capitals (RFC 3986 §6.2.2).
fn canonical(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        match hex(digits) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{}", digits.to_ascii_uppercase())),
        }
        out.push_str(rest);
    }
    out
}

fn decoded(text: &str) -> Vec<u8> {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        out.extend(hex(digits));
        out.extend(rest.bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_paths_are_taken_as_they_are() {
        for text in ["/", "/a", "/a/", "/a%20b", "/%C3%A9", "/a:b@c", "/~x", "/...", "/a.b"] {
            assert_eq!(compile(Form::Exact, text, &[]), Ok(PathPattern::Exact(text.into())), "{text}");
        }
        assert!(compile(Form::Prefix, "/", &[]).is_ok());
        for text in ["/{a}", "/a/{b}/c/{*d}", "/a/{*rest}"] {
            assert!(compile(Form::Pattern, text, &[]).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_no_request_can_have_is_refused() {
        for (form, text, instead) in [
            (Form::Exact, "/%61", Some("/a")),
            (Form::Exact, "/%c3%a9", Some("/%C3%A9")),
            (Form::Exact, "/é b", Some("/%C3%A9%20b")),
            (Form::Prefix, "/v1/", Some("/v1")),
            (Form::Pattern, "/u/:id", Some("\"/u/{id}\"")),
            (Form::Exact, "/a/../b", None),
            (Form::Exact, "/a/%2e%2E/b", None),
            (Form::Exact, "/..;x", None),
            (Form::Exact, "/a//b", None),
            (Form::Exact, "/a%2Fb", None),
            (Form::Exact, "/a%25b", None),
            (Form::Exact, "/a;b", None),
            (Form::Exact, "/a\\b", None),
            (Form::Exact, "/%FF", None),
            (Form::Exact, "/%00", None),
            (Form::Exact, "/%4", None),
            (Form::Exact, "/%é", None),
            (Form::Exact, "/{a}", None),
            (Form::Prefix, "/v1/*", Some("/v1")),
            (Form::Pattern, "/a", None),
            (Form::Pattern, "/{a}/{a}", None),
            (Form::Pattern, "/{*a}/b", None),
            (Form::Pattern, "/x{a}", None),
            (Form::Pattern, "/{}", None),
            (Form::Pattern, "/{a}/%61", None),
        ] {
            assert_eq!(compile(form, text, &[]).unwrap_err().instead.as_deref(), instead, "{text}");
        }
    }

    #[test]
    fn a_route_may_allow_ambiguities_but_never_dot_segments() {
        use Ambiguity::{Backslash, DoubleSlash, EncodedPercent, EncodedSlash, NonUtf8, Semicolon};
        let all = [EncodedSlash, DoubleSlash, Semicolon, EncodedPercent, Backslash, NonUtf8];
        for text in ["/a%2Fb", "/a//b", "/a;b", "/a%25b", "/a\\b", "/a%5Cb", "/%FF"] {
            assert!(compile(Form::Exact, text, &all).is_ok(), "{text}");
        }
        assert!(compile(Form::Exact, "/..;x", &all).is_err());
    }
}
