//! The connections of one worker to one endpoint, and who gets a place on which.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, Shared, WeakShared};
use tokio::sync::Notify;

use super::LINKS_MAX;
use super::link::{Driver, Link, Seat};
use super::opening::{self, Unopened};
use crate::clock::Tick;
use crate::proxy::upstream::failure::Failure;
use crate::proxy::upstream::fleet::Member;
use crate::server::deadline::Deadlines;
use crate::server::tls::Connector;

/// How often a connection is made that is of no use.
const OPENINGS_MAX: u8 = 3;

/// Making a connection; all requests that need one wait for the same. When none of them is left it is given up.
type Opening = LocalBoxFuture<'static, Result<(), Unopened>>;

/// The connections to an endpoint.
#[derive(Debug)]
pub struct Links {
    member: Arc<Member>,
    connector: Option<Connector>,
    deadlines: Rc<Deadlines>,
    /// Those that begin requests.
    live: Rc<RefCell<Vec<Rc<Link>>>>,
    opening: RefCell<Option<WeakShared<Opening>>>,
    /// Told whenever there may be a place.
    freed: Rc<Notify>,
}

impl Links {
    pub(in crate::proxy::upstream) fn new(
        member: Arc<Member>,
        connector: Option<Connector>,
        deadlines: Rc<Deadlines>,
    ) -> Self {
        let (live, opening, freed) = (Rc::default(), RefCell::default(), Rc::default());
        Self { member, connector, deadlines, live, opening, freed }
    }

    /// A place for a request, on a connection that is there, on a new one, or on whichever has one first.
    pub(super) async fn seat(&self, within: Duration) -> Result<Seat, Failure> {
        match self.free() {
            Some(seat) => Ok(seat),
            None => Box::pin(self.wait(within)).await,
        }
    }

    async fn wait(&self, within: Duration) -> Result<Seat, Failure> {
        let deadline = tokio::time::Instant::now() + within;
        let mut late = pin!(tokio::time::sleep_until(deadline));
        let mut opening = None;
        loop {
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if let Some(seat) = self.free() {
                return Ok(seat);
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(self.too_late());
            }
            opening = opening.or_else(|| self.opening(within));
            let opened = match &mut opening {
                Some(under_way) => tokio::select! {
                    biased;
                    opened = under_way => Some(opened?),
                    () = freed => None,
                    () = &mut late => return Err(self.too_late()),
                },
                None => tokio::select! {
                    () = freed => None,
                    () = &mut late => return Err(self.too_late()),
                },
            };
            if opened.is_some() {
                opening = None;
            }
        }
    }

    /// Why there was no place in time. The time of who waits and that of making a connection may end together.
    fn too_late(&self) -> Failure {
        if self.live.borrow().is_empty() { Failure::ConnectTimeout } else { Failure::Full }
    }

    /// A place on the first connection that has one, so that those that are not needed fall idle.
    fn free(&self) -> Option<Seat> {
        let mut live = self.live.borrow_mut();
        live.retain(|link| link.room().is_some());
        let link = live.iter().find(|link| link.room().is_some_and(|room| room > 0))?;
        Some(Seat::take(link, &self.freed))
    }

    /// The connection that is being made, or a new one, if there may be one more.
    fn opening(&self, within: Duration) -> Option<Shared<Opening>> {
        let mut slot = self.opening.borrow_mut();
        let under_way = slot.as_ref().and_then(WeakShared::upgrade);
        if let Some(opening) = under_way.filter(|opening| opening.peek().is_none()) {
            return Some(opening);
        }
        let live = self.live.borrow();
        // One that allows nothing for now says what a further one would say too.
        if live.len() >= LINKS_MAX || live.iter().any(|link| !link.allows_any()) {
            return None;
        }
        let opening = self.open(within).shared();
        *slot = opening.downgrade();
        Some(opening)
    }

    fn open(&self, within: Duration) -> Opening {
        let (member, connector) = (Arc::clone(&self.member), self.connector.clone());
        let deadlines = Rc::clone(&self.deadlines);
        let (live, freed) = (Rc::clone(&self.live), Rc::clone(&self.freed));
        async move {
            for _ in 0..OPENINGS_MAX {
                let (requests, connection, pulse) =
                    opening::open(&member, connector.as_ref(), within, &deadlines).await?;
                let link = Rc::new(Link::new(requests, pulse, deadlines.timer()));
                // One that goes away as soon as it has come is no use, but the next may be.
                if let Some(room) = link.room() {
                    let driver = Driver { connection, link: Rc::clone(&link), freed, room: Some(room) };
                    tokio::task::spawn_local(driver);
                    live.borrow_mut().push(link);
                    return Ok(());
                }
            }
            Err(Unopened::Handshake(None))
        }
        .boxed_local()
    }

    /// Begins no more requests on those that there are. Their tasks end them when their last request has ended.
    pub(in crate::proxy::upstream) fn retire(&self) {
        self.live.borrow_mut().drain(..).for_each(|link| link.retire());
    }

    /// Closes connections that nobody needed for `after`.
    pub(in crate::proxy::upstream) fn sweep(&self, now: Tick, after: Duration) {
        self.live.borrow_mut().retain(|link| {
            let kept = link.room().is_some() && !link.is_idle(now, after);
            if !kept {
                link.retire();
            }
            kept
        });
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.retire();
    }
}
