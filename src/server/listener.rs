//! Listening sockets: one for each worker on every address, by `SO_REUSEPORT`.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Connections that wait to be accepted, for each worker.
const BACKLOG: i32 = 4096;

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", reason(source))]
pub struct BindError {
    /// The address as configured.
    pub address: SocketAddr,
    #[source]
    source: io::Error,
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another process is using this port".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege (CAP_NET_BIND_SERVICE)".to_owned()
        }
        _ => error.to_string(),
    }
}

impl BindError {
    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::AddrInUse => "stop the other process, or choose another port in the configuration",
            io::ErrorKind::AddrNotAvailable => {
                "choose an address of this machine, or 0.0.0.0 for all of them"
            }
            io::ErrorKind::PermissionDenied => "choose a higher port, or grant the capability",
            _ => "check the address in the configuration",
        }
    }
}

/// Binds `address` once for each of `workers`.
///
/// The address is first tried without `SO_REUSEPORT`: joining another process that listens there would silently
/// share its traffic.
///
/// # Errors
/// When the address is taken or not to be had.
pub fn bind(address: SocketAddr, workers: usize) -> Result<Vec<TcpListener>, BindError> {
    let wrap = |source| BindError { address, source };
    // It does not listen: whoever connected to the probe would be reset.
    drop(bound(address, Sharing::Alone).map_err(wrap)?);
    let first = socket(address, Sharing::WithSiblings).map_err(wrap)?;
    let taken = first.local_addr().map_err(wrap)?;
    let mut sockets = vec![first];
    while sockets.len() < workers {
        sockets.push(socket(taken, Sharing::WithSiblings).map_err(wrap)?);
    }
    Ok(sockets)
}

/// Binds `address` for one listener that shares it with nobody.
///
/// # Errors
/// When the address is taken or not to be had.
pub fn bind_alone(address: SocketAddr) -> Result<TcpListener, BindError> {
    socket(address, Sharing::Alone).map_err(|source| BindError { address, source })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    WithSiblings,
}

fn socket(address: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    let socket = bound(address, sharing)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bound(address: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if sharing == Sharing::WithSiblings {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Rest after an accept that failed for want of descriptors or memory, so that it does not spin.
const BACK_OFF: Duration = Duration::from_millis(100);
/// Connections that are accepted in one turn: those that are served already come first again.
const AT_ONCE: u32 = 16;
/// How often such failures are told.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);
/// How long clients whose connection is half made may take to complete it, once no other may begin.
const LAST_HANDSHAKES: Duration = Duration::from_millis(250);

/// Accepts connections until `stop`; then those that are made or half made, since closing the socket would reset them.
pub async fn accept(
    listener: tokio::net::TcpListener,
    stop: CancellationToken,
    mut connected: impl FnMut(TcpStream, SocketAddr),
) {
    stop.run_until_cancelled(accept_all(&listener, &mut connected)).await;
    if let Err(error) = turn_new_ones_away(&listener) {
        tracing::debug!(%error, "connections that begin now will be reset");
    }
    // It never ends by itself.
    let _ = tokio::time::timeout(LAST_HANDSHAKES, accept_all(&listener, &mut connected)).await;
    match listener.into_std() {
        Ok(listener) => empty(&listener, connected),
        Err(error) => tracing::warn!(%error, "connections that waited to be accepted are reset"),
    }
}

async fn accept_all(listener: &tokio::net::TcpListener, connected: &mut impl FnMut(TcpStream, SocketAddr)) {
    let mut told: Option<tokio::time::Instant> = None;
    let mut accepted = 0_u32;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                connected(stream, peer);
                accepted = accepted.wrapping_add(1);
                if accepted.is_multiple_of(AT_ONCE) {
                    tokio::task::yield_now().await;
                }
            }
            Err(error) if is_one_connections(&error) => {}
            Err(error) => {
                if told.is_none_or(|told| told.elapsed() >= COMPLAIN_EVERY) {
                    told = Some(tokio::time::Instant::now());
                    tracing::warn!(%error, "cannot accept connections; trying again");
                }
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}

/// Drops the first packet of every further connection, so that its client tries again later or elsewhere; those whose
/// first packet was answered can still complete.
fn turn_new_ones_away(listener: &tokio::net::TcpListener) -> io::Result<()> {
    // A listening socket's filter sees each packet from its TCP header on (RFC 9293 §3.1): byte 13 has the flags, of
    // which ACK is set in all packets but the first.
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(JUMP_IF_SET, 0, 1, 0x10),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ])
}

/// Takes what the socket still holds. Asks the system itself: the runtime may not have heard of the last ones yet.
fn empty(listener: &TcpListener, mut connected: impl FnMut(TcpStream, SocketAddr)) {
    loop {
        let accepted = listener.accept().and_then(|(stream, peer)| {
            stream.set_nonblocking(true)?;
            Ok((TcpStream::from_std(stream)?, peer))
        });
        match accepted {
            Ok((stream, peer)) => connected(stream, peer),
            Err(error) if is_one_connections(&error) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                tracing::warn!(%error, "connections that waited to be accepted are reset");
                return;
            }
        }
    }
}

/// Whether an accept failed for a fault of the connection itself, which says nothing about the next.
fn is_one_connections(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_one_port() {
        let sockets = bind("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let ports: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
        assert_eq!(ports, [ports[0]; 3]);
    }

    #[test]
    fn a_taken_port_is_refused_even_when_its_owner_would_share_it() {
        let sockets = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let taken = sockets[0].local_addr().unwrap();
        let error = bind(taken, 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot listen on {taken}: another process is using this port")
        );
    }

    async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
        tokio::time::timeout(Duration::from_secs(20), TcpStream::connect(to)).await.unwrap()
    }

    /// More than one task may take at a time, and none of them announced to the runtime.
    #[tokio::test]
    async fn who_waits_to_be_accepted_when_it_stops_is_accepted() {
        let socket = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
        let address = socket.local_addr().unwrap();
        let mut clients = Vec::new();
        for _ in 0..600 {
            clients.push(connect(address).await.unwrap());
        }
        let stop = CancellationToken::new();
        stop.cancel();
        let mut accepted = Vec::new();
        let listener = tokio::net::TcpListener::from_std(socket).unwrap();
        accept(listener, stop, |stream, _| accepted.push(stream)).await;
        assert_eq!(accepted.len(), clients.len());
        assert_eq!(connect(address).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn the_system_is_asked_for_those_that_the_runtime_has_not_heard_of() {
        let socket = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
        let mut clients = Vec::new();
        for _ in 0..10 {
            clients.push(connect(socket.local_addr().unwrap()).await.unwrap());
        }
        let mut accepted = Vec::new();
        empty(&socket, |stream, _| accepted.push(stream));
        assert_eq!(accepted.len(), clients.len());
    }

    /// A connection that would be made only to be reset is not made: its client goes on trying.
    #[tokio::test]
    async fn who_comes_when_it_stops_is_not_accepted_to_be_reset() {
        let socket = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
        let address = socket.local_addr().unwrap();
        let listener = tokio::net::TcpListener::from_std(socket).unwrap();
        turn_new_ones_away(&listener).unwrap();
        let mut late = std::pin::pin!(connect(address));
        // Its first packet is sent with the first poll.
        assert!(futures_util::poll!(late.as_mut()).is_pending());
        drop(listener);
        assert_eq!(late.await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
