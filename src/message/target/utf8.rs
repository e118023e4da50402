//! Whether escapes spell UTF-8.

use crate::auth::refusal::Ambiguity;

/// Whether runs of escaped bytes are UTF-8 (RFC 3629 §4), byte by byte.
pub(super) struct Utf8 {
    /// Continuation bytes that are still due, and the bounds of the next.
    due: u8,
    low: u8,
    high: u8,
    /// Continuation bytes up to this one would spell a shorter character at length; 0 = none.
    overlong: u8,
    /// No run so far was anything else.
    pub(super) valid: bool,
}

impl Utf8 {
    pub(super) const START: Self = Self { due: 0, low: 0x80, high: 0xBF, overlong: 0, valid: true };

    /// A byte that is not escaped, or the end.
    pub(super) fn end_of_run(&mut self) {
        self.valid &= self.due == 0;
        self.due = 0;
        self.overlong = 0;
    }

    /// The next escaped byte.
    pub(super) fn escaped(&mut self, byte: u8) -> Result<(), Ambiguity> {
        // `%C0%AE` and `%E0%80%AE` are dots to a careless decoder, whatever a route allows.
        if (0x80..=self.overlong).contains(&byte) {
            return Err(Ambiguity::ControlByte);
        }
        if self.due > 0 && (self.low..=self.high).contains(&byte) {
            (self.due, self.low, self.high) = (self.due - 1, 0x80, 0xBF);
            self.overlong = 0;
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
        self.overlong = match byte {
            0xC0 | 0xC1 | 0xF8..=0xFD => 0xBF,
            0xE0 => 0x9F,
            0xF0 => 0x8F,
            _ => 0,
        };
        Ok(())
    }
}
