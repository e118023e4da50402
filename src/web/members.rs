//! The JSON object that an endpoint takes: its members are taken one by one; what is wrong with any of them, and whatever
//! nobody took, is told all at once.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::auth::refusal::{BodyFault, MemberFault, Refusal};
use crate::auth::token::may_hold_secret;

/// Whether a member has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It has; the text says what it is.
    Required(&'static str),
    /// It may be absent or null.
    Optional,
}

/// Most faults that are told at once: an answer stays in proportion to its request.
const FAULTS_MAX: usize = 20;

/// What is left of an object, and what was wrong with what was taken.
#[derive(Debug)]
pub struct Members {
    left: Map<String, Value>,
    faults: Vec<MemberFault>,
    known: Vec<&'static str>,
}

impl Members {
    /// Reads the body of a request with these fields.
    ///
    /// # Errors
    /// When it is not said to be JSON, or is not an object of JSON whose members are all different.
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        judge_kind(headers)?;
        if body.trim_ascii().is_empty() {
            return Err(unreadable("The body is empty. Send a JSON object, such as {}.".to_owned()));
        }
        if is_other_json(body) {
            return Err(unreadable(
                "The body cannot be read as a JSON object: expected an object.".to_owned(),
            ));
        }
        let Distinct(left) = serde_json::from_slice(body)
            .map_err(|error| unreadable(format!("The body cannot be read as a JSON object: {error}.")))?;
        Ok(Self { left, faults: Vec::new(), known: Vec::new() })
    }

    /// As [`read`](Self::read), for an endpoint that has to be told nothing: no body is an object without members.
    ///
    /// # Errors
    /// As there, for a body that there is.
    pub fn read_any(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        if body.is_empty() {
            return Ok(Self { left: Map::new(), faults: Vec::new(), known: Vec::new() });
        }
        Self::read(headers, body)
    }

    /// A member that is text.
    pub fn text(&mut self, name: &'static str, need: Need) -> Option<String> {
        match self.take(name, need)? {
            Value::String(text) => Some(text),
            _ => self.wrong(name, "must be a string"),
        }
    }

    /// A member that is a list of texts.
    pub fn texts(&mut self, name: &'static str, need: Need) -> Option<Vec<String>> {
        let Value::Array(items) = self.take(name, need)? else {
            return self.wrong(name, "must be an array of strings");
        };
        let texts = items.into_iter().map(|item| match item {
            Value::String(text) => Some(text),
            _ => None,
        });
        match texts.collect() {
            Some(texts) => Some(texts),
            None => self.wrong(name, "must be an array of strings"),
        }
    }

    /// A member that is a whole number from 0 up.
    pub fn number(&mut self, name: &'static str, need: Need) -> Option<u64> {
        match self.take(name, need)?.as_u64() {
            Some(number) => Some(number),
            None => self.wrong(name, "must be a whole number from 0 up"),
        }
    }

    /// Whether a member is there, null included.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.left.contains_key(name)
    }

    /// Tells what is wrong with a member that was taken.
    pub fn fault(&mut self, name: &str, detail: String) {
        self.faults.push(MemberFault { pointer: format!("/{name}"), detail });
    }

    /// All were taken.
    ///
    /// # Errors
    /// With everything that is wrong, and what nobody knows.
    pub fn done(mut self) -> Result<(), Refusal> {
        let known = self.known.join(", ");
        let room = FAULTS_MAX.saturating_sub(self.faults.len());
        for name in std::mem::take(&mut self.left).into_iter().map(|(name, _)| name).take(room) {
            let shown = shown(&name);
            let detail = match known.as_str() {
                "" => format!("The member {shown} is unknown: this endpoint takes none."),
                known => format!("The member {shown} is unknown. Known are: {known}."),
            };
            self.faults.push(MemberFault { pointer: pointer(&name), detail });
        }
        self.faults.truncate(FAULTS_MAX);
        match self.faults.is_empty() {
            true => Ok(()),
            false => Err(Refusal::Body(Arc::new(BodyFault::Members(self.faults)))),
        }
    }

    fn take(&mut self, name: &'static str, need: Need) -> Option<Value> {
        self.known.push(name);
        match (self.left.remove(name), need) {
            (Some(Value::Null) | None, Need::Optional) => None,
            (None, Need::Required(what)) => {
                self.fault(name, format!("The member {name} is missing: {what}."));
                None
            }
            (Some(value), _) => Some(value),
        }
    }

    fn wrong<T>(&mut self, name: &str, must: &str) -> Option<T> {
        self.fault(name, format!("The member {name} {must}."));
        None
    }
}

