//! The connections of HTTP/1.1 of one worker to one endpoint that nobody uses, and who waits for one of them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::connections::{Connections, Place};
use super::failure::Failure;
use super::wire::{Look, Wire};
use crate::clock::Tick;

/// The most unused connections that one worker keeps to one endpoint.
const IDLE_MAX: usize = 1024;

/// What a request can be sent by.
pub(super) enum Found {
    /// A connection that is there.
    Wire(Wire),
    /// Leave to make one, with its place where they are counted.
    Leave(Option<Place>),
}

impl Found {
    /// In place of a connection that its server has closed, leave to make another.
    fn if_quiet(self, look: Look) -> Self {
        let Self::Wire(mut wire) = self else { return self };
        if wire.is_quiet(look) { Self::Wire(wire) } else { Self::Leave(wire.place.take()) }
    }
}

/// The connections that nobody uses.
#[derive(Debug)]
pub(super) struct Idle {
    wires: RefCell<Vec<Wire>>,
    /// How many connections there may be, where that is bounded.
    bound: Option<Arc<Connections>>,
    /// Who waits for one of this worker's.
    waiting: RefCell<VecDeque<oneshot::Sender<Wire>>>,
    /// Whether the next one that comes back is for others, whoever waits here.
    yields: Cell<bool>,
}

impl Idle {
    pub(super) fn new(bound: Option<Arc<Connections>>) -> Self {
        Self { wires: RefCell::default(), bound, waiting: RefCell::default(), yields: Cell::new(false) }
    }

    /// Whether its connections are those that this bounds.
    pub(super) fn is_bounded_by(&self, bound: Option<&Arc<Connections>>) -> bool {
        self.bound.as_ref().map(Arc::as_ptr) == bound.map(Arc::as_ptr)
    }

    /// Whether a request would have to wait for no other.
    pub(super) fn has_room(&self) -> bool {
        let Some(bound) = &self.bound else { return true };
        !self.wires.borrow().is_empty() || bound.has_room()
    }

    /// A connection that is there, the one that was used last, or leave to make one, within this time. Where it has to be a
    /// `new` one, it is that in any case.
    pub(super) async fn find(&self, look: Look, new: bool, within: Duration) -> Result<Found, Failure> {
        if let Some(bound) = &self.bound {
            return Box::pin(self.find_bounded(bound, look, new, within)).await;
        }
        let found = if new { None } else { self.checkout(look) };
        Ok(found.map_or(Found::Leave(None), Found::Wire))
    }

    async fn find_bounded(
        &self,
        bound: &Connections,
        look: Look,
        new: bool,
        within: Duration,
    ) -> Result<Found, Failure> {
        // Where somebody waits there is none of either: what comes back, and a place that gets free, is given to him.
        let found = if new { None } else { self.checkout(look) };
        if let Some(wire) = found {
            return Ok(Found::Wire(wire));
        }
        let place = bound.try_place().or_else(|| {
            // One that nobody uses makes room for it.
            drop(self.wires.borrow_mut().pop()?);
            bound.try_place()
        });
        if let Some(place) = place {
            return Ok(Found::Leave(Some(place)));
        }
        let _waits = bound.wait()?;
        let (sender, mut given) = oneshot::channel();
        if !new {
            self.waiting.borrow_mut().push_back(sender);
        }
        let waiting = async {
            tokio::select! {
                biased;
                Ok(wire) = &mut given => Ok(Found::Wire(wire)),
                place = bound.place() => Ok(Found::Leave(Some(place?))),
            }
        };
        let found = tokio::time::timeout(within, waiting).await.unwrap_or(Err(Failure::Saturated));
        given.close();
        let found = match given.try_recv() {
            // Given at the last moment.
            Ok(wire) => Ok(Found::Wire(wire)),
            Err(_) => found,
        };
        found.map(|found| found.if_quiet(look))
    }

    /// The connection that was used last, if one is still good.
    pub(super) fn checkout(&self, look: Look) -> Option<Wire> {
        loop {
            let mut wire = self.wires.borrow_mut().pop()?;
            if wire.is_quiet(look) {
                return Some(wire);
            }
        }
    }

