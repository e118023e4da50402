//! What is told of a request that is over: its counts and its line in the access log.

use std::time::Duration;

use super::Ticket;
use crate::auth::principal::Identity;
use crate::telemetry::access::AccessRecord;
use crate::telemetry::worker_metrics::{Finished, Outcome};

impl Ticket {
    pub(super) fn finish(&self) {
        let now = self.worker.clock.tick();
        let total = now.since(self.started);
        // A client that went away ended the wait for the upstream.
        let answered_at = self.answered_at.get().unwrap_or(now);
        let upstream = self.asked_at.get().map(|asked| answered_at.since(asked));
        // Until the answer began, less the time for which the upstream was waited for.
        let until_answer = answered_at.since(self.started);
        let own = until_answer.saturating_sub(upstream.unwrap_or_default());
        if !self.worker.log.is_off() {
            self.log(own, upstream);
        }
        let asked = self.way().map(|way| way.upstream).zip(upstream);
        self.state.metrics.count(&Finished {
            door: self.door,
            route: self.route,
            outcome: match self.code {
                Some(code) => Outcome::Refused(code),
                None if self.allowed => Outcome::Allowed,
                None => Outcome::Undecided,
            },
            request: total,
            own,
            upstream: asked,
        });
    }

    fn log(&self, own: Duration, upstream: Option<Duration>) {
        let principal = self.entry.as_deref().map(|entry| &entry.principal().identity);
        let identity = principal.or(self.whose.as_ref());
        let (account, credential) = match &self.caller {
            Some(caller) => (Some(&*caller.account), Some(&*caller.credential)),
            None => (identity.map(Identity::account), identity.map(Identity::credential)),
        };
        let uri_path = self.uri.path().as_bytes();
        self.worker.log.push(&AccessRecord {
            time: self.time,
            request_id: self.request_id.as_str(),
            door: self.door,
            route: self.route.and_then(|route| self.state.route_name(route)),
            method: Some(self.method.as_str()),
            path: Some(self.canonical_path.as_deref().map_or(uri_path, str::as_bytes)),
            status: self.status,
            code: self.code,
            account,
            credential,
            client: Some(self.client),
            bytes_in: self.bytes_in.as_ref().map_or(0, |bytes| bytes.get()),
            bytes_out: self.bytes_out,
            own,
            upstream,
        });
    }
}
