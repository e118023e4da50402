//! A path as the most careless backend reads it.

use super::{decode, is_unreserved};
use crate::auth::refusal::Ambiguity;

/// Decodes escapes as often as there are any, splits at every spelling of a slash, drops parameters and empty segments.
/// Linear in the length of `path`, however deeply it is escaped.
pub(super) fn reading(path: &str) -> Result<String, Ambiguity> {
    let mut bytes = Vec::with_capacity(path.len());
    for byte in path.bytes() {
        bytes.push(byte);
        while let Some([b'%', high, low]) = bytes.last_chunk().copied() {
            let Some(decoded) = decode(high, low).filter(|byte| is_decoded(*byte)) else { break };
            bytes.truncate(bytes.len() - 3);
            bytes.push(decoded);
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut plain = String::with_capacity(text.len());
    for segment in text.split(['/', '\\']).map(|segment| segment.split(';').next().unwrap_or_default()) {
        match segment {
            "" => {}
            "." | ".." => return Err(Ambiguity::DotSegment),
            _ => {
                plain.push('/');
                plain.push_str(segment);
            }
        }
    }
    if plain.is_empty() || text.ends_with(['/', '\\']) {
        plain.push('/');
    }
    Ok(plain)
}

/// Escapes that make a difference to which route a path belongs to.
const fn is_decoded(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'/' | b'\\' | b';' | b'%')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_most_careless_reading_is_found() {
        for (path, want) in [
            ("/a//b", "/a/b"),
            ("//a/", "/a/"),
            ("/a%2Fb%5Cc\\d", "/a/b/c/d"),
            ("/a;x=1/b;y", "/a/b"),
            ("/a%3Bx/b", "/a/b"),
            ("/%2561dmin", "/admin"),
            ("/%252525252561dmin", "/admin"),
            ("/100%25", "/100%"),
            ("/%25zz%25", "/%zz%"),
            ("/a%253Fb%20c", "/a%3Fb%20c"),
            ("/;x", "/"),
            ("/%2F", "/"),
            ("/%FF;", "/%FF"),
        ] {
            assert_eq!(reading(path).as_deref(), Ok(want), "{path}");
        }
    }

    #[test]
    fn a_dot_segment_is_found_however_often_it_is_escaped() {
        for path in ["/a/%252e%252e/b", "/%25252E/b", "/a%252F..", "/a/%2e%252e;x", "/a%255C%2525%32%65."] {
            assert_eq!(reading(path), Err(Ambiguity::DotSegment), "{path}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_left_to_be_read_more_carelessly(
            pieces in prop::collection::vec("/|\\\\|;|\\.|%25|%2F|%5C|%3B|%2E|2e|5C|%|[a-c]", 0..20)
        ) {
            let path = format!("/{}", pieces.concat());
            if let Ok(once) = reading(&path) {
                prop_assert!(!once.contains("//") && !once.contains([';', '\\']), "{once}");
                prop_assert_eq!(reading(&once), Ok(once));
            }
        }
    }
}
