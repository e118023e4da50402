//! Limits of an account's or a key's own: how much it may, whatever the configuration says of others.

use super::Issuer;
use super::error::{IssueError, Problem};
use crate::limits::{Overrides, Rates};
use crate::store::{Account, Key, Origin, Subject};

impl Issuer {
    /// Sets an account's own limits, all of them: what is not said is as its plan says. Setting what is so already leaves no
    /// trace.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with all that is out of bounds, [`IssueError::NotFound`], or the store's.
    pub async fn set_account_limits(
        &self,
        id_or_email: &str,
        limits: &Overrides,
        origin: &Origin,
    ) -> Result<Account, IssueError> {
        check(limits)?;
        let account = self.store.account(id_or_email).await?;
        let seq = self.store.set_account_limits(&account.id, limits, self.clock.now(), origin).await?;
        self.tell(seq, Subject::Account, &account.id, false);
        Ok(Account { limits: limits.clone(), ..account })
    }

    /// Sets a key's own limits, all of them: what is not said has none beside its account's. A key that replaces it has the
    /// same. Setting what is so already leaves no trace.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with all that is out of bounds, [`IssueError::NotFound`], [`IssueError::Conflict`] when the
    /// key is revoked or expired, [`IssueError::Replaced`], or the store's.
    pub async fn set_key_limits(
        &self,
        id: &str,
        limits: &Overrides,
        origin: &Origin,
    ) -> Result<Key, IssueError> {
        check(limits)?;
        let key = self.store.key(id).await?;
        let seq = match self.store.set_key_limits(&key.id, limits, self.clock.now(), origin).await {
            Err(why) => return Err(self.not_changed(&key.id, why).await),
            Ok(seq) => seq,
        };
        self.tell(seq, Subject::ApiKey, &key.id, false);
        Ok(Key { limits: limits.clone(), ..key })
    }

    /// How much an account may: what is said of it alone, over its plan.
    #[must_use]
    pub fn allowance(&self, account: &Account) -> Rates {
        account.limits.over(self.limits.plans.of(account.plan.as_deref()))
    }
}

fn check(limits: &Overrides) -> Result<(), IssueError> {
    let problems: Vec<_> = limits.beyond().map(Problem::Limit).collect();
    if problems.is_empty() { Ok(()) } else { Err(IssueError::Invalid(problems)) }
}
