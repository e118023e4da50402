//! A JSON object of which no member stands twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use super::Flaw;

/// More members than any token of ours has.
const MEMBERS_MAX: usize = 32;
const TWICE: &str = "a member stands twice";

/// The members of an object, in the order they were written.
pub(super) struct Object(Vec<(String, Value)>);

impl Object {
    pub(super) fn parse(json: &[u8]) -> Result<Self, Flaw> {
        serde_json::from_slice(json)
            .map_err(|error| if error.to_string().starts_with(TWICE) { Flaw::Duplicate } else { Flaw::Json })
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// A text that may stand in a header field: 1 to 128 visible ASCII characters.
    pub(super) fn word(&self, name: &'static str) -> Result<&str, Flaw> {
        let word = self.get(name).and_then(Value::as_str).ok_or(Flaw::Claim(name))?;
        let legal = (1..=128).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_graphic());
        if legal { Ok(word) } else { Err(Flaw::Claim(name)) }
    }

    /// Whole seconds since the epoch, before the year 10000.
    pub(super) fn seconds(&self, name: &'static str) -> Result<i64, Flaw> {
        const LAST: i64 = 253_402_300_799;
        let seconds = self.get(name).and_then(Value::as_i64).ok_or(Flaw::Claim(name))?;
        if (0..=LAST).contains(&seconds) { Ok(seconds) } else { Err(Flaw::Claim(name)) }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members: Vec<(String, Value)> = Vec::with_capacity(12);
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if members.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(TWICE));
            }
            if members.len() == MEMBERS_MAX {
                return Err(A::Error::custom("too many members"));
            }
            members.push((name, value));
        }
        Ok(Object(members))
    }
}
