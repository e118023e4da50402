//! Names of servers, looked up over and over. Not a worker's business: it runs on the control runtime, and leaves what
//! it finds where the workers see it when they make a connection.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::MissedTickBehavior;

use super::fleet::{Group, Member};

/// Between two look-ups of a name.
const PERIOD: Duration = Duration::from_secs(10);
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(5);

type Script = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// What tells the addresses of a name.
#[derive(Clone, Default)]
pub struct Resolver(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    System,
    Scripted {
        script: Arc<Script>,
        period: Duration,
    },
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Resolver {
    /// One for tests, that is asked every `period`.
    pub fn scripted(
        period: Duration,
        script: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self(Source::Scripted { script: Arc::new(script), period })
    }

    const fn period(&self) -> Duration {
        match &self.0 {
            Source::System => PERIOD,
            Source::Scripted { period, .. } => *period,
        }
    }

    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = match &self.0 {
            Source::Scripted { script, .. } => script(host)?,
            Source::System => {
                let looking = tokio::net::lookup_host((host, 0));
                let found = tokio::time::timeout(PATIENCE, looking).await??;
                found.map(|address| address.ip()).collect()
            }
        };
        if found.is_empty() {
            Err(io::Error::new(io::ErrorKind::NotFound, "it has no address"))
        } else {
            Ok(found)
        }
    }
}

/// Looks the names of `group` up over and over, until it is dropped.
pub async fn run(group: Arc<Group>, resolver: Resolver) {
    let mut ticks = tokio::time::interval(resolver.period());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let named: Vec<&Arc<Member>> = group.members.iter().filter(|member| member.has_name()).collect();
    let mut lost = vec![false; named.len()];
    while !named.is_empty() {
        ticks.tick().await;
        let found = join_all(named.iter().map(|member| resolver.addresses(&member.place.host))).await;
        for ((member, lost), found) in named.iter().zip(&mut lost).zip(found) {
            look(&group, member, lost, found);
        }
    }
}

const KEPT: &str = "the name of an endpoint cannot be looked up; its last known addresses are used";
const NOWHERE: &str = "the name of an endpoint cannot be looked up; it gets no requests while another is fit";

/// A name that no longer resolves says nothing of the servers that it led to: they stay.
fn look(group: &Group, member: &Member, lost: &mut bool, found: io::Result<Vec<IpAddr>>) {
    let (upstream, endpoint) = (&*group.name, &*member.authority);
    match found {
        Ok(found) => {
            if std::mem::take(lost) {
                tracing::info!(upstream, endpoint, "the name of an endpoint can be looked up again");
            }
            if member.is_at(&found) {
                tracing::info!(upstream, endpoint, addresses = ?found, "an endpoint has moved");
            }
        }
        Err(error) => {
            let nowhere = member.was_not_found();
            if !std::mem::replace(lost, true) {
                let error = &error as &dyn std::error::Error;
                let instead = if nowhere { NOWHERE } else { KEPT };
                tracing::warn!(upstream, endpoint, error, "{instead}");
            }
        }
    }
}
