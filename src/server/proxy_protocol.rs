//! The PROXY protocol, versions 1 and 2: what a load balancer says of the client before the client's first byte.
//!
//! Read from those peers alone that are named, and then it has to be there: whether it is, is never guessed. Only its own
//! bytes are taken from the socket.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

use super::conn::Conn;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line of version 1, its end included.
const LINE_MAX: usize = 107;
/// Of version 2: signature, command, family and length.
const FIXED: usize = 16;
/// The longest rest of version 2 that is read. Addresses and what balancers add to them take some hundred bytes.
const REST_MAX: usize = 4096;

/// Who the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// This one.
    Client(SocketAddr),
    /// The balancer itself, or one that it cannot name.
    Peer,
}

/// What some bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// So many bytes of what says who the client is.
    Whole(Source, usize),
    /// As far as they go, the beginning of it; so many more belong to it at least.
    Part(usize),
    /// Nothing of the kind.
    Malformed(&'static str),
}

/// Why it is not known who the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// What came is something else.
    #[error("{0}")]
    Malformed(&'static str),
    /// It did not come in time, or the socket broke, or the worker ends.
    #[error("it did not come")]
    Gone,
}

/// Reads what the peer says of the client.
///
/// # Errors
/// When it says nothing that can be understood, or nothing in time.
pub async fn read(stream: &mut TcpStream, conn: &Conn) -> Result<Source, Unknown> {
    let mut seen = Vec::new();
    poll_fn(|cx| {
        if let Poll::Ready(read) = poll_read(stream, &mut seen, cx) {
            return Poll::Ready(read);
        }
        let over = conn.poll_overdue(cx).is_ready() || conn.is_to_end();
        if over { Poll::Ready(Err(Unknown::Gone)) } else { Poll::Pending }
    })
    .await
}

fn poll_read(
    stream: &mut TcpStream,
    seen: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> Poll<Result<Source, Unknown>> {
    loop {
        let more = match parse(seen) {
            Parsed::Whole(source, _) => return Poll::Ready(Ok(source)),
            Parsed::Malformed(why) => return Poll::Ready(Err(Unknown::Malformed(why))),
            Parsed::Part(more) => more,
        };
        let before = seen.len();
        seen.resize(before + more, 0);
        let mut room = ReadBuf::new(seen.get_mut(before..).unwrap_or_default());
        let read = Pin::new(&mut *stream).poll_read(cx, &mut room);
        let came = room.filled().len();
        seen.truncate(before + came);
        match ready!(read) {
            Ok(()) if came > 0 => {}
            Ok(()) | Err(_) => return Poll::Ready(Err(Unknown::Gone)),
        }
    }
}

/// Judges the first bytes of a connection.
#[must_use]
pub fn parse(bytes: &[u8]) -> Parsed {
    let beginning = |of: &[u8]| bytes.iter().zip(of).all(|(one, other)| one == other);
    if beginning(SIGNATURE) && !bytes.is_empty() {
        return binary(bytes);
    }
    if beginning(b"PROXY ") {
        return line(bytes);
    }
    Parsed::Malformed("it begins with neither PROXY nor the signature of version 2")
}

/// Version 1: a line of text.
fn line(bytes: &[u8]) -> Parsed {
    const SHORTEST: &[u8] = b"PROXY UNKNOWN\r\n";
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return match bytes.len() {
            LINE_MAX.. => Parsed::Malformed("its line is longer than 107 bytes"),
            // Where it ends is seen when it does: no byte behind it is taken.
            length => Parsed::Part(SHORTEST.len().saturating_sub(length).max(1)),
        };
    };
    let text = bytes.get(..end).and_then(|line| line.strip_suffix(b"\r"));
    let Some(text) = text.and_then(|text| std::str::from_utf8(text).ok()) else {
        return Parsed::Malformed("its line does not end with CR LF, or is no text");
    };
    if end >= LINE_MAX {
        return Parsed::Malformed("its line is longer than 107 bytes");
    }
    let source = match text.strip_prefix("PROXY ").unwrap_or_default().split_once(' ') {
        Some(("TCP4", rest)) => named::<Ipv4Addr>(rest),
        Some(("TCP6", rest)) => named::<Ipv6Addr>(rest),
        None if text == "PROXY UNKNOWN" => Some(Source::Peer),
        // Whatever stands behind it is not to be read.
        Some(("UNKNOWN", _)) => Some(Source::Peer),
        _ => None,
    };
    match source {
        Some(source) => Parsed::Whole(source, end + 1),
        None => Parsed::Malformed("its line does not name a source and a destination of one family"),
    }
}

/// `source destination port port`.
fn named<A: FromStr + Into<IpAddr>>(rest: &str) -> Option<Source> {
    let mut words = rest.split(' ');
    let mut address = || words.next()?.parse::<A>().ok();
    let (source, _destination) = (address()?, address()?);
    let mut port = || number(words.next()?);
    let (source_port, _) = (port()?, port()?);
    words.next().is_none().then(|| client(source.into(), source_port))
}

/// A port as it may be written: digits alone, and no zero before others.
fn number(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// Version 2: fields of fixed width, and what more there may be.
fn binary(bytes: &[u8]) -> Parsed {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Parsed::Part(FIXED - bytes.len());
    };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > REST_MAX {
        return Parsed::Malformed("it is longer than 4 KiB");
    }
    let Some(rest) = rest.get(..length) else { return Parsed::Part(length - rest.len()) };
    let judged = match command {
        // Of the balancer's own: its checks of health.
        0x20 => Ok(Source::Peer),
        0x21 => addressed(family, rest),
        _ => Err("its version or command is not one of version 2"),
    };
    judged.map_or_else(Parsed::Malformed, |source| Parsed::Whole(source, FIXED + length))
}

fn addressed(family: u8, rest: &[u8]) -> Result<Source, &'static str> {
    const SHORT: &str = "it is shorter than its addresses";
    let (source, more) = match family {
        0x00 => (Source::Peer, rest),
        0x11 => {
            let (addresses, more) = rest.split_first_chunk::<12>().ok_or(SHORT)?;
            let [a, b, c, d, _, _, _, _, high, low, ..] = *addresses;
            (client(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low])), more)
        }
        0x21 => {
            let (addresses, more) = rest.split_first_chunk::<36>().ok_or(SHORT)?;
            let (source, ports) = addresses.split_first_chunk::<16>().ok_or(SHORT)?;
            let [.., high, low, _, _] = *ports else { return Err(SHORT) };
            (client(Ipv6Addr::from(*source).into(), u16::from_be_bytes([high, low])), more)
        }
        0x31 => (Source::Peer, rest.get(216..).ok_or(SHORT)?),
        _ => return Err("its family is none of a stream"),
    };
    if are_whole(more) { Ok(source) } else { Err("what it adds to the addresses is cut off") }
}

/// Whether what follows the addresses is a row of type, length and value.
fn are_whole(mut more: &[u8]) -> bool {
    while let Some(([_, high, low], rest)) = more.split_first_chunk::<3>() {
        match rest.get(usize::from(u16::from_be_bytes([*high, *low]))..) {
            Some(rest) => more = rest,
            None => return false,
        }
    }
    more.is_empty()
}

fn client(address: IpAddr, port: u16) -> Source {
    Source::Client(SocketAddr::new(address.to_canonical(), port))
}

#[cfg(test)]
mod tests;
