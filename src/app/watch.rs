//! The configuration file's changes, by looking four times a second.
//!
//! Looking works where notification does not: network file systems, bind mounts, and the symbolic links that
//! Kubernetes swaps. A change counts once it has stood still for a whole interval, so that a file which is being
//! written is not read half.

use std::fs::{self, File};
use std::future::Future;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use tokio_util::sync::CancellationToken;

/// Between two looks.
pub const INTERVAL: Duration = Duration::from_millis(250);
/// Looks after which a file that is not there is gone: who swaps it can leave a gap.
const GONE: u8 = 2;
/// A larger file is no configuration.
const MAX: u64 = 16 << 20;

/// The content of the configuration in force; nothing until one is recorded. Whoever loads one, for whatever reason,
/// records it here. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct InForce(Arc<Mutex<Option<[u8; 32]>>>);

impl InForce {
    /// This is in force now.
    pub fn record(&self, content: &[u8]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(hash(content));
    }

    fn is(&self, content: &[u8]) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) == Some(hash(content))
    }
}

fn hash(content: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, content).as_ref());
    bytes
}

/// By what a change is noticed without reading: where the path leads, and what is known of the file there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    canonical: PathBuf,
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Signature {
    /// `None` when there is no regular file, or it cannot be looked at.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let canonical = fs::canonicalize(path).ok()?;
        let metadata = fs::metadata(&canonical).ok().filter(fs::Metadata::is_file)?;
        Some(Self {
            canonical,
            file: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// What one look asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Wait,
    /// The file changed and stands still.
    Read,
    /// The file is gone, since this look.
    Gone,
}

/// What was seen so far. Pure: it is told what each look found.
#[derive(Debug)]
struct Watch {
    /// The file that was judged last; `None` when it must be judged again.
    judged: Option<Signature>,
    /// A change that has been seen once.
    moving: Option<Signature>,
    /// For how many looks it has been gone.
    gone: u8,
}

/// What one look found that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A content that is not in force.
    New,
    /// A content that is in force, where another stood before or nothing.
    InForce,
    /// Nothing, for two looks: who swaps a file can leave a gap.
    Nothing,
}

impl Watch {
    const fn new(judged: Option<Signature>) -> Self {
        Self { judged, moving: None, gone: 0 }
    }

    fn look(&mut self, found: Option<Signature>) -> Next {
        // A file that is gone changes nothing: what was loaded stays in force until there is something to load.
        if found.is_none() {
            self.moving = None;
            self.gone = self.gone.saturating_add(1);
            return if self.gone == GONE { Next::Gone } else { Next::Wait };
        }
        if std::mem::take(&mut self.gone) >= GONE {
            self.judged = None;
        }
        if found == self.judged {
            self.moving = None;
            return Next::Wait;
        }
        if found != self.moving {
            self.moving = found;
            return Next::Wait;
        }
        self.judged = self.moving.take();
        Next::Read
    }

    /// The file moved on while it was read: the next look starts over.
    fn unsettled(&mut self) {
        self.judged = None;
    }
}

/// Calls `changed` each time the file at `path` was changed, or is gone, until `stop`.
///
/// Start it with the content that was read before: a change in between is noticed too. `changed` is not called again for
/// a content that it refused, until the file is touched.
pub async fn watch<F, R>(path: PathBuf, in_force: InForce, stop: CancellationToken, mut changed: F)
where
    F: FnMut(Found) -> R + Send,
    R: Future<Output = ()> + Send,
{
    let mut watch = Watch::new(None);
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(interval.tick()).await.is_some() {
        let (path, in_force) = (path.clone(), in_force.clone());
        // File systems can be slow; the runtime's own threads must not wait for them.
        let looked = tokio::task::spawn_blocking(move || {
            let found = step(&mut watch, &path, &in_force);
            (watch, found)
        });
        let Ok((back, found)) = looked.await else {
            tracing::error!("watching the configuration file ended; SIGHUP still reloads");
            return;
        };
        watch = back;
        if let Some(found) = found {
            changed(found).await;
        }
    }
}

/// One look.
fn step(watch: &mut Watch, path: &Path, in_force: &InForce) -> Option<Found> {
    let before = Signature::of(path);
    match watch.look(before.clone()) {
        Next::Wait => return None,
        Next::Gone => return Some(Found::Nothing),
        Next::Read => {}
    }
    let content = read(path);
    if Signature::of(path) != before {
        watch.unsettled();
        return None;
    }
    // What cannot be read is told by whoever tries to load it.
    let runs = content.is_ok_and(|content| in_force.is(&content));
    Some(if runs { Found::InForce } else { Found::New })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(MAX).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
#[path = "watch/tests.rs"]
mod tests;
