//! Which protocol a client speaks, by its first bytes: HTTP/2 announces itself by a preface (RFC 9113 §3.4), anything
//! else is HTTP/1. Knows the limits of time of the first byte and of the head.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::conn::Conn;
use super::transport::Transport;
use super::watched::Watch;

/// What an HTTP/2 client sends first.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// As much as HTTP/1 reads at once, so that finding out costs no further system call.
const ROOM: usize = 8 * 1024;

/// What a connection began with. The bytes that were read are handed on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum First {
    /// HTTP/1, or nothing at all.
    Http1(Vec<u8>),
    /// HTTP/2.
    Http2(Vec<u8>),
    /// What is neither one nor the other did not go on in time.
    SlowHead,
    /// Nothing came in time, or the socket broke, or the worker ends.
    Gone,
}

/// Reads until one byte differs from the preface, or all of it is there.
pub(super) async fn first(stream: &mut Transport, conn: &Conn) -> First {
    let mut seen = Vec::new();
    poll_fn(|cx| {
        if let Poll::Ready(first) = poll_decide(stream, conn, &mut seen, cx) {
            return Poll::Ready(first);
        }
        if conn.poll_overdue(cx).is_ready() {
            return Poll::Ready(if conn.is_in_head() { First::SlowHead } else { First::Gone });
        }
        if conn.is_to_end() { Poll::Ready(First::Gone) } else { Poll::Pending }
    })
    .await
}

fn poll_decide(stream: &mut Transport, conn: &Conn, seen: &mut Vec<u8>, cx: &mut Context<'_>) -> Poll<First> {
    loop {
        let mut room = [MaybeUninit::uninit(); ROOM];
        let mut room = ReadBuf::uninit(&mut room);
        let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut room));
        let came = room.filled();
        if read.is_err() {
            return Poll::Ready(First::Gone);
        }
        conn.came(came);
        seen.extend_from_slice(came);
        if seen.starts_with(PREFACE) {
            return Poll::Ready(First::Http2(std::mem::take(seen)));
        }
        // An end in the middle is for HTTP/1 to answer.
        if came.is_empty() || !PREFACE.starts_with(seen) {
            return Poll::Ready(First::Http1(std::mem::take(seen)));
        }
    }
}
