//! Cookies of Keyward's own: their names, and how they are kept from upstreams, which neither see nor set them.
//!
//! What else stands in a `Cookie` field is the upstream's and passes byte for byte, whatever it is.

use std::borrow::Cow;
use std::iter;

use memchr::{memchr, memchr_iter};

/// The names of the console's cookies under one kind of public URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    /// Of a session.
    pub session: &'static str,
    /// Of the mark of an earlier login.
    pub mark: &'static str,
}

/// Over https: no other host and no page in clear can set them (RFC 6265bis §4.1.3.2).
pub const SECURE: Names = Names { session: "__Host-keyward", mark: "__Host-keyward-known" };
/// Over http.
pub const CLEAR: Names = Names { session: "keyward_dev", mark: "keyward_dev_known" };

const OWN: [&str; 4] = [SECURE.session, SECURE.mark, CLEAR.session, CLEAR.mark];

/// What of a `Cookie` field's value is for upstreams; `None` when nothing is left of it. Copies only where it cuts.
#[must_use]
pub fn passing(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !pairs(value).any(is_own) {
        return Some(Cow::Borrowed(value));
    }
    let mut rest = Vec::with_capacity(value.len());
    for (number, pair) in pairs(value).filter(|pair| !is_own(pair)).enumerate() {
        if number > 0 {
            rest.push(b';');
        }
        rest.extend_from_slice(pair);
    }
    // No value begins or ends with white space (RFC 9113 §8.2.1).
    let rest = rest.trim_ascii();
    let is_empty = rest.iter().all(|byte| matches!(byte, b';' | b' ' | b'\t'));
    (!is_empty).then(|| Cow::Owned(rest.to_vec()))
}

/// Whether a `Set-Cookie` field's value sets one of ours.
#[must_use]
pub fn sets_own(value: &[u8]) -> bool {
    let pair = pairs(value).next().unwrap_or_default().trim_ascii_start();
    // Browsers take `=a=b` for a cookie without a name and send it back as `a=b` (RFC 6265bis §5.4 and §5.8.3).
    is_own(pair.strip_prefix(b"=").unwrap_or(pair))
}

/// The values of the cookies `name` in a `Cookie` field's value.
pub fn named<'a>(value: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    pairs(value).filter_map(split).filter(move |pair| pair.0 == name.as_bytes()).map(|pair| pair.1)
}

fn is_own(pair: &[u8]) -> bool {
    split(pair).is_some_and(|(name, _)| OWN.iter().any(|own| own.as_bytes() == name))
}

/// What stands between semicolons, with all its white space.
fn pairs(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr_iter(b';', value).chain(iter::once(value.len())).map(move |end| {
        let pair = value.get(start..end).unwrap_or_default();
        start = end + 1;
        pair
    })
}

/// Name and value of a pair, without the white space around them.
fn split(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = pair.split_at_checked(memchr(b'=', pair)?)?;
    Some((name.trim_ascii(), value.get(1..).unwrap_or_default().trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn cut(value: &[u8], rest: Option<&[u8]>) {
        let passing = passing(value);
        assert_eq!(passing.as_deref(), rest, "{}", value.escape_ascii());
    }

    #[test]
    fn our_own_pairs_are_cut_and_the_others_stay_as_they_were() {
        for own in ["__Host-keyward", "__Host-keyward-known", "keyward_dev", "keyward_dev_known"] {
            let cut = |text: &str, rest: Option<&str>| {
                cut(text.replace("OWN", own).as_bytes(), rest.map(str::as_bytes));
            };
            cut("OWN=x", None);
            cut("OWN=", None);
            cut("OWN=x; a=b", Some("a=b"));
            cut("a=b; OWN=x", Some("a=b"));
            cut("a=b; OWN=x; c=d", Some("a=b; c=d"));
            cut("a=b;OWN=x;c=d", Some("a=b;c=d"));
            cut("a=b; \t OWN \t= x \t; c=d", Some("a=b; c=d"));
            cut("OWN=x; OWN=y", None);
            cut("OWN=x;", None);
            cut(" ; OWN=x; ;", None);
            cut("a=b;; OWN=x; ; c", Some("a=b;; ; c"));
            cut("OWN=x; a=\"b c\",; =d; e==", Some("a=\"b c\",; =d; e=="));
            cut("a=b; OWN=x; ", Some("a=b;"));
            cut(";OWN=x; a=b", Some("; a=b"));
        }
        cut(b"a=\xff\x80; keyward_dev=\xff; \xfe=b", Some(b"a=\xff\x80; \xfe=b"));
    }

    #[test]
    fn where_there_is_none_of_ours_the_field_is_what_it_was() {
        for value in [
            &b""[..],
            b";",
            b" ",
            b"a=b",
            b"keyward=x; keyward_dev2=x; __host-keyward=x; xkeyward_dev=x; Keyward_Dev=x",
            b"keyward_dev",
            b"a=keyward_dev=x",
            b"=keyward_dev=x",
            b"__Host-keyward-other=x; __Host-=x",
            b"\xff; \xfe=\xfd",
        ] {
            assert!(matches!(passing(value), Some(Cow::Borrowed(same)) if same == value));
        }
    }

    #[test]
    fn a_cookie_is_set_by_its_name_alone() {
        for value in [
            "keyward_dev=x; Path=/",
            " __Host-keyward = x",
            "__Host-keyward-known=",
            "keyward_dev_known=x;Secure",
            "=keyward_dev=x",
            " = keyward_dev=x; Path=/",
        ] {
            assert!(sets_own(value.as_bytes()), "{value}");
        }
        for value in [
            "",
            "keyward_dev",
            "a=b; keyward_dev=x",
            "keyward_device=x",
            "==keyward_dev=x",
            "a=keyward_dev=x",
        ] {
            assert!(!sets_own(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn cookies_are_found_by_name_whatever_stands_beside_them() {
        let named = |value: &'static [u8]| named(value, "a").collect::<Vec<_>>();
        assert_eq!(named(b"\xff=\xfe; a= x ;; b=a; a=y"), [b"x", b"y"]);
        assert_eq!(named(b"a; aa=x; A=y"), [b""; 0]);
    }

    proptest::proptest! {
        #[test]
        fn what_passes_has_none_of_ours_and_every_other_pair(parts in proptest::collection::vec(
            proptest::sample::select(vec!["keyward_dev=x", "a=b", "", " ", "\u{e9}=", "__Host-keyward=y", "=", "keyward_dev"]), 0..8,
        ), glue in proptest::sample::select(vec![";", "; ", " ;\t"])) {
            let value = parts.join(glue).into_bytes();
            let rest = passing(&value).unwrap_or_default().into_owned();
            let text = |pair: &[u8]| pair.trim_ascii().to_vec();
            let kept = |value: &[u8]| pairs(value).filter(|pair| !is_own(pair)).map(text)
                .filter(|pair| !pair.is_empty()).collect::<Vec<_>>();
            proptest::prop_assert!(!pairs(&rest).any(is_own));
            proptest::prop_assert_eq!(kept(&rest), kept(&value));
        }
    }
}
