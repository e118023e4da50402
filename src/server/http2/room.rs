//! How much of a connection's answers may wait to be written: what its client does not take stays with the upstreams.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};

/// Bytes of all answers of a connection that may wait to be written.
const MOST: usize = 256 * 1024;

/// What one connection has left.
#[derive(Debug, Default)]
pub(super) struct Room {
    waiting: Cell<usize>,
    /// The streams whose answers want to go on when there is room again.
    blocked: RefCell<BTreeMap<u32, Waker>>,
}

impl Room {
    pub(super) fn left(&self) -> usize {
        MOST.saturating_sub(self.waiting.get())
    }

    /// Ready with what is left for an answer on `stream`, once there is any.
    pub(super) fn poll_left(&self, stream: u32, cx: &Context<'_>) -> Poll<usize> {
        match self.left() {
            0 => {
                self.blocked.borrow_mut().insert(stream, cx.waker().clone());
                Poll::Pending
            }
            left => Poll::Ready(left),
        }
    }

    pub(super) fn take(&self, bytes: usize) {
        self.waiting.set(self.waiting.get() + bytes);
    }

    /// So much was written, or never will be. Half of it is waited for: many answers are woken at once.
    pub(super) fn give_back(&self, bytes: usize) {
        let before = self.waiting.get();
        let after = before.saturating_sub(bytes);
        self.waiting.set(after);
        if before > MOST / 2 && after <= MOST / 2 {
            self.blocked.take().into_values().for_each(Waker::wake);
        }
    }

    /// A stream is over: what would wake it holds all that it was.
    pub(super) fn forget(&self, stream: u32) {
        self.blocked.borrow_mut().remove(&stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_no_room_is_woken_once_half_of_it_is_free() {
        let (room, cx) = (Room::default(), Context::from_waker(Waker::noop()));
        room.take(MOST - 1);
        assert_eq!(room.poll_left(1, &cx), Poll::Ready(1));
        room.take(2);
        assert_eq!((room.left(), room.poll_left(1, &cx)), (0, Poll::Pending));
        room.give_back(MOST / 2);
        assert_eq!(room.blocked.borrow().len(), 1);
        room.give_back(1);
        assert_eq!((room.blocked.borrow().len(), room.left()), (0, MOST / 2));
    }

    #[test]
    fn nothing_is_kept_of_a_stream_that_is_over() {
        let (room, cx) = (Room::default(), Context::from_waker(Waker::noop()));
        room.take(MOST);
        for stream in 0..1000 {
            assert!(room.poll_left(stream, &cx).is_pending() && room.poll_left(stream, &cx).is_pending());
            room.forget(stream);
        }
        assert!(room.blocked.borrow().is_empty());
    }
}
