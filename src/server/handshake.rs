//! The beginning of a connection under TLS, within the limit of time that the first byte has. Who speaks HTTP in clear
//! is noticed before TLS reads anything of it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::conn::Conn;
use super::tls::{Shown, Tls};
use super::transport::{Counted, Transport};

/// What came of it.
pub(super) enum Outcome {
    /// The client and this side trust what they say from here on.
    Secured(Transport),
    /// The client speaks HTTP in clear.
    InClear(TcpStream),
    /// It was too slow, has gone, or speaks no TLS that is spoken here; or the worker ends.
    Gone,
}

/// To its end.
pub(super) async fn run(stream: TcpStream, conn: &Conn, tls: &Arc<Tls>) -> Outcome {
    match poll_fn(|cx| within(poll_first_byte(&stream, cx), conn, cx)).await {
        // Every method begins with a letter; a handshake does not (RFC 8446 §5.1).
        Some(Ok(first)) if first.is_ascii_alphabetic() => return Outcome::InClear(stream),
        Some(Ok(_)) => {}
        Some(Err(_)) | None => return Outcome::Gone,
    }
    let current = tls.current();
    let mut accepting = TlsAcceptor::from(Arc::clone(&current.config)).accept(Counted::new(stream));
    match poll_fn(|cx| within(Pin::new(&mut accepting).poll(cx), conn, cx)).await {
        Some(Ok(stream)) => {
            if let Some(chain) = stream.get_ref().1.peer_certificates() {
                let Some(shown) = Shown::read(tls, &current, chain) else {
                    tracing::debug!(peer = %conn.peer, "the certificate of a client cannot be read");
                    return Outcome::Gone;
                };
                // There is one handshake.
                let _ = conn.shown.set(Rc::new(shown));
            }
            Outcome::Secured(Transport::Tls(Box::new(TlsStream::Server(stream))))
        }
        Some(Err(error)) => {
            tracing::debug!(peer = %conn.peer, %error, "a TLS handshake failed");
            Outcome::Gone
        }
        None => Outcome::Gone,
    }
}

/// Nothing, once it took too long or the worker ends.
fn within<T>(polled: Poll<T>, conn: &Conn, cx: &Context<'_>) -> Poll<Option<T>> {
    match polled {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if conn.poll_overdue(cx).is_ready() || conn.is_to_end() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    }
}

/// The first byte, which stays where it is.
fn poll_first_byte(stream: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<u8>> {
    let mut room = [0];
    let mut first = ReadBuf::new(&mut room);
    ready!(stream.poll_peek(cx, &mut first))?;
    Poll::Ready(first.filled().first().copied().ok_or_else(|| io::ErrorKind::UnexpectedEof.into()))
}
