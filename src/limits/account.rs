//! One account: everything that counts for it, behind one lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::counter::{Counters, Day, Standing};
use super::subject::Of;
use super::table::Changed;
use super::{Moment, Policy, Rates, Span, Subject};

/// Subjects that one request can count for: its account, its key and its route.
const SUBJECTS: usize = 3;
/// Limits of each.
const SPANS: [Span; 3] = [Span::Minute, Span::Day, Span::Now];
/// Most limits that one request is judged by.
const LIMITS: usize = SUBJECTS * SPANS.len();

/// All that counts for one account.
#[derive(Debug)]
pub struct Account {
    id: u128,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    own: Counters,
    /// Of keys and routes that have limits of their own: few.
    others: Option<Box<Others>>,
    /// Whether it is in the list of those whose days are to be written down.
    pub(super) told: bool,
}

#[derive(Debug, Default)]
struct Others(Vec<(Subject, Counters)>);

/// What a request is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// How many requests it counts as.
    pub cost: u32,
    /// The limits of its account.
    pub account: &'a Rates,
    /// Its key with limits of its own, if it has some.
    pub key: Option<(&'a Arc<str>, &'a Rates)>,
    /// Its route with limits of its own, if it has some.
    pub route: Option<(&'a Arc<str>, &'a Rates)>,
}

/// How a request stands to all the limits that there are for it, in an order that never changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    rows: [Option<(Policy, Standing)>; LIMITS],
}

/// Whether a request may pass.
#[derive(Debug)]
pub enum Verdict {
    /// It may, and was counted.
    Passes(Report),
    /// It may not, and was not.
    Refused(Report),
}

impl Report {
    /// Each limit, with how it stands.
    pub fn rows(&self) -> impl Iterator<Item = (Policy, Standing)> + '_ {
        self.rows.iter().map_while(|row| *row)
    }

    /// Whether there is no limit.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows[0].is_none()
    }

    fn passes(&self) -> bool {
        self.rows().all(|(_, standing)| standing.passes())
    }

    /// The same where nothing was counted: what one limit let pass, another refused. `nothing` is how no request at all stands.
    fn uncounted(mut self, nothing: &Self) -> Self {
        for ((_, standing), (_, as_it_is)) in self.rows.iter_mut().flatten().zip(nothing.rows()) {
            // At an even pace a request passes before there are all again: what is told must be what it waits for.
            *standing =
                Standing { wait: standing.wait, reset: standing.wait.unwrap_or(as_it_is.reset), ..as_it_is };
        }
        self
    }
}

impl<'a> Asked<'a> {
    fn each(&self) -> impl Iterator<Item = (Of<'a>, &'a Rates)> + use<'a> {
        let account = Some((Of::Account, self.account));
        let key = self.key.map(|(id, rates)| (Of::Key(id), rates));
        let route = self.route.map(|(name, rates)| (Of::Route(name), rates));
        [account, key, route].into_iter().flatten()
    }

    const fn nothing(&self) -> Self {
        Self { cost: 0, ..*self }
    }

    fn limits_at_once(&self) -> bool {
        self.each().any(|(_, rates)| rates.in_flight.is_some())
    }
}

impl Account {
    pub(super) fn new(id: u128) -> Self {
        Self { id, state: Mutex::default() }
    }

    pub(super) const fn id(&self) -> &u128 {
        &self.id
    }

    /// Judges a request by all its limits, and counts it by all of them if they all let it pass. What it holds of the
    /// places for requests at once is given back by [`InFlight`].
    pub fn admit(
        self: &Arc<Self>,
        asked: &Asked<'_>,
        now: Moment,
        changed: &Changed,
    ) -> (Verdict, Option<InFlight>) {
        let mut state = self.lock();
        let report = state.judge(asked, now);
        if !report.passes() {
            state.keep_pace(asked, now);
            return (Verdict::Refused(report.uncounted(&state.judge(&asked.nothing(), now))), None);
        }
        if state.count(asked, now) && !std::mem::replace(&mut state.told, true) {
            changed.add(Arc::clone(self));
        }
        drop(state);
        let held = asked.limits_at_once().then(|| InFlight::of(self, asked));
        (Verdict::Passes(report), held)
    }

    /// How a request would stand, without counting it.
    #[must_use]
    pub fn look(&self, asked: &Asked<'_>, now: Moment) -> Report {
        let state = self.lock();
        let report = state.judge(asked, now);
        if report.passes() { report } else { report.uncounted(&state.judge(&asked.nothing(), now)) }
    }

    /// How it stands to all the limits that are asked for, whatever the request would cost.
    #[must_use]
    pub fn standing(&self, asked: &Asked<'_>, now: Moment) -> Report {
        self.lock().judge(&asked.nothing(), now)
    }

