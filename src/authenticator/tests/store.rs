//! A store in memory that a test can hold, break and read behind.

mod hands;

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::auth::scope::ScopeSet;
use crate::auth::token::HashedToken;
use crate::clock::{Clock, Timestamp};
use crate::limits::{DayCount, Overrides};
use crate::store::{
    Account, AccountStatus, Answer, ApiKey, AuditEntry, Change, Ending, Found, FoundSession, Handover,
    ImportedKey, Imports, Kept, Key, KeyForm, KeyPatch, KeyUse, Login, NewAccount, NewKey, NewSession, Once,
    Origin, Page, PasswordChange, PrivateKey, Refresh, Refreshed, ResetLink, Seq, Session, SigningKey,
    Started, Store, StoreError,
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Answers,
    Fails,
    /// Answers all but this.
    FailsAtForms,
    /// Answers all but this.
    FailsAtDays,
    /// Answers all but this.
    FailsAtDigests,
    Hangs,
    Panics,
}

/// A look-up that has read its snapshot, and waits.
pub struct Held {
    reached: oneshot::Receiver<()>,
    release: oneshot::Sender<()>,
}

impl Held {
    pub async fn reached(&mut self) {
        (&mut self.reached).await.unwrap();
    }

    pub fn release(self) {
        self.release.send(()).unwrap();
    }
}

type Gate = (oneshot::Sender<()>, oneshot::Receiver<()>);

#[derive(Default)]
struct State {
    keys: HashMap<HashedToken, Key>,
    digests: HashMap<String, HashedToken>,
    accounts: HashMap<String, Account>,
    sessions: HashMap<String, Session>,
    signing_keys: Vec<SigningKey>,
    forms: Vec<KeyForm>,
    uses: Vec<(String, Timestamp)>,
    days: Vec<DayCount>,
    /// Transactions of uses and counts: rows of each.
    notes: Vec<(usize, usize)>,
    /// After so many of them the disk is full.
    room: Option<usize>,
    changes: Vec<Change>,
    gates: VecDeque<Gate>,
    mode: Mode,
    slow: Option<(Clock, Duration)>,
}

#[derive(Default)]
pub struct Script {
    state: Mutex<State>,
    pub finds: AtomicU32,
}

impl Script {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn set(&self, mode: Mode) {
        self.lock().mode = mode;
    }

    /// Each read of the feed takes this long.
    pub fn slow_down(&self, clock: &Clock, by: Duration) {
        self.lock().slow = Some((clock.clone(), by));
    }

    pub fn finds(&self) -> u32 {
        self.finds.load(Ordering::SeqCst)
    }

    /// The next look-up reads, then waits.
    pub fn hold_next(&self) -> Held {
        let (reach, reached) = oneshot::channel();
        let (release, released) = oneshot::channel();
        self.lock().gates.push_back((reach, released));
        Held { reached, release }
    }

    async fn behave(&self) -> Result<(), StoreError> {
        let mode = self.lock().mode;
        match mode {
            Mode::Answers | Mode::FailsAtForms | Mode::FailsAtDays | Mode::FailsAtDigests => Ok(()),
            Mode::Fails => Err(StoreError::Unavailable("scripted".into())),
            Mode::Hangs => pending().await,
            Mode::Panics => panic!("scripted"),
        }
    }

    fn snapshot(&self, digest: HashedToken) -> (Found, Option<Gate>) {
        let mut state = self.lock();
        let key = state.keys.get(&digest).cloned();
        let key = key.map(|key| {
            let account = state.accounts[&key.account_id].clone();
            (key, account)
        });
        let as_of = state.changes.last().map_or(Seq(0), |change| change.seq);
        (Found { as_of, key }, state.gates.pop_front())
    }

    fn snapshot_of_session(&self, id: &str) -> (FoundSession, Option<Gate>) {
        let mut state = self.lock();
        let session = state.sessions.get(id).cloned();
        let session = session.map(|session| {
            let account = state.accounts[&session.account_id].clone();
            (session, account)
        });
        let as_of = state.changes.last().map_or(Seq(0), |change| change.seq);
        (FoundSession { as_of, session }, state.gates.pop_front())
    }
}

fn is_of_the_same(one: &DayCount, other: &DayCount) -> bool {
    (one.day, one.account, &one.subject) == (other.day, other.account, &other.subject)
}

fn unused<'a, T: Send + 'a>() -> Answer<'a, T> {
    Box::pin(async { Err(StoreError::NotFound("thing in this script")) })
}

