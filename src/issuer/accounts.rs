//! Accounts: made, listed, disabled, enabled, given scopes and plans.

use zeroize::Zeroizing;

use super::error::{IssueError, Problem};
use super::view::AccountView;
use super::{Issuer, text};
use crate::auth::scope::ScopeSet;
use crate::limits::Overrides;
use crate::store::{self, Account, AccountStatus, Origin, Page, Subject};

/// An account that is asked for.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its address, which no other account has.
    pub email: String,
    /// What its keys may have.
    pub scopes: ScopesChoice,
}

/// What an account's keys may have.
#[derive(Clone, Debug)]
pub enum ScopesChoice {
    /// Whatever the catalogue marks as default, at any time.
    Defaults,
    /// These; an empty list = none.
    These(Vec<String>),
}

/// Whether `email` can be an account's at all, for who must know before there is a store.
///
/// # Errors
/// [`IssueError::Invalid`].
pub fn check_email(email: &str) -> Result<(), IssueError> {
    text::email(email).map(|_| ()).map_err(|problem| IssueError::Invalid(vec![problem]))
}

impl Issuer {
    /// Makes an account that cannot log in.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::Conflict`] when the address is taken, or the store's.
    pub async fn create_account(&self, asked: &NewAccount, origin: &Origin) -> Result<Account, IssueError> {
        self.keep_account(asked, None, origin).await
    }

    /// Makes an account with a password, both or neither.
    ///
    /// # Errors
    /// As [`create_account`](Self::create_account), and [`IssueError::Busy`].
    pub async fn create_person(
        &self,
        asked: &NewAccount,
        password: Zeroizing<String>,
        origin: &Origin,
    ) -> Result<Account, IssueError> {
        self.check_password(&asked.email, &password)?;
        let password = self.hashed(&password).await?;
        self.keep_account(asked, Some(password), origin).await
    }

    async fn keep_account(
        &self,
        asked: &NewAccount,
        password: Option<String>,
        origin: &Origin,
    ) -> Result<Account, IssueError> {
        let mut problems = Vec::new();
        let email = text::email(&asked.email).unwrap_or_else(|problem| {
            problems.push(problem);
            String::new()
        });
        let scopes = self.chosen(&asked.scopes).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        if !problems.is_empty() {
            return Err(IssueError::Invalid(problems));
        }
        let now = self.clock.now();
        let new = store::NewAccount { id: self.id(now)?, email, scopes, password, created_at: now };
        let seq = self.store.create_account(&new, origin).await?;
        self.tell(seq, Subject::Account, &new.id, true);
        Ok(Account {
            id: new.id,
            email: new.email,
            status: AccountStatus::Active,
            scopes: new.scopes,
            plan: None,
            limits: Overrides::default(),
            created_at: now,
        })
    }

    /// The account with this id or address.
    ///
    /// # Errors
    /// [`IssueError::NotFound`], or the store's.
    pub async fn account(&self, id_or_email: &str) -> Result<Account, IssueError> {
        Ok(self.store.account(id_or_email).await?)
    }

    /// Accounts in the order they were made, after the id `after`, at most `limit`.
    ///
    /// # Errors
    /// The store's.
    pub async fn accounts(&self, after: Option<&str>, limit: u32) -> Result<Page<Account>, IssueError> {
        Ok(self.store.accounts(after, limit).await?)
    }

    /// Enables or disables an account: from then on its credentials are good, or refused as revoked.
    ///
    /// # Errors
    /// [`IssueError::NotFound`], or the store's.
    pub async fn set_account_status(
        &self,
        id_or_email: &str,
        status: AccountStatus,
        origin: &Origin,
    ) -> Result<Account, IssueError> {
        let account = self.store.account(id_or_email).await?;
        let seq = self.store.set_account_status(&account.id, status, self.clock.now(), origin).await?;
        self.tell(seq, Subject::Account, &account.id, false);
        Ok(Account { status, ..account })
    }

    /// Sets what an account's keys may have; keys that are there are cut down to it at once.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] for unknown scopes, [`IssueError::NotFound`], or the store's.
    pub async fn set_account_scopes(
        &self,
        id_or_email: &str,
        choice: &ScopesChoice,
        origin: &Origin,
    ) -> Result<Account, IssueError> {
        let scopes = self.chosen(choice).map_err(|problem| IssueError::Invalid(vec![problem]))?;
        let account = self.store.account(id_or_email).await?;
        let now = self.clock.now();
        let seq = self.store.set_account_scopes(&account.id, scopes.as_ref(), now, origin).await?;
        self.tell(seq, Subject::Account, &account.id, false);
        Ok(Account { scopes, ..account })
    }

    /// Sets the plan that says how much an account may, `None` for none. Setting what it is already leaves no trace.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] for a plan that the configuration does not have, [`IssueError::NotFound`], or the store's.
    pub async fn set_plan(
        &self,
        id_or_email: &str,
        plan: Option<&str>,
        origin: &Origin,
    ) -> Result<Account, IssueError> {
        let plans = &self.limits.plans;
        if let Some(unknown) = plan.filter(|plan| plans.get(plan).is_none()) {
            let known = plans.names().cloned().collect();
            return Err(IssueError::Invalid(vec![Problem::UnknownPlan { plan: unknown.to_owned(), known }]));
        }
        let account = self.store.account(id_or_email).await?;
        let seq = self.store.set_account_plan(&account.id, plan, self.clock.now(), origin).await?;
        self.tell(seq, Subject::Account, &account.id, false);
        Ok(Account { plan: plan.map(str::to_owned), ..account })
    }

    /// An account as APIs show it, the defaults in place of no choice.
    #[must_use]
    pub fn account_view(&self, account: &Account) -> AccountView {
        let grantable = self.catalogue.grantable(account.scopes.as_ref());
        AccountView::new(account, grantable, &self.limits.plans)
    }

    fn chosen(&self, choice: &ScopesChoice) -> Result<Option<ScopeSet>, Problem> {
        match choice {
            ScopesChoice::Defaults => Ok(None),
            ScopesChoice::These(scopes) => self.known(scopes).map(Some),
        }
    }
}
