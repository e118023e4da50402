//! What accounts may, over the wire: exactly counted, told to who asks, and the same over all workers and credentials.

mod counting;
mod failures;
mod forms;
mod own;
mod plans;
mod telling;

use std::time::Duration;

use keyward::clock::{Clock, Timestamp};

use crate::support::gateway::Gateway;
use crate::support::upstream::{Answer, Upstream};

/// 2027-01-15T08:00:00Z: sixteen hours before midnight.
const START: Timestamp = Timestamp(1_800_000_000_000);

const PUBLIC_TOO: &str = "scopes:
  \"keyward:account\": { description: Everything, default: true }
  \"orders:read\": { description: Read, default: true }
  \"orders:write\": { description: Write, default: true }
routes:
  - name: all
    match: { path_prefix: / }
    upstream: api
  - name: heavy
    match: { path_prefix: /heavy }
    upstream: api
    limits: { cost: 10 }
  - name: narrow
    match: { path_prefix: /narrow }
    upstream: api
    limits: { per_minute: 2 }
  - name: open
    match: { path_prefix: /open }
    auth: optional
    upstream: api
";

/// A gateway whose clock stands.
struct Scene {
    gateway: Gateway,
    upstream: Upstream,
    clock: Clock,
}

impl Scene {
    async fn new(limits: &str) -> Self {
        Self::before(
            Upstream::always(Answer::new(200).header("RateLimit", "\"theirs\";r=1;t=1").body("ok")).await,
            limits,
        )
        .await
    }

    async fn before(upstream: Upstream, limits: &str) -> Self {
        let clock = Clock::manual(START);
        let yaml = format!("limits: {limits}\n{PUBLIC_TOO}");
        let builder = Gateway::builder().upstream("api", &upstream.url()).clock(&clock);
        Self { gateway: builder.workers(2).yaml(&yaml).start().await, upstream, clock }
    }

    /// Time passes, in steps that the gateway hears of its store between.
    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}
