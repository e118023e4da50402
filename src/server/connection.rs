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

/// Why no request over HTTP/1 could be read from what came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// Its fields did not arrive in time.
    Slow,
    /// It is no request, or it is cut off.
    Malformed,
    /// Its head is longer than may be.
    TooLarge,
}

/// Serves one connection to its end. `unread` is told when what came over HTTP/1 was no request, and gives the answer,
/// which is written unless hyper has answered.
pub async fn serve<H, F, B>(
    mut stream: TcpStream,
    conn: Rc<Conn>,
    protocols: &Protocols,
    handle: H,
    unread: impl FnOnce(Unread) -> Vec<u8>,
) where
    H: Fn(Carrier, Request<Incoming>) -> F,
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Into<Reason>,
{
    match sniff::first(&mut stream, &conn).await {
        First::Http1(ahead) => one::serve(stream, ahead, &conn, &protocols.http1, handle, unread).await,
        // Boxed, lest every connection of HTTP/1 has room for it.
        First::Http2(ahead) => Box::pin(http2::serve(stream, ahead, conn, &protocols.http2, handle)).await,
        First::SlowHead => turn_away(stream, &unread(Unread::Slow)).await,
        First::Gone => {}
    }
}
