//! How logins end, for operators: how many so and so, and whom those that failed aimed at. By id alone; neither an
//! address nor a password is kept.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::IssueError;
use crate::telemetry::metrics::LoginOutcome;

/// Most accounts that are told apart between two tellings, some 1 MB.
const ACCOUNTS: usize = 10_000;
/// Accounts that are named.
const NAMED: usize = 5;

/// Counts logins; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Logins(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    totals: [AtomicU64; LoginOutcome::ALL.len()],
    failed: Mutex<Failed>,
}

#[derive(Debug, Default)]
struct Failed {
    wrong: u64,
    delayed: u64,
    /// How often each account was aimed at.
    aims: HashMap<String, u64>,
}

/// Logins that failed since they were last told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failures {
    /// Of these the password was looked at.
    pub wrong: u64,
    /// These came too soon after others.
    pub delayed: u64,
    /// Different accounts that they aimed at, as far as there are such.
    pub accounts: usize,
    /// The ids of those most aimed at, first the most.
    pub most: Vec<String>,
}

impl Logins {
    /// Counts a login that ended so; `account` is whom it aimed at, where there is such. What ended otherwise says nothing
    /// of anybody.
    pub(super) fn ended<T>(&self, how: &Result<T, IssueError>, account: Option<&str>) {
        let outcome = match how {
            Ok(_) => LoginOutcome::Ok,
            Err(IssueError::WrongLogin) => LoginOutcome::Wrong,
            Err(IssueError::Wait(_)) => LoginOutcome::Delayed,
            Err(_) => return,
        };
        if let Some(total) = self.0.totals.get(outcome as usize) {
            total.fetch_add(1, Ordering::Relaxed);
        }
        if outcome != LoginOutcome::Ok {
            self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).count(outcome, account);
        }
    }

    /// Logins that ended so since the start.
    #[must_use]
    pub fn total(&self, outcome: LoginOutcome) -> u64 {
        self.0.totals.get(outcome as usize).map_or(0, |total| total.load(Ordering::Relaxed))
    }

    /// What failed since this was last asked; `None` = nothing.
    #[must_use]
    pub fn take_failures(&self) -> Option<Failures> {
        let failed = std::mem::take(&mut *self.0.failed.lock().unwrap_or_else(PoisonError::into_inner));
        (failed.wrong + failed.delayed > 0).then(|| failed.told())
    }
}

impl Failed {
    fn count(&mut self, outcome: LoginOutcome, account: Option<&str>) {
        match outcome {
            LoginOutcome::Ok => {}
            LoginOutcome::Wrong => self.wrong += 1,
            LoginOutcome::Delayed => self.delayed += 1,
        }
        let Some(account) = account else { return };
        if let Some(aims) = self.aims.get_mut(account) {
            *aims += 1;
        } else if self.aims.len() < ACCOUNTS {
            self.aims.insert(account.to_owned(), 1);
        }
    }

    fn told(self) -> Failures {
        let Self { wrong, delayed, aims } = self;
        let accounts = aims.len();
        let mut most: Vec<(String, u64)> = aims.into_iter().collect();
        most.sort_unstable_by(|(a, one), (b, other)| other.cmp(one).then_with(|| a.cmp(b)));
        let most = most.into_iter().take(NAMED).map(|(account, _)| account).collect();
        Failures { wrong, delayed, accounts, most }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn wrong() -> Result<(), IssueError> {
        Err(IssueError::WrongLogin)
    }

    #[test]
    fn what_failed_is_told_once_with_those_most_aimed_at() {
        let logins = Logins::default();
        assert_eq!(logins.take_failures(), None);
        logins.ended(&Ok(()), Some("a"));
        assert_eq!(logins.take_failures(), None, "nothing failed");
        for account in ["a", "b", "b", "c", "d", "e", "f", "g"] {
            logins.ended(&wrong(), Some(account));
        }
        logins.ended(&wrong(), None);
        logins.ended::<()>(&Err(IssueError::Wait(Duration::from_secs(1))), Some("b"));
        logins.ended::<()>(&Err(IssueError::Busy), Some("h"));
        let most = ["b", "a", "c", "d", "e"].map(str::to_owned).to_vec();
        let expected = Failures { wrong: 9, delayed: 1, accounts: 7, most };
        assert_eq!((logins.take_failures(), logins.take_failures()), (Some(expected), None));
        assert_eq!(LoginOutcome::ALL.map(|outcome| logins.total(outcome)), [1, 9, 1]);
    }

    #[test]
    fn so_many_accounts_are_told_apart_and_no_more() {
        let logins = Logins::default();
        for number in 0..ACCOUNTS + 7 {
            logins.ended(&wrong(), Some(&number.to_string()));
        }
        let failures = logins.take_failures().unwrap();
        assert_eq!((failures.accounts, failures.wrong), (ACCOUNTS, ACCOUNTS as u64 + 7));
    }
}
