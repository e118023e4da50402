//! Accounts, keys and sessions as the APIs and `--json` show them. Times are RFC 3339 in UTC.

use serde::Serialize;

use super::keys::{KeyStatus, MadeKey};
use super::reset::MadeLink;
use crate::auth::scope::ScopeSet;
use crate::clock::Timestamp;
use crate::limits::{Overrides, Plans};
use crate::store::{Account, Key, Session};

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct List<T> {
    /// In the order they were made.
    pub items: Vec<T>,
    /// What asks for the next page; `null` on the last.
    pub next_cursor: Option<String>,
}

/// Limits; `null` where nothing is said, 0 where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each is named for what it limits")]
pub struct LimitsView {
    pub per_minute: Option<u64>,
    pub burst: Option<u64>,
    pub per_day: Option<u64>,
    pub in_flight: Option<u32>,
}

impl From<&Overrides> for LimitsView {
    fn from(limits: &Overrides) -> Self {
        let Overrides { per_minute, smooth: burst, per_day, in_flight } = *limits;
        Self { per_minute, burst, per_day, in_flight }
    }
}

impl LimitsView {
    fn is_empty(&self) -> bool {
        self.said().is_empty()
    }

    /// In words, parted by commas.
    #[must_use]
    pub fn words(&self) -> String {
        self.said().to_string()
    }

    const fn said(&self) -> Overrides {
        let Self { per_minute, burst: smooth, per_day, in_flight } = *self;
        Overrides { per_minute, smooth, per_day, in_flight }
    }
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the members are the contract's")]
pub struct AccountView {
    pub id: String,
    pub email: String,
    pub status: &'static str,
    /// What its keys may have, whether chosen or by default.
    pub scopes: Vec<String>,
    /// The plan that says how much it may.
    pub plan: Option<String>,
    /// Whether the configuration has that plan no more.
    #[serde(skip)]
    pub plan_is_gone: bool,
    /// What is said of it alone.
    pub limits: LimitsView,
    /// How much it may, by all that is said.
    pub effective_limits: LimitsView,
    pub created_at: String,
}

impl AccountView {
    pub(super) fn new(account: &Account, grantable: &ScopeSet, plans: &Plans) -> Self {
        let plan = account.plan.as_deref();
        let allowance = account.limits.over(plans.of(plan));
        Self {
            id: account.id.clone(),
            email: account.email.clone(),
            status: account.status.as_str(),
            scopes: listed(grantable),
            plan_is_gone: plan.is_some_and(|plan| plans.get(plan).is_none()),
            plan: account.plan.clone(),
            limits: LimitsView::from(&account.limits),
            effective_limits: LimitsView::from(&Overrides::from(&allowance)),
            created_at: account.created_at.rfc3339(),
        }
    }
}

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the members are the contract's")]
pub struct KeyView {
    pub id: String,
    pub account_id: String,
    pub name: String,
    pub prefix: String,
    pub last4: String,
    pub scopes: Vec<String>,
    pub allowed_addresses: Vec<String>,
    /// Limits of its own; told where it has some.
    #[serde(skip_serializing_if = "LimitsView::is_empty")]
    pub limits: LimitsView,
    pub created_at: String,
    pub expires_at: String,
    pub last_used_at: Option<String>,
    pub revoked_at: Option<String>,
    pub status: KeyStatus,
}

impl KeyView {
    /// `key` as it is at `now`.
    #[must_use]
    pub fn new(key: &Key, now: Timestamp) -> Self {
        Self {
            id: key.id.clone(),
            account_id: key.account_id.clone(),
            name: key.name.clone(),
            prefix: key.prefix.clone(),
            last4: key.last4.clone(),
            scopes: listed(&key.scopes),
            allowed_addresses: key.allowed_addresses.iter().map(ToString::to_string).collect(),
            limits: LimitsView::from(&key.limits),
            created_at: key.created_at.rfc3339(),
            expires_at: key.expires_at.rfc3339(),
            last_used_at: key.last_used_at.map(Timestamp::rfc3339),
            revoked_at: key.revoked_at.map(Timestamp::rfc3339),
            status: KeyStatus::of(key, now),
        }
    }
}

/// A reset link just made: the one place where it is written out.
#[derive(Serialize)]
pub struct LinkView<'a> {
    account_id: &'a str,
    url: &'a str,
    expires_at: String,
}

impl<'a> LinkView<'a> {
    /// `link` as it is.
    #[must_use]
    pub fn new(link: &'a MadeLink) -> Self {
        Self { account_id: &link.account.id, url: &link.url, expires_at: link.expires_at.rfc3339() }
    }
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each is named for what it tells")]
pub struct SessionView {
    pub id: String,
    pub account_id: String,
    pub address: String,
    pub agent: String,
    pub created_at: String,
    pub last_used_at: String,
    /// When it ends unless it is refreshed.
    pub expires_at: String,
    /// When it ends however often it is refreshed.
    pub ends_at: String,
    pub ended_at: Option<String>,
    pub ended_by: Option<&'static str>,
}

impl SessionView {
    /// `session` as it is.
    #[must_use]
    pub fn new(session: &Session) -> Self {
        Self {
            id: session.id.clone(),
            account_id: session.account_id.clone(),
            address: session.address.clone(),
            agent: session.agent.clone(),
            created_at: session.created_at.rfc3339(),
            last_used_at: session.last_used_at.rfc3339(),
            expires_at: session.expires_at.rfc3339(),
            ends_at: session.ends_at.rfc3339(),
            ended_at: session.ended.map(|(at, _)| at.rfc3339()),
            ended_by: session.ended.map(|(_, by)| by.as_str()),
        }
    }
}

/// A key just made, with its secret: the one place where it is written out.
#[derive(Serialize)]
pub struct MadeKeyView<'a> {
    #[serde(flatten)]
    object: KeyView,
    key: &'a str,
}

impl<'a> MadeKeyView<'a> {
    /// `made` as it is at `now`.
    #[must_use]
    pub fn new(made: &'a MadeKey, now: Timestamp) -> Self {
        Self { object: KeyView::new(&made.key, now), key: made.token.expose() }
    }
}

fn listed(scopes: &ScopeSet) -> Vec<String> {
    scopes.iter().map(ToString::to_string).collect()
}
