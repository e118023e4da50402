//! One direction of a tunnel: what is read is written, and no more is read before it is. Nothing is kept while nothing
//! waits.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Frames;

/// Which end of a pipe broke.
#[derive(Debug)]
pub enum Broken {
    /// The one that is read from.
    Source(io::Error),
    /// The one that is written to.
    Sink,
}

/// See the module.
#[derive(Debug)]
pub struct Pipe {
    /// Read, and to be written.
    waiting: BytesMut,
    /// Followed where something may have to be said in between.
    frames: Option<Frames>,
    flow: Flow,
    moved: u64,
    /// Whether what was written may wait below.
    unflushed: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Flow {
    Open,
    /// Up to the end of the frame that has begun, then this.
    Until(Vec<u8>),
    /// What waits is the last that is written.
    Last(After),
    /// The sink was told the end; what still comes is thrown away.
    Discarding,
    /// Nothing more comes or goes.
    Done,
}

/// What follows when the last is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// The source has ended.
    Nothing,
    Discarding,
}

impl Pipe {
    /// A pipe in which `waiting` was read already.
    pub fn new(waiting: BytesMut, mut frames: Option<Frames>) -> Self {
        if let Some(frames) = &mut frames {
            frames.feed(&waiting);
        }
        Self { waiting, frames, flow: Flow::Open, moved: 0, unflushed: false }
    }

    /// Bytes that were written.
    pub const fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether the sink takes too little.
    pub fn is_held_back(&self) -> bool {
        !self.waiting.is_empty() || self.unflushed
    }

    /// Whether the sink was told the end.
    pub const fn has_told_end(&self) -> bool {
        matches!(self.flow, Flow::Discarding | Flow::Done)
    }

    /// The sink is gone: what still comes is thrown away.
    pub fn give_up(&mut self) {
        self.waiting = BytesMut::new();
        self.unflushed = false;
        if self.flow != Flow::Done {
            self.flow = Flow::Discarding;
        }
    }

    /// Says `farewell` behind the frame that has begun, tells the sink the end, and throws away what comes after. Where
    /// a farewell was said already, no other is.
    pub fn say(&mut self, farewell: Vec<u8>) {
        if self.flow != Flow::Open {
            return;
        }
        match &self.frames {
            Some(frames) if frames.is_closed() && frames.is_at_boundary() => {
                self.flow = Flow::Last(After::Discarding);
            }
            Some(frames) if frames.is_at_boundary() => {
                self.waiting.extend_from_slice(&farewell);
                self.flow = Flow::Last(After::Discarding);
            }
            Some(_) => self.flow = Flow::Until(farewell),
            None => {}
        }
    }

    /// Moves what can be moved; ready when nothing more comes and the sink was told so.
    pub fn poll<F, T>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut F,
        to: &mut T,
        scratch: &mut [u8],
    ) -> Poll<Result<(), Broken>>
    where
        F: AsyncRead + Unpin,
        T: AsyncWrite + Unpin,
    {
        loop {
            ready!(self.poll_write_out(cx, to))?;
            match self.flow {
                Flow::Done => return Poll::Ready(Ok(())),
                Flow::Last(after) => {
                    // One that is gone needs not be told.
                    let _ = ready!(Pin::new(&mut *to).poll_shutdown(cx));
                    self.flow = match after {
                        After::Nothing => Flow::Done,
                        After::Discarding => Flow::Discarding,
                    };
                    continue;
                }
                Flow::Open | Flow::Until(_) | Flow::Discarding => {}
            }
            let mut read = ReadBuf::new(scratch);
            match ready!(Pin::new(&mut *from).poll_read(cx, &mut read)) {
                Ok(()) => {}
                // It had ended before it was broken off.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => read.clear(),
                Err(error) => return Poll::Ready(Err(Broken::Source(error))),
            }
            match read.filled() {
                [] => self.end(),
                bytes => self.take(bytes, cx, to)?,
            }
        }
    }

    fn poll_write_out<T: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut T,
    ) -> Poll<Result<(), Broken>> {
        while !self.waiting.is_empty() {
            let written = ready!(write(to, cx, &self.waiting))?;
            self.waiting.advance(written);
            self.moved += written as u64;
            self.unflushed = true;
            if self.waiting.is_empty() {
                // Most tunnels are silent most of the time.
                self.waiting = BytesMut::new();
            }
        }
        if self.unflushed {
            ready!(Pin::new(to).poll_flush(cx)).map_err(|_| Broken::Sink)?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// The source has ended.
    fn end(&mut self) {
        self.flow = match self.flow {
            Flow::Discarding => Flow::Done,
            _ => Flow::Last(After::Nothing),
        };
    }

    fn take<T: AsyncWrite + Unpin>(
        &mut self,
        bytes: &[u8],
        cx: &mut Context<'_>,
        to: &mut T,
    ) -> Result<(), Broken> {
        match &self.flow {
            Flow::Open => {
                if let Some(frames) = &mut self.frames {
                    frames.feed(bytes);
                }
                let written = match write(to, cx, bytes) {
                    Poll::Ready(written) => written?,
                    Poll::Pending => 0,
                };
                self.moved += written as u64;
                self.unflushed = true;
                self.waiting.extend_from_slice(bytes.get(written..).unwrap_or_default());
            }
            Flow::Until(farewell) => {
                let Some(frames) = &mut self.frames else { return Ok(()) };
                let taken = frames.feed_to_boundary(bytes);
                self.waiting.extend_from_slice(bytes.get(..taken).unwrap_or_default());
                if frames.is_at_boundary() {
                    if !frames.is_closed() {
                        self.waiting.extend_from_slice(farewell);
                    }
                    self.flow = Flow::Last(After::Discarding);
                }
            }
            Flow::Discarding | Flow::Last(_) | Flow::Done => {}
        }
        Ok(())
    }
}

fn write<T: AsyncWrite + Unpin>(
    to: &mut T,
    cx: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<Result<usize, Broken>> {
    match ready!(Pin::new(to).poll_write(cx, bytes)) {
        Ok(0) | Err(_) => Poll::Ready(Err(Broken::Sink)),
        Ok(written) => Poll::Ready(Ok(written)),
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Takes everything at once, and passes it on when it may.
    #[derive(Default)]
    struct Holding {
        held: usize,
        passed: usize,
        may: bool,
    }

    impl AsyncWrite for Holding {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.held += buf.len();
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            if !self.may {
                return Poll::Pending;
            }
            self.passed += std::mem::take(&mut self.held);
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Nothing more has to come for it.
    #[tokio::test]
    async fn what_the_sink_holds_is_passed_on_and_counts_as_held_back_until_then() {
        let (mut near, mut far) = tokio::io::duplex(64);
        let (mut pipe, mut sink, mut scratch) =
            (Pipe::new(BytesMut::new(), None), Holding::default(), [0; 64]);
        let cx = &mut Context::from_waker(Waker::noop());
        tokio::io::AsyncWriteExt::write_all(&mut far, b"hello").await.unwrap();
        assert!(pipe.poll(cx, &mut near, &mut sink, &mut scratch).is_pending());
        assert_eq!((pipe.is_held_back(), sink.held, sink.passed), (true, 5, 0));
        sink.may = true;
        assert!(pipe.poll(cx, &mut near, &mut sink, &mut scratch).is_pending());
        assert_eq!((pipe.is_held_back(), sink.held, sink.passed), (false, 0, 5));
    }
}
