//! Where the frames of a WebSocket end (RFC 6455 §5.2): read from their lengths alone, so that one can be put between
//! two others. Nothing is judged: each side reads the other's frames itself.

use crate::auth::refusal::Code;

/// The longest header: two bytes, eight of length, four of mask.
const HEADER_MAX: usize = 14;
const CLOSE: u8 = 0x8;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// One direction's frames as far as they have come.
#[derive(Debug, Default)]
pub struct Frames {
    header: [u8; HEADER_MAX],
    /// How much of a header has come.
    have: usize,
    /// What is still to come of a frame's payload.
    left: u64,
    /// Whether the last frame there may be has begun.
    closed: bool,
    /// Whether a length made no sense; there is no boundary after it.
    lost: bool,
}

impl Frames {
    /// Takes the bytes that come next.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.step(bytes);
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    /// Takes of the bytes that come next those up to the end of the frame that has begun, and tells how many.
    pub fn feed_to_boundary(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() && !self.is_at_boundary() {
            taken += self.step(bytes.get(taken..).unwrap_or_default());
        }
        taken
    }

    /// Whether a whole frame has come, and nothing of the next.
    pub const fn is_at_boundary(&self) -> bool {
        self.have == 0 && self.left == 0 && !self.lost
    }

    /// Whether a Close has come, behind which there is no other frame (RFC 6455 §5.5.1).
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes bytes up to the end of a payload, or one of a header.
    fn step(&mut self, bytes: &[u8]) -> usize {
        if self.lost {
            return bytes.len();
        }
        if self.left > 0 {
            let taken = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= taken as u64;
            return taken;
        }
        if let (Some(place), Some(byte)) = (self.header.get_mut(self.have), bytes.first()) {
            *place = *byte;
        }
        self.have += 1;
        if self.have == self.header_length() {
            self.end_header();
        }
        1
    }

    /// The length of the header that has begun, as far as it says.
    const fn header_length(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        let [_, second, ..] = self.header;
        let extended = match second & !MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & MASKED == 0 { 0 } else { 4 };
        2 + extended + mask
    }

    fn end_header(&mut self) {
        let [first, second, a, b, c, d, e, f, g, h, ..] = self.header;
        self.left = match second & !MASKED {
            126 => u64::from(u16::from_be_bytes([a, b])),
            127 => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            length => u64::from(length),
        };
        self.have = 0;
        self.closed |= first & 0xf == CLOSE;
        // The most significant bit must be 0 (RFC 6455 §5.2).
        self.lost = self.left >> 63 != 0;
    }
}

/// Why a WebSocket is closed (RFC 6455 §7.4.1), and the word in which its other end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// The gateway ends, or nothing moved for too long.
    GoingAway(&'static str),
    /// The credential ended.
    Policy(Code),
    /// Nobody can tell whether the credential holds (1013 of the registry that RFC 6455 §11.7 makes).
    TryAgainLater(Code),
}

impl Farewell {
    /// What a credential's end is told by.
    pub const fn of(code: Code) -> Self {
        match code {
            Code::ValidationUnavailable => Self::TryAgainLater(code),
            _ => Self::Policy(code),
        }
    }

    const fn code(self) -> u16 {
        match self {
            Self::GoingAway(_) => 1001,
            Self::Policy(_) => 1008,
            Self::TryAgainLater(_) => 1013,
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::GoingAway(why) => why,
            Self::Policy(code) | Self::TryAgainLater(code) => code.as_str(),
        }
    }

    /// The Close that a server sends.
    pub fn to_client(self) -> Vec<u8> {
        self.frame(0, &[])
    }

    /// The Close that a client sends, masked as it must be: by zeros, for a mask hides what a client chooses from those
    /// who read along (RFC 6455 §10.3), and none of this is chosen.
    pub fn to_upstream(self) -> Vec<u8> {
        self.frame(MASKED, &[0; 4])
    }

    fn frame(self, masked: u8, mask: &[u8]) -> Vec<u8> {
        // At most 123 bytes fit, and every word of ours is shorter.
        let reason = self.reason().as_bytes();
        let reason = reason.get(..reason.len().min(123)).unwrap_or_default();
        let length = u8::try_from(2 + reason.len()).unwrap_or_default();
        [&[FINAL | CLOSE, masked | length][..], mask, &self.code().to_be_bytes(), reason].concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, proptest};

