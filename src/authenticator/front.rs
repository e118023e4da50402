//! A worker's side of validation: its own table before the shared caches, and the question when neither knows.
//!
//! A hit takes no lock, does no I/O and does not suspend.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::contact::Reach;
use super::entry::{Denied, Loaded, Refused, Standing, Valid, Verdict, View};
use super::loader::Ask;
use super::lookup::{Landed, Unanswered};
use super::question::{Finds, Question};
use super::shared::Shared;
use super::stats::{Layer, Outcome, Tally};
use super::table::Table;
use super::uses::{Notes, second};
use crate::auth::principal::Identity;
use crate::auth::token::HashedToken;
use crate::clock::{Tick, Timestamp};
use crate::limits;

/// How long a request waits for a look-up. Longer than a look-up may take, so that its own answer comes first.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// Questions, when changes keep overtaking the answers.
const TRIES: usize = 4;

/// One worker's front; stays on its thread.
#[derive(Debug)]
pub struct Front {
    table: RefCell<Table>,
    tally: Tally,
    asks: mpsc::Sender<Ask>,
    uses: Notes,
    shared: Arc<Shared>,
}

impl Front {
    pub(super) fn new(shared: Arc<Shared>, asks: mpsc::Sender<Ask>, uses: Notes) -> Self {
        let table = Table::new(shared.caches.load().terms.capacity);
        Self { table: RefCell::new(table), tally: Tally::default(), asks, uses, shared }
    }

    /// What is known of `digest` at `now` and `wall`; `None` when it takes [`load`](Self::load) to tell.
    #[must_use]
    pub fn cached(&self, digest: &HashedToken, now: Tick, wall: Timestamp) -> Option<Verdict> {
        let view = self.shared.view(now, wall);
        if view.reach == Reach::Nothing {
            return Some(Err(Denied::Unavailable));
        }
        self.own(digest, view).or_else(|| self.shared_caches(digest, view))
    }

    /// Whether `word`, which is neither ours by its prefix nor a token, may be a key that was imported.
    #[must_use]
    pub fn may_be_imported(&self, word: &str) -> bool {
        self.shared.forms.fit(word)
    }

    /// What [`load`](Self::load) is asked about `word`, a key that may be imported.
    #[must_use]
    pub fn imported(&self, digest: HashedToken, word: &str) -> Question {
        if self.shared.forms.may_be_guessed(word) {
            Question::guessable_key(digest)
        } else {
            Question::key(digest)
        }
    }

    /// What [`load`](Self::load) is asked about an access token that nothing is known of. All that costs no signature
    /// check and no look-up is judged here.
    ///
    /// # Errors
    /// When it cannot be one of ours, or nobody can tell for want of the keys.
    pub fn question(&self, digest: HashedToken, token: &str, wall: Timestamp) -> Result<Question, Denied> {
        self.shared.question(digest, token, wall)
    }

    /// Asks the store, together with whoever else asks about the same credential. When it does not answer, what is held
    /// serves if it may.
    pub async fn load(&self, question: Question) -> Verdict {
        let digest = question.digest;
        for _ in 0..TRIES {
            let Ok(loaded) = self.ask(question.clone()).await else { break };
            if let Some(verdict) = self.take(&loaded) {
                return verdict;
            }
        }
        let clock = &self.shared.clock;
        self.cached(&digest, clock.tick(), clock.now()).unwrap_or(Err(Denied::Unavailable))
    }

    /// Tells of each of many validations whether it still holds, all at this moment and without asking anybody. One that
    /// does not may be good all the same: [`again`](Self::again) tells.
    pub fn standing(&self) -> impl Fn(&Valid) -> bool {
        let view = self.shared.view(self.shared.clock.tick(), self.shared.clock.now());
        move |entry| match entry.standing(&self.shared.marks, &view) {
            _ if view.reach == Reach::Nothing => false,
            Standing::Fresh | Standing::Ageing => true,
            Standing::Old => view.reach == (Reach::Held { stale: true }),
            Standing::Expired { .. } | Standing::Changed => false,
        }
    }

    /// Whether the store was away for so long that nothing is served any more.
    #[must_use]
    pub fn serves_nothing(&self) -> bool {
        self.shared.contact.reach(self.shared.clock.tick()) == Reach::Nothing
    }

    /// What accounts have used of their limits.
    #[must_use]
    pub fn accounts(&self) -> &limits::Table {
        &self.shared.accounts
    }

    /// How often addresses sent what is not valid.
    #[must_use]
    pub fn failures(&self) -> &limits::Failures {
        &self.shared.failures
    }

    /// Whether what is asked about is no junk: there is such a key, or it was good lately.
    #[must_use]
    pub fn is_known(&self, question: &Question) -> bool {
        match question.finds {
            Finds::Key => self.shared.roll.may_have(&question.digest),
            // Nobody can guess one, and the accounts that it may stand for are few.
            Finds::Certificate(_) => true,
            Finds::GuessableKey | Finds::Token(_) | Finds::Session(_) => {
                self.shared.lately.has(&question.digest)
            }
        }
    }

    /// Validates once more what a validation was about, as a request would.
    pub async fn again(&self, entry: &Valid) -> Verdict {
        let clock = &self.shared.clock;
        match self.cached(entry.digest(), clock.tick(), clock.now()) {
            Some(verdict) => verdict,
            None => self.load(entry.question()).await,
        }
    }

