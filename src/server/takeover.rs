//! What becomes of a connection that HTTP/1.1 is left on: a 101 is the last that hyper writes, and whoever asked for it
//! goes on with the bare socket, in the same task.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use tokio::net::TcpStream;

use super::conn::Conn;

/// A connection behind its last answer.
#[derive(Debug)]
pub struct Bare {
    /// The socket.
    pub stream: TcpStream,
    /// What had been read of it behind the request.
    pub read: Bytes,
}

/// What goes on with a connection, and ends when the connection does.
pub type Takeover = Box<dyn FnOnce(Bare) -> Pin<Box<dyn Future<Output = ()>>>>;

/// The place of a [`Takeover`] on its connection.
#[derive(Default)]
pub(super) struct Slot(RefCell<Option<Takeover>>);

impl Slot {
    pub(super) fn put(&self, takeover: Takeover) {
        *self.0.borrow_mut() = Some(takeover);
    }

    pub(super) fn take(&self) -> Option<Takeover> {
        self.0.borrow_mut().take()
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

/// Forgets the takeover of a connection that ends before it: what is to take over holds the connection itself, and
/// neither would be freed.
pub(super) struct Forget<'a>(pub(super) &'a Conn);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        drop(self.0.taken_over());
    }
}
