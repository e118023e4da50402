//! Where the lines go: standard output, standard error, or a file that may be rotated under us.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::config;

/// How long to wait before asking again a destination that would block.
const PAUSE: Duration = Duration::from_millis(10);
/// How many such pauses the lines of one buffer get once the log is closing.
const LAST_PAUSES: u32 = 50;

/// The access log's destination cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("the access log cannot be opened: {what}")]
pub struct CannotOpen {
    what: String,
    source: io::Error,
}

impl CannotOpen {
    pub(super) fn new(what: &config::AccessLog, source: io::Error) -> Self {
        let what = match what {
            config::AccessLog::Stdout => "standard output".to_owned(),
            config::AccessLog::Stderr => "standard error".to_owned(),
            config::AccessLog::Off => "off".to_owned(),
            config::AccessLog::File(path) => path.display().to_string(),
        };
        Self { what, source }
    }
}

/// Lines that could not be written, and why.
pub(super) struct Lost {
    pub(super) lines: u64,
    pub(super) error: io::Error,
}

pub(super) struct Destination {
    file: File,
    /// Set where it can be opened anew.
    path: Option<PathBuf>,
    /// The last write ended within a line.
    torn: bool,
}

impl Destination {
    /// Opens it; `None` = off.
    pub(super) fn open(what: &config::AccessLog) -> Result<Option<Self>, CannotOpen> {
        // A descriptor of our own: no buffer and no lock between these lines and the system.
        let opened = match what {
            config::AccessLog::Off => return Ok(None),
            config::AccessLog::Stdout => io::stdout().as_fd().try_clone_to_owned().map(File::from),
            config::AccessLog::Stderr => io::stderr().as_fd().try_clone_to_owned().map(File::from),
            config::AccessLog::File(path) => open_file(path),
        };
        let path = match what {
            config::AccessLog::File(path) => Some(path.clone()),
            _ => None,
        };
        let file = opened.map_err(|source| CannotOpen::new(what, source))?;
        Ok(Some(Self { file, path, torn: false }))
    }

    /// Opens a file anew; on failure the old one stays.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Some(path) = &self.path {
            self.file = open_file(path)?;
            self.torn = false;
        }
        Ok(())
    }

    /// Writes whole lines. A destination that would block is waited for, while not `closing`.
    pub(super) fn write(&mut self, lines: &[u8], closing: impl Fn() -> bool) -> Result<(), Lost> {
        if self.torn {
            // What follows must not continue the line that broke off.
            self.write_some(b"\n", &closing).map_err(|(_, error)| lost(lines, error))?;
            self.torn = false;
        }
        self.write_some(lines, &closing).map_err(|(rest, error)| {
            let written = lines.strip_suffix(rest).unwrap_or_default();
            self.torn = written.last().is_some_and(|byte| *byte != b'\n');
            lost(rest, error)
        })
    }

    /// Writes all of it, or says what is left.
    fn write_some<'a>(
        &self,
        bytes: &'a [u8],
        closing: &impl Fn() -> bool,
    ) -> Result<(), (&'a [u8], io::Error)> {
        let mut rest = bytes;
        let mut pauses = 0;
        while !rest.is_empty() {
            match (&self.file).write(rest) {
                Ok(0) => return Err((rest, ErrorKind::WriteZero.into())),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Another process that shares this pipe or terminal made it non-blocking.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if closing() {
                        pauses += 1;
                    }
                    if pauses > LAST_PAUSES {
                        return Err((rest, error));
                    }
                    thread::park_timeout(PAUSE);
                }
                Err(error) => return Err((rest, error)),
            }
        }
        Ok(())
    }
}

fn lost(rest: &[u8], error: io::Error) -> Lost {
    let lines = rest.iter().filter(|byte| **byte == b'\n').count();
    Lost { lines: u64::try_from(lines).unwrap_or(u64::MAX), error }
}

fn open_file(path: &Path) -> io::Result<File> {
    // Opening a FIFO for writing waits for a reader; opening it for both does not (Linux fifo(7)).
    let fifo = fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo());
    OpenOptions::new().append(true).read(fifo).create(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn after_a_line_that_broke_off_the_next_begins_a_line_of_its_own() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut destination = Destination { file: File::from(OwnedFd::from(ours)), path: None, torn: false };
        let long = [vec![b'a'; 8 << 20], b"\nsecond\n".to_vec()].concat();
        let lost = destination.write(&long, || true).err().unwrap();
        assert_eq!((lost.lines, lost.error.kind()), (2, ErrorKind::WouldBlock));

        let reader = thread::spawn(move || {
            let mut text = String::new();
            theirs.read_to_string(&mut text).unwrap();
            text
        });
        assert!(destination.write(b"third\n", || false).is_ok());
        drop(destination);
        let text = reader.join().unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].bytes().all(|byte| byte == b'a'));
        assert_eq!(&lines[1..], ["third"]);
    }
}
