//! What a request asks for: a path, and perhaps a query.

use serde_json::Value;

use super::{Complaint, Kind, string_schema};

/// A path with what may follow it, as it is sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Target;

impl Kind for Target {
    type Value = Box<str>;

    fn what(&self) -> String {
        "a path".to_owned()
    }

    fn expected(&self) -> String {
        "a path from its first `/` on, perhaps with a query, such as /health".to_owned()
    }

    fn read(&self, text: &str) -> Result<Box<str>, Complaint> {
        if text.contains("://") {
            return Err(Complaint::because("it is a URL; the servers are those of `endpoints`"));
        }
        let legal = |byte: u8| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(&byte);
        if !text.is_empty() && text.len() <= 1024 && text.bytes().all(legal) {
            return match text.starts_with('/') {
                true => Ok(text.into()),
                false => Err(Complaint::plain().instead(format!("/{text}"))),
            };
        }
        Err(Complaint::plain())
    }

    fn show(&self, value: &Box<str>) -> String {
        value.to_string()
    }

    fn schema(&self) -> Value {
        string_schema("^/[!$-;=?-\\[\\]_a-z~]*$")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_path_that_can_be_sent() {
        assert_eq!(&*Target.read("/health?full=1").unwrap(), "/health?full=1");
        assert_eq!(Target.read("health").unwrap_err().instead.as_deref(), Some("/health"));
        for bad in ["", "http://a/health", "/a b", "/a\r\nx: y", "/#a", "/\u{e4}"] {
            assert!(Target.read(bad).is_err(), "{bad:?}");
        }
    }
}