impl Store for Script {
    fn find_key(&self, digest: HashedToken) -> Answer<'_, Found> {
        Box::pin(async move {
            self.finds.fetch_add(1, Ordering::SeqCst);
            self.behave().await?;
            let (found, gate) = self.snapshot(digest);
            if let Some((reach, released)) = gate {
                let _ = reach.send(());
                let _ = released.await;
            }
            Ok(found)
        })
    }

    fn changes(&self, after: Seq, limit: u32) -> Answer<'_, Vec<Change>> {
        Box::pin(async move {
            self.behave().await?;
            let state = self.lock();
            if let Some((clock, by)) = &state.slow {
                clock.advance(*by);
            }
            let newer = state.changes.iter().filter(|change| change.seq > after);
            Ok(newer.take(limit as usize).cloned().collect())
        })
    }

    fn latest(&self) -> Answer<'_, Seq> {
        Box::pin(async move {
            self.behave().await?;
            Ok(self.lock().changes.last().map_or(Seq(0), |change| change.seq))
        })
    }

    fn create_account<'a>(&'a self, _: &'a NewAccount, _: &'a Origin) -> Answer<'a, Seq> {
        unused()
    }
    fn account<'a>(&'a self, _: &'a str) -> Answer<'a, Account> {
        unused()
    }
    fn accounts<'a>(&'a self, _: Option<&'a str>, _: u32) -> Answer<'a, Page<Account>> {
        unused()
    }
    fn set_account_status<'a>(
        &'a self,
        _: &'a str,
        _: AccountStatus,
        _: Timestamp,
        _: &'a Origin,
    ) -> Answer<'a, Seq> {
        unused()
    }
    fn set_account_scopes<'a>(
        &'a self,
        _: &'a str,
        _: Option<&'a ScopeSet>,
        _: Timestamp,
        _: &'a Origin,
    ) -> Answer<'a, Seq> {
        unused()
    }
    fn set_account_plan<'a>(
        &'a self,
        _: &'a str,
        _: Option<&'a str>,
        _: Timestamp,
        _: &'a Origin,
    ) -> Answer<'a, Seq> {
        unused()
    }
    fn set_account_limits<'a>(
        &'a self,
        _: &'a str,
        _: &'a Overrides,
        _: Timestamp,
        _: &'a Origin,
    ) -> Answer<'a, Seq> {
        unused()
    }
    fn set_key_limits<'a>(
        &'a self,
        _: &'a str,
        _: &'a Overrides,
        _: Timestamp,
        _: &'a Origin,
    ) -> Answer<'a, Seq> {
        unused()
    }
    fn create_key<'a>(&'a self, _: &'a ApiKey, _: &'a Origin) -> Answer<'a, Seq> {
        unused()
    }
    fn key<'a>(&'a self, _: &'a str) -> Answer<'a, Key> {
        unused()
    }
    fn keys<'a>(&'a self, _: Option<&'a str>, _: Option<&'a str>, _: u32) -> Answer<'a, Page<Key>> {
        unused()
    }
    fn revoke_key<'a>(&'a self, _: &'a str, _: Timestamp, _: &'a Origin) -> Answer<'a, Seq> {
        unused()
    }
    fn remove_dead_keys<'a>(&'a self, _: Timestamp, _: u32, _: Timestamp, _: &'a Origin) -> Answer<'a, u32> {
        unused()
    }
    fn find_session<'a>(&'a self, id: &'a str) -> Answer<'a, FoundSession> {
        Box::pin(async move {
            self.finds.fetch_add(1, Ordering::SeqCst);
            self.behave().await?;
            let (found, gate) = self.snapshot_of_session(id);
            if let Some((reach, released)) = gate {
                let _ = reach.send(());
                let _ = released.await;
            }
            Ok(found)
        })
    }
    fn start_session<'a>(&'a self, _: &'a NewSession, _: &'a Origin) -> Answer<'a, Started> {
        unused()
    }
    fn has_logged_in<'a>(&'a self, _: &'a str, _: &'a str, _: Timestamp) -> Answer<'a, bool> {
        unused()
    }
    fn session<'a>(&'a self, _: &'a str) -> Answer<'a, Session> {
        unused()
    }
    fn sessions<'a>(
        &'a self,
        _: Option<&'a str>,
        _: Timestamp,
        _: Option<&'a str>,
        _: u32,
    ) -> Answer<'a, Page<Session>> {
        unused()
    }
    fn newest_sessions<'a>(&'a self, _: &'a str, _: Timestamp, _: u32) -> Answer<'a, Vec<Session>> {
        unused()
    }
    fn end_session<'a>(&'a self, _: &'a str, _: Ending, _: Timestamp, _: &'a Origin) -> Answer<'a, Seq> {
        unused()
    }
    fn answered<'a>(&'a self, _: &'a Once) -> Answer<'a, Option<Kept>> {
        unused()
    }
    fn make_key<'a>(&'a self, _: &'a NewKey, _: &'a Origin) -> Answer<'a, Kept> {
        unused()
    }
    fn import_keys<'a>(&'a self, _: &'a [ImportedKey], _: &'a Origin) -> Answer<'a, Imports> {
        unused()
    }
    fn key_digests<'a>(&'a self, after: Option<&'a str>, limit: u32) -> Answer<'a, Page<u64>> {
        Box::pin(async move {
            self.behave().await?;
            let state = self.lock();
            if state.mode == Mode::FailsAtDigests {
                return Err(StoreError::Unavailable("scripted".into()));
            }
            let mut all: Vec<_> = state.keys.keys().map(|digest| (digest.hex(), digest.short())).collect();
            all.sort_unstable();
            all.retain(|(hex, _)| after.is_none_or(|after| hex.as_str() > after));
            let more = all.len() > limit as usize;
            all.truncate(limit as usize);
            let next = all.last().filter(|_| more).map(|(hex, _)| hex.clone());
            Ok(Page { items: all.into_iter().map(|(_, short)| short).collect(), next })
        })
    }
    fn key_forms(&self) -> Answer<'_, Vec<KeyForm>> {
        Box::pin(async move {
            self.behave().await?;
            if self.lock().mode == Mode::FailsAtForms {
                return Err(StoreError::Unavailable("scripted".into()));
            }
            Ok(self.lock().forms.clone())
        })
    }
    fn note<'a>(&'a self, uses: &'a [KeyUse], days: &'a [DayCount]) -> Answer<'a, ()> {
        Box::pin(async move {
            self.behave().await?;
            let mut state = self.lock();
            if state.room.is_some_and(|room| state.notes.len() >= room) {
                return Err(StoreError::Unavailable("scripted".into()));
            }
            state.notes.push((uses.len(), days.len()));
            state.uses.extend(uses.iter().map(|used| (used.id.clone(), used.at)));
            for count in days {
                state.days.retain(|known| !is_of_the_same(known, count));
                state.days.push(count.clone());
            }
            Ok(())
        })
    }
    fn day_counts<'a>(&'a self, from: u32, _: Option<&'a str>, _: u32) -> Answer<'a, Page<DayCount>> {
        Box::pin(async move {
            self.behave().await?;
            if self.lock().mode == Mode::FailsAtDays {
                return Err(StoreError::Unavailable("scripted".into()));
            }
            let mut items: Vec<_> =
                self.lock().days.iter().filter(|count| count.day >= from).cloned().collect();
            items.sort_by_key(|count| count.day);
            Ok(Page { items, next: None })
        })
    }
    fn remove_day_counts(&self, kept: RangeInclusive<u32>, _: u32) -> Answer<'_, u32> {
        Box::pin(async move {
            let days = &mut self.lock().days;
            let before = days.len();
            days.retain(|count| kept.contains(&count.day));
            Ok(u32::try_from(before - days.len()).unwrap())
        })
    }
    fn patch_key<'a>(&'a self, _: &'a str, _: &'a KeyPatch, _: Timestamp, _: &'a Origin) -> Answer<'a, Seq> {
        unused()
    }
    fn refresh<'a>(&'a self, _: &'a Refresh, _: &'a Origin) -> Answer<'a, Refreshed> {
        unused()
    }
    fn remove_dead_sessions<'a>(
        &'a self,
        _: Timestamp,
        _: u32,
        _: Timestamp,
        _: &'a Origin,
    ) -> Answer<'a, u32> {
        unused()
    }
    fn login<'a>(&'a self, _: &'a str) -> Answer<'a, Option<Login>> {
        unused()
    }
    fn set_password<'a>(&'a self, _: &'a PasswordChange, _: Timestamp, _: &'a Origin) -> Answer<'a, Seq> {
        unused()
    }
    fn create_reset_link<'a>(&'a self, _: &'a ResetLink, _: &'a Origin) -> Answer<'a, Seq> {
        unused()
    }
    fn reset_link(&self, _: HashedToken) -> Answer<'_, Option<(ResetLink, Account)>> {
        unused()
    }
    fn secret<'a>(
        &'a self,
        _: &'static str,
        _: &'a PrivateKey,
        _: Timestamp,
        _: &'a Origin,
    ) -> Answer<'a, PrivateKey> {
        unused()
    }
    fn remove_leftovers(&self, _: Timestamp, _: u32) -> Answer<'_, u32> {
        unused()
    }
    fn signing_keys(&self) -> Answer<'_, Vec<SigningKey>> {
        Box::pin(async move {
            self.behave().await?;
            Ok(self.lock().signing_keys.clone())
        })
    }
    fn add_signing_key<'a>(
        &'a self,
        _: &'a SigningKey,
        _: Option<&'a Handover>,
        _: &'a Origin,
    ) -> Answer<'a, Seq> {
        unused()
    }
    fn remove_signing_keys<'a>(&'a self, _: Timestamp, _: Timestamp, _: &'a Origin) -> Answer<'a, u32> {
        unused()
    }
    fn audit(&self, _: Seq, _: u32) -> Answer<'_, Vec<AuditEntry>> {
        unused()
    }
}
