//! `retries` of upstreams and of routes.

use super::sharing::small;
use crate::config::Retries;
use crate::config::kind::number::Count;
use crate::config::section::Section;

const ATTEMPTS: Count = Count { least: 0, most: 10 };
const PERCENT: Count = Count { least: 0, most: 100 };

/// The keys of the section; `unsaid` is what holds for those that are left out.
pub(in crate::config::sections) fn keys(s: &mut Section<'_>, unsaid: Retries) -> Retries {
    let comment =
        "How often a request is sent to another server, when one broke off and asking twice is harmless.";
    let attempts = small(s.value("attempts", &ATTEMPTS, unsaid.attempts.into(), comment).value);
    let comment = "How many requests are, in percent of all; a few a second always.";
    let budget = small(s.value("budget", &PERCENT, unsaid.budget.into(), comment).value);
    Retries { attempts, budget }
}
