//! The notebook of an upstream and its connections: what has come in, and waiting until that is as described.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use super::within;

/// One notebook, shared by all that write in it.
pub struct Record<S> {
    seen: Arc<Mutex<S>>,
    version: watch::Sender<u64>,
}

impl<S> Clone for Record<S> {
    fn clone(&self) -> Self {
        Self { seen: self.seen.clone(), version: self.version.clone() }
    }
}

impl<S: Default> Record<S> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { seen: Arc::default(), version: watch::Sender::new(0) }
    }
}

impl<S> Record<S> {
    pub fn lock(&self) -> MutexGuard<'_, S> {
        self.seen.lock().unwrap()
    }

    pub fn write<T>(&self, change: impl FnOnce(&mut S) -> T) -> T {
        let result = change(&mut self.lock());
        self.version.send_modify(|version| *version += 1);
        result
    }

    /// Waits until what has come in is as described, and returns what the description found.
    pub async fn until<T>(&self, what: &str, mut found: impl FnMut(&S) -> Option<T>) -> T {
        let mut version = self.version.subscribe();
        within(what, async {
            loop {
                version.mark_unchanged();
                if let Some(result) = found(&self.lock()) {
                    return result;
                }
                version.changed().await.unwrap();
            }
        })
        .await
    }
}
