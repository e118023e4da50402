//! The control plane: health, metrics and reload, apart from the listeners that carry traffic.
//!
//! Handlers parse, ask, render; what they ask is wired by the composition through [`Control`].

mod console;
mod health;
pub mod identity;
mod metrics;
mod problem;
mod reload;
pub mod router;
pub mod serve;
pub mod socket;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;

pub use console::Sealer;
pub use health::{CertificateEnd, Checks, Health, Shown, Status};
pub use reload::ReloadOutcome;

use crate::telemetry::metrics::Metrics;

/// Says how the process is. Called for each request to `/readyz`; must not block.
pub type AskHealth = Arc<dyn Fn() -> Health + Send + Sync>;
/// Loads the configuration anew.
pub type AskReload = Arc<dyn Fn() -> BoxFuture<'static, ReloadOutcome> + Send + Sync>;

/// What the control plane knows of the process.
pub struct Control {
    /// What `/metrics` renders.
    pub metrics: Arc<Metrics>,
    /// What `/readyz` tells.
    pub health: AskHealth,
    /// What `POST /reload` on the control socket runs.
    pub reload: AskReload,
    /// What stands before the code in a problem's `type`.
    pub type_base: Arc<ArcSwap<String>>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

#[cfg(test)]
pub mod tests;
