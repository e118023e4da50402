//! The one engine that says what becomes of a request: route → credential → validation → authorization.
//!
//! Compiled from a configuration; knows neither sockets nor upstreams. What is cached is the principal; a route's
//! rules are judged on every request.

mod certificate;
mod guard;
mod limit;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, Method};

use self::guard::{demands_more, scopes};
pub use self::limit::Counted;
use crate::auth::certificate::{Accounts, Shown};
use crate::auth::credential::{self, Basic, Field, Form, Malformed};
use crate::auth::principal::{Identity, Method as Proof, Principal};
use crate::auth::refusal::{Ambiguity, Code, Refusal};
use crate::auth::scope::ScopeSet;
use crate::auth::token::{self, HashedToken, Kind, Prefix};
use crate::authenticator::{Front, Question, Valid, Verdict};
use crate::clock::{Tick, Timestamp};
use crate::config::{Auth, Config, LimitMode, Rewrite, Route};
use crate::limits::{self, FailureLimit, Rates, Told};
use crate::message::target::{Path, Quirks};
use crate::routes::{self, Found, Table};

/// The compiled rules of a configuration.
#[derive(Debug)]
pub struct Decision {
    table: Table,
    rules: Vec<Rule>,
    prefix: Prefix,
    basic: Basic,
    headers: Vec<HeaderName>,
    issues_tokens: bool,
    mode: LimitMode,
    told: Told,
    failures: Option<FailureLimit>,
    certificates: Accounts,
}

/// Where a request comes from, and when it came by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// Its client.
    pub client: IpAddr,
    /// By the monotonic clock.
    pub tick: Tick,
    /// By the wall's.
    pub wall: Timestamp,
}

#[derive(Debug)]
struct Rule {
    auth: Auth,
    /// Whether the client's certificate is its credential where a request carries none.
    certificate: bool,
    /// Its route's name, with what each account may on it.
    limits: (Arc<str>, Arc<Rates>),
    /// How many requests one of its requests counts as.
    cost: u32,
    /// Whether it says which pages of other origins may use it.
    speaks_of_origins: bool,
    /// The scopes as a challenge names them.
    required: Arc<str>,
}

/// As what a credential is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verifier {
    /// A key that was made here.
    Key,
    /// A key that was made elsewhere.
    ImportedKey,
    /// An access token that was issued here.
    AccessToken,
}

impl Verifier {
    /// What a principal is proved by: a key is a key, wherever it was made.
    const fn proves(self) -> Proof {
        match self {
            Self::Key | Self::ImportedKey => Proof::ApiKey,
            Self::AccessToken => Proof::AccessToken,
        }
    }
}

