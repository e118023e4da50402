//! What comes of a request's body behind the answer to it.
//!
//! The stream could be reset right behind the answer (RFC 9113 §8.1). But many clients drop the answer with what else they
//! have not read of a stream that is reset, so the reset waits for the body's end, within bounds. Meanwhile what comes is
//! thrown away, and makes room for the rest: a client that cannot go on sending may not look for its answer.

use std::future::poll_fn;
use std::task::Poll;

use h2::RecvStream;

use crate::server::closing::{LINGER, LINGER_BYTES};
use crate::server::deadline::Timer;

/// Takes `body` to its end, if that comes before `timer` fires and not too far behind. When it is dropped its stream ends.
pub(super) async fn discard(mut body: RecvStream, timer: Timer) {
    timer.set(LINGER);
    let mut left = LINGER_BYTES;
    poll_fn(|cx| {
        while left > 0 {
            match body.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => {
                    left = left.saturating_sub(data.len());
                    // It fails only for more than came.
                    let _ = body.flow_control().release_capacity(data.len());
                }
                // The client has ended it, or taken it back.
                Poll::Ready(None | Some(Err(_))) => break,
                Poll::Pending => return timer.poll_fired(cx),
            }
        }
        Poll::Ready(())
    })
    .await;
}
