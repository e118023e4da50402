//! One cached validation: a fact about a credential, what it stands on, and until when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::contact::Reach;
use super::marks::{Footing, Marks};
use super::meter::Meter;
use super::question::{Finds, Question};
use crate::auth::principal::{Identity, Method, Principal};
use crate::auth::refusal::Refusal;
use crate::auth::token::HashedToken;
use crate::clock::{Tick, Timestamp};

/// Why a credential is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is none such.
    Unknown,
    /// Its signature is not ours.
    Forged,
    /// It was revoked; told before expiry.
    Revoked,
    /// Its account is disabled; told before expiry.
    AccountDisabled,
    /// It has ended.
    Expired {
        /// When.
        at: Timestamp,
    },
}

/// Why a credential does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It is not good.
    Refused(Refused),
    /// Nobody can tell now; it may be good.
    Unavailable,
}

impl Denied {
    /// What is told to whoever presented a credential that was proved, or was to be, by `of`.
    #[must_use]
    pub const fn told(self, of: Method) -> Refusal {
        match self {
            Self::Refused(Refused::Unknown | Refused::Forged) => match of {
                Method::ApiKey | Method::AccessToken => Refusal::InvalidCredentials,
                Method::Certificate => Refusal::UnknownCertificate,
            },
            Self::Refused(Refused::Revoked) => Refusal::Revoked { of },
            Self::Refused(Refused::AccountDisabled) => Refusal::AccountDisabled { of },
            Self::Refused(Refused::Expired { at }) => Refusal::Expired { of, at },
            Self::Unavailable => Refusal::ValidationUnavailable,
        }
    }
}

/// What validating a credential gives.
pub type Verdict = Result<Arc<Valid>, Denied>;

/// A validation that found a principal.
pub type Valid = Entry<Vouched>;

/// A principal, and by what it is asked about again.
#[derive(Debug)]
#[repr(C)]
pub struct Vouched {
    pub(super) principal: Principal,
    /// By what it is found again: no signature is verified twice.
    pub(super) finds: Finds,
    /// Where its requests are counted.
    pub(super) meter: Meter,
}

/// A validation that found a reason for refusal.
pub(super) type Denial = Entry<Known>;

/// Why a credential is not good, and whose it is if there is one such.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) refused: Refused,
    pub(super) whose: Option<Identity>,
}

/// What a look-up brings; one allocation, shared by the cache and every worker.
#[derive(Clone, Debug)]
pub(super) enum Loaded {
    Valid(Arc<Valid>),
    Refused(Arc<Denial>),
}

impl Loaded {
    /// Whether nobody knows the credential.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Refused(denial) if matches!(denial.fact.refused, Refused::Unknown | Refused::Forged))
    }
}

/// What one request sees: all that an entry is held against but its marks, which are read after.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) now: Tick,
    pub(super) wall: Timestamp,
    pub(super) reach: Reach,
    pub(super) epoch: u64,
}

/// No second.
const NEVER: u32 = u32::MAX;

/// One cached validation. What a hit reads comes first, so that it lies on few cache lines.
#[derive(Debug)]
#[repr(C)]
pub struct Entry<T> {
    digest: HashedToken,
    fresh_until: Tick,
    ends: Timestamp,
    footing: Footing,
    /// So long before that it is read again; in hundredths of a second, as far as they fit.
    refresh_before: u16,
    refresh_asked: AtomicBool,
    /// The second in which its last use was noted. In the padding before `fact`.
    used: AtomicU32,
    fact: T,
}

/// How an entry stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Good.
    Fresh,
    /// Good, and to be read again soon.
    Ageing,
    /// Should have been read again; good only while the store cannot be asked.
    Old,
    /// The credential's own end has come.
    Expired {
        /// Whether the entry should have been read again, too.
        old: bool,
    },
    /// A change contradicts it.
    Changed,
}

