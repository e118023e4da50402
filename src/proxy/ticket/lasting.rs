//! What ends a request that lasts before it is over: its limit of time, and its credential.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Ticket;
use crate::auth::refusal::Refusal;
use crate::proxy::certificate;
use crate::proxy::upstream::failure::Failure;
use crate::proxy::watch::{self, Admitted};

/// Bytes of an answer that may be sent before its credential is watched, where it does not pause.
const LONG: u64 = 256 * 1024;

impl Ticket {
    /// The limit for all of it, if there is one.
    pub fn limit_total(&mut self, total: Option<Duration>) {
        self.total = total.map(|total| {
            let timer = self.worker.deadlines.timer();
            timer.set(total);
            timer
        });
    }

    /// Ready once it has taken longer than all of it may.
    fn poll_total(&self, cx: &Context<'_>) -> Poll<()> {
        self.total.as_ref().map_or(Poll::Pending, |total| total.poll_fired(cx))
    }

    /// While its upstream is waited for: ready once it is given up.
    pub fn poll_given_up(&self, cx: &Context<'_>) -> Poll<Failure> {
        if self.poll_total(cx).is_ready() {
            return Poll::Ready(Failure::TotalTimeout);
        }
        // Whoever takes the body shares its count.
        let uploading = self.bytes_in.as_ref().is_some_and(|bytes| Rc::strong_count(bytes) > 1);
        let lasts = uploading || self.watch.get().is_some() || self.waits_long();
        if lasts { self.poll_fallen(cx).map(Failure::Fallen) } else { Poll::Pending }
    }

    /// Whether its answer is one that is waited for.
    fn waits_long(&self) -> bool {
        let now = self.worker.deadlines.coarse_now();
        self.asked_at.get().is_some_and(|asked| now.since(asked) >= watch::BEGINS)
    }

    /// While its answer is sent: ready once that is broken off.
    pub fn poll_broken_off(&self, cx: &Context<'_>) -> Poll<Failure> {
        if self.poll_total(cx).is_ready() {
            return Poll::Ready(Failure::TotalTimeout);
        }
        if self.watch.get().is_none() && self.bytes_out < LONG {
            return Poll::Pending;
        }
        self.watch_answer(cx).map(Failure::Fallen)
    }

    /// More of its answer is waited for.
    pub fn pauses(&self, cx: &Context<'_>) {
        // It cannot have fallen since it was asked.
        let _ = self.watch_answer(cx);
    }

    /// A part of its answer was handed over, and is perhaps all that its client takes: over HTTP/2 no more is asked for
    /// before it is sent.
    pub fn hands_over_part(&self, cx: &Context<'_>) {
        if self.carrier.is_stream() {
            self.pauses(cx);
        }
    }

    fn watch_answer(&self, cx: &Context<'_>) -> Poll<Refusal> {
        let fallen = self.poll_fallen(cx);
        if let Some(watch) = self.watch.get() {
            watch.cuts(&self.carrier);
        }
        fallen
    }

    /// Ready once its credential has ended; it is watched from the first call on. Without one it never is.
    pub fn poll_fallen(&self, cx: &Context<'_>) -> Poll<Refusal> {
        let (Some(entry), Some(route)) = (&self.entry, self.route) else { return Poll::Pending };
        let watch = self.watch.get_or_init(|| {
            self.worker.watches.begin(Admitted {
                worker: Rc::clone(&self.worker),
                state: Rc::clone(&self.state),
                route,
                client: self.client,
                shown: certificate::validated(entry, &self.carrier),
                entry: Arc::clone(entry),
            })
        });
        watch.poll_fallen(cx)
    }
}
