//! What a browser carries of a session: its id, sealed, and a second seal in every form.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::auth::unicode;
use crate::clock::Timestamp;
use crate::config::{Identity, Reach};
use crate::issuer::Browser;
use crate::web::cookies::{self, Names};

/// Seals with a secret that every server of the store knows.
#[derive(Debug)]
pub struct Sealer(hmac::Key);

/// What a seal is on: one is no good where another is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Session,
    Form,
    /// That somebody logged in from this browser before.
    Mark,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Session => b"console session\0",
            Self::Form => b"console form\0",
            Self::Mark => b"console mark\0",
        }
    }
}

impl Sealer {
    /// Seals with `secret`.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The value of the cookie of a session.
    pub(super) fn cookie(&self, session: &str) -> String {
        format!("{session}.{}", self.seal(Purpose::Session, session))
    }

    /// The session that a cookie's value names, if the value was made here.
    pub(super) fn session<'a>(&self, value: &'a str) -> Option<&'a str> {
        let (session, seal) = value.split_once('.')?;
        self.holds(Purpose::Session, session, seal).then_some(session)
    }

    /// What every form of a session carries.
    pub(super) fn form(&self, session: &str) -> String {
        self.seal(Purpose::Form, session)
    }

    /// Whether a form is one of this session's.
    pub(super) fn is_form(&self, session: &str, seal: &str) -> bool {
        self.holds(Purpose::Form, session, seal)
    }

    /// What a browser keeps of a login with `email` at `now`: failures of others do not delay its next one.
    pub(super) fn mark(&self, email: &str, browser: &Browser, now: Timestamp) -> String {
        let Browser { name, password } = browser;
        let mark = format!("{name}.{}.{password}", now.millis().div_euclid(1000));
        format!("{mark}.{}", self.seal(Purpose::Mark, &marked(email, &mark)))
    }

    /// The browser that a mark of a login with `email` names, unless that was too long ago.
    fn browser(&self, email: &str, value: &str, now: Timestamp) -> Option<Browser> {
        let (mark, seal) = value.rsplit_once('.')?;
        if !self.holds(Purpose::Mark, &marked(email, mark), seal) {
            return None;
        }
        let mut parts = mark.split('.');
        let (name, at, password) = (parts.next()?, parts.next()?, parts.next()?);
        let at: i64 = at.parse().ok()?;
        let ends = Timestamp(at.saturating_mul(1000)).after(Duration::from_secs(MARK_LIFE));
        (now < ends).then(|| Browser { name: name.to_owned(), password: password.to_owned() })
    }

    fn seal(&self, purpose: Purpose, session: &str) -> String {
        BASE64.encode(hmac::sign(&self.0, &message(purpose, session)))
    }

    fn holds(&self, purpose: Purpose, session: &str, seal: &str) -> bool {
        let Ok(seal) = BASE64.decode(seal) else { return false };
        hmac::verify(&self.0, &message(purpose, session), &seal).is_ok()
    }
}

fn marked(email: &str, mark: &str) -> String {
    format!("{mark}\0{}", unicode::folded(email))
}

fn message(purpose: Purpose, session: &str) -> Vec<u8> {
    [purpose.label(), session.as_bytes()].concat()
}

/// The name and attributes of the cookie under a configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jar {
    names: Names,
    secure: &'static str,
}

/// How long a browser is known, in seconds.
const MARK_LIFE: u64 = 180 * 24 * 60 * 60;

impl Jar {
    /// What the public URL allows.
    pub(super) fn of(identity: &Identity) -> Self {
        match identity.public_url.reach() {
            Reach::Secure => Self { names: cookies::SECURE, secure: "; Secure" },
            Reach::Loopback | Reach::Clear => Self { names: cookies::CLEAR, secure: "" },
        }
    }

    /// The value of the cookie; `None` without one, or with several, of which any could be somebody else's.
    pub(super) fn read(self, headers: &HeaderMap) -> Option<&str> {
        find(headers, self.names.session)
    }

    /// What this browser is called, if somebody lately logged in with `email` from it.
    pub(super) fn read_mark(
        self,
        headers: &HeaderMap,
        sealer: &Sealer,
        email: &str,
        now: Timestamp,
    ) -> Option<Browser> {
        sealer.browser(email, find(headers, self.names.mark)?, now)
    }

