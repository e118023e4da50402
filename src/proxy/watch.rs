//! Credentials of what lasts: tunnels, answers that are still being sent or waited for, bodies that still come. Each is
//! held against the validation cache twice a second by the worker's tick, and what no longer stands there is validated
//! again, as a request would be; a client certificate also against the configuration, authorities and lists in force. One
//! that is found bad has fallen: whoever goes on by it is woken and ends.
//!
//! Costs a request nothing until it waits for long, or in the middle of something. What is found is a fact about now: the
//! rules of the route are those that the request began under.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::state::State;
use super::worker::Worker;
use crate::auth::refusal::Refusal;
use crate::authenticator::{Denied, Valid};
use crate::clock::Tick;
use crate::server::carrier::Carrier;
use crate::server::tls::Shown;

/// Ticks in which every credential is looked at once.
const TICKS: usize = 5;
/// How long an answer is waited for before its credential is watched: a request that is answered sooner costs nothing.
pub const BEGINS: Duration = Duration::from_millis(500);
/// How long one is gone on by that nobody can tell the state of: as long as a request would wait for its look-up.
const DOUBT: Duration = Duration::from_secs(5);

/// What was admitted, and by what it is judged again.
pub struct Admitted {
    /// Who asks.
    pub worker: Rc<Worker>,
    /// What it was admitted under.
    pub state: Rc<State>,
    /// Its route, by index.
    pub route: usize,
    /// Where its client is.
    pub client: std::net::IpAddr,
    /// The certificate that it was validated by, if it was by one.
    pub shown: Option<Rc<Shown>>,
    /// The validation.
    pub entry: Arc<Valid>,
}

/// One credential that is watched for as long as this lives.
pub struct Watch(Rc<Watched>);

struct Watched {
    admitted: Admitted,
    /// The newest validation.
    entry: RefCell<Arc<Valid>>,
    fallen: OnceCell<Refusal>,
    /// Whether it is being validated again.
    asking: Cell<bool>,
    in_doubt_since: Cell<Option<Tick>>,
    waker: RefCell<Option<Waker>>,
    /// What is to be cut where only that ends an answer that its client does not take.
    carrier: RefCell<Option<Carrier>>,
}

/// Everything that one worker watches.
#[derive(Default)]
pub struct Watches(RefCell<VecDeque<Weak<Watched>>>);

impl Watches {
    /// Begins to watch.
    pub fn begin(&self, admitted: Admitted) -> Watch {
        let watched = Rc::new(Watched {
            entry: RefCell::new(Arc::clone(&admitted.entry)),
            admitted,
            fallen: OnceCell::new(),
            asking: Cell::new(false),
            in_doubt_since: Cell::new(None),
            waker: RefCell::default(),
            carrier: RefCell::default(),
        });
        self.0.borrow_mut().push_back(Rc::downgrade(&watched));
        Watch(watched)
    }

    /// Looks at the next share. Called every tick of the worker, on its thread.
    pub fn tick(&self, worker: &Worker) {
        let mut all = self.0.borrow_mut();
        if all.is_empty() {
            return;
        }
        let (holds, mut lost) = (worker.front.standing(), Vec::new());
        for _ in 0..all.len().div_ceil(TICKS) {
            let Some(weak) = all.pop_front() else { break };
            let Some(watched) = weak.upgrade() else { continue };
            if watched.fallen.get().is_some() {
                continue;
            }
            if let Some(refusal) = watched.certificate_lost() {
                lost.push((watched, refusal));
                continue;
            }
            if !watched.asking.get() && !holds(&watched.entry.borrow()) {
                watched.asking.set(true);
                tokio::task::spawn_local(Rc::clone(&watched).ask_again());
            }
            all.push_back(weak);
        }
        drop(all);
        lost.into_iter().for_each(|(watched, refusal)| watched.fall(refusal));
    }
}

impl Watch {
    /// Ready once the credential has fallen; else the task is woken when it does.
    pub fn poll_fallen(&self, cx: &Context<'_>) -> Poll<Refusal> {
        if let Some(refusal) = self.0.fallen.get() {
            return Poll::Ready(refusal.clone());
        }
        let mut waker = self.0.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// When it falls, `carrier` is cut: for an answer that is not asked for more while its client takes nothing.
    pub fn cuts(&self, carrier: &Carrier) {
        self.0.carrier.borrow_mut().get_or_insert_with(|| carrier.clone());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It may be being validated: what it finds concerns nobody any more, least of all the connection's next request.
        self.0.carrier.borrow_mut().take();
        self.0.waker.borrow_mut().take();
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("fallen", &self.0.fallen.get()).finish_non_exhaustive()
    }
}

impl Watched {
    async fn ask_again(self: Rc<Self>) {
        let Admitted { worker, state, route, client, .. } = &self.admitted;
        let known = Arc::clone(&self.entry.borrow());
        let verdict = match worker.front.again(&known).await {
            Ok(entry) => {
                self.in_doubt_since.set(None);
                state.plan.decision.authorize(*route, entry.principal(), *client).map(|()| entry)
            }
            Err(Denied::Unavailable) if self.may_be_doubted() => Ok(known),
            Err(denied) => Err(denied.told(self.admitted.entry.principal().method)),
        };
        self.asking.set(false);
        match verdict {
            Ok(entry) => *self.entry.borrow_mut() = entry,
            Err(refusal) => self.fall(refusal),
        }
    }

    /// Why the certificate that it was validated by stands for its account no more.
    fn certificate_lost(&self) -> Option<Refusal> {
        let Admitted { worker, shown, entry, .. } = &self.admitted;
        let shown = shown.as_ref()?.now(worker.clock.now());
        worker.state().plan.decision.stands_by(shown, entry.digest()).err()
    }

    /// Whether it may be gone on by although nobody can tell its state: for a little while, and never past the bound
    /// within which what was good serves without the store.
    fn may_be_doubted(&self) -> bool {
        let worker = &self.admitted.worker;
        let now = worker.deadlines.coarse_now();
        let since = self.in_doubt_since.get().unwrap_or(now);
        self.in_doubt_since.set(Some(since));
        now.since(since) < DOUBT && !worker.front.serves_nothing()
    }

    fn fall(&self, refusal: Refusal) {
        // It falls once: nothing asks again after that.
        let _ = self.fallen.set(refusal);
        if let Some(carrier) = self.carrier.borrow_mut().take() {
            carrier.cut();
        }
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}
