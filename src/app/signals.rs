//! Signals → what the process should do.

use std::io;

use tokio::signal::unix::{Signal as Source, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: load the configuration anew, and open the access log anew.
    Reload,
    /// The first SIGTERM or SIGINT: end, but let requests finish.
    Drain,
    /// A further one: end at once.
    Quit,
}

/// The signals of this process, in the order they come. Several of a kind that come at once may be told as one.
#[derive(Debug)]
pub struct Signals {
    hangup: Source,
    terminate: Source,
    interrupt: Source,
    draining: bool,
}

impl Signals {
    /// From now on signals are told here instead of ending the process. Only within a runtime; as early as can be.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            draining: false,
        })
    }

    /// The next one. Giving up on the future loses none.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => self.end(),
            _ = self.interrupt.recv() => self.end(),
            _ = self.hangup.recv() => Signal::Reload,
        }
    }

    const fn end(&mut self) -> Signal {
        if self.draining {
            return Signal::Quit;
        }
        self.draining = true;
        Signal::Drain
    }
}

/// From now on a file that may not grow is an error where it is written, like a full disk, and does not end the process.
/// Only within a runtime.
pub fn outlive_full_files() {
    // Of Linux on all machines but MIPS; tokio has no name for SIGXFSZ. It is never asked for: that it is taken is enough.
    #[cfg(target_os = "linux")]
    if let Err(error) = signal(SignalKind::from_raw(25)) {
        tracing::debug!(%error, "a file that may not grow ends this process");
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    fn send(name: &str) {
        let sent =
            Command::new("sh").arg("-c").arg(format!("kill -s {name} {}", std::process::id())).status();
        assert!(sent.unwrap().success());
    }

    #[tokio::test]
    async fn hangup_reloads_and_the_second_request_to_end_does_not_wait() {
        let mut signals = Signals::install().unwrap();
        for (name, expected) in [
            ("HUP", Signal::Reload),
            ("TERM", Signal::Drain),
            ("HUP", Signal::Reload),
            ("INT", Signal::Quit),
            ("TERM", Signal::Quit),
        ] {
            send(name);
            let told = tokio::time::timeout(Duration::from_secs(20), signals.next()).await;
            assert_eq!(told, Ok(expected), "{name}");
        }
    }
}
