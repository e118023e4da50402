//! By whom a request that passes is answered.

use http::Method;
use http::header::LOCATION;

use super::Story;
use crate::config::{Extras, FieldChanges, Route, Served};
use crate::proxy::here;
use crate::proxy::plan::Plan;

/// Tells the upstream, or what Keyward answers itself.
pub(super) fn tell(
    plan: &Plan,
    (route, condition): (&Route, Option<usize>),
    (path, query): (&str, Option<&str>),
    method: &Method,
    story: &mut Story,
) {
    if let Some(extras) = &route.extras {
        tell_extras(extras, story);
    }
    if let Some(condition) = condition {
        story.tell("condition", format!("number {} of the route holds", condition + 1));
    }
    match &route.served {
        Served::Upstream(base) => {
            let way = route.way(condition).unwrap_or(base);
            let upstream = plan.config.upstreams.get(way.upstream).map_or("", |upstream| &*upstream.name);
            story.tell("upstream", upstream);
            let all = plan.config.timeouts.of_requests();
            if way.times != all || route.max_body != plan.config.max.body {
                story.tell("upstream", "the route has limits of time or size of its own");
            }
        }
        Served::Redirect(redirect) => {
            let answer = here::redirect(redirect, path, query);
            let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
            story.tell("answer", format!("{} to {to}", redirect.status.as_u16()));
        }
        Served::Answer(fixed) => {
            let bytes = here::fixed(fixed, method).into_body().len();
            story.tell("answer", format!("always the same: {}, {bytes} bytes", fixed.status.as_u16()));
        }
    }
}

fn tell_extras(extras: &Extras, story: &mut Story) {
    let changes = [("request", &extras.request_fields), ("answer", &extras.response_fields)];
    for (of, changes) in changes {
        let what = described(changes);
        if !what.is_empty() {
            story.tell("fields", format!("of the {of}: {what}"));
        }
    }
    if extras.cors.is_some() {
        story.tell("cors", "answers and refusals say which pages of other origins may read them");
    }
    if !extras.errors.is_empty() {
        story.tell("errors", "some refusals of this route have bodies of its own");
    }
}

fn described(changes: &FieldChanges) -> String {
    let set = changes.set.iter().map(|(name, _)| format!("sets {name}"));
    set.chain(changes.remove.iter().map(|name| format!("removes {name}"))).collect::<Vec<_>>().join(", ")
}
