//! The identity endpoints on the control plane: parse, ask the issuer, render.
//!
//! Workers hand requests over, whole and with the caller known; nothing here touches a socket.

mod caller;
mod keys;
mod login;
mod refused;
mod render;

use std::future::Future;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use tokio::sync::{OnceCell, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::console::{self, Sealer};
use crate::auth::jwt::Ring;
use crate::auth::refusal::Refusal;
use crate::authenticator::Authenticator;
use crate::clock::{Clock, Timestamp};
use crate::config::{self, CatalogueScope};
use crate::issuer::signing::Mint;
use crate::issuer::{Browser, Issuer, Visitor};
use crate::web::endpoint::Endpoint;
use crate::web::errand::{Call, Errand, Reply};
use crate::web::problem::Problems;
pub(super) use keys::is_cursor;
pub(super) use refused::{capital, sentence};

/// What endpoints answer by; a reload replaces it whole.
pub struct Terms {
    /// What makes, changes and ends credentials.
    pub issuer: Issuer,
    /// What makes access tokens; `None` where nothing is issued to people.
    pub mint: Option<Mint>,
    /// How refusals look.
    pub problems: Problems,
    /// The catalogue.
    pub scopes: Vec<CatalogueScope>,
    /// What the configuration says of them; `None` = there are none.
    pub identity: Option<config::Identity>,
}

impl Terms {
    /// Whether the catalogue has a scope.
    pub(super) fn knows(&self, scope: &str) -> bool {
        self.scopes.iter().any(|known| known.scope.as_str() == scope)
    }

    /// What a scope means, in the catalogue's words.
    pub(super) fn describe(&self, scope: &str) -> &str {
        let known = self.scopes.iter().find(|known| known.scope.as_str() == scope);
        known.map_or("", |known| &known.description)
    }
}

/// The endpoints.
pub struct Identity {
    /// What they answer by now.
    pub terms: Arc<ArcSwap<Terms>>,
    /// The time.
    pub clock: Clock,
    /// What access tokens are signed with.
    pub ring: Arc<Ring>,
    /// What knows where accounts stand to their limits.
    pub authenticator: Arc<Authenticator>,
    /// Made with the first page.
    pub sealer: OnceCell<Sealer>,
}

/// Errands at work at once. What comes beyond waits at the desk, which refuses when it is full: whoever asked can be gone
/// and its place taken by another while its errand still has all of its body.
const AT_WORK: usize = 256;

/// Answers what workers hand over, until `stop`; what was taken is finished.
pub async fn serve(errands: mpsc::Receiver<Errand>, identity: Arc<Identity>, stop: CancellationToken) {
    let answer = move |call: Call| {
        let identity = Arc::clone(&identity);
        async move { identity.answer(&call).await }
    };
    work(errands, answer, stop).await;
}

async fn work<F: Future<Output = Reply> + Send + 'static>(
    mut errands: mpsc::Receiver<Errand>,
    answer: impl Fn(Call) -> F,
    stop: CancellationToken,
) {
    let mut tasks = JoinSet::new();
    while let Some(Some(errand)) = stop.run_until_cancelled(next(&mut errands, &mut tasks)).await {
        let (call, reply) = errand.into_parts();
        let answering = answer(call);
        tasks.spawn(async move { reply(answering.await) });
    }
    while tasks.join_next().await.is_some() {}
}

/// The next errand, once there is room at work.
async fn next(errands: &mut mpsc::Receiver<Errand>, tasks: &mut JoinSet<()>) -> Option<Errand> {
    while tasks.try_join_next().is_some() {}
    while tasks.len() >= AT_WORK {
        tasks.join_next().await;
    }
    errands.recv().await
}

impl Identity {
    /// Answers one request, whatever happens.
    pub async fn answer(&self, call: &Call) -> Reply {
        let terms = self.terms.load_full();
        let mut reply = self.try_answer(&terms, call).await.unwrap_or_else(|refusal| Reply {
            response: terms.problems.answer(&refusal, call.asked()),
            code: Some(refusal.code()),
            caller: None,
        });
        if call.method == Method::HEAD {
            *reply.response.body_mut() = Bytes::new();
        }
        reply
    }

    async fn try_answer(&self, terms: &Terms, call: &Call) -> Result<Reply, Refusal> {
        let endpoint = Endpoint::of(&call.path).ok_or(Refusal::NoRoute)?;
        let (ring, authenticator) = (&*self.ring, &*self.authenticator);
        let asked = Asked { call, terms, ring, authenticator, now: self.clock.now() };
        if let Endpoint::Console(page) = endpoint {
            return Ok(console::answer(asked, self.sealer(terms).await?, page).await);
        }
        asked.endpoint(endpoint).await
    }

    async fn sealer(&self, terms: &Terms) -> Result<&Sealer, Refusal> {
        let make = || async { Ok::<_, Refusal>(Sealer::new(&terms.issuer.console_secret().await?)) };
        self.sealer.get_or_try_init(make).await
    }
}

/// One request, as an endpoint has it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) call: &'a Call,
    pub(super) terms: &'a Terms,
    pub(super) ring: &'a Ring,
    pub(super) authenticator: &'a Authenticator,
    pub(super) now: Timestamp,
}

impl<'a> Asked<'a> {
    /// Every endpoint with its methods; others than an endpoint takes do not come this far.
    async fn endpoint(self, endpoint: Endpoint<'_>) -> Result<Reply, Refusal> {
        let response = match (endpoint, &self.call.method) {
            (Endpoint::Login, _) => return login::login(self).await,
            (Endpoint::Refresh, _) => return login::refresh(self).await,
            (Endpoint::Logout, _) => login::logout(self).await,
            (Endpoint::Keys, &Method::POST) => keys::create(self).await,
            (Endpoint::Keys, _) => keys::list(self).await,
            (Endpoint::Key(id), &Method::DELETE) => keys::revoke(self, id).await,
            (Endpoint::Key(id), &Method::PATCH) => keys::change(self, id).await,
            (Endpoint::Key(id), _) => keys::show(self, id).await,
            (Endpoint::RotateKey(id), _) => keys::rotate(self, id).await,
            (Endpoint::KeySet, _) => self.key_set(),
            (Endpoint::Validate | Endpoint::Limits | Endpoint::Console(_), _) => Err(Refusal::NoRoute),
        };
        // Whose the credential is, its worker knows.
        response.map(|response| Reply { response, code: None, caller: None })
    }

    /// What access tokens and assertions are checked with; anybody may keep it for a while.
    fn key_set(self) -> Result<Response<Bytes>, Refusal> {
        let keys = self.ring.keys().ok_or(Refusal::NotNow)?;
        Ok(render::public(StatusCode::OK, &keys.jwks(self.now)))
    }

    /// The configuration's section, which there is where an endpoint is asked for.
    pub(super) fn identity(self) -> Result<&'a config::Identity, Refusal> {
        self.terms.identity.as_ref().ok_or(Refusal::NoRoute)
    }

    /// Who stands at the door. `browser` is what an earlier login left there.
    pub(super) fn visitor(self, browser: Option<Browser>) -> Visitor {
        let agent = self.call.headers.get(http::header::USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        Visitor { address: self.call.client, browser, agent: agent.to_owned() }
    }
}

#[cfg(test)]
mod tests;