    use super::*;

    fn frame(opcode: u8, mask: bool, payload: &[u8]) -> Vec<u8> {
        let bit = if mask { MASKED } else { 0 };
        let mut bytes = vec![FINAL | opcode];
        match payload.len() {
            length @ ..126 => bytes.push(bit | length as u8),
            length @ ..65_536 => {
                bytes.push(bit | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            length => {
                bytes.push(bit | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(if mask { &b"mask"[..] } else { b"" });
        bytes.extend(payload);
        bytes
    }

    /// The places in `bytes` that are boundaries, told byte by byte.
    fn boundaries(bytes: &[u8]) -> Vec<usize> {
        let mut frames = Frames::default();
        let told = bytes.iter().enumerate().filter_map(|(at, byte)| {
            frames.feed(&[*byte]);
            frames.is_at_boundary().then_some(at + 1)
        });
        told.collect()
    }

    #[test]
    fn a_frame_ends_where_its_length_says() {
        for mask in [false, true] {
            for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
                let bytes = frame(2, mask, &vec![0x88; length]);
                assert_eq!(boundaries(&bytes), [bytes.len()], "{length} {mask}");
            }
        }
    }

    #[test]
    fn behind_a_close_nothing_is_put() {
        let mut frames = Frames::default();
        frames.feed(&frame(9, false, b"ping"));
        assert!(frames.is_at_boundary() && !frames.is_closed());
        frames.feed(&frame(CLOSE, false, &[3, 0xe8]));
        assert!(frames.is_at_boundary() && frames.is_closed());
    }

    #[test]
    fn a_length_that_makes_no_sense_leads_to_no_boundary() {
        let mut frames = Frames::default();
        frames.feed(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]);
        assert!(!frames.is_at_boundary());
        assert_eq!(frames.feed_to_boundary(&[0; 100]), 100);
        assert!(!frames.is_at_boundary());
    }

    #[test]
    fn a_farewell_is_a_whole_frame_of_its_direction() {
        let farewell = Farewell::of(Code::RevokedCredentials);
        assert_eq!(farewell.to_client(), b"\x88\x15\x03\xf0revoked_credentials");
        assert_eq!(farewell.to_upstream(), b"\x88\x95\0\0\0\0\x03\xf0revoked_credentials");
        for code in Code::ALL {
            for frame in [Farewell::of(code).to_client(), Farewell::GoingAway("x").to_upstream()] {
                assert_eq!(boundaries(&frame), [frame.len()]);
                let mut frames = Frames::default();
                frames.feed(&frame);
                assert!(frames.is_closed());
            }
        }
        assert_eq!(Farewell::of(Code::ValidationUnavailable).code(), 1013);
    }

    fn some_frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let one = (0..16_u8, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..300));
        proptest::collection::vec(one.prop_map(|(opcode, mask, payload)| frame(opcode, mask, &payload)), 1..8)
    }

    proptest! {
        #[test]
        fn however_bytes_arrive_the_boundaries_are_the_same(frames in some_frames(), step in 1..40_usize) {
            let bytes = frames.concat();
            let mut ends: Vec<usize> = Vec::new();
            for frame in &frames {
                ends.push(ends.last().copied().unwrap_or_default() + frame.len());
            }
            proptest::prop_assert_eq!(boundaries(&bytes), ends.clone());
            // From any place, the next boundary is found.
            let cut = bytes.len().min(step * 7);
            let mut follower = Frames::default();
            for piece in bytes.get(..cut).unwrap().chunks(step) {
                follower.feed(piece);
            }
            let next = ends.iter().copied().find(|end| *end >= cut).unwrap();
            let begun = ends.contains(&cut) || cut == 0;
            proptest::prop_assert_eq!(follower.is_at_boundary(), begun);
            let more = follower.feed_to_boundary(bytes.get(cut..).unwrap());
            proptest::prop_assert_eq!(more, if begun { 0 } else { next - cut });
            proptest::prop_assert!(follower.is_at_boundary());
        }

        #[test]
        fn no_bytes_upset_it(noise: Vec<u8>) {
            let mut frames = Frames::default();
            frames.feed(&noise);
            let mut more = Frames::default();
            proptest::prop_assert!(more.feed_to_boundary(&noise) == 0);
        }
    }
}
