//! What the integration tests stand on: a scripted upstream, raw and convenient clients, the gateway in process and the
//! real binary. Nothing here sleeps: whatever is waited for is a condition, and every wait has a [`DEADLINE`].

pub mod binary;
pub mod chaos;
pub mod frame;
pub mod frames;
pub mod gateway;
pub mod h2;
pub mod h2_upstream;
pub mod http;
pub mod keys;
pub mod raw;
pub mod record;
pub mod sql;
pub mod tls;
pub mod upstream;
pub mod websocket;

use std::time::Duration;

/// How long anything may take before the test fails and says what it waited for. Far longer than anything needs, so that
/// a busy machine fails nothing.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Awaits `what`, or fails naming it.
#[track_caller]
pub fn within<F: Future>(what: &str, future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(DEADLINE, future).await {
            Ok(output) => output,
            Err(_) => panic!("{what}: not within {DEADLINE:?} (asked at {caller})"),
        }
    }
}

/// Where something starts in a text of bytes.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref())
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Bytes that no compression and no accident repeats: the same for the same length.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u8::try_from(state >> 56).unwrap()
    };
    std::iter::repeat_with(&mut next).take(len).collect()
}
