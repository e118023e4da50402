//! Every route of the control plane, in one table for each of its listeners.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::{Control, health, metrics, problem, reload};

/// What the admin listener serves.
pub fn admin(control: Arc<Control>) -> Router {
    let routes = Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics));
    with_refusals(routes).with_state(control)
}

/// What the control socket serves, to the server's own user and root.
pub fn socket(control: Arc<Control>) -> Router {
    let routes = Router::new().route("/reload", post(reload::reload));
    with_refusals(routes).with_state(control)
}

fn with_refusals(routes: Router<Arc<Control>>) -> Router<Arc<Control>> {
    routes.fallback(problem::not_found).method_not_allowed_fallback(problem::method_not_allowed)
}
