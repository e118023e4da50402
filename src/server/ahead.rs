//! How far an answer is ahead of its client over HTTP/1: what was handed over and is not written.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};

/// What is handed over at once to a client that has not shown that it reads. Each slow reader costs as much.
const PIECE: usize = 24 * 1024;
/// Until so little is left of it, nothing follows; small pieces add up to it.
const LITTLE: usize = 4 * 1024;
/// What a client has to take without a pause to be one that reads: more than sockets take by themselves.
const READS: usize = 256 * 1024;

/// What of a connection's answers waits to be written. What hyper would keep besides, for a client that takes nothing, is
/// not read from the upstream in the first place.
#[derive(Debug, Default)]
pub struct Ahead {
    unwritten: Cell<usize>,
    /// Bytes taken since its client last took none.
    in_a_row: Cell<usize>,
    /// Whether the client took none since all was written last.
    stands: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Ahead {
    /// So much of a body is on its way.
    pub fn handed_over(&self, bytes: usize) {
        self.unwritten.set(self.unwritten.get().saturating_add(bytes));
    }

    /// How much may be handed over now. Ready when it is worth a read.
    pub fn poll_room(&self, cx: &Context<'_>) -> Poll<usize> {
        if self.in_a_row.get() >= READS {
            return Poll::Ready(usize::MAX);
        }
        if self.is_nearly_written() {
            return Poll::Ready(PIECE - self.unwritten.get());
        }
        *self.waiting.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }

    /// So much was written, a head and the sizes of chunks included.
    pub fn wrote(&self, bytes: usize) {
        self.in_a_row.set(self.in_a_row.get().saturating_add(bytes));
        self.unwritten.set(self.unwritten.get().saturating_sub(bytes));
        if self.unwritten.get() == 0 {
            self.stands.set(false);
        }
        if self.is_nearly_written()
            && let Some(waker) = self.waiting.take()
        {
            waker.wake();
        }
    }

    /// Whether more may follow. Not to a client that takes none, even if little is left of a piece: all of the piece stays in
    /// memory as long.
    fn is_nearly_written(&self) -> bool {
        let little = if self.stands.get() { 0 } else { LITTLE };
        self.unwritten.get() <= little
    }

    /// The client took nothing more.
    pub fn stalled(&self) {
        self.in_a_row.set(0);
        self.stands.set(self.unwritten.get() > 0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn room(ahead: &Ahead, woken: &Arc<Woken>) -> Poll<usize> {
        ahead.poll_room(&Context::from_waker(&Waker::from(Arc::clone(woken))))
    }

    #[test]
    fn nothing_follows_a_piece_until_hardly_any_of_it_is_left() {
        let (ahead, woken) = (Ahead::default(), Arc::default());
        assert_eq!(room(&ahead, &woken), Poll::Ready(PIECE));
        ahead.handed_over(PIECE);
        assert_eq!(room(&ahead, &woken), Poll::Pending);
        ahead.wrote(PIECE - LITTLE - 1);
        assert_eq!(woken.0.load(Ordering::SeqCst), 0);
        assert_eq!(room(&ahead, &woken), Poll::Pending);
        ahead.wrote(1);
        assert_eq!(woken.0.load(Ordering::SeqCst), 1, "whoever waits is told, once");
        ahead.wrote(1);
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert_eq!(room(&ahead, &woken), Poll::Ready(PIECE - LITTLE + 1));
    }

    /// However little of it is left, its memory is held.
    #[test]
    fn nothing_follows_a_piece_of_which_the_client_took_a_part_and_then_none() {
        let (ahead, woken) = (Ahead::default(), Arc::default());
        ahead.handed_over(PIECE);
        ahead.wrote(PIECE - 1);
        ahead.stalled();
        assert_eq!(room(&ahead, &woken), Poll::Pending);
        ahead.wrote(1);
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert_eq!(room(&ahead, &woken), Poll::Ready(PIECE));
        ahead.handed_over(PIECE);
        ahead.wrote(PIECE - 1);
        assert!(room(&ahead, &woken).is_ready(), "it takes something again");
    }

    #[test]
    fn small_pieces_add_up() {
        let (ahead, woken) = (Ahead::default(), Arc::default());
        for _ in 0..LITTLE {
            assert!(room(&ahead, &woken).is_ready());
            ahead.handed_over(1);
        }
        assert!(room(&ahead, &woken).is_ready());
        ahead.handed_over(1);
        assert_eq!(room(&ahead, &woken), Poll::Pending);
    }

    #[test]
    fn who_reads_is_not_waited_for_until_it_stalls() {
        let (ahead, woken) = (Ahead::default(), Arc::default());
        ahead.handed_over(PIECE);
        ahead.wrote(READS);
        ahead.handed_over(10 * PIECE);
        assert_eq!(room(&ahead, &woken), Poll::Ready(usize::MAX));
        ahead.stalled();
        assert_eq!(room(&ahead, &woken), Poll::Pending);
        // What was written besides, such as heads, is not owed.
        ahead.wrote(11 * PIECE);
        assert_eq!(room(&ahead, &woken), Poll::Ready(usize::MAX));
    }
}
