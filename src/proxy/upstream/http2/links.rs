//! The connections of one worker to one endpoint, and who gets a place on which.

use std::cell::{Cell, RefCell};
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
use crate::proxy::upstream::connections::{Connections, Place, Waiting};
use crate::proxy::upstream::failure::Failure;
use crate::proxy::upstream::fleet::Member;
use crate::server::deadline::Deadlines;
use crate::server::tls::Connector;

/// How long one is put aside at most, for requests on it to end.
const ASIDE: Duration = Duration::from_secs(1);
/// How long none is put aside after one did not fall idle.
const KEPT: Duration = Duration::from_secs(10);
/// How often a connection is made that is of no use.
const OPENINGS_MAX: u8 = 3;

/// Making a connection; all requests that need one wait for the same. When none of them is left it is given up.
type Opening = LocalBoxFuture<'static, Result<(), Unopened>>;

/// The connections to an endpoint.
#[derive(Debug)]
pub struct Links {
    member: Arc<Member>,
    connector: Option<Connector>,
    /// How many there may be, of all workers, where that is bounded.
    bound: Option<Arc<Connections>>,
    /// How many requests wait for one more here.
    waiting: Cell<usize>,
    /// One that begins no requests for a while, and is ended if it falls idle meanwhile, so that others get its place.
    aside: RefCell<Option<(Rc<Link>, Tick)>>,
    /// Until when none is put aside again.
    kept_until: Cell<Tick>,
    deadlines: Rc<Deadlines>,
    /// Those that begin requests.
    live: Rc<RefCell<Vec<Rc<Link>>>>,
    opening: RefCell<Option<WeakShared<Opening>>>,
    /// Told whenever there may be a place.
    freed: Rc<Notify>,
}

impl Links {
    pub(in crate::proxy::upstream) fn new(
        (member, connector): (Arc<Member>, Option<Connector>),
        bound: Option<Arc<Connections>>,
        deadlines: Rc<Deadlines>,
    ) -> Self {
        let (live, opening, freed) = (Rc::default(), RefCell::default(), Rc::default());
        let (waiting, aside, kept_until) = (Cell::new(0), RefCell::default(), Cell::new(Tick(0)));
        Self { member, connector, bound, waiting, aside, kept_until, deadlines, live, opening, freed }
    }

    /// Whether a request would have to wait for no other.
    pub(in crate::proxy::upstream) fn have_room(&self) -> bool {
        let bounded = self.bound.as_ref().is_some_and(|bound| !bound.has_room());
        !bounded || self.live.borrow().iter().any(|link| link.room().is_some_and(|room| room > 0))
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
        let mut leave = pin!(self.leave());
        let (mut opening, mut place, mut waits) = (None, None, None);
        loop {
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if let Some(seat) = self.free() {
                return Ok(seat);
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(self.too_late(waits.is_some()));
            }
            let next = opening.map_or_else(|| self.opening(within, &mut place), Next::Opens);
            opening = None;
            match next {
                Next::Opens(mut under_way) => tokio::select! {
                    biased;
                    opened = &mut under_way => opened?,
                    () = freed => opening = Some(under_way),
                    () = &mut late => return Err(self.too_late(false)),
                },
                Next::Bounded => {
                    if waits.is_none() {
                        waits = Some(self.joins()?);
                    }
                    tokio::select! {
                        biased;
                        () = freed => {}
                        given = &mut leave => {
                            place = given?;
                            leave.set(self.leave());
                        }
                        () = &mut late => return Err(self.too_late(true)),
                    }
                }
                Next::Full => tokio::select! {
                    () = freed => {}
                    () = &mut late => return Err(self.too_late(false)),
                },
            }
        }
    }

    /// A place for one more connection, in its turn; only where that is bounded.
    async fn leave(&self) -> Result<Option<Place>, Failure> {
        match &self.bound {
            Some(bound) => bound.place().await.map(Some),
            None => std::future::pending().await,
        }
    }

    /// Waits for such a place, here and among all workers.
    fn joins(&self) -> Result<(Here<'_>, Option<Waiting<'_>>), Failure> {
        let waiting = self.bound.as_ref().map(|bound| bound.wait()).transpose()?;
        self.waiting.set(self.waiting.get() + 1);
        Ok((Here(&self.waiting), waiting))
    }

