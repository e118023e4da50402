//! `request_fields` and `response_fields`: fields that are set or taken away on the way.

use http::HeaderName;

use crate::config::kind::http::{ChangedField, FieldText};
use crate::config::problem::Problem;
use crate::config::read::{Placed, shown};
use crate::config::section::Section;
use crate::config::source::Span;
use crate::config::{FieldChanges, IdentityHeaders};

/// Names that the configuration itself gives a meaning.
#[derive(Clone, Copy, Debug)]
pub(in crate::config::sections) struct Meaning<'k> {
    pub identity: &'k IdentityHeaders,
    pub credentials: &'k [HeaderName],
}

/// Both sections, of a request with its place, if it is there, and of its answer.
pub(super) fn read(
    s: &mut Section<'_>,
    meaning: Meaning<'_>,
) -> (Option<(Span, FieldChanges)>, FieldChanges) {
    let comment = "Fields of requests that are changed before the upstream sees them.";
    let request = s.absent_section("request_fields", comment, |s| {
        (s.at(), changes(s, ChangedField::Request, "X-Tenant", "acme", Some(meaning)))
    });
    let comment =
        "Fields of answers that are changed before the client sees them; refusals stay as they are.";
    let response = s.absent_section("response_fields", comment, |s| {
        changes(s, ChangedField::Response, "Strict-Transport-Security", "max-age=31536000", None)
    });
    (request, response.unwrap_or_default())
}

fn changes(
    s: &mut Section<'_>,
    of: ChangedField,
    name: &'static str,
    value: &'static str,
    meaning: Option<Meaning<'_>>,
) -> FieldChanges {
    let comment = "Names and values; whatever else has such a name is taken away.";
    let set = s.pairs("set", (&of, name), (&FieldText, value), comment);
    let comment = "Names of fields that are taken away.";
    let remove = s.scalars("remove", &of, comment);
    for name in set.iter().map(|(name, _)| name).chain(&remove) {
        if meaning.is_some_and(|meaning| has_meaning(meaning, &name.value)) {
            let message =
                format!("`{}` cannot be used: Keyward has another use for this field", shown(&name.written));
            s.tell(
                Problem::error(name.at, message)
                    .expected("a field that `identity_headers` and `credentials` do not name"),
            );
        }
    }
    for name in &remove {
        if let Some((first, _)) = set.iter().find(|(other, _)| other.value == name.value) {
            let message = format!("`{}` is both set and removed", shown(&name.written));
            s.tell(
                Problem::error(name.at, message)
                    .and(first.at, "set here")
                    .expected("one of the two; what is set replaces what was there"),
            );
        }
    }
    FieldChanges {
        set: set.into_iter().map(|(name, value)| (name.value, value.value)).collect(),
        remove: remove.into_iter().map(|name: Placed<_>| name.value).collect(),
    }
}

/// Whether a name is, in some spelling, one that the configuration gives a meaning.
pub(super) fn has_meaning(meaning: Meaning<'_>, name: &HeaderName) -> bool {
    let names = meaning.identity.all().into_iter().chain(meaning.credentials);
    let mut names = names.map(HeaderName::as_str);
    names.any(|other| crate::message::fields::is_same(name.as_str(), other))
}
