//! Rewriting: the path that an upstream is asked for in place of the one that was matched, checked like that one.

use std::fmt::Write as _;

use crate::auth::refusal::Ambiguity;
use crate::config::{Piece, Rewrite};
use crate::message::target::{self, Quirks};

/// `path`, which the rewriting's route matched, as its upstream is asked for it. What was captured stands in it as it stood
/// in `path`, by whole segments: nothing of it can become a separator, a dot segment or a query.
///
/// # Errors
/// When the result has another reading that the route does not allow, as a request's path is refused for it.
pub fn rewritten(rewrite: &Rewrite, path: &str, allowed: Quirks) -> Result<String, Ambiguity> {
    let text = applied(rewrite, path);
    let read = target::canonical(&text)?;
    if let Some(ambiguity) = read.quirks().outside(allowed) {
        return Err(ambiguity);
    }
    for other in read.other_readings() {
        other?;
    }
    match read.as_str() == text {
        true => Ok(text),
        false => Err(Ambiguity::BrokenEscape),
    }
}

fn applied(rewrite: &Rewrite, path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 64);
    match rewrite {
        Rewrite::Prefix { strip, instead } => {
            out.push_str(instead);
            out.push_str(path.get(*strip..).unwrap_or_default());
        }
        Rewrite::Path(pieces) => {
            for piece in pieces {
                match piece {
                    Piece::Text(text) => out.push_str(text),
                    Piece::Segment(place) => {
                        let segment = path.split('/').skip(1).nth(*place).unwrap_or_default();
                        let _ = write!(out, "/{segment}");
                    }
                    Piece::Rest(place) => {
                        let rest = path.splitn(place + 2, '/').nth(place + 1).unwrap_or_default();
                        let _ = write!(out, "/{rest}");
                    }
                }
            }
        }
    }
    if out.is_empty() {
        out.push('/');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strip(count: usize) -> Rewrite {
        Rewrite::Prefix { strip: count, instead: "".into() }
    }

    fn pieces(pieces: impl IntoIterator<Item = Piece>) -> Rewrite {
        Rewrite::Path(pieces.into_iter().collect())
    }

    #[test]
    fn prefixes_are_taken_off_and_replaced() {
        for (rewrite, path, want) in [
            (strip(3), "/v1/a", "/a"),
            (strip(3), "/v1", "/"),
            (strip(3), "/v1/", "/"),
            (Rewrite::Prefix { strip: 3, instead: "/in/x".into() }, "/v1/a/", "/in/x/a/"),
            (Rewrite::Prefix { strip: 3, instead: "/in".into() }, "/v1", "/in"),
            (Rewrite::Prefix { strip: 0, instead: "/in".into() }, "/a", "/in/a"),
            (Rewrite::Prefix { strip: 0, instead: "/in".into() }, "/", "/in/"),
        ] {
            assert_eq!(rewritten(&rewrite, path, Quirks::NONE).as_deref(), Ok(want), "{path}");
        }
    }

    #[test]
    fn captured_segments_take_their_places() {
        let text = |text: &str| Piece::Text(text.into());
        // Of /users/{id}/files/{*rest}.
        let rewrite = pieces([text("/f"), Piece::Segment(1), text("/of"), Piece::Rest(3)]);
        for (path, want) in [("/users/7/files/a/b", "/f/7/of/a/b"), ("/users/7/files/", "/f/7/of/")] {
            assert_eq!(rewritten(&rewrite, path, Quirks::NONE).as_deref(), Ok(want), "{path}");
        }
    }

    #[test]
    fn the_result_is_judged_again() {
        for (rewrite, path, allowed, why) in [
            (strip(3), "/v1//a", Quirks::NONE, Ambiguity::DoubleSlash),
            (strip(3), "/v1/a%2Fb", Quirks::DOUBLE_SLASH, Ambiguity::EncodedSlash),
            // None of these is a path that a request can have: should it, the second look finds it.
            (strip(2), "/v/../a", Quirks::NONE, Ambiguity::DotSegment),
            (strip(2), "/v/a?b", Quirks::NONE, Ambiguity::ControlByte),
            (strip(2), "/v/%61", Quirks::NONE, Ambiguity::BrokenEscape),
            (strip(2), "/v/%2561%252e/..;x", Quirks::ENCODED_PERCENT, Ambiguity::DotSegment),
        ] {
            assert_eq!(rewritten(&rewrite, path, allowed), Err(why), "{path}");
        }
        assert_eq!(rewritten(&strip(3), "/v1//a", Quirks::DOUBLE_SLASH).as_deref(), Ok("//a"));
    }

    proptest! {
        /// Whatever is matched: the result is canonical, has no more quirks than its origin, and no dot segment.
        #[test]
        fn what_comes_of_a_path_is_as_strict_as_the_path(path in "(/([a-c.%;]|%2F|%2E|%25|\\\\){0,4}){1,5}") {
            let Ok(read) = target::canonical(&path) else { return Ok(()) };
            if read.other_readings().any(|other| other.is_err()) {
                return Ok(());
            }
            for rewrite in [strip(0), pieces([Piece::Text("/x".into()), Piece::Rest(0)])] {
                let found = rewritten(&rewrite, read.as_str(), read.quirks()).unwrap();
                let again = target::canonical(&found).unwrap();
                prop_assert_eq!(again.as_str(), &found);
                prop_assert!(again.quirks().outside(read.quirks()).is_none());
            }
        }
    }
}
