//! Taking an answer's body off its stream.

use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::RecvStream;

/// The next piece of an answer, of which the endpoint may send as much again; `None` where its data ends.
pub(super) fn poll_piece(
    answer: &mut RecvStream,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, h2::Error>>> {
    loop {
        let Some(data) = ready!(answer.poll_data(cx)?) else { return Poll::Ready(None) };
        // Fails only for more than has come.
        let _ = answer.flow_control().release_capacity(data.len());
        if !data.is_empty() {
            return Poll::Ready(Some(Ok(data)));
        }
    }
}

/// Takes what comes of an answer that nobody needs any more; ready at its end.
pub(super) fn poll_end(answer: &mut RecvStream) -> Poll<()> {
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match ready!(poll_piece(answer, &mut cx)) {
            Some(Ok(_)) => {}
            Some(Err(_)) => return Poll::Ready(()),
            None => return answer.poll_trailers(&mut cx).map(|_| ()),
        }
    }
}