/// What the credential fields of a request hold.
#[derive(Debug, PartialEq, Eq)]
pub enum Presented<'a> {
    /// No credential; the registered scheme that was sent instead, if one was.
    Nothing(Option<&'static str>),
    /// One.
    One(Cow<'a, str>),
}

/// The credential that stands in a place that only some requests have, if it can be read.
pub type Offered<'a> = Result<Option<&'a str>, Malformed>;

impl Decision {
    /// Compiles what `config` says of routes and credentials.
    #[must_use]
    pub fn compile(config: &Config) -> Self {
        let rule = |route: &Route| Rule {
            auth: route.auth.clone(),
            certificate: route.certificate,
            limits: (Arc::clone(&route.name), Arc::clone(&route.limits)),
            cost: route.cost,
            speaks_of_origins: route.cors().is_some(),
            required: scopes(&route.auth).map_or("", ScopeSet::as_str).into(),
        };
        Self {
            table: Table::compile(&config.routes),
            rules: config.routes.iter().map(rule).collect(),
            prefix: config.keys.prefix.clone(),
            basic: config.credentials.basic,
            headers: config.credentials.headers.clone(),
            issues_tokens: config.identity.is_some(),
            mode: config.limits.mode,
            told: if config.limits.legacy_fields { Told::LegacyToo } else { Told::Draft },
            failures: config.limits.failures,
            certificates: config.client_accounts(),
        }
    }

    /// The table, for `explain`.
    #[must_use]
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// The route of a request, by index.
    ///
    /// # Errors
    /// When none fits, or the path has a reading that the route does not allow.
    pub fn route(&self, host: &str, method: &Method, path: &Path<'_>) -> Result<usize, Refusal> {
        let index = match self.table.find(host, method, path.as_str()) {
            Found::Route(index) => index,
            Found::MethodNotAllowed { allow } => return Err(Refusal::MethodNotAllowed { allow }),
            Found::NoRoute => return Err(Refusal::NoRoute),
        };
        self.judge_readings(index, host, method, path)?;
        Ok(index)
    }

    /// The route that answers a preflight (Fetch §3.2.2) that asks about `method`: the one that would serve it, else any of
    /// the path. `None` where it has no word on other origins; such a request is judged like any other.
    ///
    /// # Errors
    /// When the path has a reading that the route does not allow.
    pub fn preflight(&self, host: &str, method: &Method, path: &Path<'_>) -> Result<Option<usize>, Refusal> {
        let speaks = |index: &usize| self.rules.get(*index).is_some_and(|rule| rule.speaks_of_origins);
        let index = match self.table.find(host, method, path.as_str()) {
            Found::Route(index) => Some(index).filter(speaks),
            Found::MethodNotAllowed { .. } => self.table.serving(host, path.as_str()).find(speaks),
            Found::NoRoute => None,
        };
        if let Some(index) = index {
            self.judge_readings(index, host, method, path)?;
        }
        Ok(index)
    }

    /// Refuses a path with a reading that the route at `index` does not allow, or that belongs to one that demands more.
    fn judge_readings(
        &self,
        index: usize,
        host: &str,
        method: &Method,
        path: &Path<'_>,
    ) -> Result<(), Refusal> {
        if let Some(ambiguity) = path.quirks().outside(self.table.quirks(index)) {
            return Err(Refusal::AmbiguousPath(ambiguity));
        }
        for other in path.other_readings() {
            if self.guards(host, method, &other.map_err(Refusal::AmbiguousPath)?, index) {
                let quirk = path.quirks().outside(Quirks::NONE).unwrap_or(Ambiguity::EncodedSlash);
                return Err(Refusal::AmbiguousPath(quirk));
            }
        }
        Ok(())
    }

    /// `path`, which the route at `index` serves, as it is asked for instead.
    ///
    /// # Errors
    /// When the result has a reading that the route does not allow.
    pub fn rewritten(&self, rewrite: &Rewrite, index: usize, path: &Path<'_>) -> Result<String, Refusal> {
        routes::rewritten(rewrite, path.as_str(), self.table.quirks(index)).map_err(Refusal::AmbiguousPath)
    }

    /// Whether `other`, another reading of a path that `index` serves, is kept by a route that demands more: what a
    /// route allows must not open another one to a backend that reads paths that way.
    fn guards(&self, host: &str, method: &Method, other: &str, index: usize) -> bool {
        match self.table.find(host, method, other) {
            Found::Route(guard) => match (self.rules.get(guard), self.rules.get(index)) {
                (Some(guard), Some(rule)) => demands_more(guard, rule),
                _ => true,
            },
            Found::MethodNotAllowed { .. } => true,
            Found::NoRoute => false,
        }
    }

    /// Finds and validates the credential of a request on `route`; `None` is anonymous. `offered` is what stands in none
    /// of `headers` that always may hold one; `shown` counts where neither holds any. On a cached credential this does not
    /// wait.
    ///
    /// # Errors
    /// When the route wants a credential and there is none, or the one there is does not hold.
    pub async fn authenticate(
        &self,
        route: usize,
        headers: &HeaderMap,
        offered: Offered<'_>,
        shown: Option<Shown<'_>>,
        front: &Front,
        visit: Visit,
    ) -> Result<Option<Arc<Valid>>, Refusal> {
        let rule = self.rules.get(route);
        let optional = match rule.map(|rule| &rule.auth) {
            Some(Auth::Public) => return Ok(None),
            Some(Auth::Optional(_)) => true,
            Some(Auth::Required(_)) | None => false,
        };
        match self.presented(headers, offered).map_err(Refusal::InvalidRequest)? {
            Presented::Nothing(scheme) => {
                let certificate = rule.is_some_and(|rule| rule.certificate);
                match shown.filter(|_| certificate) {
                    Some(shown) => self.certified(shown, front, visit).await.map(Some),
                    None if optional => Ok(None),
                    None if certificate => Err(Refusal::NothingShown { scheme }),
                    None => Err(Refusal::MissingCredentials { scheme }),
                }
            }
            Presented::One(word) => self.validate(&word, front, visit).await.map(Some),
        }
    }

    /// Whose credential was refused as revoked or expired: the right secret was shown. For the log and `explain`, never for
    /// the client.
    #[must_use]
    pub fn whose(
        &self,
        refusal: &Refusal,
        headers: &HeaderMap,
        offered: Offered<'_>,
        shown: Option<Shown<'_>>,
        front: &Front,
    ) -> Option<Identity> {
        if !matches!(refusal.code(), Code::RevokedCredentials | Code::ExpiredCredentials) {
            return None;
        }
        match self.presented(headers, offered) {
            Ok(Presented::One(word)) => front.whose(&HashedToken::of(word.as_bytes())),
            Ok(Presented::Nothing(_)) => front.whose(&self.claim(shown?.certificate).ok()?.digest()),
            Err(_) => None,
        }
    }

    /// Validates one credential.
    ///
    /// # Errors
    /// When it does not hold.
    pub async fn validate(&self, word: &str, front: &Front, visit: Visit) -> Result<Arc<Valid>, Refusal> {
        let verifier = self.verifier(word, front).ok_or_else(|| self.mistaken(word))?;
        let digest = HashedToken::of(word.as_bytes());
        let verdict = match front.cached(&digest, visit.tick, visit.wall) {
            Some(verdict) => verdict,
            None => {
                let question = match verifier {
                    Verifier::Key => Ok(Question::key(digest)),
                    Verifier::ImportedKey => Ok(front.imported(digest, word)),
                    Verifier::AccessToken => front.question(digest, word, visit.wall),
                };
                match question {
                    Ok(question) => Box::pin(self.look_up(question, front, visit)).await?,
                    Err(denied) => Err(denied),
                }
            }
        };
        verdict.map_err(|denied| denied.told(verifier.proves()))
    }

    /// Looks a credential up, unless its address has sent too many in vain. A key that there is, and what was good lately,
    /// is looked up all the same: nobody is shut out because of who shares his address.
    async fn look_up(
        &self,
        question: Question,
        front: &Front,
        Visit { client, tick, .. }: Visit,
    ) -> Result<Verdict, Refusal> {
        let limit = self.failures.filter(|_| !front.is_known(&question));
        let Some(limit) = limit else { return Ok(front.load(question).await) };
        let failures = front.failures();
        failures.may_look_up(client, limit, tick).map_err(|wait| {
            if failures.may_tell(tick) {
                tracing::warn!(%client, "too many unknown credentials come from this address; no more are looked up");
            }
            failed_too_often(wait)
        })?;
        Ok(front.load(question.asked_for(client, limit)).await)
    }

    /// As what a credential is to be looked up; `None` when its form alone says that it cannot be valid: junk costs no
    /// look-up.
    #[must_use]
    pub fn verifier(&self, word: &str, front: &Front) -> Option<Verifier> {
        match credential::form(word, &self.prefix) {
            Form::Ours => token::is_well_formed(&self.prefix, Kind::ApiKey, word).then_some(Verifier::Key),
            Form::Jwt => Some(Verifier::AccessToken).filter(|_| self.issues_tokens),
            Form::Opaque => front.may_be_imported(word).then_some(Verifier::ImportedKey),
        }
    }

    /// What is told of a credential that its form alone refuses: a secret made here that belongs elsewhere, or junk.
    fn mistaken(&self, word: &str) -> Refusal {
        let others = [Kind::RefreshToken, Kind::ResetLink].into_iter();
        let mut kinds = others.filter(|kind| token::is_well_formed(&self.prefix, *kind, word));
        kinds.next().map_or(Refusal::InvalidCredentials, Refusal::WrongKind)
    }

    /// The one credential of a request.
    ///
    /// # Errors
    /// When there are several, or one that cannot be read.
    pub fn presented<'a>(
        &self,
        headers: &'a HeaderMap,
        offered: Offered<'a>,
    ) -> Result<Presented<'a>, Malformed> {
        let mut found = Presented::Nothing(None);
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        if let Some(value) = fields.next() {
            match credential::read_authorization(value.as_bytes(), self.basic)? {
                Field::Empty => {}
                Field::OtherScheme(scheme) => found = Presented::Nothing(scheme),
                Field::Word(word) => found = Presented::One(word.into()),
                Field::Decoded(word) => found = Presented::One(word.into()),
            }
        }
        if fields.next().is_some() {
            return Err(Malformed::Several);
        }
        for value in self.headers.iter().flat_map(|name| headers.get_all(name)) {
            match (credential::read_bare(value.as_bytes())?, &found) {
                (Field::Word(word), Presented::Nothing(_)) => found = Presented::One(word.into()),
                (Field::Word(_), Presented::One(_)) => return Err(Malformed::Several),
                _ => {}
            }
        }
        match (offered?, &found) {
            (None, _) => Ok(found),
            (Some(word), Presented::Nothing(_)) => Ok(Presented::One(word.into())),
            (Some(_), Presented::One(_)) => Err(Malformed::Several),
        }
    }

    /// Judges what a validated credential may do on `route`, from `client`.
    ///
    /// # Errors
    /// When a scope is missing or the address is not allowed.
    pub fn authorize(&self, route: usize, principal: &Principal, client: IpAddr) -> Result<(), Refusal> {
        let rule = self.rules.get(route).ok_or(Refusal::NoRoute)?;
        if scopes(&rule.auth).is_some_and(|required| !principal.has(required)) {
            return Err(Refusal::InsufficientScope { required: Arc::clone(&rule.required) });
        }
        if !principal.allows(client) {
            return Err(Refusal::AddressNotAllowed { client });
        }
        Ok(())
    }
}

fn failed_too_often(wait: Duration) -> Refusal {
    Refusal::TooManyUnknown { retry_after: limits::seconds(wait).try_into().unwrap_or(u32::MAX) }
}