    /// Why there was no place in time. The time of who waits and that of making a connection may end together.
    fn too_late(&self, bounded: bool) -> Failure {
        if bounded {
            return Failure::Saturated;
        }
        if self.live.borrow().is_empty() { Failure::ConnectTimeout } else { Failure::Full }
    }

    /// A place on the first connection that has one, so that those that are not needed fall idle.
    fn free(&self) -> Option<Seat> {
        let mut live = self.live.borrow_mut();
        live.retain(|link| link.room().is_some());
        let link = live.iter().find(|link| link.room().is_some_and(|room| room > 0))?;
        Some(Seat::take(link, &self.freed))
    }

    /// The connection that is being made, or a new one, if there may be one more; in this `place`, if it has one.
    fn opening(&self, within: Duration, place: &mut Option<Place>) -> Next {
        let mut slot = self.opening.borrow_mut();
        let under_way = slot.as_ref().and_then(WeakShared::upgrade);
        if let Some(opening) = under_way.filter(|opening| opening.peek().is_none()) {
            return Next::Opens(opening);
        }
        let live = self.live.borrow();
        // One that allows nothing for now says what a further one would say too.
        if live.len() >= LINKS_MAX || live.iter().any(|link| !link.allows_any()) {
            return Next::Full;
        }
        let place = match &self.bound {
            None => None,
            Some(bound) => match place.take().or_else(|| bound.try_place()) {
                Some(place) => Some(place),
                None => return Next::Bounded,
            },
        };
        let opening = self.open(within, place).shared();
        *slot = opening.downgrade();
        Next::Opens(opening)
    }

    fn open(&self, within: Duration, mut place: Option<Place>) -> Opening {
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
                    let place = place.take();
                    let link_of = Rc::clone(&link);
                    let driver = Driver { connection, link: link_of, freed, room: Some(room), _place: place };
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
        let aside = self.aside.take().map(|(link, _)| link);
        self.live.borrow_mut().drain(..).chain(aside).for_each(|link| link.retire());
    }

    /// Closes connections that nobody needed for `after`. Where other workers wait for one, one may be theirs.
    pub(in crate::proxy::upstream) fn sweep(&self, now: Tick, after: Duration) {
        let wanted = self.bound.as_ref().is_some_and(|bound| bound.waiting() > self.waiting.get());
        match self.aside.take() {
            Some((link, since)) => self.decide(link, since, wanted, now),
            None if wanted && now >= self.kept_until.get() => self.put_aside(now),
            None => {}
        }
        self.live.borrow_mut().retain(|link| {
            let kept = link.room().is_some() && !link.is_idle(now, after);
            if !kept {
                link.retire();
            }
            kept
        });
    }

    /// The one with the fewest requests is the first to be over. One at a time: more would leave too few for those here.
    fn put_aside(&self, now: Tick) {
        let mut live = self.live.borrow_mut();
        let fewest = live.iter().enumerate().min_by_key(|(_, link)| link.active());
        let Some(index) = fewest.map(|(index, _)| index) else { return };
        let link = live.swap_remove(index);
        drop(live);
        self.decide(link, now, true, now);
    }

    /// What becomes of one that was put aside. A request that lasts must not take it from those that come here.
    fn decide(&self, link: Rc<Link>, since: Tick, wanted: bool, now: Tick) {
        if wanted && link.active() == 0 {
            return link.retire();
        }
        if wanted && now.since(since) < ASIDE {
            *self.aside.borrow_mut() = Some((link, since));
            return;
        }
        self.kept_until.set(now.after(KEPT));
        self.live.borrow_mut().push(link);
        self.freed.notify_waiters();
    }
}

/// What a request that needs a connection waits for.
enum Next {
    /// That one is made.
    Opens(Shared<Opening>),
    /// Leave to make one: of all workers there are as many as may be.
    Bounded,
    /// Room on those that there are.
    Full,
}

/// A request that waits here, until it is given up.
struct Here<'a>(&'a Cell<usize>);

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.retire();
    }
}
