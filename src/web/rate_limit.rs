//! The fields that tell a client where it stands to its limits, on answers and refusals alike.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::transient::transient;

/// In the order of their values in [`Fields`](crate::limits::Fields); whether each answer has another value.
static NAMES: [(HeaderName, bool); 5] = [
    (HeaderName::from_static("ratelimit-policy"), false),
    (HeaderName::from_static("ratelimit"), true),
    (HeaderName::from_static("x-ratelimit-limit"), false),
    (HeaderName::from_static("x-ratelimit-remaining"), true),
    (HeaderName::from_static("x-ratelimit-reset"), true),
];

/// Sets those that have something to say, in the place of whatever the upstream said.
pub fn tell(fields: &mut HeaderMap, values: &[String; 5]) {
    for ((name, changes), value) in NAMES.iter().zip(values) {
        if let Ok(value) = HeaderValue::from_str(value)
            && !value.is_empty()
        {
            fields.insert(name, if *changes { transient(value) } else { value });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_answer_has_anew_takes_no_place_in_the_table_of_fields_of_http2() {
        let mut fields = HeaderMap::new();
        tell(&mut fields, &["policy", "state", "9", "8", ""].map(str::to_owned));
        let told = |name: &str| fields.get(name).map(|value| (value.to_str().unwrap(), value.is_sensitive()));
        assert_eq!(told("ratelimit-policy"), Some(("policy", false)));
        assert_eq!(told("ratelimit"), Some(("state", true)));
        assert_eq!(told("x-ratelimit-limit"), Some(("9", false)));
        assert_eq!(told("x-ratelimit-remaining"), Some(("8", true)));
        assert_eq!(told("x-ratelimit-reset"), None);
    }
}
