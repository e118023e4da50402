//! Telling of logins that failed: a line at most once a minute, whatever is tried.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::issuer::Logins;

/// Between two lines.
const PERIOD: Duration = Duration::from_secs(60);

/// Tells of `logins` until `stop`, and then of the last.
pub(super) async fn run(logins: Logins, stop: CancellationToken) {
    let rounds = async {
        loop {
            tokio::time::sleep(PERIOD).await;
            tell(&logins);
        }
    };
    stop.run_until_cancelled(rounds).await;
    tell(&logins);
}

fn tell(logins: &Logins) {
    let Some(failures) = logins.take_failures() else { return };
    let (wrong, delayed, accounts) = (failures.wrong, failures.delayed, failures.accounts);
    let most_aimed_at = failures.most.join(" ");
    tracing::warn!(wrong, delayed, accounts, most_aimed_at, "logins failed");
}