fn unreadable(why: String) -> Refusal {
    Refusal::Body(Arc::new(BodyFault::Unreadable(why)))
}

/// Whether a body begins as another value of JSON does. The reader would quote it, and it may be a secret.
fn is_other_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start(), [b'"' | b'[' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9', ..])
}

/// Whether a body is said to be JSON, once, and not to be packed into anything.
fn judge_kind(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let kind = types.next();
    if types.next().is_some() {
        return Err(Refusal::BadRequest("The Content-Type is repeated. Send it once."));
    }
    if !kind.is_some_and(|kind| is_json(kind.as_bytes())) {
        return Err(Refusal::UnsupportedMediaType);
    }
    if headers.get_all(CONTENT_ENCODING).iter().all(|value| is_identity(value.as_bytes())) {
        Ok(())
    } else {
        Err(Refusal::EncodedBody)
    }
}

/// Whether a list of encodings changes nothing.
fn is_identity(value: &[u8]) -> bool {
    let changes_nothing = |coding: &[u8]| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity");
    value.split(|byte| *byte == b',').all(|coding| changes_nothing(coding.trim_ascii()))
}

/// A content type without its parameters.
#[must_use]
pub fn essence(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

/// Whether a content type is JSON, whatever its parameters.
fn is_json(value: &[u8]) -> bool {
    let essence = essence(value).to_ascii_lowercase();
    essence == b"application/json" || essence.starts_with(b"application/") && essence.ends_with(b"+json")
}

/// What stands for a name that may be a secret.
const HIDDEN: &str = "…";

/// A name of the client's own, as it can be shown.
fn shown(name: &str) -> String {
    const MOST: usize = 40;
    if may_hold_secret(name) {
        return HIDDEN.to_owned();
    }
    let cut: String = name.chars().take(MOST).collect();
    let more = if cut.len() < name.len() { "…" } else { "" };
    format!("{cut:?}{more}")
}

/// RFC 6901 §3, cut where nobody reads on.
fn pointer(name: &str) -> String {
    const MOST: usize = 100;
    if may_hold_secret(name) {
        return format!("/{HIDDEN}");
    }
    let cut: String = name.chars().take(MOST).collect();
    format!("/{}", cut.replace('~', "~0").replace('/', "~1"))
}

/// An object no member of which is there twice: which of them counts would be anybody's guess.
struct Distinct(Map<String, Value>);

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object).map(Self)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if map.contains_key(&name) {
                return Err(Error::custom(format_args!("the member {} is repeated", shown(&name))));
            }
            let value = members.next_value()?;
            map.insert(name, value);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(content_type: &'static str, body: &[u8]) -> Result<Members, Refusal> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Members::read(&headers, body)
    }

    fn detail(refusal: &Refusal) -> String {
        refusal.detail().into_owned()
    }

    #[test]
    fn of_very_much_that_is_wrong_some_is_told() {
        let many: Vec<String> = (0..9_000).map(|number| format!("\"m{number}\":1")).collect();
        let members = read("application/json", format!("{{{}}}", many.join(",")).as_bytes()).unwrap();
        let refusal = members.done().unwrap_err();
        assert_eq!(refusal.members().len(), FAULTS_MAX);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let body = br#"{"email": 5, "extra": 1, "scopes": ["a", 2], "ttl": -1}"#;
        let mut members = read("application/json", body).unwrap();
        assert_eq!(members.text("email", Need::Required("the address")), None);
        assert_eq!(members.text("password", Need::Required("the password of the account")), None);
        assert_eq!(members.texts("scopes", Need::Optional), None);
        assert_eq!(members.number("ttl", Need::Optional), None);
        let refusal = members.done().unwrap_err();
        let told: Vec<_> = refusal.members().iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(told, ["/email", "/password", "/scopes", "/ttl", "/extra"]);
        assert!(detail(&refusal).contains("The member password is missing: the password of the account."));
        assert!(detail(&refusal).contains("Known are: email, password, scopes, ttl."));
        assert_eq!(refusal.code().status(), 422);
    }

    #[test]
    fn what_is_no_object_of_json_is_told_as_what_it_is() {
        let deep = "[".repeat(10_000);
        for (body, told) in [
            (&b""[..], "empty"),
            (b" \n", "empty"),
            (b"[]", "an object"),
            (b"{\"a\": 1", "EOF"),
            (b"{\"a\": 1, \"a\": 1}", "is repeated"),
            (b"{\"a\": \"\xff\"}", "unicode"),
            (b"{} {}", "trailing"),
        ] {
            let refusal = read("application/json", body).unwrap_err();
            assert!(
                detail(&refusal).contains(told),
                "{}: {}",
                String::from_utf8_lossy(body),
                detail(&refusal)
            );
            assert_eq!(refusal.code().status(), 400);
        }
        let refusal = read("application/json", format!("{{\"a\": {deep}").as_bytes()).unwrap_err();
        assert!(detail(&refusal).contains("recursion limit"), "{}", detail(&refusal));
    }

    #[test]
    fn only_json_is_read_as_json() {
        for (content_type, taken) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/vnd.example+json", true),
            ("application/x-www-form-urlencoded", false),
            ("text/json", false),
            ("", false),
        ] {
            assert_eq!(read(content_type, b"{}").is_ok(), taken, "{content_type}");
        }
        assert_eq!(Members::read(&HeaderMap::new(), b"{}").unwrap_err(), Refusal::UnsupportedMediaType);
    }

    #[test]
    fn a_body_is_of_one_type_and_not_packed() {
        let read = |fields: &[(http::HeaderName, &'static str)]| {
            let fields = fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
            let mut headers = HeaderMap::new();
            fields.for_each(|(name, value)| {
                headers.append(name, value);
            });
            Members::read(&headers, b"{}").map(|_| ())
        };
        let json = (CONTENT_TYPE, "application/json");
        for other in ["application/json", "text/plain"] {
            let twice = read(&[json.clone(), (CONTENT_TYPE, other)]).unwrap_err();
            assert_eq!((twice.code().status(), twice.detail().contains("repeated")), (400, true));
        }
        for coding in ["gzip", "identity, br", "x"] {
            let packed = read(&[json.clone(), (CONTENT_ENCODING, coding)]);
            assert_eq!(packed, Err(Refusal::EncodedBody), "{coding}");
            let also = [json.clone(), (CONTENT_ENCODING, "identity"), (CONTENT_ENCODING, coding)];
            assert_eq!(read(&also), Err(Refusal::EncodedBody), "{coding}");
        }
        for coding in ["identity", "Identity", ""] {
            assert_eq!(read(&[json.clone(), (CONTENT_ENCODING, coding)]), Ok(()), "{coding}");
        }
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_told() {
        let secret = "kw_sk_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZab";
        for body in [
            format!("\"{secret}\""),
            format!(" [\"{secret}\"]"),
            format!("{{\"{secret}\": 1, \"{secret}\": 2}}"),
            format!("{{\"{secret}\": 1}}"),
            format!("{{\"Bearer {secret}\": 1}}"),
            format!("{{\"{secret}\""),
            secret.to_owned(),
        ] {
            let refusal = read("application/json", body.as_bytes()).and_then(Members::done).unwrap_err();
            let pointers = refusal.members().iter().map(|fault| fault.pointer.clone()).collect::<String>();
            let told = detail(&refusal) + &pointers;
            assert!(!told.contains("0123") && !told.contains("kw_sk"), "{body}: {told}");
        }
    }

    #[test]
    fn a_name_of_any_kind_can_be_told() {
        let body = format!("{{\"{}~/\\u0000\": 1}}", "x".repeat(1000));
        let refusal = read("application/json", body.as_bytes()).unwrap().done().unwrap_err();
        assert!(refusal.members()[0].detail.len() < 150 && refusal.members()[0].pointer.len() < 150);
    }
}
