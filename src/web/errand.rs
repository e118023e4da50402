//! A request that Keyward answers itself, on its way from the worker that has it to the control plane, and its answer on
//! the way back.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, Version};
use tokio::sync::{mpsc, oneshot};

use super::problem::Asked;
use super::request_id::RequestId;
use crate::auth::principal::Principal;
use crate::auth::refusal::{Code, Refusal};

/// Errands that may wait to be taken.
const WAITING: usize = 1024;
/// How long the control plane may take for one.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a request asks for.
#[derive(Debug)]
pub struct Call {
    /// Its method.
    pub method: Method,
    /// Its canonical path.
    pub path: String,
    /// Its query as sent, without `?`.
    pub query: Option<String>,
    /// The version of HTTP it came over.
    pub version: Version,
    /// Its fields.
    pub headers: HeaderMap,
    /// All of its body.
    pub body: Bytes,
    /// Where its client is, behind trusted proxies too.
    pub client: IpAddr,
    /// Told in its answer.
    pub request_id: RequestId,
    /// Whom the credential in `Authorization` speaks for; `None` without one.
    pub caller: Result<Option<Principal>, Refusal>,
}

impl Call {
    /// The query's parameters, each once.
    #[must_use]
    pub fn parameters(&self) -> HashMap<String, String> {
        url::form_urlencoded::parse(self.query.as_deref().unwrap_or_default().as_bytes())
            .into_owned()
            .collect()
    }

    /// What a refusal of it depends on.
    #[must_use]
    pub const fn asked(&self) -> Asked<'_> {
        Asked {
            method: &self.method,
            version: self.version,
            headers: &self.headers,
            request_id: &self.request_id,
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Reply {
    /// The whole answer.
    pub response: Response<Bytes>,
    /// Why it is a refusal, if it is one.
    pub code: Option<Code>,
    /// Who asked, where that is known by something else than the credential in `Authorization`.
    pub caller: Option<Caller>,
}

/// Whom a request's session speaks for, by ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account: String,
    /// The session.
    pub credential: String,
}

/// One call, and where its reply goes.
#[derive(Debug)]
pub struct Errand {
    /// What is asked for.
    pub call: Call,
    reply: oneshot::Sender<Reply>,
}

impl Errand {
    /// Takes it apart: the call, and how it is answered. Whoever asked may be gone by then.
    pub fn into_parts(self) -> (Call, impl FnOnce(Reply)) {
        let reply = self.reply;
        (self.call, move |answer| drop(reply.send(answer)))
    }
}

/// Where workers hand errands over.
#[derive(Clone, Debug)]
pub struct Desk(mpsc::Sender<Errand>);

/// Both ends of the way.
#[must_use]
pub fn desk() -> (Desk, mpsc::Receiver<Errand>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Desk(sender), receiver)
}

impl Desk {
    /// Has `call` answered.
    ///
    /// # Errors
    /// When too many wait already, it takes too long, or the process ends.
    pub async fn ask(&self, call: Call) -> Result<Reply, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(Errand { call, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refusal::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Refusal::Draining,
        })?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) | Err(_) => Err(Refusal::Overloaded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::random::System;
    use crate::clock::Timestamp;
    use crate::web::request_id::RequestIds;

    fn call() -> Call {
        Call {
            method: Method::GET,
            path: "/user/api-keys".to_owned(),
            query: None,
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            client: IpAddr::from([127, 0, 0, 1]),
            request_id: RequestIds::new(&System::default()).unwrap().make(Timestamp(0)),
            caller: Ok(None),
        }
    }

    fn told(body: &'static str) -> Reply {
        Reply { response: Response::new(Bytes::from_static(body.as_bytes())), code: None, caller: None }
    }

    #[track_caller]
    fn is_put_off(asked: Result<Reply, Refusal>, why: &Refusal) {
        let refusal = asked.unwrap_err();
        assert_eq!(refusal, *why);
        assert_eq!((refusal.code().status(), refusal.retry_after()), (503, Some(1)));
    }

    #[tokio::test]
    async fn who_asks_gets_the_answer_to_what_was_asked() {
        let (desk, mut errands) = desk();
        let answering = async {
            let (call, reply) = errands.recv().await.unwrap().into_parts();
            assert_eq!(call.path, "/user/api-keys");
            reply(told("done"));
        };
        let (reply, ()) = tokio::join!(desk.ask(call()), answering);
        assert_eq!(reply.unwrap().response.body(), "done");
    }

    #[tokio::test]
    async fn so_many_wait_and_the_next_is_told_to_come_back() {
        let (desk, mut errands) = desk();
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(desk.ask(call()))).collect();
        for asked in &mut waiting {
            assert!(futures_util::poll!(asked).is_pending());
        }
        is_put_off(desk.ask(call()).await, &Refusal::Overloaded);
        // One that is taken makes room for another.
        let taken = errands.recv().await.unwrap();
        let mut next = Box::pin(desk.ask(call()));
        assert!(futures_util::poll!(&mut next).is_pending());
        taken.into_parts().1(told("late"));
        assert_eq!(waiting.remove(0).await.unwrap().response.body(), "late");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_is_bearable() {
        let (desk, mut errands) = desk();
        let began = tokio::time::Instant::now();
        let asked = tokio::time::timeout(2 * PATIENCE, desk.ask(call())).await;
        is_put_off(asked.expect("somebody waits for ever"), &Refusal::Overloaded);
        assert_eq!(began.elapsed(), PATIENCE);
        // The answer comes too late, and nobody minds.
        errands.recv().await.unwrap().into_parts().1(told("too late"));
    }

    #[tokio::test]
    async fn a_control_plane_that_is_gone_or_drops_what_it_took_leaves_nobody_waiting() {
        let (desk, mut errands) = desk();
        let (reply, ()) = tokio::join!(desk.ask(call()), async { drop(errands.recv().await) });
        is_put_off(reply, &Refusal::Overloaded);
        drop(errands);
        is_put_off(desk.ask(call()).await, &Refusal::Draining);
    }

    #[tokio::test]
    async fn what_was_handed_over_is_done_though_its_client_is_gone() {
        let (desk, mut errands) = desk();
        let mut asked = Box::pin(desk.ask(call()));
        assert!(futures_util::poll!(&mut asked).is_pending());
        drop(asked);
        let (call, reply) = errands.recv().await.unwrap().into_parts();
        assert_eq!(call.path, "/user/api-keys");
        reply(told("for nobody"));
    }
}
