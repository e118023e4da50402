//! By whom a route's requests are answered: `upstream`, `redirect` or `answer`, and `rewrite` on the way there.

use std::sync::Arc;

use bytes::Bytes;

use super::{Known, Matched, resolve, rewrite};
use crate::auth::refusal::Ambiguity;
use crate::config::describe::Turn;
use crate::config::kind::http::{FieldText, Status};
use crate::config::kind::text::{Name, Words};
use crate::config::kind::url::Destination;
use crate::config::kind::words::Switch;
use crate::config::problem::Problem;
use crate::config::read::Placed;
use crate::config::section::Section;
use crate::config::source::Span;
use crate::config::{FixedAnswer, Redirect, Retries, Served, Times, Way};

/// As read.
pub(super) enum Written {
    Upstream(Placed<Arc<str>>),
    Redirect(Option<Redirect>),
    Answer(Option<FixedAnswer>),
}

/// Reads the three keys, of which a route has one.
pub(super) fn read(s: &mut Section<'_>) -> Option<Written> {
    let upstream = s.alternative(Turn::First, "upstream", &Name, "api", "Where its requests go.");
    let comment = "Instead of an upstream: where its clients are sent.";
    let redirect = s.alternative_section(Turn::Later, "redirect", comment, redirect);
    let comment = "Instead of an upstream: an answer that is always the same.";
    let answer = s.alternative_section(Turn::Later, "answer", comment, answer);
    s.exactly_one(
        &["upstream", "redirect", "answer"],
        "one of upstream: api, redirect: { to: https://www.example.com } or answer: { status: 404 }",
    );
    let redirect = redirect.map(Written::Redirect);
    upstream.map(Written::Upstream).or(redirect).or(answer.map(Written::Answer))
}

impl Written {
    /// What holds on its way where the route says nothing of it, as far as it is known.
    pub(super) fn retries(&self, known: &Known<'_>) -> Option<Retries> {
        let Self::Upstream(name) = self else { return None };
        let upstream = known.upstreams.iter().find(|upstream| upstream.value.name == name.value);
        upstream.map(|upstream| upstream.value.retries)
    }
}

fn redirect(s: &mut Section<'_>) -> Option<Redirect> {
    let comment = "A URL, or a path on the same host.";
    let to = s.required("to", &Destination, "https://www.example.com/docs", comment);
    let comment = "301, 302, 303, 307 or 308; with the last two the method stays.";
    let status = s.value("status", &Status::Redirect, http::StatusCode::PERMANENT_REDIRECT, comment).value;
    let keep_path = s.value("keep_path", &Switch, false, "Whether the path of the request follows.").value;
    let keep_query = s.value("keep_query", &Switch, false, "Whether its query does.").value;
    let to = to?;
    if (keep_path || keep_query) && to.value.contains(['?', '#']) {
        let problem =
            Problem::error(to.at, "what is kept of the request cannot follow a query or a fragment");
        s.tell(problem.expected("a URL without them, or neither keep_path nor keep_query"));
    }
    Some(Redirect { to: to.value, status, keep_path, keep_query, rewrite: None })
}

fn answer(s: &mut Section<'_>) -> Option<FixedAnswer> {
    let status = s.value("status", &Status::Answer, http::StatusCode::OK, "Its status.").value;
    let text = http::HeaderValue::from_static("text/plain; charset=utf-8");
    let content_type = s.value("content_type", &FieldText, text, "What its body is.").value;
    let body = s.value("body", &Words::Body, String::new(), "Its body.");
    if status == http::StatusCode::NO_CONTENT && !body.value.is_empty() {
        let problem = Problem::error(body.at, "an answer with status 204 has no body");
        s.tell(problem.expected("another status, or no `body`"));
        return None;
    }
    Some(FixedAnswer { status, content_type, body: Bytes::from(body.value) })
}

/// What it comes to, once the route's path is known.
pub(super) fn judged(
    s: &mut Section<'_>,
    written: Option<Written>,
    (matched, allow): (Option<&Matched>, &[Ambiguity]),
    known: &Known<'_>,
    (times, retries): (Times, Option<Retries>),
) -> Option<Served> {
    let at = s.at();
    let comment = "The path that the upstream is asked for; the query stays.";
    let rewrite = s.absent_section("rewrite", comment, |s| (s.at(), rewrite::section(s)));
    let (rewrite_at, rewrite) = rewrite.map_or((at, None), |(at, rewrite)| (at, rewrite));
    let path = matched.and_then(|matched| matched.path.as_ref());
    let rewrite =
        rewrite.zip(path).and_then(|(rewrite, path)| rewrite::judged(s, rewrite, &path.value, allow));
    let useless = |what| {
        let problem = Problem::error(rewrite_at, format!("`rewrite` is of no use {what}"));
        s.tell(problem.expected("an `upstream`, or a `redirect` with keep_path: true"));
    };
    match written? {
        Written::Upstream(name) => {
            let upstream = resolve(s, &name, known.upstreams)?;
            Some(Served::Upstream(Way { upstream, rewrite: rewrite.map(Box::new), times, retries }))
        }
        Written::Redirect(redirect) => {
            let redirect = redirect?;
            if rewrite.is_some() && !redirect.keep_path {
                useless("where the redirect does not keep the path");
            }
            Some(Served::Redirect(Box::new(Redirect { rewrite, ..redirect })))
        }
        Written::Answer(answer) => {
            if rewrite.is_some() {
                useless("where the answer is always the same");
            }
            Some(Served::Answer(Box::new(answer?)))
        }
    }
}

/// Tells which of these keys are there, each with its place, where no upstream could see what they do.
pub(super) fn without_upstream(s: &Section<'_>, served: Option<&Served>, keys: &[(&str, Option<Span>)]) {
    let what = match served {
        None | Some(Served::Upstream(_)) => return,
        Some(Served::Redirect(_)) => "a redirect",
        Some(Served::Answer(_)) => "an answer",
    };
    for (key, at) in keys {
        if let Some(at) = at {
            let message = format!("`{key}` is of no use on a route with {what}: nothing is forwarded");
            s.tell(Problem::error(*at, message).expected(format!("an `upstream`, or no `{key}`")));
        }
    }
}
