use proptest::prelude::*;

use super::*;

const NONE: Quirks = Quirks::NONE;
const SLASH: Quirks = Quirks::ENCODED_SLASH;
const DOUBLE: Quirks = Quirks::DOUBLE_SLASH;
const SEMI: Quirks = Quirks::SEMICOLON;
const PERC: Quirks = Quirks::ENCODED_PERCENT;
const BACK: Quirks = Quirks::BACKSLASH;
const NON8: Quirks = Quirks::NON_UTF8;

#[test]
fn a_path_has_one_canonical_form() {
    let rows: &[(&str, &str, Quirks)] = &[
        ("/", "/", NONE),
        ("/a", "/a", NONE),
        ("/a/", "/a/", NONE),
        ("/v1/orders/17", "/v1/orders/17", NONE),
        ("/.well-known/x", "/.well-known/x", NONE),
        ("/...", "/...", NONE),
        ("/..a/.b/c..", "/..a/.b/c..", NONE),
        ("/a.b/c..d", "/a.b/c..d", NONE),
        ("/A/b", "/A/b", NONE),
        ("/a@b:c,d=e&f+g!h$i'j(k)l*m", "/a@b:c,d=e&f+g!h$i'j(k)l*m", NONE),
        ("/~user/_x/-", "/~user/_x/-", NONE),
        ("/a|b\"c<d>e^f`g{h}i[j]", "/a|b\"c<d>e^f`g{h}i[j]", NONE),
        ("/%41%5a%61%7A%30%39", "/AZaz09", NONE),
        ("/%2D%5F%7e%2dx", "/-_~-x", NONE),
        ("/a%2eb", "/a.b", NONE),
        ("/%2e%2e%2e", "/...", NONE),
        ("/%2ewell-known", "/.well-known", NONE),
        ("/a%20b", "/a%20b", NONE),
        ("/%3a%40%2c%26%3d", "/%3A%40%2C%26%3D", NONE),
        ("/caf%c3%a9", "/caf%C3%A9", NONE),
        ("/%E2%82%AC/%F0%9F%98%80", "/%E2%82%AC/%F0%9F%98%80", NONE),
        ("/%7Bid%7D", "/%7Bid%7D", NONE),
        ("/%22%3c%3E%5b%5D%5e%60%7c", "/%22%3C%3E%5B%5D%5E%60%7C", NONE),
        ("/a%2fb", "/a%2Fb", SLASH),
        ("/%2F", "/%2F", SLASH.with(DOUBLE)),
        ("/a%2F", "/a%2F", SLASH),
        ("/a%2F%2Fb", "/a%2F%2Fb", SLASH.with(DOUBLE)),
        ("/a/%2Fb", "/a/%2Fb", SLASH.with(DOUBLE)),
        ("//", "//", DOUBLE),
        ("//a", "//a", DOUBLE),
        ("/a//b", "/a//b", DOUBLE),
        ("/a//", "/a//", DOUBLE),
        ("///", "///", DOUBLE),
        ("/a;b", "/a;b", SEMI),
        ("/a;b=c/d", "/a;b=c/d", SEMI),
        ("/a%3bb", "/a%3Bb", SEMI),
        ("/;x", "/;x", SEMI),
        ("/;x/a", "/;x/a", SEMI.with(DOUBLE)),
        ("/%3Bx/a", "/%3Bx/a", SEMI.with(DOUBLE)),
        ("/a;..", "/a;..", SEMI),
        ("/a%2541", "/a%2541", PERC),
        ("/%252e%252e/x", "/%252e%252e/x", PERC),
        ("/100%25", "/100%25", PERC),
        ("/a\\b", "/a\\b", BACK),
        ("/a%5cb", "/a%5Cb", BACK),
        ("/\\", "/\\", BACK.with(DOUBLE)),
        ("/\\\\a", "/\\\\a", BACK.with(DOUBLE)),
        ("/%ff", "/%FF", NON8),
        ("/%C3", "/%C3", NON8),
        ("/%C3a", "/%C3a", NON8),
        ("/%A9", "/%A9", NON8),
        ("/%C0", "/%C0", NON8),
        ("/%C0a", "/%C0a", NON8),
        ("/%ED%A0%80", "/%ED%A0%80", NON8),
        ("/%F4%90%80%80", "/%F4%90%80%80", NON8),
        ("/%F5%80", "/%F5%80", NON8),
        ("/%F0%9F%98", "/%F0%9F%98", NON8),
        ("/%C3%A9%A9", "/%C3%A9%A9", NON8),
        ("/%ff%2fa;b\\%25", "/%FF%2Fa;b\\%25", NON8.with(SLASH).with(SEMI).with(BACK).with(PERC)),
    ];
    for (path, want, quirks) in rows {
        let got = canonical(path).unwrap_or_else(|why| panic!("{path}: {why:?}"));
        assert_eq!((got.as_str(), got.quirks()), (*want, *quirks), "{path}");
        assert_eq!(matches!(got.text, Cow::Borrowed(_)), path == want, "{path} borrows when nothing changes");
    }
}

