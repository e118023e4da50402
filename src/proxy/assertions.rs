//! Assertions of principals to upstreams, signed when first wanted and then used again for half of their life.
//!
//! One worker's: each signs for itself, some tens of microseconds a principal, upstream and half minute.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::plan::Plan;
use crate::auth::jwt::assertion::{self, Envelope};
use crate::auth::jwt::{Purpose, Ring};
use crate::auth::refusal::Refusal;
use crate::auth::token::HashedToken;
use crate::authenticator::Valid;
use crate::clock::Timestamp;

/// The most that are kept; more begin anew.
const KEPT: usize = 16 * 1024;

/// Looking at all of them takes a moment.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(10);

/// One that was signed.
#[derive(Debug)]
struct Signed {
    text: Rc<str>,
    /// Of what: another validation may know other scopes.
    entry: Arc<Valid>,
    signed_at: Timestamp,
    /// Until when it is used again.
    fresh_until: Timestamp,
}

impl Signed {
    fn serves(&self, now: Timestamp) -> bool {
        // A wall clock that was set back makes it look signed in the future.
        self.signed_at <= now && now < self.fresh_until
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Assertions {
    /// By credential and upstream.
    signed: RefCell<HashMap<(HashedToken, usize), Signed>>,
    swept_at: Cell<Option<Timestamp>>,
}

impl Assertions {
    /// What `upstream` is told of `entry`, signed.
    ///
    /// # Errors
    /// When there is no key to sign with yet: what the upstream relies on must not be missing.
    pub fn of(
        &self,
        plan: &Plan,
        upstream: usize,
        entry: &Arc<Valid>,
        ring: &Ring,
        now: Timestamp,
    ) -> Result<Rc<str>, Refusal> {
        let key = (*entry.digest(), upstream);
        if let Some(signed) = self.signed.borrow().get(&key)
            && Arc::ptr_eq(&signed.entry, entry)
            && signed.serves(now)
        {
            return Ok(Rc::clone(&signed.text));
        }
        let text = sign(plan, upstream, entry, ring, now).ok_or(Refusal::ValidationUnavailable)?;
        let ends = assertion::ends(entry.principal(), now);
        let signed = Signed {
            text: Rc::clone(&text),
            entry: Arc::clone(entry),
            signed_at: now,
            fresh_until: now.after(now.until(ends) / 2),
        };
        self.keep(key, signed);
        Ok(text)
    }

    fn keep(&self, key: (HashedToken, usize), signed: Signed) {
        let mut all = self.signed.borrow_mut();
        if all.len() >= KEPT {
            all.clear();
        }
        all.insert(key, signed);
    }

    /// Drops what is used no more. For the worker's tick.
    pub fn sweep(&self, now: Timestamp) {
        let rested = self.swept_at.get().is_some_and(|at| at.until(now) < BETWEEN_SWEEPS && at <= now);
        if !rested {
            self.swept_at.set(Some(now));
            self.signed.borrow_mut().retain(|_, signed| signed.serves(now));
        }
    }
}

fn sign(plan: &Plan, upstream: usize, entry: &Valid, ring: &Ring, now: Timestamp) -> Option<Rc<str>> {
    let identity = plan.config.identity.as_ref()?;
    let envelope = Envelope {
        issuer: identity.public_url.as_str(),
        upstream: &plan.config.upstreams.get(upstream)?.name,
    };
    let keys = ring.keys()?;
    let key = keys.signer(Purpose::Assertion, now)?;
    let text = assertion::mint(&key.key, &envelope, entry.principal(), now).ok()?;
    Some(text.into())
}
