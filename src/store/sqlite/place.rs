//! The files of a store: who owns them, and how a new one comes to be whole or not at all.
//!
//! Nothing here opens an existing database file: closing such a descriptor would drop the locks that SQLite holds in
//! this process.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::open_error::OpenError;

const ROOT: u32 = 0;
pub(super) const OWNER_READS: u32 = 0o400;
pub(super) const OWNER_WRITES: u32 = 0o200;
/// How often a locked directory is tried again.
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// What stands at a store's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// A regular file with something in it, owned as it should be.
    File,
    /// Nothing.
    Nothing,
}

/// The effective user id of this process, where the system tells it (`/proc`, Linux).
#[must_use]
pub fn effective_user() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    ids.split_whitespace().nth(1)?.parse().ok()
}

/// Looks, without touching, whether `user` may work on what stands at `path`.
pub(super) fn inspect(path: &Path, user: Option<u32>) -> Result<Presence, OpenError> {
    let owned = || path.to_owned();
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return nothing_at(path, user),
        Err(source) => {
            // Behind a closed door its owner cannot be seen, but the door's can.
            check_owner_of_directory(path, user)?;
            return Err(OpenError::NotReadable { path: owned(), source });
        }
    };
    check_owner(path, found.uid(), user)?;
    if !found.is_file() {
        return Err(OpenError::NotAFile { path: owned() });
    }
    if found.len() == 0 {
        return Err(OpenError::Damaged { path: owned(), detail: "the file is empty".to_owned() });
    }
    if Some(found.uid()) == user && user != Some(ROOT) {
        check_modes(path, found.mode())?;
    }
    Ok(Presence::File)
}

/// SQLite would open a file that it may only read, and leave a journal of the same mode behind.
fn check_modes(path: &Path, mode: u32) -> Result<(), OpenError> {
    if mode & OWNER_READS == 0 {
        let source = io::ErrorKind::PermissionDenied.into();
        return Err(OpenError::NotReadable { path: path.to_owned(), source });
    }
    if mode & OWNER_WRITES == 0 {
        return Err(OpenError::ReadOnly { path: path.to_owned() });
    }
    Ok(())
}

fn nothing_at(path: &Path, user: Option<u32>) -> Result<Presence, OpenError> {
    let journal = beside(path, "-wal");
    if fs::metadata(&journal).is_ok_and(|found| found.len() > 0) {
        let detail = format!("the file is gone, its journal {} is still there", journal.display());
        return Err(OpenError::Damaged { path: path.to_owned(), detail });
    }
    check_owner_of_directory(path, user)?;
    Ok(Presence::Nothing)
}

fn check_owner_of_directory(path: &Path, user: Option<u32>) -> Result<(), OpenError> {
    match path.parent().map(|directory| (directory, fs::metadata(directory))) {
        Some((directory, Ok(found))) => check_owner(directory, found.uid(), user),
        _ => Ok(()),
    }
}

/// Whoever is neither the owner nor root would leave files behind that the owner cannot write.
fn check_owner(path: &Path, owner: u32, user: Option<u32>) -> Result<(), OpenError> {
    match user {
        Some(user) if user != ROOT && user != owner => {
            Err(OpenError::OtherOwner { path: path.to_owned(), owner, user })
        }
        _ => Ok(()),
    }
}

/// A store in the making: a draft beside its final place, under a lock on the directory that other makers wait for.
pub(super) struct Draft {
    path: PathBuf,
    draft: PathBuf,
    directory: PathBuf,
    /// Its lock ends with it.
    lock: File,
}

impl Draft {
    /// Makes the directory (0700) and an empty draft (0600). `None` when another process has made the store meanwhile.
    pub(super) async fn begin(path: &Path, patience: Duration) -> Result<Option<Self>, OpenError> {
        let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
        let not_made = |source| OpenError::NotMade { path: path.to_owned(), source };
        make_directories(&directory).map_err(not_made)?;
        let lock = File::open(&directory).map_err(not_made)?;
        wait_for(&lock, path, patience).await?;
        if path.exists() {
            return Ok(None);
        }
        let draft = beside(path, ".new");
        // What an interrupted maker left; nobody else is at it, for the lock is ours.
        for leftover in ["", "-wal", "-shm", "-journal"] {
            remove_if_there(&beside(&draft, leftover)).map_err(not_made)?;
        }
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(not_made)?;
        Ok(Some(Self { path: path.to_owned(), draft, directory, lock }))
    }

    /// Where to write meanwhile.
    pub(super) fn file(&self) -> &Path {
        &self.draft
    }

    /// Puts the finished draft in its place, for good. As root, it is given to the directory's owner.
    pub(super) fn finish(self) -> Result<(), OpenError> {
        self.put_in_place().map_err(|source| OpenError::NotMade { path: self.path.clone(), source })
    }

    fn put_in_place(&self) -> io::Result<()> {
        // What stands in the journal would be left behind, and what is moved be half a store.
        if fs::metadata(beside(&self.draft, "-wal")).is_ok_and(|journal| journal.len() > 0) {
            return Err(io::Error::other("its journal could not be folded in"));
        }
        give_to_owner_of(&self.directory, &self.draft)?;
        fs::rename(&self.draft, &self.path)?;
        self.lock.sync_all()
    }
}

/// Makes what is missing of `directory`; as root, for the owner of what is there.
fn make_directories(directory: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = directory.ancestors().take_while(|level| !level.exists()).collect();
    for level in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(level) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => give_to_owner_of(level.parent().unwrap_or(level), level)?,
        }
    }
    Ok(())
}

fn give_to_owner_of(model: &Path, path: &Path) -> io::Result<()> {
    let model = fs::metadata(model)?;
    if model.uid() == ROOT || effective_user() != Some(ROOT) {
        return Ok(());
    }
    chown(path, Some(model.uid()), Some(model.gid()))
}

async fn wait_for(lock: &File, path: &Path, patience: Duration) -> Result<(), OpenError> {
    let attempts = async {
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_RETRY).await,
                Err(TryLockError::Error(source)) => {
                    return Err(OpenError::NotMade { path: path.to_owned(), source });
                }
            }
        }
    };
    tokio::time::timeout(patience, attempts)
        .await
        .unwrap_or_else(|_| Err(OpenError::Locked { path: path.to_owned() }))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// `path` with `ending` after its whole name.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

/// Which file stands at a path, so that its removal or exchange is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        Ok(Self { device: found.dev(), inode: found.ino() })
    }
}
