//! The way of the access log: workers' buffers → one bounded channel → one thread that owns the destination.
//!
//! A worker never waits. Where the destination is too slow, full or broken, lines are lost, and counted in
//! `keyward_log_dropped_total`.

mod destination;
mod losses;

use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

pub use destination::CannotOpen;
use destination::{Destination, Lost};
use losses::Losses;

use super::Form;
use super::access::AccessRecord;
use super::metrics::Dropped;
use crate::clock::Clock;
use crate::config;

/// A worker hands its buffer over at the latest when it holds this many bytes.
const BUFFER: usize = 32 << 10;
/// Buffers that may wait for the destination: 16 MiB at most.
const WAITING: usize = 512;

enum Message {
    Lines(Box<[u8]>),
    /// Look at the flags.
    Wake,
}

/// The access log of this process.
#[derive(Debug)]
pub struct AccessLog {
    /// `None` = off.
    inner: Option<Inner>,
    terminal: bool,
}

#[derive(Debug)]
struct Inner {
    outlet: Outlet,
    /// Ends when the thread does.
    ended: Mutex<Receiver<()>>,
}

#[derive(Clone, Debug)]
struct Outlet {
    to: SyncSender<Message>,
    flags: Arc<Flags>,
    losses: Arc<Losses>,
}

#[derive(Debug, Default)]
struct Flags {
    human: AtomicBool,
    reopen: AtomicBool,
    closing: AtomicBool,
}

impl AccessLog {
    /// Opens the destination and starts the thread that writes to it.
    ///
    /// # Errors
    /// When the destination cannot be opened, or no thread be started.
    pub fn start(log: &config::Log, dropped: Dropped, clock: Clock) -> Result<Self, CannotOpen> {
        let terminal = match log.access {
            config::AccessLog::Stdout => std::io::stdout().is_terminal(),
            config::AccessLog::Stderr => std::io::stderr().is_terminal(),
            config::AccessLog::Off | config::AccessLog::File(_) => false,
        };
        let Some(destination) = Destination::open(&log.access)? else {
            return Ok(Self { inner: None, terminal });
        };
        let (to, inbox) = sync_channel(WAITING);
        let (running, ended) = sync_channel(0);
        let flags = Arc::<Flags>::default();
        let losses = Arc::new(Losses::new(dropped, clock));
        let writer = Writer {
            destination,
            inbox,
            flags: Arc::clone(&flags),
            losses: Arc::clone(&losses),
            _running: running,
        };
        thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| CannotOpen::new(&log.access, source))?;
        let outlet = Outlet { to, flags, losses };
        let access = Self { inner: Some(Inner { outlet, ended: Mutex::new(ended) }), terminal };
        access.set_format(log.format);
        Ok(access)
    }

    /// The part of one worker.
    #[must_use]
    pub fn worker(&self) -> WorkerLog {
        let outlet = self.inner.as_ref().map(|inner| inner.outlet.clone());
        WorkerLog { outlet, pending: RefCell::default() }
    }

    /// How lines look from now on, after a reload.
    pub fn set_format(&self, format: config::LogFormat) {
        if let Some(inner) = &self.inner {
            let human = Form::of(format, self.terminal) == Form::Human;
            inner.outlet.flags.human.store(human, Ordering::Relaxed);
        }
    }

    /// Opens a file anew, after it was renamed to rotate it. Returns at once; the thread does it before it writes
    /// more. Where that fails the old file is written on.
    pub fn reopen(&self) {
        if let Some(inner) = &self.inner {
            inner.outlet.flags.reopen.store(true, Ordering::Release);
            // When the channel is full the flag is seen with the next lines.
            let _ = inner.outlet.to.try_send(Message::Wake);
        }
    }

    /// Writes what workers have handed over and ends; what comes later is dropped. Blocks, at most for `within`.
    /// False when the time was not enough.
    #[must_use]
    pub fn close(&self, within: Duration) -> bool {
        let Some(inner) = &self.inner else {
            return true;
        };
        inner.outlet.flags.closing.store(true, Ordering::Release);
        let _ = inner.outlet.to.try_send(Message::Wake);
        let ended = inner.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.recv_timeout(within) == Err(RecvTimeoutError::Disconnected)
    }
}

/// One worker's buffer before the shared channel. Handed over when it is full, on the worker's tick, and when dropped.
#[derive(Debug)]
pub struct WorkerLog {
    outlet: Option<Outlet>,
    pending: RefCell<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    lines: u64,
}

impl WorkerLog {
    /// Whether lines go nowhere: then none need be made.
    #[must_use]
    pub const fn is_off(&self) -> bool {
        self.outlet.is_none()
    }

    /// Writes one line into the buffer.
    pub fn push(&self, record: &AccessRecord<'_>) {
        let Some(outlet) = &self.outlet else {
            return;
        };
        let form = if outlet.flags.human.load(Ordering::Relaxed) { Form::Human } else { Form::Json };
        let mut pending = self.pending.borrow_mut();
        record.write(form, &mut pending.bytes);
        pending.lines += 1;
        if pending.bytes.len() >= BUFFER {
            outlet.hand_over(&mut pending);
        }
    }

    /// Hands over what there is, for the worker's tick. Never waits.
    pub fn flush(&self) {
        if let Some(outlet) = &self.outlet {
            outlet.hand_over(&mut self.pending.borrow_mut());
        }
    }
}

impl Drop for WorkerLog {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Outlet {
    fn hand_over(&self, pending: &mut Pending) {
        if pending.lines == 0 {
            return;
        }
        if self.to.try_send(Message::Lines(pending.bytes.as_slice().into())).is_err() {
            self.losses.add(pending.lines, None);
        }
        pending.bytes.clear();
        pending.lines = 0;
    }
}

/// What the thread has.
struct Writer {
    destination: Destination,
    inbox: Receiver<Message>,
    flags: Arc<Flags>,
    losses: Arc<Losses>,
    /// Dropped with the thread, which tells [`AccessLog::close`].
    _running: SyncSender<()>,
}

impl Writer {
    fn run(mut self) {
        while let Ok(message) = self.inbox.recv() {
            self.handle(message);
            if self.flags.closing.load(Ordering::Acquire) {
                break;
            }
        }
        while let Ok(message) = self.inbox.try_recv() {
            self.handle(message);
        }
    }

    fn handle(&mut self, message: Message) {
        if self.flags.reopen.swap(false, Ordering::AcqRel)
            && let Err(error) = self.destination.reopen()
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the access log cannot be reopened; the old file is written on"
            );
        }
        let closing = || self.flags.closing.load(Ordering::Acquire);
        if let Message::Lines(lines) = message
            && let Err(Lost { lines, error }) = self.destination.write(&lines, closing)
        {
            return self.losses.add(lines, Some(&error));
        }
        self.losses.tell(None);
    }
}

#[cfg(test)]
#[path = "log_sink/tests.rs"]
mod tests;
