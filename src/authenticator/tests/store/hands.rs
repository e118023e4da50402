//! What a test does to the store behind everybody's back, and what it sees there.

use super::{Script, State};
use crate::auth::scope::ScopeSet;
use crate::auth::token::HashedToken;
use crate::clock::Timestamp;
use crate::limits::{DayCount, Overrides};
use crate::store::{Account, AccountStatus, Change, Ending, Key, KeyForm, Seq, Session, SigningKey, Subject};

impl Script {
    fn record(state: &mut State, subject: Subject, id: &str, created: bool) -> Change {
        let seq = Seq(state.changes.last().map_or(0, |change| change.seq.0) + 1);
        let new_key = state.digests.get(id).filter(|_| created && subject == Subject::ApiKey).copied();
        let change = Change { seq, subject, id: id.to_owned(), created, new_key };
        state.changes.push(change.clone());
        change
    }

    pub fn put_account(&self, id: &str, scopes: Option<&str>) -> Change {
        let mut state = self.lock();
        let account = Account {
            id: id.to_owned(),
            email: format!("{id}@example.com"),
            status: AccountStatus::Active,
            scopes: scopes.map(|text| ScopeSet::parse(text).unwrap()),
            plan: None,
            limits: Overrides::default(),
            created_at: Timestamp(0),
        };
        state.accounts.insert(id.to_owned(), account);
        Self::record(&mut state, Subject::Account, id, true)
    }

    /// Gives an account a plan and limits of its own.
    pub fn allow(&self, id: &str, plan: Option<&str>, limits: Overrides) -> Change {
        let mut state = self.lock();
        let account = state.accounts.get_mut(id).unwrap();
        (account.plan, account.limits) = (plan.map(str::to_owned), limits);
        Self::record(&mut state, Subject::Account, id, false)
    }

    /// Gives a key limits of its own.
    pub fn limit_key(&self, id: &str, limits: Overrides) -> Change {
        let mut state = self.lock();
        let digest = state.digests[id];
        state.keys.get_mut(&digest).unwrap().limits = limits;
        Self::record(&mut state, Subject::ApiKey, id, false)
    }

    pub fn put_key(&self, digest: HashedToken, id: &str, account: &str, expires_at: Timestamp) -> Change {
        let mut state = self.lock();
        let key = Key {
            id: id.to_owned(),
            account_id: account.to_owned(),
            name: id.to_owned(),
            prefix: "kw_sk_".to_owned(),
            last4: "0000".to_owned(),
            scopes: ScopeSet::parse("orders:read orders:write").unwrap(),
            allowed_addresses: Vec::new(),
            limits: Overrides::default(),
            created_at: Timestamp(0),
            expires_at,
            last_used_at: None,
            revoked_at: None,
            replaced_by: None,
            counts_as: None,
        };
        state.keys.insert(digest, key);
        state.digests.insert(id.to_owned(), digest);
        Self::record(&mut state, Subject::ApiKey, id, true)
    }

    pub fn revoke(&self, id: &str) -> Change {
        let mut state = self.lock();
        let digest = state.digests[id];
        state.keys.get_mut(&digest).unwrap().revoked_at = Some(Timestamp(1));
        Self::record(&mut state, Subject::ApiKey, id, false)
    }

    /// Removes a key that nobody asks for any more.
    pub fn remove(&self, id: &str) -> Change {
        let mut state = self.lock();
        let digest = state.digests.remove(id).unwrap();
        state.keys.remove(&digest);
        Self::record(&mut state, Subject::ApiKey, id, false)
    }

    pub fn put_session(&self, id: &str, account: &str, expires_at: Timestamp) -> Change {
        let mut state = self.lock();
        let session = Session {
            id: id.to_owned(),
            account_id: account.to_owned(),
            created_at: Timestamp(0),
            last_used_at: Timestamp(0),
            expires_at,
            ends_at: expires_at,
            ended: None,
            address: String::new(),
            agent: String::new(),
        };
        state.sessions.insert(id.to_owned(), session);
        Self::record(&mut state, Subject::Session, id, true)
    }

    pub fn end(&self, id: &str, ending: Ending) -> Change {
        let mut state = self.lock();
        state.sessions.get_mut(id).unwrap().ended = Some((Timestamp(1), ending));
        Self::record(&mut state, Subject::Session, id, false)
    }

    /// Puts all signing keys in the place of those before.
    pub fn put_signing_keys(&self, keys: Vec<SigningKey>) -> Change {
        let mut state = self.lock();
        state.signing_keys = keys;
        Self::record(&mut state, Subject::SigningKey, "k", true)
    }

    /// The uses that were written down since this was last asked.
    pub fn uses(&self) -> Vec<(String, Timestamp)> {
        std::mem::take(&mut self.lock().uses)
    }

    /// What is known of days.
    pub fn days(&self) -> Vec<DayCount> {
        self.lock().days.clone()
    }

    pub fn put_day(&self, count: DayCount) {
        self.lock().days.push(count);
    }

    /// The transactions of uses and counts so far: how many rows of each.
    pub fn notes(&self) -> Vec<(usize, usize)> {
        self.lock().notes.clone()
    }

    /// Has room for so many transactions of uses and counts, those included that were made.
    pub fn has_room_for(&self, notes: Option<usize>) {
        self.lock().room = notes;
    }

    /// Adds a form of imported keys, as an import does before its keys.
    pub fn put_form(&self, prefix: &str) -> Change {
        let mut state = self.lock();
        state.forms.push(KeyForm { prefix: prefix.to_owned(), length: None });
        Self::record(&mut state, Subject::KeyForm, prefix, true)
    }

    pub fn set_status(&self, id: &str, status: AccountStatus) -> Change {
        let mut state = self.lock();
        state.accounts.get_mut(id).unwrap().status = status;
        Self::record(&mut state, Subject::Account, id, false)
    }

    /// A change to something nobody asks for.
    pub fn unrelated(&self, id: &str) -> Change {
        Self::record(&mut self.lock(), Subject::ApiKey, id, false)
    }

    /// Forgets the newest changes, as restoring a backup does.
    pub fn set_back(&self, to: usize) {
        self.lock().changes.truncate(to);
    }
}
