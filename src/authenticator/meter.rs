//! Where the requests of a credential are counted, and by which limits.

use std::sync::Arc;

use crate::limits::{Account, Rates};

/// The account that they count for, over all its credentials.
#[derive(Clone, Debug)]
pub struct Meter {
    /// What counts.
    pub account: Arc<Account>,
    /// How much the account may.
    pub rates: Arc<Rates>,
}
