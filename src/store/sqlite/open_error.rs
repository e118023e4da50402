//! Why a store was not opened: one line for each case, and what to do about it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::place::OWNER_WRITES;

/// Why a store was not opened. `Display` is one line that names the file; [`hint`](Self::hint) says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none, and none was to be made.
    #[error("there is no store at {}", path.display())]
    Absent { path: PathBuf },
    /// The file, or the directory it would be made in, is another user's. Nothing was touched.
    #[error("{} belongs to user id {owner}, and this process runs as user id {user}", path.display())]
    OtherOwner { path: PathBuf, owner: u32, user: u32 },
    /// A directory, a socket or the like stands there.
    #[error("{} is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    /// The operating system does not let this process read it.
    #[error("the store {} cannot be read: {source}", path.display())]
    NotReadable { path: PathBuf, source: io::Error },
    /// The file is read-only for this process, or the file system is.
    #[error("the store {} cannot be written: it is read-only", path.display())]
    ReadOnly { path: PathBuf },
    /// Its directory does not let this process make the journal beside it.
    #[error("the directory of the store {} cannot be written", path.display())]
    DirectoryNotWritable { path: PathBuf },
    /// The file or its directory cannot be made.
    #[error("the store {} cannot be made: {source}", path.display())]
    NotMade { path: PathBuf, source: io::Error },
    /// Not a SQLite database, or damaged at its very start.
    #[error("{} is not a Keyward store: it is no SQLite database, or its start is damaged", path.display())]
    NotADatabase { path: PathBuf },
    /// A SQLite database, made by something else.
    #[error("{} is not a Keyward store: it is the SQLite database of another program", path.display())]
    Foreign { path: PathBuf },
    /// It is there, and broken.
    #[error("the store {} is damaged: {detail}", path.display())]
    Damaged { path: PathBuf, detail: String },
    /// A newer Keyward made it or migrated it.
    #[error(
        "the store {} has schema version {found}, and this Keyward knows versions up to {known}",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    /// It wants migrating, and this was not the command to do it.
    #[error("the store {} has schema version {found}, and this Keyward needs version {needed}", path.display())]
    Older { path: PathBuf, found: i64, needed: i64 },
    /// Another process holds it and did not let go in time.
    #[error("the store {} is locked by another process", path.display())]
    Locked { path: PathBuf },
    /// No space is left to work on it.
    #[error("the store {} cannot be written: the disk is full", path.display())]
    Full { path: PathBuf },
    /// Anything else that SQLite or the disk says.
    #[error("the store {} cannot be opened: {detail}", path.display())]
    Failed { path: PathBuf, detail: String },
}

impl OpenError {
    /// What to do about it, in one line.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Absent { .. } => "check `store.sqlite.path`, or make a store with `keyward migrate`, `keyward serve` or \
                 `keyward accounts create`"
                .to_owned(),
            Self::OtherOwner { owner, .. } => {
                format!("run it as the owner: sudo -u '#{owner}' keyward …; nothing was touched")
            }
            Self::NotAFile { .. } => "let `store.sqlite.path` name a file".to_owned(),
            Self::NotReadable { .. } | Self::ReadOnly { .. } => {
                "its user must be able to read and write the file (mode 0600)".to_owned()
            }
            Self::DirectoryNotWritable { .. } => {
                "the journal lies beside the store: its directory must be writable (mode 0700), the file system mounted \
                 for writing"
                    .to_owned()
            }
            Self::NotMade { .. } => "check `store.sqlite.path` and who may write in its directory".to_owned(),
            Self::NotADatabase { .. } | Self::Damaged { .. } => {
                "restore it from a backup; to start afresh, move it away together with its -wal and -shm files"
                    .to_owned()
            }
            Self::Foreign { .. } => "let `store.sqlite.path` name another file".to_owned(),
            Self::Newer { .. } => "run the newer Keyward, or restore a backup that this one made".to_owned(),
            Self::Older { .. } => "run `keyward migrate`".to_owned(),
            Self::Locked { .. } => {
                "another process is writing, backing up or editing it; try again when it is done".to_owned()
            }
            Self::Full { .. } => "free some space; nothing that was acknowledged is lost".to_owned(),
            Self::Failed { .. } => "is there space on the disk, and under the limits of this process (ulimit -f)? The system's log may say more".to_owned(),
        }
    }

    /// What SQLite's refusal means for who opens `path`.
    pub(super) fn from_sqlite(path: &Path, error: &sqlx::Error) -> Self {
        let path = path.to_owned();
        let detail = match error {
            sqlx::Error::Database(refusal) => one_line(refusal.message()),
            other => one_line(&other.to_string()),
        };
        match primary_code(error) {
            Some(5 | 6) => Self::Locked { path },
            Some(8) => Self::not_written(path),
            Some(11) => Self::Damaged { path, detail },
            Some(13) => Self::Full { path },
            Some(14) => Self::not_opened(path, detail),
            Some(26) => Self::NotADatabase { path },
            _ => Self::Failed { path, detail },
        }
    }

    /// SQLite means the file or the place of the journal beside it; the file's mode tells which.
    fn not_written(path: PathBuf) -> Self {
        match std::fs::metadata(&path) {
            Ok(file) if file.mode() & OWNER_WRITES != 0 => Self::DirectoryNotWritable { path },
            _ => Self::ReadOnly { path },
        }
    }

    /// SQLite says only that it cannot; the operating system may know why.
    fn not_opened(path: PathBuf, detail: String) -> Self {
        match std::fs::File::open(&path) {
            Err(source) => Self::NotReadable { path, source },
            Ok(_) if is_on_read_only_file_system(&path) => Self::DirectoryNotWritable { path },
            Ok(_) => Self::Failed { path, detail },
        }
    }
}

/// Whether no file can be made beside `path` because of what it lies on. The name is one that nothing has; made all the
/// same, it goes at once.
fn is_on_read_only_file_system(path: &Path) -> bool {
    let probe = path.with_extension(format!("probe-{}", std::process::id()));
    match std::fs::File::create_new(&probe) {
        Err(error) => error.kind() == io::ErrorKind::ReadOnlyFilesystem,
        Ok(_) => {
            let _ = std::fs::remove_file(&probe);
            false
        }
    }
}

/// The low byte of SQLite's result code (<https://www.sqlite.org/rescode.html>); `None` when another refused.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let sqlx::Error::Database(refusal) = error else { return None };
    Some(refusal.code()?.parse::<i32>().ok()? & 0xff)
}

/// Text of others, on one line.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
