//! The fields that tell a client where it stands to its limits, on answers and refusals alike.

use http::{HeaderMap, HeaderName, HeaderValue};

/// In the order of their values in [`Fields`](crate::limits::Fields).
static NAMES: [HeaderName; 5] = [
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
];

/// Sets those that have something to say, in the place of whatever the upstream said.
pub fn tell(fields: &mut HeaderMap, values: &[String; 5]) {
    for (name, value) in NAMES.iter().zip(values) {
        if let Ok(value) = HeaderValue::from_str(value)
            && !value.is_empty()
        {
            fields.insert(name, value);
        }
    }
}