    /// Whose a credential is that was refused just now, for the log: what a secret stands for never changes, so what is
    /// held of it is right however old it is.
    #[must_use]
    pub fn whose(&self, digest: &HashedToken) -> Option<Identity> {
        let caches = self.shared.caches.load();
        match caches.refused(digest) {
            Some(denial) => denial.whose().cloned(),
            None => caches.valid(digest).map(|entry| entry.principal().identity.clone()),
        }
    }

    /// Adds this worker's counts up, hands over which keys were used, and drops a few entries that can serve no more. For the worker's tick.
    pub fn flush(&self) {
        self.tally.flush(&self.shared.totals);
        self.uses.hand_over();
        let view = self.shared.view(self.shared.clock.tick(), self.shared.clock.now());
        let kept = self.shared.caches.load().terms.stale_while_unavailable;
        self.table.borrow_mut().clean_some(|entry| entry.is_waste(&self.shared.marks, &view, kept));
    }

    #[inline]
    fn own(&self, digest: &HashedToken, view: View) -> Option<Verdict> {
        let verdict = self.table.borrow().get(digest).and_then(|entry| self.rule(entry, view, Layer::Front));
        if verdict.is_none() {
            self.tally.count(Layer::Front, Outcome::Miss);
        }
        verdict
    }

    fn shared_caches(&self, digest: &HashedToken, view: View) -> Option<Verdict> {
        let caches = self.shared.caches.load();
        if let Some(entry) = caches.valid(digest)
            && let Some(verdict) = self.rule(&entry, view, Layer::Positive)
        {
            if verdict.is_ok() {
                self.table.borrow_mut().insert(entry);
            }
            return Some(verdict);
        }
        self.tally.count(Layer::Positive, Outcome::Miss);
        let denial = caches.refused(digest);
        if let Some(refused) = denial.and_then(|entry| entry.refused(&self.shared.marks, &view)) {
            self.tally.count(Layer::Negative, Outcome::Hit);
            return Some(Err(Denied::Refused(refused)));
        }
        self.tally.count(Layer::Negative, Outcome::Miss);
        // The feed knows that the store is gone: waiting for it would only hold requests up.
        (!view.reach.store_answers()).then_some(Err(Denied::Unavailable))
    }

    /// What a held entry says; `None` when it says nothing any more.
    #[inline]
    fn rule(&self, entry: &Arc<Valid>, view: View, layer: Layer) -> Option<Verdict> {
        let store_answers = view.reach.store_answers();
        let (verdict, outcome) = match entry.standing(&self.shared.marks, &view) {
            Standing::Fresh => (Ok(Arc::clone(entry)), Outcome::Hit),
            Standing::Ageing => {
                if store_answers && entry.claim_refresh() {
                    self.ask_refresh(entry);
                }
                (Ok(Arc::clone(entry)), Outcome::Hit)
            }
            Standing::Old if view.reach == (Reach::Held { stale: true }) => {
                (Ok(Arc::clone(entry)), Outcome::Stale)
            }
            Standing::Expired { old: false } if store_answers => {
                let at = entry.principal().expires_at;
                (Err(Denied::Refused(Refused::Expired { at })), Outcome::Hit)
            }
            Standing::Old | Standing::Expired { .. } | Standing::Changed => return None,
        };
        if verdict.is_ok() {
            self.note_use(entry, view.wall);
        }
        self.tally.count(layer, outcome);
        Some(verdict)
    }

    /// Most often all there is to it is one comparison.
    #[inline]
    fn note_use(&self, entry: &Arc<Valid>, wall: Timestamp) {
        if !entry.is_noted(second(wall)) {
            self.uses.note(entry, wall);
        }
    }

    #[cold]
    fn ask_refresh(&self, entry: &Arc<Valid>) {
        if self.asks.try_send(Ask::Refresh(Arc::clone(entry))).is_err() {
            entry.release_refresh();
        }
    }

    async fn ask(&self, question: Question) -> Landed {
        let (reply, answer) = oneshot::channel();
        self.asks.try_send(Ask::Load { question, reply }).map_err(|_| Unanswered)?;
        match tokio::time::timeout(ANSWER_DEADLINE, answer).await {
            Ok(Ok(landed)) => landed,
            Ok(Err(_)) | Err(_) => Err(Unanswered),
        }
    }

    /// Judges what a look-up brought, however short its life; `None` when a change has overtaken it since.
    pub(super) fn take(&self, loaded: &Loaded) -> Option<Verdict> {
        let clock = &self.shared.clock;
        let view = self.shared.view(clock.tick(), clock.now());
        if view.reach == Reach::Nothing {
            return Some(Err(Denied::Unavailable));
        }
        match loaded {
            Loaded::Refused(entry) => {
                let refused = entry.refused_just_now(&self.shared.marks, &view)?;
                self.table.borrow_mut().remove(entry.digest());
                Some(Err(Denied::Refused(refused)))
            }
            Loaded::Valid(entry) => match entry.standing(&self.shared.marks, &view) {
                Standing::Changed => None,
                Standing::Expired { .. } => {
                    Some(Err(Denied::Refused(Refused::Expired { at: entry.principal().expires_at })))
                }
                Standing::Fresh | Standing::Ageing | Standing::Old => {
                    self.table.borrow_mut().insert(Arc::clone(entry));
                    self.note_use(entry, view.wall);
                    Some(Ok(Arc::clone(entry)))
                }
            },
        }
    }
}
