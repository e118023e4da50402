//! `keys`, `credentials` and `identity_headers`: how keys are made, where they are read, what upstreams are told.

use std::time::Duration;

use http::HeaderName;

use crate::auth::credential::Basic;
use crate::auth::token::Prefix;
use crate::config::kind::http::{FieldName, folded};
use crate::config::kind::text::SecretPrefix;
use crate::config::kind::time::Span;
use crate::config::kind::words::Switch;
use crate::config::problem::Problem;
use crate::config::read::{Placed, shown};
use crate::config::section::Section;
use crate::config::{Credentials, IdentityHeaders, Keys};

const DAY: u64 = 86_400;

/// `keys`.
pub(super) fn keys(s: &mut Section<'_>) -> Keys {
    let days = |days| Duration::from_secs(days * DAY);
    let prefix = s.value(
        "prefix",
        &SecretPrefix,
        Prefix::default(),
        "First part of every secret: kw makes kw_sk_...; a change ends the keys made before.",
    );
    let default_lifetime =
        s.value("default_lifetime", &Span::LIFE, days(90), "The life of a key that asks for none.");
    let max_lifetime = s.value("max_lifetime", &Span::LIFE, days(365), "The longest life a key can have.");
    let keep_dead = s.value(
        "keep_dead",
        &Span::ANY,
        days(90),
        "How long expired and revoked keys are still told apart from unknown ones.",
    );
    if default_lifetime.value > max_lifetime.value {
        too_long(s, &default_lifetime, &max_lifetime);
    }
    Keys {
        prefix: prefix.value,
        default_lifetime: default_lifetime.value,
        max_lifetime: max_lifetime.value,
        keep_dead: keep_dead.value,
    }
}

fn too_long(s: &Section<'_>, default: &Placed<Duration>, max: &Placed<Duration>) {
    let problem = match (default.given, max.given) {
        (true, true) => Problem::error(default.at, "`default_lifetime` is longer than `max_lifetime`")
            .and(max.at, "the longest life"),
        (true, false) => Problem::error(
            default.at,
            "`default_lifetime` is longer than `max_lifetime`, which is 365d by default",
        ),
        (false, _) => Problem::error(
            max.at,
            "`max_lifetime` is shorter than `default_lifetime`, which is 90d by default",
        ),
    };
    s.tell(problem.expected(
        "a default_lifetime of at most max_lifetime; set both where the default of one does not fit",
    ));
}

/// `credentials` and `identity_headers`, which must not share a field.
pub(super) fn sources(s: &mut Section<'_>) -> (Credentials, IdentityHeaders) {
    let comment = "Where credentials are read from besides `Authorization: Bearer`.";
    let (basic, headers) = s.section("credentials", comment, |s| {
        let basic = s.value(
            "basic",
            &Switch,
            false,
            "Whether Basic is read: the key as user name, an empty password.",
        );
        let comment = "Further header fields that may hold a bare credential, such as [X-Api-Key].";
        (basic, s.scalars("headers", &FieldName::Credential, comment))
    });
    let comment = "Names of the fields in which upstreams learn who is asking.";
    let names = s.section("identity_headers", comment, identity_headers);
    let mut seen: Vec<&Placed<HeaderName>> = Vec::new();
    for name in headers.iter().chain(&names) {
        let same = |other: &&&Placed<HeaderName>| folded(other.value.as_str()) == folded(name.value.as_str());
        match seen.iter().find(same) {
            Some(first) => shared(s, name, first),
            None => seen.push(name),
        }
    }
    let basic = if basic.value { Basic::Read } else { Basic::Ignored };
    let credentials = Credentials { basic, headers: headers.into_iter().map(|name| name.value).collect() };
    let [subject, credential, client, scopes, method] = names.map(|name| name.value);
    (credentials, IdentityHeaders { subject, credential, client, scopes, method })
}

fn identity_headers(s: &mut Section<'_>) -> [Placed<HeaderName>; 5] {
    let kind = FieldName::Identity;
    let name = HeaderName::from_static;
    [
        s.value("subject", &kind, name("x-auth-subject"), "The account."),
        s.value("credential", &kind, name("x-auth-credential"), "The id of the credential."),
        s.value("client", &kind, name("x-auth-client"), "The application; none with an API key."),
        s.value("scopes", &kind, name("x-auth-scopes"), "The scopes, parted by spaces."),
        s.value("method", &kind, name("x-auth-method"), "How the request was authenticated."),
    ]
}

fn shared(s: &Section<'_>, name: &Placed<HeaderName>, first: &Placed<HeaderName>) {
    // At most one of two defaults can stand first: defaults differ from one another.
    let (at, other) = if name.given { (name, first) } else { (first, name) };
    let problem =
        Problem::error(at.at, format!("the field `{}` would have two meanings", shown(&at.written)))
            .expected("another name; `_`, `.` and `-` count as the same, for some backends read them so");
    s.tell(match other.given {
        true => problem.and(other.at, "the other one"),
        false => problem.label("one of identity_headers has this name by default"),
    });
}
