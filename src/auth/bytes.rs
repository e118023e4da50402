//! Bytes of a credential, many at a time.

/// Whether all of them are legal. It looks at every one even behind one that is not: without an early end the compiler
/// takes many at a time, and nearly all that comes is legal.
pub(super) fn all(bytes: &[u8], legal: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(true, |all, byte| all & legal(*byte))
}
