//! HTTP/2 towards clients, over real sockets.

mod drain;
mod endings;
mod flow;
mod guarantees;
mod limits;
mod refused_bodies;
mod requests;
mod rules;
mod sniffing;
mod timeouts;
mod websockets;

use crate::proxy::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::h2::H2;
use crate::support::upstream::Upstream;

/// A gateway that lets everybody through, and a client of it.
async fn open(upstream: &Upstream) -> (Gateway, H2) {
    open_with(upstream, "").await
}

/// The same with these sections besides.
async fn open_with(upstream: &Upstream, yaml: &str) -> (Gateway, H2) {
    let gateway = Gateway::with(upstream, &format!("{yaml}\n{PUBLIC}")).await;
    let client = H2::connect(gateway.public()).await;
    (gateway, client)
}