    /// Marks a browser.
    pub(super) fn set_mark(self, value: &str) -> HeaderValue {
        let (mark, secure) = (self.names.mark, self.secure);
        header(&format!("{mark}={value}; Path=/; Max-Age={MARK_LIFE}; HttpOnly; SameSite=Lax{secure}"))
    }

    /// Gives a browser the cookie.
    pub(super) fn set(self, value: &str, seconds: u64) -> HeaderValue {
        let (name, secure) = (self.names.session, self.secure);
        header(&format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"))
    }

    /// Takes it back.
    pub(super) fn clear(self) -> HeaderValue {
        let (name, secure) = (self.names.session, self.secure);
        header(&format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}"))
    }
}

/// The value of one cookie; `None` without one, or with several. Others beside it can be of any bytes.
fn find<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let fields = headers.get_all(COOKIE).iter();
    let mut found = fields.flat_map(|field| cookies::named(field.as_bytes(), wanted));
    let first = found.next()?;
    found.next().is_none().then_some(first).and_then(|value| std::str::from_utf8(value).ok())
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_good_for_its_session_and_purpose_alone() {
        let (ours, other) = (Sealer::new(&[7; 32]), Sealer::new(&[8; 32]));
        let cookie = ours.cookie("s1");
        assert_eq!(ours.session(&cookie), Some("s1"));
        for bad in [
            cookie.replace("s1", "s2"),
            other.cookie("s1"),
            format!("s1.{}", ours.form("s1")),
            "s1.".to_owned(),
            "s1".to_owned(),
            String::new(),
            format!("{cookie}A"),
        ] {
            assert_eq!(ours.session(&bad), None, "{bad}");
        }
        assert!(ours.is_form("s1", &ours.form("s1")));
        assert!(
            !ours.is_form("s2", &ours.form("s1")) && !ours.is_form("s1", cookie.split_once('.').unwrap().1)
        );
    }

    #[test]
    fn a_mark_is_good_for_its_account_for_180_days() {
        let sealer = Sealer::new(&[7; 32]);
        let browser = Browser { name: "a-name_1".to_owned(), password: "0123456789abcdef".to_owned() };
        let now = Timestamp(1_800_000_000_999);
        let mark = sealer.mark("A@example.com", &browser, now);
        let days = |days: u64| now.after(Duration::from_secs(days * 24 * 3600));
        assert_eq!(sealer.browser("a@EXAMPLE.com", &mark, days(179)), Some(browser.clone()));
        assert_eq!(sealer.browser("a@example.com", &mark, days(180)), None);
        for bad in [
            mark.replace("a-name", "b-name"),
            mark.replace(".18", ".19"),
            mark.replace("abcdef", "abcdee"),
            format!("{mark}A"),
            format!("a-name_1.{}", sealer.seal(Purpose::Mark, &marked("a@example.com", "a-name_1"))),
            Sealer::new(&[8; 32]).mark("a@example.com", &browser, now),
            String::new(),
        ] {
            assert_eq!(sealer.browser("a@example.com", &bad, now), None, "{bad}");
        }
        assert_eq!(sealer.browser("b@example.com", &mark, now), None);
    }

    #[test]
    fn of_two_cookies_of_its_name_neither_counts() {
        let jar = Jar { names: cookies::CLEAR, secure: "" };
        let read = |fields: &[&str]| {
            let fields =
                fields.iter().map(|field| (COOKIE, HeaderValue::from_bytes(field.as_bytes()).unwrap()));
            jar.read(&fields.collect::<Vec<_>>().into_iter().collect::<HeaderMap>()).map(str::to_owned)
        };
        assert_eq!(read(&["a=b; keyward_dev=x; c=d"]).as_deref(), Some("x"));
        assert_eq!(read(&["a=\u{e9}; keyward_dev=x", "\u{e9}"]).as_deref(), Some("x"), "beside any bytes");
        assert_eq!(read(&["keyward_dev=x", "keyward_dev=y"]), None);
        assert_eq!(read(&["a=b"]), None);
        assert_eq!(read(&["keyward_dev=x; keyward_dev=y"]), None);
    }
}