#[test]
fn what_has_two_readings_everywhere_is_refused() {
    use Ambiguity::{BrokenEscape, ControlByte, DotSegment, Fragment};
    let rows: &[(Ambiguity, &[&str])] = &[
        (
            DotSegment,
            &[
                "",
                "a",
                "*",
                "./a",
                "http://a/",
                "/.",
                "/..",
                "/./",
                "/../",
                "/a/.",
                "/a/..",
                "/a/./b",
                "/a/../b",
                "/../a",
                "/a/b/..",
                "/%2e",
                "/%2E",
                "/%2e/",
                "/%2e%2e",
                "/%2E%2e/a",
                "/.%2e/a",
                "/%2e./a",
                "/a/%2e%2E/b",
                "/..;",
                "/..;/a",
                "/..;x",
                "/a/..;x=y/b",
                "/.;",
                "/.;x/a",
                "/%2e%2e;/a",
                "/%2e;a",
                "/..%3b/a",
                "/..%3Bx",
                "/.%3bx",
                "/%2e%2e%3b",
                "/a%2f..%2fb",
                "/a%2F..",
                "/..%2fa",
                "/..%2Fa",
                "/.%2fa",
                "/a%2f.%2Fb",
                "/a%2f%2e%2e%2fb",
                "/a\\..\\b",
                "/..\\a",
                "/a\\..",
                "/.\\a",
                "/..%5ca",
                "/a%5c..%5Cb",
                "/a%5C%2e%2e",
                "/a%5c.",
                "/a/..\\b",
                "/a\\../b",
                "/..;a;b/c",
                "/..;;/",
                "/..;a%2fb",
                "/a;b/..",
                "/a;/../b",
                "//..",
                "//../a",
                "/a//..",
                "/;/..",
            ],
        ),
        (
            ControlByte,
            &[
                "/\0",
                "/a\0b",
                "/a%00b",
                "/%00",
                "/a%0ab",
                "/a%0D%0Ab",
                "/%09",
                "/a\tb",
                "/a\nb",
                "/a b",
                "/a\rb",
                "/a\x7fb",
                "/a%7fb",
                "/a%7Fb",
                "/%1f",
                "/%01",
                "/é",
                "/a/ü/b",
                "/\u{202e}",
                "/a?b",
                "/?",
                "/%C0%AE",
                "/%E0%80%AE",
                "/%E0%80%AF",
                "/%F0%80%80%AE",
                "/%FC%80",
                "/%c0%ae%c0%ae/",
                "/%C0%AF",
                "/%C1%9C",
                "/..%00/",
                "/..%09/",
            ],
        ),
        (
            Fragment,
            &["/a#b", "/#", "/a#", "/a%23b", "/%23", "/a%3fb", "/a%3Fb=c", "/..%23/", "/..%3f/", "/#/../a"],
        ),
        (
            BrokenEscape,
            &[
                "/%", "/a%", "/%2", "/%a", "/%zz", "/%2g", "/%g2", "/%%", "/%%32", "/a%2", "/%u002e", "/% 2",
                "/%-1", "/%+1",
            ],
        ),
    ];
    for (why, paths) in rows {
        for path in *paths {
            // A space is illegal before it breaks an escape.
            let why = if *path == "/% 2" { ControlByte } else { *why };
            assert_eq!(canonical(path), Err(why), "{path:?}");
        }
    }
}

