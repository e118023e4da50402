//! Asking servers whether they are well. Not a worker's business: it runs on the control runtime.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::{HOST, USER_AGENT};
use http::{Request, StatusCode, Version};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::MissedTickBehavior;

use super::endpoint;
use super::fleet::{Group, Member};
use crate::clock::Clock;
use crate::config::{HealthCheck, UpstreamProtocol};

const ASKER: &str = concat!("keyward-health/", env!("CARGO_PKG_VERSION"));

/// Why a server is not well.
#[derive(Debug, thiserror::Error)]
enum Unwell {
    #[error("it cannot be connected to: {0}")]
    Connect(#[from] std::io::Error),
    #[error("it does not answer: {0}")]
    Http1(#[from] hyper::Error),
    #[error("it does not answer: {0}")]
    Http2(#[from] h2::Error),
    #[error("the question cannot be asked: {0}")]
    Question(#[from] http::Error),
    #[error("it ended the connection")]
    Ended,
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("it did not answer in time")]
    Late,
}

/// What the answers in a row say.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    good: u32,
    bad: u32,
}

impl Row {
    /// Takes an answer; whether it changes what is known of the server, which is that it is `unwell` or not.
    fn takes(&mut self, good: bool, unwell: bool, health: &HealthCheck) -> bool {
        if good {
            self.bad = 0;
            self.good = self.good.saturating_add(1);
            return unwell && self.good >= health.healthy_after;
        }
        self.good = 0;
        self.bad = self.bad.saturating_add(1);
        !unwell && self.bad >= health.unhealthy_after
    }
}

/// Asks the servers of `group` over and over, until it is dropped; without `health` there is nothing to ask.
pub async fn run(group: Arc<Group>, clock: Clock) {
    let Some(health) = group.health.clone() else { return };
    let mut rows = vec![Row::default(); group.members.len()];
    let mut ticks = tokio::time::interval(health.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let asking = group.members.iter().map(|member| ask(member, &group, &health));
        let answers = join_all(asking).await;
        for ((member, row), answer) in group.members.iter().zip(&mut rows).zip(answers) {
            if row.takes(answer.is_ok(), member.is_unwell(), &health) {
                let why = answer.as_ref().err().map(ToString::to_string).unwrap_or_default();
                group.found(member, answer.is_ok(), &why, clock.tick());
            }
        }
    }
}

/// Whether `other` is asked as `group` is, so that who asks can go on.
#[must_use]
pub fn are_same(group: &Group, other: &Group) -> bool {
    let members = group.members.len() == other.members.len()
        && group.members.iter().zip(&other.members).all(|(one, other)| Arc::ptr_eq(one, other));
    let spoken_to = group.protocol == other.protocol && group.connector == other.connector;
    members && spoken_to && group.health == other.health && group.begins_like(other)
}

async fn ask(member: &Member, group: &Group, health: &HealthCheck) -> Result<(), Unwell> {
    let status = within(health.timeout, status(member, group, &health.path)).await?;
    match health.is_good(status.as_u16()) {
        true => Ok(()),
        false => Err(Unwell::Status(status)),
    }
}

async fn within<T>(time: Duration, what: impl Future<Output = Result<T, Unwell>>) -> Result<T, Unwell> {
    tokio::time::timeout(time, what).await.unwrap_or(Err(Unwell::Late))
}

/// Asks on a connection of its own: whether one can be made is part of the question.
async fn status(member: &Member, group: &Group, path: &str) -> Result<StatusCode, Unwell> {
    let stream = endpoint::connect(member, group.connector.as_ref()).await?;
    let question = Request::get(path).header(USER_AGENT, ASKER);
    match group.protocol {
        UpstreamProtocol::Http1 => {
            let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
            let question = question.header(HOST, &*member.authority).body(Empty::<Bytes>::new())?;
            let mut asking = std::pin::pin!(requests.send_request(question));
            tokio::select! {
                biased;
                answer = &mut asking => Ok(answer?.status()),
                ended = connection => {
                    ended?;
                    Ok(asking.await?.status())
                }
            }
        }
        UpstreamProtocol::Http2 => {
            let (requests, connection) = h2::client::handshake(stream).await?;
            let target = format!("{}://{}{path}", member.place.scheme.as_str(), member.authority);
            let question = question.uri(target).version(Version::HTTP_2).body(())?;
            let asking = async {
                let (answer, _) = requests.ready().await?.send_request(question, true)?;
                Ok::<_, Unwell>(answer.await?.status())
            };
            tokio::select! {
                biased;
                answer = asking => answer,
                ended = connection => {
                    ended?;
                    Err(Unwell::Ended)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_that_is_not_like_the_others_changes_nothing() {
        let health = HealthCheck {
            path: "/".into(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            healthy_after: 2,
            unhealthy_after: 3,
            statuses: Vec::new(),
        };
        let (mut row, mut unwell) = (Row::default(), false);
        let answers = "++--+---+-++-".chars().map(|answer| answer == '+');
        let known: String = answers
            .map(|good| {
                unwell ^= row.takes(good, unwell, &health);
                if unwell { '-' } else { '+' }
            })
            .collect();
        assert_eq!(known, "+++++++----++");
        assert!(health.is_good(204) && health.is_good(301) && !health.is_good(404));
        let strict = HealthCheck { statuses: vec![204], ..health };
        assert!(strict.is_good(204) && !strict.is_good(200));
    }
}
