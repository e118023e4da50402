//! Text that people gave, checked before it is kept, and how it is quoted back.

use std::time::Duration;

use super::error::Problem;
use crate::auth::scope::{Scope, ScopeSet};
use crate::auth::token::may_hold_secret;
use crate::auth::unicode;

/// Most characters of a name.
pub const NAME_MAX: usize = 200;
/// RFC 5321 §4.5.3.1, less the brackets of a path.
const EMAIL_MAX: usize = 254;
const LOCAL_PART_MAX: usize = 64;
const LABEL_MAX: usize = 63;
const QUOTED_MAX: usize = 60;

/// A name without the white space around it.
pub(super) fn name(given: &str) -> Result<String, Problem> {
    let name = given.trim();
    if name.is_empty() {
        return Err(Problem::NameMissing);
    }
    if let Some(bad) = name.chars().find(|c| misleads(*c)) {
        return Err(Problem::NameCharacter(bad));
    }
    if !name.chars().any(shows) {
        return Err(Problem::NameInvisible);
    }
    match name.chars().count() {
        length if length > NAME_MAX => Err(Problem::NameTooLong(length)),
        _ => Ok(name.to_owned()),
    }
}

/// An address that is at least of the right form; whether it exists only a message to it can tell.
pub(super) fn email(given: &str) -> Result<String, Problem> {
    let email = unicode::composed(given);
    let good = email.len() <= EMAIL_MAX
        && email.split_once('@').is_some_and(|(local, domain)| is_local_part(local) && is_domain(domain));
    if good { Ok(email) } else { Err(Problem::Email(given.to_owned())) }
}

fn is_local_part(text: &str) -> bool {
    let legal = |c: char| is_letter(c) || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    (1..=LOCAL_PART_MAX).contains(&text.len())
        && text.chars().all(legal)
        && text.split('.').all(|atom| !atom.is_empty())
}

fn is_domain(text: &str) -> bool {
    text.split('.').all(|label| {
        (1..=LABEL_MAX).contains(&label.len())
            && label.chars().all(|c| is_letter(c) || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

/// What can stand in an address: a letter or a digit that shows. Some letters are blank, and an address with one looks like
/// another without.
fn is_letter(c: char) -> bool {
    c.is_alphanumeric() && shows(c)
}

/// Control characters, and what is invisible or turns the direction of text around. Joiners stay: scripts and emoji
/// need them.
pub(super) fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061C}' | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// Whether a character leaves a trace where it stands alone: neither white space, nor left out by whoever draws it
/// (`Default_Ignorable_Code_Point`, Unicode 17), nor a letter whose picture is blank.
fn shows(c: char) -> bool {
    let is_ignorable = matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFF8}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}');
    let is_blank = matches!(c, '\u{2800}' | '\u{1D159}');
    !c.is_whitespace() && !c.is_control() && !is_ignorable && !is_blank
}

/// Text of others as part of a sentence of ours: escaped and short, and not shown where it may be a secret.
pub(super) fn quoted(text: &str) -> String {
    if may_hold_secret(text) {
        return "\"…\"".to_owned();
    }
    let shown: String = text.chars().take(QUOTED_MAX).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    let safe: String = shown.chars().map(|c| if misleads(c) { '\u{FFFD}' } else { c }).collect();
    format!("\"{safe}{more}\"")
}

/// Scopes as part of a sentence.
pub(super) fn list(scopes: &ScopeSet) -> String {
    scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(", ")
}

/// Whole seconds, rounded up: nobody who waits as long is early.
pub(super) const fn whole_seconds(duration: Duration) -> Duration {
    let more = if duration.subsec_nanos() > 0 { 1 } else { 0 };
    Duration::from_secs(duration.as_secs().saturating_add(more))
}

/// A duration in its largest whole unit, as the configuration writes it.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds % 86_400, seconds % 3_600, seconds % 60) {
        (0, _, _) => format!("{}d", seconds / 86_400),
        (_, 0, _) => format!("{}h", seconds / 3_600),
        (_, _, 0) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_has_two_halves_of_legal_characters() {
        for good in ["a@b", "first.last+tag@sub.example.com", "jürgen@müller.example", "root@localhost"] {
            assert_eq!(email(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a@-b",
            "a@b.",
            "a@.b",
            "a..b@c",
            ".a@b",
            "a@b\n",
            "<a@b>",
            "a@b\u{202e}",
            "a,b@c",
            "\"a\"@b",
            "a\u{3164}@b",
            "\u{115f}a@b",
            "a@b\u{ffa0}c",
            "a\u{ad}@b",
            "a\u{200d}@b",
            "a\u{34f}@b",
            "a\u{fe0f}@b",
        ] {
            assert_eq!(email(bad), Err(Problem::Email(bad.to_owned())), "{bad:?}");
        }
        assert!(email(&format!("{}@b", "x".repeat(65))).is_err());
        assert!(email(&format!("a@{}", ["x"; 150].join("."))).is_err());
    }

    #[test]
    fn a_name_shows_as_what_it_is() {
        assert_eq!(name("  CI of 東京 👩‍💻 ").as_deref(), Ok("CI of 東京 👩‍💻"));
        assert_eq!(name(" \t "), Err(Problem::NameMissing));
        let blank = [
            '\u{ad}',
            '\u{34f}',
            '\u{115f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{180b}',
            '\u{200c}',
            '\u{200d}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{ffa0}',
            '\u{fff0}',
            '\u{1bca0}',
            '\u{1d159}',
            '\u{1d173}',
            '\u{e0100}',
        ];
        for c in blank {
            assert_eq!(name(&format!("{c} {c}")), Err(Problem::NameInvisible), "{c:?}");
            assert!(name(&format!("{c}x")).is_ok(), "{c:?}");
        }
        assert_eq!(name("a\u{202e}b"), Err(Problem::NameCharacter('\u{202e}')));
        assert_eq!(name("a\u{1b}[31mb"), Err(Problem::NameCharacter('\u{1b}')));
        assert_eq!(name(&"é".repeat(200)).as_deref(), Ok(&*"é".repeat(200)));
        assert_eq!(name(&"é".repeat(201)), Err(Problem::NameTooLong(201)));
    }

    #[test]
    fn durations_are_written_in_their_largest_whole_unit() {
        for (seconds, written) in [(365 * 86_400, "365d"), (43_200, "12h"), (900, "15m"), (61, "61s")] {
            assert_eq!(duration(Duration::from_secs(seconds)), written);
        }
    }
}
