//! A piece of an answer's body in h2's hands: when it is dropped, it was written to the socket, or never will be.

use std::rc::Rc;

use bytes::{Buf, Bytes};

use super::credit::Fit;
use super::stream::Stream;

/// One piece.
pub(super) struct Piece {
    bytes: Bytes,
    of: Rc<Stream>,
}

impl Piece {
    /// What there was to send, or as much of it as its client had room for.
    pub(super) fn new(bytes: Bytes, of: &Rc<Stream>, fit: Fit) -> Self {
        of.piece_begun(bytes.len(), fit);
        Self { bytes, of: Rc::clone(of) }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.of.piece_ended(self.bytes.len());
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.of.piece_moved(count);
    }
}
