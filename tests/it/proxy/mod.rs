//! The data plane over real sockets: what goes through, what is refused, and what each party is spared.

mod answers;
mod connections;
mod cookies;
mod credentials;
mod endpoints;
mod expiry;
mod faults;
mod framing;
mod limits;
mod proxy_protocol;
mod reload;
mod retries;
mod streaming;
pub mod timeouts;
mod trailers;
mod tunnels;
mod upgrades;
mod upstream_view;

/// One route that anybody may use, for tests that are not about credentials.
pub const PUBLIC: &str = "routes:
  - name: all
    match: { path_prefix: / }
    auth: public
    upstream: api
";
