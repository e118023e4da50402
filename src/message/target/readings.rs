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

/// Bytes that all readings of one path may have together. They are made before anybody is asked for a credential.
const MOST: usize = 32 * 1024;

/// Each reading of `path`, the most careless one first; `None` where they would be more than anybody should have to look
/// at: a long path with a bit of everything.
pub(super) fn each(path: &str) -> Option<impl Iterator<Item = Result<String, Ambiguity>>> {
    let habits = habits_that_matter(path);
    (habits.len().saturating_mul(path.len()) <= MOST)
        .then(|| habits.into_iter().map(move |habits| reading(path, habits)))
}

/// Those that make a difference to `path`.
fn habits_that_matter(path: &str) -> Vec<Habits> {
    let plain = decoded(path, Decodes::All);
    let decodes: &[_] = match () {
        () if plain == path.as_bytes() => &[Decodes::Never],
        () if plain == decoded(path, Decodes::Once) => &[Decodes::All, Decodes::Never],
        () => &[Decodes::All, Decodes::Once, Decodes::Never],
    };
    let parameters: &[_] = match plain.contains(&b';') {
        true => &[Parameters::Last, Parameters::First, Parameters::Never],
        false => &[Parameters::Never],
    };
    let folds: &[_] = if plain.contains(&b'\\') { &[true, false] } else { &[false] };
    // Escaped once they are refused on every route.
    let early: &[_] = match end(&String::from_utf8_lossy(&plain)) {
        Some(_) => &[false, true],
        None => &[false],
    };
    let mut all = Vec::new();
    for early in early {
        // Who decodes as often as there is something to be decoded comes first.
        for decodes in decodes.iter().take(if *early { 1 } else { decodes.len() }) {
            for drops_parameters in parameters {
                for merges in [true, false] {
                    all.extend(folds.iter().map(|folds| Habits {
                        decodes: *decodes,
                        drops_parameters: *drops_parameters,
                        merges,
                        folds: *folds,
                        ends_early: *early,
                    }));
                }
            }
        }
    }
    all
}

/// Linear in the length of `path`, however deeply it is escaped.
fn reading(path: &str, habits: Habits) -> Result<String, Ambiguity> {
    let path = if habits.drops_parameters == Parameters::First { &*bare(path, habits) } else { path };
    let bytes = decoded(path, habits.decodes);
    let text = String::from_utf8_lossy(&bytes);
    let early = if habits.ends_early { end(&text) } else { None };
    let text = text.get(..early.unwrap_or(text.len())).unwrap_or_default();
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
fn end(text: &str) -> Option<usize> {
    ["%00", "%3F", "%3f", "%23"].into_iter().filter_map(|escape| text.find(escape)).min()
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

    const MOST_CARELESS: Habits = Habits {
        decodes: Decodes::All,
        drops_parameters: Parameters::Last,
        merges: true,
        folds: true,
        ends_early: false,
    };

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
            let mut found: Vec<_> = each(path).unwrap().map(|reading| reading.unwrap()).collect();
            found.sort_unstable();
            found.dedup();
            for one in wanted {
                assert!(found.iter().any(|found| found == one), "{path}: {one} is not among {found:?}");
            }
        }
    }

    #[test]
    fn what_is_left_out_makes_no_difference() {
        let all = |path: &str| {
            let decodes = [Decodes::All, Decodes::Once, Decodes::Never];
            let parameters = [Parameters::Last, Parameters::First, Parameters::Never];
            let mut found = Vec::new();
            for number in 0..72 {
                let habits = Habits {
                    decodes: decodes[number % 3],
                    drops_parameters: parameters[number / 3 % 3],
                    merges: number / 9 % 2 == 0,
                    folds: number / 18 % 2 == 0,
                    ends_early: number / 36 == 1,
                };
                if !habits.ends_early || matches!(habits.decodes, Decodes::All) {
                    found.push(super::reading(path, habits).ok());
                }
            }
            found
        };
        let sorted = |mut readings: Vec<Option<String>>| {
            readings.sort_unstable();
            readings.dedup();
            readings
        };
        proptest!(|(pieces in prop::collection::vec("/|\\\\|;|\\.|%25|%2F|%5C|%3B|%00|2e|5C|3F|%|[a-c]", 0..16))| {
            let path = format!("/{}", pieces.concat());
            let some = each(&path).unwrap().map(Result::ok).collect();
            prop_assert_eq!(sorted(some), sorted(all(&path)), "{}", path);
        });
    }

    #[test]
    fn no_path_takes_long_to_read() {
        let long = |piece: &str, length: usize| piece.repeat(length / piece.len());
        for (path, is_read) in [
            (long("/a//b", 16_000), true),
            (long("/a%2Fb", 8_000), true),
            (long("/a%2Fb", 16_000), false),
            (long("/a;b%5Cc%252F%2500", 1_000), false),
            (long("/a;b%5Cc%252F%2500", 600), true),
        ] {
            assert_eq!(each(&path).is_some(), is_read, "{} bytes of {:?}", path.len(), &path[..20]);
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
