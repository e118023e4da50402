//! A path as careless backends read it, each with habits of its own.

use super::{decode, is_unreserved};
use crate::auth::refusal::Ambiguity;

/// What a backend does to a path before it looks for what to serve.
#[derive(Clone, Copy, Debug)]
struct Habits {
    decodes: Decodes,
    drops_parameters: Parameters,
    /// Whether empty segments are none.
    merges: bool,
    /// Whether `\` is a slash, too.
    folds: bool,
    /// Whether an escape that is left over of NUL, `?` or `#` is taken for the end of the path.
    ends_early: bool,
}

/// How often escapes are decoded.
#[derive(Clone, Copy, Debug)]
enum Decodes {
    Never,
    Once,
    /// As often as there are any.
    All,
}

/// When what follows a `;` is dropped from a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parameters {
    Never,
    /// Before escapes are decoded, as servlets do.
    First,
    /// After that.
    Last,
}

const MOST_CARELESS: Habits = Habits {
    decodes: Decodes::All,
    drops_parameters: Parameters::Last,
    merges: true,
    folds: true,
    ends_early: false,
};

/// Each reading of `path`, the most careless one first.
pub(super) fn each(path: &str) -> impl Iterator<Item = Result<String, Ambiguity>> {
    let others = [Decodes::All, Decodes::Once, Decodes::Never].into_iter().flat_map(|decodes| {
        [Parameters::Last, Parameters::First, Parameters::Never].into_iter().flat_map(
            move |drops_parameters| {
                let ways = [(true, true), (true, false), (false, true), (false, false)];
                ways.map(|(merges, folds)| Habits {
                    decodes,
                    drops_parameters,
                    merges,
                    folds,
                    ends_early: false,
                })
            },
        )
    });
    // Escaped once they are refused on every route.
    let early = others.clone().filter(|habits| matches!(habits.decodes, Decodes::All));
    let early = early.map(|habits| Habits { ends_early: true, ..habits });
    [MOST_CARELESS].into_iter().chain(others.skip(1)).chain(early).map(|habits| reading(path, habits))
}

/// Linear in the length of `path`, however deeply it is escaped.
fn reading(path: &str, habits: Habits) -> Result<String, Ambiguity> {
    let path = if habits.drops_parameters == Parameters::First { &*bare(path, habits) } else { path };
    let bytes = decoded(path, habits.decodes);
    let text = String::from_utf8_lossy(&bytes);
    let text = if habits.ends_early { text.get(..end(&text)).unwrap_or_default() } else { &*text };
    let ends = text.ends_with(|letter| splits(letter, habits));
    let text = if habits.drops_parameters == Parameters::Last { bare(text, habits) } else { text.to_owned() };
    let mut plain = String::with_capacity(text.len());
    for segment in text.strip_prefix('/').unwrap_or(&text).split(|letter| splits(letter, habits)) {
        match segment {
            "" if habits.merges => {}
            "." | ".." => return Err(Ambiguity::DotSegment),
            _ => {
                plain.push('/');
                plain.push_str(segment);
            }
        }
    }
    if plain.is_empty() || habits.merges && ends {
        plain.push('/');
    }
    Ok(plain)
}

/// Where a decoded path ends for who decodes once more than he thinks.
fn end(text: &str) -> usize {
    let ends = ["%00", "%3F", "%3f", "%23"].into_iter().filter_map(|escape| text.find(escape));
    ends.min().unwrap_or(text.len())
}

const fn splits(letter: char, habits: Habits) -> bool {
    letter == '/' || habits.folds && letter == '\\'
}

/// Without the parameters of its segments.
fn bare(path: &str, habits: Habits) -> String {
    let mut kept = String::with_capacity(path.len());
    let mut within = false;
    for letter in path.chars() {
        within = !splits(letter, habits) && (within || letter == ';');
        if !within {
            kept.push(letter);
        }
    }
    kept
}

fn decoded(path: &str, decodes: Decodes) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    // What a single decoding brought forth is not looked at again.
    let mut done = 0;
    for byte in path.bytes() {
        bytes.push(byte);
        while let Some([b'%', high, low]) = bytes.get(done..).and_then(<[u8]>::last_chunk).copied() {
            let Some(decoded) = decode(high, low).filter(|byte| is_decoded(*byte)) else { break };
            match decodes {
                Decodes::Never => break,
                Decodes::Once => {
                    bytes.truncate(bytes.len() - 3);
                    bytes.push(decoded);
                    done = bytes.len();
                }
                Decodes::All => {
                    bytes.truncate(bytes.len() - 3);
                    bytes.push(decoded);
                }
            }
        }
    }
    bytes
}

/// Escapes that make a difference to which route a path belongs to.
const fn is_decoded(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'/' | b'\\' | b';' | b'%')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reading(path: &str) -> Result<String, Ambiguity> {
        super::reading(path, MOST_CARELESS)
    }

    #[test]
    fn every_habit_makes_a_reading() {
        for (path, wanted) in [
            ("/q/secret;%2Fpub", &["/q/secret", "/q/secret/pub", "/q/secret;/pub", "/q/secret;%2Fpub"][..]),
            ("/q//a%2Fb", &["/q/a/b", "/q//a/b", "/q/a%2Fb", "/q//a%2Fb"]),
            ("/a%252Fb", &["/a/b", "/a%2Fb", "/a%252Fb"]),
            ("/a%253Bb", &["/a", "/a;b", "/a%3Bb"]),
            ("/a\\b", &["/a/b", "/a\\b"]),
            ("/a;x/b/", &["/a/b/", "/a;x/b/"]),
            ("/a%2500.html", &["/a", "/a%00.html", "/a%2500.html"]),
            ("/a%25253fb/c%2523", &["/a", "/a%3fb/c%23", "/a%253fb/c%23"]),
        ] {
            let mut found: Vec<_> = each(path).map(|reading| reading.unwrap()).collect();
            found.sort_unstable();
            found.dedup();
            for one in wanted {
                assert!(found.iter().any(|found| found == one), "{path}: {one} is not among {found:?}");
            }
        }
    }

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
