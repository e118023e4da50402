//! Comparing field names as the most careless backend does: case ignored, `_` and `.` read as `-` (CGI and its kin).

/// One byte of a name as such a backend reads it.
const fn fold(byte: u8) -> u8 {
    match byte {
        b'_' | b'.' => b'-',
        _ => byte.to_ascii_lowercase(),
    }
}

/// Whether two names are one once they are folded.
pub(super) fn same(name: &[u8], other: &[u8]) -> bool {
    name.len() == other.len() && name.iter().zip(other).all(|(byte, want)| fold(*byte) == fold(*want))
}

/// Whether `name` folds onto `plain`, which is in its folded form.
pub(super) fn folds_onto(name: &[u8], plain: &[u8]) -> bool {
    name.len() == plain.len() && starts_with(name, plain)
}

/// Whether the beginning of `name` folds onto `plain`.
pub(super) fn starts_with(name: &[u8], plain: &[u8]) -> bool {
    name.len() >= plain.len() && name.iter().zip(plain).all(|(byte, want)| fold(*byte) == *want)
}

/// Whether `name` folds onto `plain` without being its plain spelling.
pub(super) fn disguises(name: &[u8], plain: &[u8]) -> bool {
    folds_onto(name, plain) && !name.eq_ignore_ascii_case(plain)
}

/// The elements of a comma-separated field value, without the white space around them; empty ones are left out.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}
