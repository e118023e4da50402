//! WebSocket as bytes: handshakes, the answers to them, and frames.

use super::raw::Raw;
use super::upstream::Answer;

/// The key of RFC 6455, and what answers it.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What answers any key.
pub fn accept(key: &str) -> String {
    use base64::Engine as _;
    let guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let sum = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}{guid}").as_bytes(),
    );
    base64::engine::general_purpose::STANDARD.encode(sum.as_ref())
}

/// The fields that ask for a WebSocket, without the empty line.
pub fn asking() -> String {
    format!(
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
    )
}

/// A whole handshake without a credential.
pub fn handshake(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{}\r\n", asking())
}

/// A whole handshake with this key.
pub fn handshake_with(target: &str, key: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n{}\r\n", asking())
}

/// The 101 that opens one; steps may follow.
pub fn opening() -> Answer {
    naming("websocket").header("Sec-WebSocket-Accept", ACCEPT).only_head()
}

/// A 101 that names this protocol, without its end.
pub fn naming(protocol: &str) -> Answer {
    Answer::new(101).header("Upgrade", protocol).header("Connection", "Upgrade")
}

/// An open WebSocket, or whatever else was answered by 101.
pub async fn open(mut raw: Raw, handshake: &str) -> Raw {
    raw.send(handshake).await;
    let head = raw.head().await.expect("an answer");
    assert_eq!(head.status, 101, "{head:?}");
    raw
}

/// A frame as a server sends it.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode];
    match payload.len() {
        length @ ..126 => bytes.push(u8::try_from(length).unwrap()),
        length @ ..65_536 => {
            bytes.push(126);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

/// A frame as a client sends it.
pub fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let plain = frame(opcode, payload);
    let header = plain.len() - payload.len();
    let mut bytes = plain[..header].to_vec();
    bytes[1] |= 0x80;
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A Close as a server sends it.
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(8, &[&code.to_be_bytes()[..], reason.as_bytes()].concat())
}

/// The Close that the gateway sends to an upstream: of a client that goes away, masked by zeros.
pub const GOING_AWAY: &[u8] = b"\x88\x82\0\0\0\0\x03\xe9";

/// Fails unless what still comes is this Close and the end.
pub async fn is_closed(raw: &mut Raw, code: u16, reason: &str) {
    let close = close(code, reason);
    assert_eq!(raw.exactly(close.len()).await, close);
    raw.ends().await;
}
