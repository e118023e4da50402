//! Ending a connection so that its client sees what it was told last.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use super::transport::Transport;

/// Bytes of an unread body that are taken and thrown away so that the client sees its answer instead of a reset.
pub(super) const LINGER_BYTES: usize = 16 * 1024 * 1024;
/// So many at once.
const SCRAP: usize = 16 * 1024;
/// How long that may take.
pub(super) const LINGER: Duration = Duration::from_secs(5);

/// Makes the end of a socket a reset, which no reader takes for the end of what was sent, and throws away what waits to
/// be sent.
pub fn reset(stream: &Transport) {
    let _ = socket2::SockRef::from(stream.socket()).set_linger(Some(Duration::ZERO));
}

/// Answers without having read a whole request, and ends the connection so that the client sees the answer.
pub async fn turn_away(mut stream: Transport, answer: &[u8]) {
    // The client is slow, not waiting: what does not fit its window is not worth waiting for.
    stream.try_write(answer);
    linger(&mut stream).await;
}

/// Ends our side and reads the other's rest within bounds: closing with unread bytes would reset the connection and
/// could take the answer with it.
pub(super) async fn linger(stream: &mut Transport) {
    let mut left = LINGER_BYTES;
    let mut until = pin!(tokio::time::sleep(LINGER));
    // Under TLS our end has to be taken like anything else.
    let ended = tokio::select! {
        ended = stream.shutdown() => ended,
        () = &mut until => return,
    };
    if ended.is_err() {
        return;
    }
    while left > 0 {
        let read = tokio::select! {
            read = poll_fn(|cx| poll_discard(stream, cx)) => read,
            () = &mut until => return,
        };
        match read {
            Ok(0) | Err(_) => return,
            Ok(count) => left = left.saturating_sub(count),
        }
    }
}

/// Takes what has come and forgets it; 0 is the end. Room for it is there only meanwhile: who is ended may be many, and
/// most of them send nothing.
fn poll_discard(stream: &mut Transport, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let mut room = [MaybeUninit::uninit(); SCRAP];
    let mut scrap = ReadBuf::uninit(&mut room);
    ready!(Pin::new(stream).poll_read(cx, &mut scrap))?;
    Poll::Ready(Ok(scrap.filled().len()))
}
