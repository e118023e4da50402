//! Serving one client connection, in whichever protocol it begins.

use std::convert::Infallible;
use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use h2::Reason;
use http::{Request, Response};
use http_body::Body;
use hyper::server::conn::http1;
use tokio::net::TcpStream;

use super::carrier::Carrier;
use super::closing::turn_away;
use super::conn::Conn;
use super::incoming::Incoming;
use super::sniff::{self, First};
use super::{http1 as one, http2};

/// How each protocol is spoken.
#[derive(Debug)]
pub struct Protocols {
    /// HTTP/1, without a timer of its own: [`Conn`] keeps the time.
    pub http1: http1::Builder,
    /// HTTP/2.
    pub http2: http2::Settings,
}

/// Serves one connection to its end. `slow_head` is written when the fields of a request over HTTP/1 do not arrive in
/// time.
pub async fn serve<H, F, B>(
    mut stream: TcpStream,
    conn: Rc<Conn>,
    protocols: &Protocols,
    handle: H,
    slow_head: impl FnOnce() -> Vec<u8>,
) where
    H: Fn(Carrier, Request<Incoming>) -> F,
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Into<Reason>,
{
    match sniff::first(&mut stream, &conn).await {
        First::Http1(ahead) => one::serve(stream, ahead, &conn, &protocols.http1, handle, slow_head).await,
        // Boxed, lest every connection of HTTP/1 has room for it.
        First::Http2(ahead) => Box::pin(http2::serve(stream, ahead, conn, &protocols.http2, handle)).await,
        First::SlowHead => turn_away(stream, &slow_head()).await,
        First::Gone => {}
    }
}
