//! The HTTP pieces that planes share: refusals as answers, the client's address, cookies, request ids, trace context.
//!
//! Knows nothing of routes, sockets or the store; what it needs of the configuration arrives as plain values.

pub mod accept;
pub mod client_address;
pub mod cookies;
pub mod cors;
pub mod endpoint;
pub mod errand;
pub mod forwarded;
mod grpc;
pub mod members;
pub mod own_body;
mod page;
pub mod problem;
pub mod rate_limit;
pub mod request_id;
pub mod traceparent;
mod transient;
