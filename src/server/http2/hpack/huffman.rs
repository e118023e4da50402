//! The code of RFC 7541 appendix B. It is canonical: the codes of one length are consecutive numbers, in the order of what
//! they stand for; so their lengths tell all of it.

/// Bits of the code of each byte, and of the end.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26, 30,
];

const SHORTEST: usize = 5;
const LONGEST: usize = 30;

/// The codes of one length.
#[derive(Clone, Copy)]
struct Codes {
    first: u32,
    count: u32,
    /// Where in [`BYTES`] the bytes begin that they stand for.
    at: usize,
}

const CODES: [Codes; LONGEST + 1] = codes();
/// All bytes in the order of their codes. The end stands last, for it has the last of the longest codes.
const BYTES: [u8; 256] = bytes();

#[expect(clippy::indexing_slicing, reason = "the indices are below the lengths; evaluated at compile time")]
const fn codes() -> [Codes; LONGEST + 1] {
    let mut codes = [Codes { first: 0, count: 0, at: 0 }; LONGEST + 1];
    let mut byte = 0;
    while byte < LENGTHS.len() {
        codes[LENGTHS[byte] as usize].count += 1;
        byte += 1;
    }
    let mut length = SHORTEST;
    while length < LONGEST {
        let shorter = codes[length];
        length += 1;
        codes[length].first = (shorter.first + shorter.count) << 1;
        codes[length].at = shorter.at + shorter.count as usize;
    }
    codes
}

#[expect(clippy::indexing_slicing, reason = "the indices are below the lengths; evaluated at compile time")]
const fn bytes() -> [u8; 256] {
    let mut bytes = [0; 256];
    let (mut at, mut length) = (0, SHORTEST);
    while length <= LONGEST {
        let mut byte = 0;
        while byte < bytes.len() {
            if LENGTHS[byte] as usize == length {
                bytes[at] = byte as u8;
                at += 1;
            }
            byte += 1;
        }
        length += 1;
    }
    bytes
}

/// Tells each byte that `coded` stands for; `None` when it stands for none.
pub(super) fn decode(coded: &[u8], mut seen: impl FnMut(u8)) -> Option<()> {
    let (mut code, mut length) = (0_u32, 0);
    for bit in coded.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)) {
        code = code << 1 | u32::from(bit);
        length += 1;
        let codes = CODES.get(length)?;
        let Some(nth) = code.checked_sub(codes.first).filter(|nth| *nth < codes.count) else { continue };
        seen(*BYTES.get(codes.at + nth as usize)?);
        (code, length) = (0, 0);
    }
    // What is left is the beginning of the end's code, less than a byte of it.
    (length < 8 && code == (1 << length) - 1).then_some(())
}
