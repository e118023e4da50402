//! One connection to an endpoint: its socket, what was read ahead, and its limit of time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

use crate::clock::Tick;
use crate::server::deadline::Timer;

/// Room made for an answer's fields and the start of its body.
const READ_AHEAD: usize = 8 * 1024;
/// The largest piece of a body that is read at once.
const READ_MAX: usize = 64 * 1024;

/// A connection to an endpoint. Belongs to one worker.
#[derive(Debug)]
pub struct Wire {
    pub(super) stream: TcpStream,
    pub(super) read: BytesMut,
    /// What of a request is written next: its line and fields, the size of a chunk.
    pub(super) out: Vec<u8>,
    /// How much of it is written.
    pub(super) sent: usize,
    pub(super) timer: Timer,
    /// Whether it has carried a request before: it may then have been closed by the other side meanwhile.
    pub(super) used: bool,
    pub(super) idle_since: Tick,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, timer: Timer) -> Self {
        Self {
            stream,
            read: BytesMut::new(),
            out: Vec::new(),
            sent: 0,
            timer,
            used: false,
            idle_since: Tick(0),
        }
    }

    /// What is still to be written.
    pub(super) fn unsent(&self) -> &[u8] {
        self.out.get(self.sent..).unwrap_or_default()
    }

    /// So much of it is written.
    pub(super) fn sent(&mut self, count: usize) {
        self.sent += count;
        if self.sent >= self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
    }

    /// Reads more; 0 is the end. `expected` is how much of a body is still to come, if known.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        expected: Option<u64>,
    ) -> Poll<io::Result<usize>> {
        let room = expected
            .map_or(READ_AHEAD, |left| usize::try_from(left).unwrap_or(READ_MAX).clamp(READ_AHEAD, READ_MAX));
        self.read.reserve(room);
        poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.read)
    }

    /// Whether an idle connection is still good: nothing came on it, not even its end. Costs no system call unless
    /// something did.
    pub(super) fn is_quiet(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        match self.stream.poll_read_ready(&mut cx) {
            Poll::Pending => true,
            Poll::Ready(_) => {
                let nothing = self.stream.try_read(&mut [0; 1]);
                matches!(nothing, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            }
        }
    }
}
