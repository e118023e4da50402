//! The fields that tell a client where it stands to its limits, on answers and refusals alike.

use http::{HeaderMap, HeaderName, HeaderValue};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// Sets `RateLimit-Policy` and `RateLimit`, in the place of whatever the upstream said; where nothing counts over time there
/// is nothing to say.
pub fn tell(fields: &mut HeaderMap, [policies, standing]: &[String; 2]) {
    for (name, value) in [(POLICY, policies), (STANDING, standing)] {
        if let Ok(value) = HeaderValue::from_str(value)
            && !value.is_empty()
        {
            fields.insert(name, value);
        }
    }
}
