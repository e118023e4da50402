//! The client's socket, telling whoever keeps the connection's state what moves on it.

use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::transport::Transport;

/// Answers up to this size, fields included, are written in one piece.
const SMALL: usize = 4096;

/// What wants to know what moves on a socket.
pub trait Watch {
    /// These bytes came.
    fn came(&self, bytes: &[u8]);
    /// A write came to this.
    fn wrote(&self, outcome: &Poll<io::Result<usize>>);
}

/// A client's socket: the protocol reads and writes it, the driver looks whether the client is still there, and has it in
/// the end.
pub(super) type Socket = Rc<RefCell<Transport>>;

/// The socket as the protocol has it.
#[derive(Debug)]
pub(super) struct Watched<W> {
    socket: Socket,
    /// What came, and was told, before anybody knew what to make of it.
    ahead: Vec<u8>,
    /// How much of that has been read.
    read: usize,
    watch: Rc<W>,
}

impl<W> Watched<W> {
    /// A socket from which `ahead` was read already.
    pub(super) fn new(socket: &Socket, ahead: Vec<u8>, watch: Rc<W>) -> Self {
        Self { socket: Rc::clone(socket), ahead, read: 0, watch }
    }

    fn read_ahead(&mut self, buf: &mut ReadBuf<'_>) {
        let left = self.ahead.get(self.read..).unwrap_or_default();
        let count = left.len().min(buf.remaining());
        buf.put_slice(left.get(..count).unwrap_or_default());
        self.read += count;
        if self.read >= self.ahead.len() {
            self.ahead = Vec::new();
        }
    }
}

impl<W: Watch> AsyncRead for Watched<W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            self.read_ahead(buf);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut *self.socket.borrow_mut()).poll_read(cx, buf))?;
        if let Some(bytes) = buf.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
            self.watch.came(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl<W: Watch> AsyncWrite for Watched<W> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut *self.socket.borrow_mut()).poll_write(cx, buf);
        self.watch.wrote(&outcome);
        outcome
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut room = [MaybeUninit::uninit(); SMALL];
        let mut whole = ReadBuf::uninit(&mut room);
        let outcome = match flatten(bufs, &mut whole) {
            Some(whole) => Pin::new(&mut *self.socket.borrow_mut()).poll_write(cx, whole),
            None => Pin::new(&mut *self.socket.borrow_mut()).poll_write_vectored(cx, bufs),
        };
        self.watch.wrote(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = &mut *self.socket.borrow_mut();
        let before = socket.sent_below();
        let outcome = Pin::new(&mut *socket).poll_flush(cx);
        // What TLS had taken is written when the socket takes it.
        if socket.sent_below() != before {
            self.watch.wrote(&Poll::Ready(Ok(1)));
        }
        if outcome.is_pending() {
            self.watch.wrote(&Poll::Pending);
        }
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.socket.borrow_mut()).poll_shutdown(cx)
    }
}

/// The pieces in one, when they fit: copying so little costs less than the vectored call.
fn flatten<'a>(pieces: &[io::IoSlice<'_>], whole: &'a mut ReadBuf<'_>) -> Option<&'a [u8]> {
    if pieces.iter().map(|piece| piece.len()).sum::<usize>() > whole.capacity() {
        return None;
    }
    for piece in pieces {
        whole.put_slice(piece);
    }
    Some(whole.filled())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::task::Waker;

    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, RootCertStore, ServerConfig};
    use socket2::SockRef;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream, client};

    use super::*;
    use crate::server::transport::Counted;

    /// Whether the last that was told was a write that waits.
    #[derive(Default)]
    struct Waits(Cell<bool>);

    impl Watch for Waits {
        fn came(&self, _: &[u8]) {}

        fn wrote(&self, outcome: &Poll<io::Result<usize>>) {
            self.0.set(outcome.is_pending());
        }
    }

    /// Both ends of a connection under TLS that takes little at once.
    async fn narrow() -> (Transport, client::TlsStream<TcpStream>) {
        let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let server = server.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let client = client.unwrap().with_root_certificates(roots).with_no_client_auth();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        SockRef::from(&near).set_recv_buffer_size(4096).unwrap();
        SockRef::from(&far).set_send_buffer_size(4096).unwrap();
        let (acceptor, connector) =
            (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)));
        let name = ServerName::try_from("a.test").unwrap();
        let (far, near) = tokio::join!(acceptor.accept(Counted::new(far)), connector.connect(name, near));
        (Transport::Tls(Box::new(TlsStream::Server(far.unwrap()))), near.unwrap())
    }

    /// TLS has taken all of it; the socket has not.
    #[tokio::test]
    async fn what_waits_below_tls_is_told_as_waiting_until_the_socket_has_taken_it() {
        const LENGTH: usize = 60_000;
        let (far, mut near) = narrow().await;
        let waits = Rc::new(Waits::default());
        let mut watched = Watched::new(&Rc::new(RefCell::new(far)), Vec::new(), Rc::clone(&waits));
        watched.write_all(&[7; LENGTH]).await.unwrap();
        assert!(!waits.0.get());
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut watched).poll_flush(cx).is_pending());
        assert!(waits.0.get());
        let reading = async { near.read_exact(&mut vec![0; LENGTH]).await.unwrap() };
        let flushing = poll_fn(|cx| Pin::new(&mut watched).poll_flush(cx));
        let (_, flushed) = tokio::join!(reading, flushing);
        flushed.unwrap();
        assert!(!waits.0.get());
    }
}
