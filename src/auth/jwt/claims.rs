//! Writing tokens: header, claims, signature.

use std::fmt::Write as _;

use super::SigningKey;
use super::compact::encode;
use super::header::Header;
use crate::auth::random::RandomFailed;
use crate::clock::Timestamp;

/// One claim's value.
pub(super) enum Value<'a> {
    Text(&'a str),
    Seconds(i64),
}

/// A signed token.
pub(super) fn write(
    key: &SigningKey,
    typ: &str,
    claims: &[(&str, Value<'_>)],
) -> Result<String, RandomFailed> {
    let mut json = String::with_capacity(512);
    for (name, value) in claims {
        json.push(if json.is_empty() { '{' } else { ',' });
        // Writing to a string does not fail.
        let _ = match value {
            Value::Text(text) => write!(json, "\"{name}\":{}", serde_json::Value::from(*text)),
            Value::Seconds(seconds) => write!(json, "\"{name}\":{seconds}"),
        };
    }
    json.push('}');
    let signed = format!("{}.{}", Header::write(key.algorithm(), typ, key.kid()), encode(json));
    let signature = key.sign(&signed)?;
    Ok(format!("{signed}.{signature}"))
}

/// Whole seconds since the epoch, the fraction dropped: never later than the time itself.
pub(super) const fn seconds(at: Timestamp) -> i64 {
    at.millis().div_euclid(1000)
}
