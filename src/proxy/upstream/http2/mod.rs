//! HTTP/2 to an endpoint, in clear by prior knowledge (RFC 9113 §3.3): few connections, each with many requests at once.
//!
//! The `h2` crate speaks the protocol. A request's own task writes its body and reads its answer, as over HTTP/1; a task
//! of each connection moves the frames.

mod exchange;
mod head;
mod link;
mod links;
mod opening;
mod receiving;
mod send;
mod upload;

pub use exchange::Exchange;
pub use links::Links;
pub use send::send;

/// The most requests at once on one connection, whatever the endpoint allows.
const STREAMS_MAX: usize = 100;
/// The most connections that one worker begins requests on at one endpoint.
const LINKS_MAX: usize = 64;
/// Bytes of an answer that an endpoint may send ahead of its client.
const STREAM_WINDOW: u32 = 64 * 1024;
/// Bytes of a request's body that wait to be written.
const SEND_BUFFER: usize = 64 * 1024;
