//! Serving one client connection, in whichever protocol it begins.

use std::convert::Infallible;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use h2::Reason;
use http::{Request, Response};
use http_body::Body;
use hyper::server::conn::http1;
use tokio::net::TcpStream;

use super::carrier::Carrier;
use super::closing::turn_away;
use super::conn::Conn;
use super::handshake::Outcome;
use super::incoming::Incoming;
use super::sniff::{self, First};
use super::transport::Transport;
use super::{handshake, http1 as one, http2, tls};

/// How each protocol is spoken.
#[derive(Debug)]
pub struct Protocols {
    /// HTTP/1, without a timer of its own: [`Conn`] keeps the time.
    pub http1: http1::Builder,
    /// HTTP/2.
    pub http2: http2::Settings,
    /// TLS below either; `None` in clear.
    pub tls: Option<Arc<tls::Tls>>,
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
    /// It is in clear where TLS is spoken.
    InClear,
    /// Its peer does not say who the client is, and has to.
    Unannounced,
}

/// Serves one connection to its end. `unread` is told when what came over HTTP/1 was no request, and gives the answer,
/// which is written unless hyper has answered.
pub async fn serve<H, F, B>(
    stream: TcpStream,
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
    let mut stream = match &protocols.tls {
        None => Transport::Clear(stream),
        // Boxed likewise.
        Some(tls) => match Box::pin(handshake::run(stream, &conn, tls)).await {
            Outcome::Secured(stream) => stream,
            Outcome::InClear(stream) => return turn_away(stream.into(), &unread(Unread::InClear)).await,
            Outcome::Gone => return,
        },
    };
    match begins_with(&mut stream, &conn).await {
        First::Http1(ahead) => one::serve(stream, ahead, &conn, &protocols.http1, handle, unread).await,
        // Boxed, lest every connection of HTTP/1 has room for it.
        First::Http2(ahead) => Box::pin(http2::serve(stream, ahead, conn, &protocols.http2, handle)).await,
        First::SlowHead => turn_away(stream, &unread(Unread::Slow)).await,
        First::Gone => {}
    }
}

/// The protocol: under TLS it was agreed upon, in clear the first bytes tell.
async fn begins_with(stream: &mut Transport, conn: &Conn) -> First {
    if let Transport::Clear(_) = stream {
        return sniff::first(stream, conn).await;
    }
    conn.awaits_first_byte();
    match stream.agreed() {
        Some(tls::H2) => First::Http2(Vec::new()),
        _ => First::Http1(Vec::new()),
    }
}
