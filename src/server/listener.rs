//! Listening sockets: one for each worker on every address, by `SO_REUSEPORT`.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use futures_util::FutureExt;
use socket2::{Domain, Protocol, Socket, Type};
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
    drop(socket(address, Sharing::Alone).map_err(wrap)?);
    let first = socket(address, Sharing::WithSiblings).map_err(wrap)?;
    let bound = first.local_addr().map_err(wrap)?;
    let mut sockets = vec![first];
    while sockets.len() < workers {
        sockets.push(socket(bound, Sharing::WithSiblings).map_err(wrap)?);
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
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if sharing == Sharing::WithSiblings {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Rest after an accept that failed for want of descriptors or memory, so that it does not spin.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Accepts connections until `stop`; then takes those that already wait, since closing the socket would reset them.
pub async fn accept(
    listener: tokio::net::TcpListener,
    stop: CancellationToken,
    mut connected: impl FnMut(TcpStream, SocketAddr),
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => connected(stream, peer),
            Err(error) if is_one_connections(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; trying again");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
    while let Some(Ok((stream, peer))) = listener.accept().now_or_never() {
        connected(stream, peer);
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
}
