//! Follows the store's change feed, for changes made beside this process, and keeps contact.
//!
//! What was read is applied first and vouched for after, with the time before it was read: so whatever is served
//! after a gap has been held against everything that changed in it.

use std::sync::Arc;
use std::time::Duration;

use super::roll;
use super::shared::Shared;
use super::{Counting, days};
use crate::clock::Tick;
use crate::store::{Seq, SharedStore, StoreError, Subject, signing};

/// Between two reads.
pub(super) const PERIOD: Duration = Duration::from_millis(250);

/// How long one read may take before the store counts as gone.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// Changes in one read.
pub(super) const PAGE: u32 = 256;

/// Full pages in a row after which it is cheaper to drop everything than to read on.
pub(super) const PAGES: usize = 16;

/// Empty reads after which the feed is checked for having been set back, as restoring a backup does.
pub(super) const QUIET: u32 = 20;

/// The reader of the feed.
pub(super) struct Feed {
    store: SharedStore,
    shared: Arc<Shared>,
    /// Everything up to here is applied; `None` before the first contact.
    position: Option<Seq>,
    quiet: u32,
    /// Whether it is still to be read what accounts have used. Until then there is no contact, and nobody counts.
    days_to_read: bool,
    /// Reads which keys there are; `None` where nobody is served.
    roll: Option<roll::Reader>,
}

impl Feed {
    pub(super) fn new(store: SharedStore, shared: Arc<Shared>, counting: Counting) -> Self {
        let serves = counting == Counting::Kept;
        let roll = serves.then(roll::Reader::default);
        Self { store, shared, position: None, quiet: 0, days_to_read: serves, roll }
    }

    /// Reads for ever, `period` apart.
    pub(super) async fn run(mut self, period: Duration) {
        loop {
            self.poll().await;
            tokio::time::sleep(period).await;
        }
    }

    /// Reads to the end once.
    pub(super) async fn poll(&mut self) {
        let was_up = self.shared.contact.is_up();
        match self.catch_up().await {
            Ok(at) => {
                if let Some(reader) = &mut self.roll {
                    reader.read_on(&self.store, &self.shared.roll).await;
                }
                self.shared.contact.confirmed(at);
                if !was_up {
                    tracing::info!("the store answers");
                }
            }
            Err(error) => {
                if self.shared.contact.lost() {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, "the store does not answer; what is cached serves on");
                }
            }
        }
    }

    async fn catch_up(&mut self) -> Result<Tick, StoreError> {
        let Some(position) = self.position else {
            return self.start_over().await;
        };
        let mut position = position;
        for _ in 0..PAGES {
            let before = self.shared.clock.tick();
            let changes = in_time(self.store.changes(position, PAGE)).await?;
            for change in &changes {
                self.shared.changed(change);
                position = position.max(change.seq);
            }
            if changes.iter().any(|change| change.subject == Subject::SigningKey) {
                self.read_keys().await?;
            }
            if changes.iter().any(|change| change.subject == Subject::KeyForm) {
                self.read_forms().await?;
            }
            // Not before: keys and forms that could not be read are read with the next try.
            self.position = Some(position);
            if changes.is_empty() {
                return self.nothing_new(position, before).await;
            }
            if changes.len() < PAGE as usize {
                self.quiet = 0;
                return Ok(before);
            }
        }
        tracing::warn!("the change feed ran far ahead; every cached validation is dropped");
        self.start_over().await
    }

    async fn nothing_new(&mut self, position: Seq, before: Tick) -> Result<Tick, StoreError> {
        self.quiet += 1;
        if self.quiet < QUIET {
            return Ok(before);
        }
        self.quiet = 0;
        if in_time(self.store.latest()).await? >= position {
            return Ok(before);
        }
        tracing::warn!("the change feed was set back; every cached validation is dropped");
        self.start_over().await
    }

    async fn read_keys(&self) -> Result<(), StoreError> {
        match in_time(self.store.signing_keys()).await {
            Ok(keys) => self.shared.take_keys(signing::ring(&keys)),
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            // API keys need none of them.
            Err(error) => tracing::error!(%error, "the signing keys cannot be read; those known before stay"),
        }
        Ok(())
    }

    async fn read_forms(&self) -> Result<(), StoreError> {
        match in_time(self.store.key_forms()).await {
            Ok(forms) => self.shared.forms.read(&forms),
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            // Keys that were made here need none of them.
            Err(error) => {
                tracing::error!(%error, "forms of imported keys cannot be read; those known stay");
            }
        }
        Ok(())
    }

    /// Takes the feed's end for its beginning: whatever was validated before is validated again.
    async fn start_over(&mut self) -> Result<Tick, StoreError> {
        let before = self.shared.clock.tick();
        let latest = in_time(self.store.latest()).await?;
        self.read_keys().await?;
        self.read_forms().await?;
        if self.days_to_read {
            days::begin(&self.store, &self.shared).await?;
            self.days_to_read = false;
        }
        if let Some(reader) = &mut self.roll {
            reader.start_over(&self.shared.roll);
        }
        self.shared.marks.start_over(latest);
        self.position = Some(latest);
        self.quiet = 0;
        Ok(before)
    }
}

pub(super) async fn in_time<T>(read: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(READ_TIMEOUT, read).await {
        Ok(answer) => answer,
        Err(elapsed) => Err(StoreError::Unavailable(Box::new(elapsed))),
    }
}
