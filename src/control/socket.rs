//! The control socket: `keyward.sock` beside the store, for commands that speak to the running server.
//!
//! Only the server's own user and root are heard; the file's mode says so, and the peer's credentials are compared
//! besides, because the mode is set only after the socket is there.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

use super::serve::Accept;

/// The longest path of a Unix socket on Linux, without its closing NUL (unix(7)).
pub const PATH_MAX: usize = 107;
/// A server that does not answer in this time still holds the socket.
const PROBE: Duration = Duration::from_secs(1);

/// Where the server of a store listens.
#[must_use]
pub fn path(store: &Path) -> PathBuf {
    store.with_file_name("keyward.sock")
}

/// Why there is no control socket. The server can do without: signals remain.
#[derive(Debug, thiserror::Error)]
pub enum NoSocket {
    /// The path does not fit.
    #[error("the path {0} is longer than {PATH_MAX} bytes")]
    TooLong(PathBuf),
    /// Somebody answers on it.
    #[error("another server on the same store answers at {0}")]
    Taken(PathBuf),
    /// What is there is no socket.
    #[error("{0} is there and is not a socket")]
    NotASocket(PathBuf),
    /// The system refuses.
    #[error("the control socket {path} cannot be made")]
    Failed {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The control socket of this process. Its file goes when this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file, to remove no other server's.
    file: (u64, u64),
    /// The user of this process, as the file system knows it.
    user: u32,
}

impl ControlSocket {
    /// Listens beside `store`. A file that a dead server left is replaced, one that somebody answers on is not.
    ///
    /// # Errors
    /// [`NoSocket`] says why; each is worth a warning, none is worth not to start.
    pub async fn bind(store: &Path) -> Result<Self, NoSocket> {
        let path = path(store);
        if path.as_os_str().len() > PATH_MAX {
            return Err(NoSocket::TooLong(path));
        }
        match probe(&path).await {
            Ok(true) => return Err(NoSocket::Taken(path)),
            Ok(false) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(NoSocket::NotASocket(path)),
            Err(source) => return Err(NoSocket::Failed { path, source }),
        }
        Self::listen(&path).map_err(|source| NoSocket::Failed { path, source })
    }

    fn listen(path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        let metadata = fs::symlink_metadata(path)?;
        let file = (metadata.dev(), metadata.ino());
        Ok(Self { listener, path: path.to_owned(), file, user: metadata.uid() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether somebody answers at `path`; a socket that nobody answers on is removed.
async fn probe(path: &Path) -> io::Result<bool> {
    let Ok(connected) = tokio::time::timeout(PROBE, UnixStream::connect(path)).await else {
        return Ok(true);
    };
    match connected {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            if !fs::symlink_metadata(path)?.file_type().is_socket() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            fs::remove_file(path)?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

impl Accept for ControlSocket {
    type Io = UnixStream;

    async fn accept(&self) -> io::Result<Option<UnixStream>> {
        let (stream, _) = self.listener.accept().await?;
        let heard = stream.peer_cred().is_ok_and(|peer| peer.uid() == self.user || peer.uid() == 0);
        if !heard {
            tracing::warn!("another user tried to use the control socket");
        }
        Ok(heard.then_some(stream))
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.file);
        if ours {
            // Left behind it would be replaced by the next server all the same.
            let _ = fs::remove_file(&self.path);
        }
    }
}
