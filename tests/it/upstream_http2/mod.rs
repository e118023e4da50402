//! Upstreams that speak HTTP/2: everything that holds for those of HTTP/1.1 holds here too, and what is new with many
//! requests on one connection.

mod answers;
mod beginnings;
mod both;
pub mod connections;
mod elsewhere;
mod flow;
mod requests;
mod resets;
mod timeouts;

use crate::proxy::PUBLIC;
use crate::support::gateway::Gateway;

/// A gateway in front of one upstream of HTTP/2, open to anybody.
pub async fn before(url: &str) -> Gateway {
    with(url, "").await
}

/// The same with these sections besides.
pub async fn with(url: &str, yaml: &str) -> Gateway {
    Gateway::builder().http2("api", &[url]).yaml(&format!("{yaml}\n{PUBLIC}")).start().await
}
