//! The way of the application's log: a bounded channel and one thread that writes. Whoever logs never waits, least of all
//! a worker: where the destination is too slow, lines are lost and counted.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use super::metrics::Dropped;

/// Lines that may wait for the destination.
const WAITING: usize = 1024;

enum Message {
    Line(Box<[u8]>),
    /// Everything before it was written.
    Flush(SyncSender<()>),
}

/// Hands lines over. Clones share the thread.
#[derive(Clone, Debug)]
pub(super) struct LogWriter {
    to: SyncSender<Message>,
    dropped: Arc<OnceLock<Dropped>>,
}

impl LogWriter {
    /// Starts the thread.
    pub(super) fn start(destination: impl Write + Send + 'static) -> io::Result<Self> {
        let (to, inbox) = sync_channel(WAITING);
        thread::Builder::new().name("log".to_owned()).spawn(move || run(&inbox, destination))?;
        Ok(Self { to, dropped: Arc::default() })
    }

    /// Hands one line over; drops it when too many wait.
    pub(super) fn write(&self, line: &[u8]) {
        let full = matches!(self.to.try_send(Message::Line(line.into())), Err(TrySendError::Full(_)));
        if full && let Some(dropped) = self.dropped.get() {
            dropped.add(1);
        }
    }

    /// Counts lost lines from now on.
    pub(super) fn count_dropped(&self, dropped: Dropped) {
        // Once is enough: there is one counter of them in a process.
        let _ = self.dropped.set(dropped);
    }

    /// Waits until all lines before are written, at most for `within`.
    pub(super) fn flush(&self, within: Duration) {
        let (done, flushed) = sync_channel(1);
        if self.to.try_send(Message::Flush(done)).is_ok() {
            // What a destination that hangs has not taken by now it will not take.
            let _ = flushed.recv_timeout(within);
        }
    }
}

fn run(inbox: &Receiver<Message>, mut destination: impl Write) {
    while let Ok(message) = inbox.recv() {
        match message {
            // One write for a line; where the destination is gone there is nobody left to tell.
            Message::Line(line) => drop(destination.write_all(&line)),
            Message::Flush(done) => drop(done.try_send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn lines_come_whole_and_in_order_before_a_flush_ends() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let writer = LogWriter::start(ours).unwrap();
        (0..100).for_each(|number| writer.write(format!("line {number}\n").as_bytes()));
        writer.flush(Duration::from_secs(20));
        let lines: Vec<_> = BufReader::new(theirs).lines().take(100).map(Result::unwrap).collect();
        assert!(lines.iter().enumerate().all(|(number, line)| *line == format!("line {number}")));
    }

    #[test]
    fn a_destination_that_hangs_delays_nobody_and_what_is_lost_is_counted() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let writer = LogWriter::start(ours).unwrap();
        let metrics = Metrics::new().unwrap();
        writer.count_dropped(metrics.log_dropped());
        let line = [b'x'; 1024];
        let (done, written) = sync_channel(1);
        thread::spawn(move || {
            // Far more than the socket and the channel hold together.
            (0..3 * WAITING).for_each(|_| writer.write(&line));
            writer.flush(Duration::ZERO);
            done.send(())
        });
        assert_eq!(written.recv_timeout(Duration::from_secs(60)), Ok(()), "it waits for the destination");
        let text = metrics.render().unwrap();
        assert!(!text.contains("keyward_log_dropped_total 0"), "{text}");
        drop(theirs);
    }
}
