//! Ending a connection so that its client sees what it was told last.

use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of an unread body that are taken and thrown away so that the client sees its answer instead of a reset.
const LINGER_BYTES: usize = 16 * 1024 * 1024;
/// How long that may take.
const LINGER: Duration = Duration::from_secs(5);

/// Makes the end of a socket a reset, which no reader takes for the end of what was sent, and throws away what waits to
/// be sent.
pub fn reset(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Whether bytes have come that nobody read.
pub(super) fn has_unread(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0; 1]), Ok(1..))
}

/// Answers without having read a whole request, and ends the connection so that the client sees the answer.
pub async fn turn_away(mut stream: TcpStream, answer: &[u8]) {
    // The client is slow, not waiting: what does not fit its window is not worth waiting for.
    let _ = stream.try_write(answer);
    linger(&mut stream).await;
}

/// Ends our side and reads the other's rest within bounds: closing with unread bytes would reset the connection and
/// could take the answer with it.
pub(super) async fn linger(stream: &mut TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    // On the heap: as an array it would be part of every connection's future from its beginning. Not filled: that would
    // make memory resident which nobody has touched, for each of many that end together.
    let mut scrap = Vec::with_capacity(16 * 1024);
    let mut left = LINGER_BYTES;
    let mut until = pin!(tokio::time::sleep(LINGER));
    while left > 0 {
        scrap.clear();
        let read = tokio::select! {
            read = stream.read_buf(&mut scrap) => read,
            () = &mut until => return,
        };
        match read {
            Ok(0) | Err(_) => return,
            Ok(count) => left = left.saturating_sub(count),
        }
    }
}
