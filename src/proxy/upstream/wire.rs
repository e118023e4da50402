//! One connection to an endpoint: its socket, what was read ahead, and its limit of time.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio_util::io::poll_read_buf;

use super::connections::Place;
use crate::clock::Tick;
use crate::server::deadline::Timer;
use crate::server::transport::Transport;

/// Room made for an answer's fields and the start of its body.
const READ_AHEAD: usize = 8 * 1024;
/// The largest piece of a body that is read at once.
const READ_MAX: usize = 64 * 1024;

/// How closely an idle connection is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// By what the runtime has heard: without a system call, unless something came. It may be behind.
    Known,
    /// By asking the system: for a request that cannot be sent again.
    Ask,
}

/// A connection to an endpoint. Belongs to one worker.
#[derive(Debug)]
pub struct Wire {
    pub(super) stream: Transport,
    pub(super) read: BytesMut,
    /// What of a request is written next: its line and fields, the size of a chunk.
    pub(super) out: Vec<u8>,
    /// How much of it is written.
    pub(super) sent: usize,
    pub(super) timer: Timer,
    /// Whether it has carried a request before: it may then have been closed by the other side meanwhile.
    pub(super) used: bool,
    pub(super) idle_since: Tick,
    /// Its place among the connections to its endpoint, where they are counted.
    pub(super) place: Option<Place>,
    /// Whether the read buffer was made large for a body.
    large: bool,
}

impl Wire {
    pub(super) fn new(stream: Transport, timer: Timer) -> Self {
        Self {
            stream,
            read: BytesMut::new(),
            out: Vec::new(),
            sent: 0,
            timer,
            used: false,
            idle_since: Tick(0),
            place: None,
            large: false,
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

    /// Reads more; 0 is the end. `expected` is how much of a body can come and be passed on.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>, expected: u64) -> Poll<io::Result<usize>> {
        let room = usize::try_from(expected).unwrap_or(READ_MAX).clamp(READ_AHEAD, READ_MAX);
        if room > READ_AHEAD {
            self.large = true;
        } else if self.read.is_empty() {
            self.shrink();
        }
        self.read.reserve(room);
        poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.read)
    }

    /// The socket, what was read from it already, and its place.
    pub(super) fn into_parts(self) -> (Transport, BytesMut, Option<Place>) {
        (self.stream, self.read, self.place)
    }

    /// Where it leads.
    pub(super) fn peer(&self) -> Option<IpAddr> {
        self.stream.socket().peer_addr().ok().map(|address| address.ip())
    }

    /// Gives back the memory that only a large body needed.
    pub(super) fn shrink(&mut self) {
        if std::mem::take(&mut self.large) {
            self.read = BytesMut::new();
        }
    }

    /// Whether an idle connection is still good: nothing came on it, not even its end.
    pub(super) fn is_quiet(&mut self, look: Look) -> bool {
        match look {
            Look::Known => self.stream.is_quiet(),
            Look::Ask => self.stream.is_silent(),
        }
    }
}