#[test]
fn a_raw_target_has_no_fragment_and_no_control_byte() {
    for (target, want) in [
        ("/a?b", Ok(())),
        ("http://a/b", Ok(())),
        ("/a#b", Err(Ambiguity::Fragment)),
        ("/a?b#", Err(Ambiguity::Fragment)),
        ("/a b", Err(Ambiguity::ControlByte)),
        ("/a?\0", Err(Ambiguity::ControlByte)),
        ("/\x7f", Err(Ambiguity::ControlByte)),
    ] {
        assert_eq!(check_raw(target.as_bytes()), want, "{target:?}");
    }
}

#[test]
fn a_route_allows_exactly_what_it_names() {
    let path = canonical("/a%2Fb;c").unwrap();
    assert_eq!(path.quirks().outside(NONE), Some(Ambiguity::EncodedSlash));
    assert_eq!(path.quirks().outside(SLASH), Some(Ambiguity::Semicolon));
    assert_eq!(path.quirks().outside(SLASH.with(SEMI)), None);
    assert_eq!(NONE.outside(NONE), None);
    for (quirk, name) in Quirks::NAMES {
        assert_eq!(Quirks::from([name].as_slice()), quirk);
        assert_eq!(quirk.outside(NONE), Some(name));
    }
    assert_eq!(Quirks::from([Ambiguity::DotSegment, Ambiguity::Fragment].as_slice()), NONE);
}

/// Paths made of what matters, so that most cases reach the corners.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/"),
        Just("."),
        Just(".."),
        Just("%2e"),
        Just("%2F"),
        Just("%5c"),
        Just("\\"),
        Just(";"),
        Just("%3b"),
        Just("%25"),
        Just("%"),
        Just("a"),
        Just("%41"),
        Just("%c3%a9"),
        Just("%C3"),
        Just("%ff"),
        Just("%20"),
        Just("#"),
        Just("%00"),
        Just("2f"),
        Just("2e"),
        Just("é"),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// What a careless backend does: decode once, split at every slash, drop parameters.
fn careless(path: &str) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        match tail.first_chunk::<2>() {
            Some([high, low]) if first == b'%' => {
                bytes.push(decode(*high, *low).unwrap());
                rest = &tail[2..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    let drop_parameters = |part: &[u8]| part.split(|byte| *byte == b';').next().unwrap().to_vec();
    bytes.split(|byte| matches!(byte, b'/' | b'\\')).map(drop_parameters).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_canonical_form_is_its_own(path in prop_oneof![hostile(), ".*", "/[ -~]{0,40}"]) {
        let Ok(first) = canonical(&path) else { return Ok(()) };
        prop_assert!(first.as_str().len() <= path.len());
        let second = canonical(first.as_str()).unwrap();
        prop_assert!(matches!(second.text, Cow::Borrowed(_)));
        prop_assert_eq!(&second, &first);
    }

    #[test]
    fn no_backend_finds_a_dot_segment_or_a_control_byte(path in hostile()) {
        let Ok(path) = canonical(&path) else { return Ok(()) };
        let parts = careless(path.as_str());
        prop_assert!(parts.iter().all(|part| part != b"." && part != b".."), "{}", path.as_str());
        prop_assert!(parts.concat().iter().all(|byte| *byte >= 0x20 && *byte != 0x7F));
    }

    #[test]
    fn a_path_without_quirks_reads_the_same_decoded_or_not(path in hostile()) {
        let Ok(path) = canonical(&path) else { return Ok(()) };
        if path.quirks() != Quirks::NONE { return Ok(()) }
        let split = path.as_str().split('/').count();
        prop_assert_eq!(careless(path.as_str()).len(), split);
        let empty = path.as_str().split('/').skip(1).take(split - 2).any(str::is_empty);
        prop_assert!(!empty, "{}", path.as_str());
        prop_assert!(careless(path.as_str()).into_iter().all(|part| String::from_utf8(part).is_ok()));
    }
}
