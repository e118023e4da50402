//! Telling of logins that failed: a line at most once a minute, whatever is tried.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::issuer::{Failures, Logins};

/// Between two lines.
const PERIOD: Duration = Duration::from_secs(60);

/// Tells of `logins` until `stop`, and then of the last.
pub(super) async fn run(logins: Logins, stop: CancellationToken) {
    in_rounds(|| logins.take_failures(), tell, &stop).await;
}

async fn in_rounds(take: impl Fn() -> Option<Failures>, tell: impl Fn(Failures), stop: &CancellationToken) {
    let rounds = async {
        loop {
            tokio::time::sleep(PERIOD).await;
            take().into_iter().for_each(&tell);
        }
    };
    stop.run_until_cancelled(rounds).await;
    take().into_iter().for_each(tell);
}

fn tell(failures: Failures) {
    let Failures { wrong, delayed, accounts, most } = failures;
    let most_aimed_at = most.join(" ");
    tracing::warn!(wrong, delayed, accounts, most_aimed_at, "logins failed");
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_is_written_once_a_minute_at_most_and_at_the_end() {
        let (began, stop, told) = (Instant::now(), CancellationToken::new(), RefCell::new(Vec::new()));
        let failures = || Some(Failures { wrong: 1, delayed: 0, accounts: 0, most: Vec::new() });
        let tell = |_| told.borrow_mut().push(began.elapsed().as_secs());
        let ending = async {
            tokio::time::sleep(Duration::from_secs(150)).await;
            stop.cancel();
        };
        tokio::join!(in_rounds(failures, tell, &stop), ending);
        assert_eq!(told.take(), [60, 120, 150]);
        in_rounds(|| None, |_| panic!("nothing failed"), &stop).await;
    }
}
