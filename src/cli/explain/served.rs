//! By whom a request that passes is answered.

use http::Method;
use http::header::LOCATION;

use super::Story;
use crate::config::{Route, Served};
use crate::proxy::here;
use crate::proxy::plan::Plan;

/// Tells the upstream, or what Keyward answers itself.
pub(super) fn tell(
    plan: &Plan,
    route: &Route,
    (path, query): (&str, Option<&str>),
    method: &Method,
    story: &mut Story,
) {
    match &route.served {
        Served::Upstream(way) => {
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
