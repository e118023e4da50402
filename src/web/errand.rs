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
