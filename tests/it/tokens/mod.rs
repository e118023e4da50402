//! Access tokens through the running gateway.

mod assertions;
mod attacks;
mod endings;
mod lives;
mod rotation;
mod verdicts;

use keyward::auth::jwt::access_token::{self, Claims, Parties};
use keyward::auth::jwt::{Purpose, RingKey};
use keyward::auth::scope::ScopeSet;
use keyward::clock::{Clock, Timestamp};
use keyward::store::signing::ring;
use keyward::store::{Ending, Session};

use crate::support::gateway::Gateway;
use crate::support::http::Client;
use crate::support::keys::{self, origin};
use crate::support::upstream::{Answer, Upstream};

const IDENTITY: &str = "identity: { public_url: \"https://auth.test\", audience: \"https://api.test\" }\n";
const ROUTES: &str = "routes:
  - { name: read, match: { path_prefix: / }, auth: { required: { scopes: [\"orders:read\"] } }, upstream: api, upgrades: [websocket] }
  - { name: write, match: { path_prefix: /write }, auth: { required: { scopes: [\"orders:write\"] } }, upstream: api }
  - { name: maybe, match: { path_prefix: /maybe }, auth: optional, upstream: api }
";
const START: Timestamp = Timestamp(1_800_000_000_000);

/// A gateway whose clock stands, before an upstream, and a session of its account.
struct Scene {
    upstream: Upstream,
    gateway: Gateway,
    clock: Clock,
    session: Session,
}

impl Scene {
    async fn new() -> Self {
        Self::with("", Answer::ok("ok")).await
    }

    async fn with(yaml: &str, answer: Answer) -> Self {
        let upstream = Upstream::always(answer).await;
        let clock = Clock::manual(START);
        let builder = Gateway::builder().upstream("api", &upstream.url()).clock(&clock);
        let gateway = builder.yaml(&format!("{IDENTITY}{yaml}{ROUTES}")).start().await;
        let session = keys::session(&gateway, START).await;
        Self { upstream, gateway, clock, session }
    }

    /// A token of the session, as a login would give it.
    fn token(&self, scopes: &str) -> String {
        keys::access_token(&self.gateway, &self.session, scopes, self.clock.now())
    }

    fn client(&self, credential: &str) -> Client {
        self.gateway.anonymous().with_key(credential)
    }

    fn claims(&self) -> Claims {
        Claims {
            account: self.session.account_id.as_str().into(),
            session: self.session.id.as_str().into(),
            client: access_token::FIRST_PARTY.into(),
            id: "token".into(),
            scopes: ScopeSet::parse("orders:read").unwrap(),
            issued_at: START,
            expires_at: Timestamp(START.millis() + 900_000),
        }
    }

    /// The key that signs access tokens now.
    async fn signer(&self, purpose: Purpose) -> RingKey {
        let keys = ring(&self.gateway.store().signing_keys().await.unwrap());
        RingKey::clone(keys.signer(purpose, self.clock.now()).unwrap())
    }

    fn parties() -> Parties {
        Parties { issuer: "https://auth.test".into(), audience: "https://api.test".into() }
    }

    /// A token that the gateway's own key signed, whatever it says.
    async fn signed(&self, change: impl FnOnce(&mut Claims)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        access_token::mint(&self.signer(Purpose::AccessToken).await.key, &Self::parties(), &claims).unwrap()
    }

    /// Ends the session beside the gateway, which sees it by the change feed.
    async fn end(&self, ending: Ending) {
        self.gateway
            .store()
            .end_session(&self.session.id, ending, self.clock.now(), &origin())
            .await
            .unwrap();
    }
}

/// The same token with a signature that nobody made: 86 times this letter.
fn with_signature_of(token: &str, letter: char) -> String {
    let (signed, _) = token.rsplit_once('.').unwrap();
    // The last one has bits that are not used.
    format!("{signed}.{}A", letter.to_string().repeat(85))
}