    /// Adds what `subject` used of today elsewhere.
    pub(super) fn add(&self, subject: &Subject, used: u64, now: Moment) {
        self.lock().of(subject.into(), now).add(used, now.today);
    }

    /// Whether nothing is lost when it is forgotten; what is to be written down yet, [`Changed`] holds.
    pub(super) fn is_idle(&self, now: Moment) -> bool {
        let state = self.lock();
        state.own.is_idle(now)
            && state.others.iter().flat_map(|others| &others.0).all(|(_, counters)| counters.is_idle(now))
    }

    /// Every count of a day, for who writes them down.
    pub(super) fn days(&self) -> Vec<(Subject, Day)> {
        let state = self.lock();
        let others = state.others.iter().flat_map(|others| others.0.iter().cloned());
        let all = std::iter::once((Subject::Account, state.own)).chain(others);
        all.filter(|(_, counters)| counters.day.used > 0)
            .map(|(subject, counters)| (subject, counters.day))
            .collect()
    }

    /// Of how many keys and routes it keeps counters.
    #[cfg(test)]
    pub(super) fn others(&self) -> usize {
        self.lock().others.as_ref().map_or(0, |others| others.0.len())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in it panics halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The counters of a subject, made where there are none. Keys come and go: those of which nothing is lost make room.
    fn of(&mut self, subject: Of<'_>, now: Moment) -> &mut Counters {
        if matches!(subject, Of::Account) {
            return &mut self.own;
        }
        let others = &mut self.others.get_or_insert_default().0;
        let index = match others.iter().position(|(known, _)| subject.is(known)) {
            Some(index) => index,
            None => {
                others.retain(|(_, counters)| !counters.is_idle(now));
                others.push((subject.into(), Counters::default()));
                others.len() - 1
            }
        };
        #[expect(clippy::indexing_slicing, reason = "found or made just now")]
        &mut others[index].1
    }

    fn seen(&self, subject: Of<'_>) -> Counters {
        if matches!(subject, Of::Account) {
            return self.own;
        }
        let mut others = self.others.iter().flat_map(|others| &others.0);
        others.find(|(known, _)| subject.is(known)).map(|(_, counters)| *counters).unwrap_or_default()
    }

    fn judge(&self, asked: &Asked<'_>, now: Moment) -> Report {
        let mut report = Report::default();
        let mut rows = report.rows.iter_mut();
        for (subject, rates) in asked.each() {
            let counters = self.seen(subject);
            for span in SPANS {
                let standing = match span {
                    Span::Minute => counters.minute(rates, asked.cost, now),
                    Span::Day => counters.day(rates, asked.cost, now),
                    Span::Now => counters.in_flight(rates, asked.cost),
                };
                let Some(standing) = standing else { continue };
                if let Some(row) = rows.next() {
                    *row = Some((subject.policy(span), standing));
                }
            }
        }
        report
    }

    /// The counters of a subject, if it has some.
    fn find(&mut self, subject: Of<'_>) -> Option<&mut Counters> {
        if matches!(subject, Of::Account) {
            return Some(&mut self.own);
        }
        let mut others = self.others.iter_mut().flat_map(|others| &mut others.0);
        others.find(|(known, _)| subject.is(known)).map(|(_, counters)| counters)
    }

    fn keep_pace(&mut self, asked: &Asked<'_>, now: Moment) {
        for (subject, rates) in asked.each().filter(|(_, rates)| rates.smooth.is_some()) {
            if let Some(counters) = self.find(subject) {
                counters.keep_pace(rates, now.tick);
            }
        }
    }

    fn count(&mut self, asked: &Asked<'_>, now: Moment) -> bool {
        asked
            .each()
            .filter(|(_, rates)| !rates.is_empty())
            .fold(false, |day, (subject, rates)| self.of(subject, now).count(rates, asked.cost, now) || day)
    }
}

/// A request that is under way, where only so many may be. Dropped, it makes room for the next.
#[derive(Debug)]
pub struct InFlight {
    account: Arc<Account>,
    subjects: [Option<Subject>; SUBJECTS],
}

impl InFlight {
    fn of(account: &Arc<Account>, asked: &Asked<'_>) -> Self {
        let mut subjects = [const { None }; SUBJECTS];
        let limited = asked.each().filter(|(_, rates)| rates.in_flight.is_some());
        for (place, (subject, _)) in subjects.iter_mut().zip(limited) {
            *place = Some(subject.into());
        }
        Self { account: Arc::clone(account), subjects }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.account.lock();
        for subject in self.subjects.iter().flatten() {
            if let Some(counters) = state.find(subject.into()) {
                counters.leave();
            }
        }
    }
}