impl<T> Entry<T> {
    /// An entry of what was read at `read_at`, kept for `ttl`.
    pub(super) fn new(
        digest: HashedToken,
        footing: Footing,
        read_at: Tick,
        ttl: Duration,
        (fact, ends): (T, Timestamp),
    ) -> Self {
        Self {
            digest,
            fresh_until: read_at.after(ttl),
            ends,
            footing,
            refresh_before: u16::try_from((ttl / 5).as_millis() / 10).unwrap_or(u16::MAX),
            refresh_asked: AtomicBool::new(false),
            used: AtomicU32::new(NEVER),
            fact,
        }
    }

    /// The digest it is about.
    #[must_use]
    pub const fn digest(&self) -> &HashedToken {
        &self.digest
    }

    /// Whether it holds at `now` and `wall`.
    #[inline]
    pub(super) fn standing(&self, marks: &Marks, view: &View) -> Standing {
        if !marks.hold(&self.footing, view.epoch) {
            return Standing::Changed;
        }
        let old = view.now >= self.fresh_until;
        if view.wall >= self.ends {
            return Standing::Expired { old };
        }
        match old {
            true => Standing::Old,
            false if view.now >= self.fresh_until.before(u32::from(self.refresh_before) * 10_000) => {
                Standing::Ageing
            }
            false => Standing::Fresh,
        }
    }

    /// Whether nothing can make it good again: changed, or `kept` past its end.
    pub(super) fn is_waste(&self, marks: &Marks, view: &View, kept: Duration) -> bool {
        !marks.hold(&self.footing, view.epoch) || view.now >= self.fresh_until.after(kept)
    }
}

impl Valid {
    /// Whom the credential speaks for.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.fact.principal
    }

    /// Where its requests are counted.
    #[must_use]
    pub const fn meter(&self) -> &Meter {
        &self.fact.meter
    }

    /// What is asked to have it read again.
    pub(super) fn question(&self) -> Question {
        Question::new(self.digest, self.fact.finds.clone())
    }

    /// Claims the right to have it read again; true for one caller.
    #[inline]
    pub(super) fn claim_refresh(&self) -> bool {
        !self.refresh_asked.load(Ordering::Relaxed) && !self.refresh_asked.swap(true, Ordering::Relaxed)
    }

    /// Whether its use in this second was noted.
    #[inline]
    pub(super) fn is_noted(&self, second: u32) -> bool {
        self.used.load(Ordering::Relaxed) == second
    }

    /// Claims the right to note its use in this second; true for one caller.
    pub(super) fn claim_use(&self, second: u32) -> bool {
        self.used.swap(second, Ordering::Relaxed) != second
    }

    /// Gives the right back: reading again did not work.
    pub(super) fn release_refresh(&self) {
        self.refresh_asked.store(false, Ordering::Relaxed);
    }
}

impl Denial {
    /// Whether it is about a text that anybody can make.
    pub(super) const fn is_forged(&self) -> bool {
        matches!(self.fact.refused, Refused::Forged)
    }

    /// The reason, while it holds.
    pub(super) fn refused(&self, marks: &Marks, view: &View) -> Option<Refused> {
        let fresh = matches!(self.standing(marks, view), Standing::Fresh | Standing::Ageing);
        (fresh && self.still_true(view.wall)).then_some(self.fact.refused)
    }

    /// The reason, however old, unless a change contradicts it.
    pub(super) fn refused_just_now(&self, marks: &Marks, view: &View) -> Option<Refused> {
        (marks.hold(&self.footing, view.epoch) && self.still_true(view.wall)).then_some(self.fact.refused)
    }

    /// Whose the credential is, for those who may know.
    pub(super) const fn whose(&self) -> Option<&Identity> {
        self.fact.whose.as_ref()
    }

    /// A wall clock that was set back takes an expiry back.
    fn still_true(&self, wall: Timestamp) -> bool {
        match self.fact.refused {
            Refused::Expired { at } => wall >= at,
            Refused::Unknown | Refused::Forged | Refused::Revoked | Refused::AccountDisabled => true,
        }
    }
}
