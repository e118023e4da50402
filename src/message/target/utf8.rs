//! Whether escapes spell UTF-8.

use crate::auth::refusal::Ambiguity;

/// Whether runs of escaped bytes are UTF-8 (RFC 3629 §4), byte by byte.
pub(super) struct Utf8 {
    /// Continuation bytes that are still due, and the bounds of the next.
    due: u8,
    low: u8,
    high: u8,
    /// A lead byte that no UTF-8 contains was the last.
    overlong: bool,
    /// No run so far was anything else.
    pub(super) valid: bool,
}

impl Utf8 {
    pub(super) const START: Self = Self { due: 0, low: 0x80, high: 0xBF, overlong: false, valid: true };

    /// A byte that is not escaped, or the end.
    pub(super) fn end_of_run(&mut self) {
        self.valid &= self.due == 0;
        self.due = 0;
        self.overlong = false;
    }

    /// The next escaped byte.
    pub(super) fn escaped(&mut self, byte: u8) -> Result<(), Ambiguity> {
        // `%C0%AE` is a dot to a careless decoder, whatever a route allows.
        if self.overlong && matches!(byte, 0x80..=0xBF) {
            return Err(Ambiguity::ControlByte);
        }
        if self.due > 0 && (self.low..=self.high).contains(&byte) {
            (self.due, self.low, self.high) = (self.due - 1, 0x80, 0xBF);
            return Ok(());
        }
        self.end_of_run();
        (self.due, self.low, self.high) = match byte {
            0x00..=0x7F => (0, 0x80, 0xBF),
            0xC2..=0xDF => (1, 0x80, 0xBF),
            0xE0 => (2, 0xA0, 0xBF),
            0xED => (2, 0x80, 0x9F),
            0xE1..=0xEF => (2, 0x80, 0xBF),
            0xF0 => (3, 0x90, 0xBF),
            0xF1..=0xF3 => (3, 0x80, 0xBF),
            0xF4 => (3, 0x80, 0x8F),
            _ => {
                self.valid = false;
                (0, 0x80, 0xBF)
            }
        };
        self.overlong = matches!(byte, 0xC0 | 0xC1);
        Ok(())
    }
}
