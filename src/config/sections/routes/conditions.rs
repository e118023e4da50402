//! `conditions`: fields of a request that decide where it goes, never who may pass or how often.

use std::sync::Arc;

use super::{Known, Meaning, fields, resolve, rewrite};
use crate::auth::refusal::Ambiguity;
use crate::config::describe::Turn;
use crate::config::kind::http::{ChangedField, FieldText};
use crate::config::kind::text::Name;
use crate::config::kind::words::Switch;
use crate::config::problem::Problem;
use crate::config::read::shown;
use crate::config::section::{Least, Section};
use crate::config::sections::limits;
use crate::config::{Condition, FieldTest, PathPattern, Served, Test, Way};

/// Reads the list; what a condition does not say is as `served` has it.
pub(super) fn read(
    s: &mut Section<'_>,
    served: Option<&Served>,
    (matched, allow): (Option<&PathPattern>, &[Ambiguity]),
    known: &Known<'_>,
) -> Vec<Condition> {
    let comment = "Where requests go instead that have certain fields: the first whose `when` holds. Never who may pass.";
    let base = match served {
        Some(Served::Upstream(way)) => Some(way),
        _ => None,
    };
    let unsaid = Way { upstream: 0, rewrite: None, times: known.times.clone(), retries: None };
    let read = s.absent_sections("conditions", comment, |s| {
        let condition = condition(s, base.unwrap_or(&unsaid), (matched, allow), known);
        if served.is_some() && base.is_none() {
            let problem = Problem::error(s.at(), "a condition is of no use on a route without an upstream");
            s.tell(problem.expected("an `upstream`, or no `conditions`"));
        }
        condition
    });
    read.into_iter().flatten().collect()
}

fn condition(
    s: &mut Section<'_>,
    base: &Way,
    (matched, allow): (Option<&PathPattern>, &[Ambiguity]),
    known: &Known<'_>,
) -> Option<Condition> {
    let comment = "What the fields of the request must be like, all of it.";
    let when = s.sections("when", Least::One, comment, |s| field(s, known.meaning)).unwrap_or_default();
    let upstream = s.value("upstream", &Name, Arc::from("api"), "Where it goes; by default as all do.");
    let comment = "The path that is asked for; by default as for all.";
    let rewrite = s.absent_section("rewrite", comment, rewrite::section);
    let comment = "How long it may take; what is left out is as for all.";
    let times = s.absent_section("timeouts", comment, |s| limits::times(s, &base.times));
    if !upstream.given && rewrite.is_none() && times.is_none() {
        let problem = Problem::error(s.at(), "this condition changes nothing");
        s.tell(problem.expected("`upstream`, `rewrite` or `timeouts` in it"));
    }
    let index = if upstream.given { resolve(s, &upstream, known.upstreams)? } else { base.upstream };
    let rewrite = match rewrite {
        Some(written) => Some(Box::new(rewrite::judged(s, written?, matched?, allow)?)),
        None => base.rewrite.clone(),
    };
    let times = times.unwrap_or_else(|| base.times.clone());
    let way = Way { upstream: index, rewrite, times, retries: base.retries };
    Some(Condition { when: when.into_iter().flatten().collect(), way })
}

fn field(s: &mut Section<'_>, meaning: Meaning<'_>) -> Option<FieldTest> {
    let comment = "Its name; none that says who is asking.";
    let field = s.required("field", &ChangedField::Request, "X-Canary", comment);
    let equals = s.alternative(Turn::First, "equals", &FieldText, "always", "Its one value is this.");
    let prefix = s.alternative(Turn::Later, "prefix", &FieldText, "v2", "Its one value begins so.");
    let present = s.alternative(Turn::Later, "present", &Switch, "true", "Whether it is there.");
    s.exactly_one(&["equals", "prefix", "present"], "one of equals: always, prefix: v2 or present: true");
    let equals = equals.map(|value| Test::Equals(value.value));
    let prefix = prefix.map(|value| Test::Prefix(value.value));
    let test = equals.or(prefix).or(present.map(|present| Test::Present(present.value)));
    let field = field?;
    if fields::has_meaning(meaning, &field.value) {
        let message = format!("`{}` cannot be used: it says who is asking", shown(&field.written));
        s.tell(Problem::error(field.at, message).expected("a field that decides nothing else"));
    }
    Some(FieldTest { field: field.value, test: test? })
}
