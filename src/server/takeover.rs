//! What becomes of a carrier that HTTP is left on: the answer is the last that is HTTP, and whoever asked for it goes on
//! with what is behind it, in the same task.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;

use super::http2::Duplex;
use super::transport::Transport;
use bytes::Bytes;

/// What is behind the last answer.
pub enum Bare {
    /// Of a connection of HTTP/1.
    Socket {
        /// The socket.
        stream: Transport,
        /// What had been read of it behind the request.
        read: Bytes,
    },
    /// Of a stream of HTTP/2.
    Stream(Duplex),
}

impl fmt::Debug for Bare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bare").finish_non_exhaustive()
    }
}

/// What goes on with a carrier, and ends when the carrier does.
pub type Takeover = Box<dyn FnOnce(Bare) -> Pin<Box<dyn Future<Output = ()>>>>;

/// The place of a [`Takeover`] on its carrier.
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

/// Forgets the takeover of a carrier that ends before it: what is to take over holds the carrier itself, and neither
/// would be freed.
pub(super) struct Forget<'a>(pub(super) &'a Slot);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}