    /// How many wait here.
    fn here(&self) -> usize {
        let mut waiting = self.waiting.borrow_mut();
        waiting.retain(|sender| !sender.is_closed());
        waiting.len()
    }

    /// How many wait elsewhere.
    fn elsewhere(&self) -> usize {
        self.bound.as_ref().map_or(0, |bound| bound.waiting().saturating_sub(self.here()))
    }

    /// Keeps a connection for the next request, or has the one that waits longest have it.
    pub(super) fn keep(&self, wire: Wire) {
        if self.bound.is_some() {
            return self.keep_bounded(wire);
        }
        let mut wires = self.wires.borrow_mut();
        if wires.len() < IDLE_MAX {
            wires.push(wire);
        }
    }

    fn keep_bounded(&self, wire: Wire) {
        let (here, elsewhere) = (self.here(), self.elsewhere());
        if elsewhere > 0 && (here == 0 || self.yields.take()) {
            return;
        }
        let mut wire = wire;
        loop {
            let Some(next) = self.waiting.borrow_mut().pop_front() else { break };
            match next.send(wire) {
                Ok(()) => return,
                Err(back) => wire = back,
            }
        }
        self.wires.borrow_mut().push(wire);
    }

    /// Closes those that the other side closed, that nobody needed for `after`, or that others wait for.
    pub(super) fn sweep(&self, now: Tick, after: Duration) {
        let elsewhere = self.elsewhere();
        let mut wires = self.wires.borrow_mut();
        wires.retain_mut(|wire| now.since(wire.idle_since) < after && wire.is_quiet(Look::Known));
        let left = wires.len().saturating_sub(elsewhere);
        wires.truncate(left);
        self.yields.set(elsewhere > 0);
    }

    /// Closes all of them.
    pub(super) fn clear(&self) {
        self.wires.borrow_mut().clear();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::config::UpstreamMax;
    use crate::server::deadline::Deadlines;

    const MOMENT: Duration = Duration::from_secs(10);

    /// The idle connections of one worker, where there may be one, and that one, with the other end of it.
    async fn bed() -> (Idle, Arc<Connections>, Wire, TcpStream) {
        let max = UpstreamMax { in_flight: None, connections: Some(1), pending: 10 };
        let bound = Connections::of(max, None).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let other = listener.accept().await.unwrap().0;
        let mut wire = Wire::new(stream.into(), Deadlines::new(Clock::manual(Timestamp(0))).timer());
        wire.place = bound.try_place();
        (Idle::new(Some(Arc::clone(&bound))), bound, wire, other)
    }

    #[tokio::test]
    async fn a_connection_that_only_others_wait_for_is_not_kept() {
        let (idle, bound, wire, _other) = bed().await;
        let elsewhere = bound.wait().ok();
        idle.keep(wire);
        assert!(idle.checkout(Look::Known).is_none() && bound.has_room());
        drop(elsewhere);
    }

    #[tokio::test]
    async fn a_connection_that_others_wait_for_since_the_last_tick_is_theirs_whoever_waits_here() {
        for ticks in [false, true] {
            let (idle, bound, wire, _other) = bed().await;
            let mut here = pin!(idle.find(Look::Known, false, MOMENT));
            assert!(here.as_mut().now_or_never().is_none());
            let _elsewhere = bound.wait().ok();
            if ticks {
                idle.sweep(Tick(0), MOMENT);
            }
            idle.keep(wire);
            let found = here.await;
            assert!(found.is_ok());
            assert_eq!(matches!(found, Ok(Found::Leave(Some(_)))), ticks);
        }
    }

    #[tokio::test]
    async fn who_comes_later_does_not_get_before_those_that_wait() {
        let (idle, bound, wire, _other) = bed().await;
        let mut first = pin!(idle.find(Look::Known, false, MOMENT));
        assert!(first.as_mut().now_or_never().is_none());
        idle.keep(wire);
        let mut second = pin!(idle.find(Look::Known, false, MOMENT));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(matches!(first.await, Ok(Found::Wire(_))));
        // The first one was dropped with its connection.
        assert!(matches!(second.await, Ok(Found::Leave(Some(_)))));
        assert_eq!(bound.waiting(), 0);
    }
}
