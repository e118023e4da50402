//! The first byte of an input says how it is to be taken; the rest is what arrives, in pieces.

/// Sizes of the pieces that the low three bits choose.
const SIZES: [usize; 8] = [1, 2, 3, 5, 7, 16, 64, usize::MAX];

/// How an input is to be taken. In a seed that is text, `G` is one piece without options and `A` to `F` smaller ones; `O`
/// has the first option, `W` the second, `_` both.
#[derive(Clone, Copy)]
pub struct Manner(u8);

impl Manner {
    /// Splits an input; `None` when it is empty.
    pub fn split(input: &[u8]) -> Option<(Self, &[u8])> {
        input.split_first().map(|(first, rest)| (Self(*first), rest))
    }

    /// The size of the pieces in which the rest arrives.
    pub fn piece(self) -> usize {
        SIZES[usize::from(self.0 & 7)]
    }

    /// Bit 3: what it means is up to the target.
    pub fn first(self) -> bool {
        self.0 & 8 != 0
    }

    /// Bit 4, likewise.
    pub fn second(self) -> bool {
        self.0 & 16 != 0
    }
}
