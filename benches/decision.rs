//! What deciding on a request costs when its credential is cached: route, credential, form, digest, look-up, scopes; and
//! what an access token costs that is seen for the first time, less the time of the store.
//!
//! `cargo bench --bench decision`

use std::collections::HashMap;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use futures_util::FutureExt as _;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use keyward::auth::algorithm::SigningAlgorithm;
use keyward::auth::jwt::access_token::{self, Claims, Parties};
use keyward::auth::jwt::{self, Purpose};
use keyward::auth::random::System;
use keyward::auth::scope::ScopeSet;
use keyward::auth::token::{HashedToken, Kind, PlainToken, Prefix, is_well_formed};
use keyward::authenticator::{Authenticator, Counting, Front, Health, Question, Rules};
use keyward::clock::{Clock, Timestamp};
use keyward::config::{self, Cache};
use keyward::decision::{Decision, Visit};
use keyward::limits::{DayCount, Overrides};
use keyward::message::target;
use keyward::store::{
    Account, AccountStatus, Answer, ApiKey, AuditEntry, Change, Ending, Found, FoundSession, Handover,
    ImportedKey, Imports, Kept, Key, KeyForm, KeyPatch, KeyUse, Login, NewAccount, NewKey, NewSession, Once,
    Origin, Page, PasswordChange, PrivateKey, Refresh, Refreshed, ResetLink, Seq, Session, SigningKey,
    Started, Store, StoreError,
};

/// The one that Keyward has.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Requests that are there before the clock starts, few enough for the processor's nearest cache.
const AT_ONCE: usize = 32;

/// Keys by digest, ten to an account, and signing keys; every session is there, and nothing ever changes.
struct Fixed(HashMap<HashedToken, usize>, Vec<SigningKey>);

fn account(of: usize) -> Account {
    Account {
        id: format!("01890000-0000-7000-8000-{:012}", of / 10),
        email: String::new(),
        status: AccountStatus::Active,
        scopes: Some(ScopeSet::parse("orders:read orders:write").unwrap_or_default()),
        plan: None,
        limits: Overrides::default(),
        created_at: Timestamp(0),
    }
}

fn key(index: usize) -> Key {
    Key {
        id: format!("01890000-0000-7000-9000-{index:012}"),
        account_id: account(index).id,
        name: String::new(),
        prefix: String::new(),
        last4: String::new(),
        scopes: ScopeSet::parse("orders:read").unwrap_or_default(),
        allowed_addresses: Vec::new(),
        limits: Overrides::default(),
        created_at: Timestamp(0),
        expires_at: Timestamp(i64::MAX),
        last_used_at: None,
        revoked_at: None,
        replaced_by: None,
        counts_as: None,
    }
}

fn unused<'a, T: Send + 'a>() -> Answer<'a, T> {
    Box::pin(async { Err(StoreError::NotFound("thing in this bench")) })
}

#[rustfmt::skip]
impl Store for Fixed {
    fn find_key(&self, digest: HashedToken) -> Answer<'_, Found> {
        let key = self.0.get(&digest).map(|index| (key(*index), account(*index)));
        Box::pin(async { Ok(Found { as_of: Seq(0), key }) })
    }
    fn changes(&self, _: Seq, _: u32) -> Answer<'_, Vec<Change>> { Box::pin(async { Ok(Vec::new()) }) }
    fn latest(&self) -> Answer<'_, Seq> { Box::pin(async { Ok(Seq(0)) }) }
    fn create_account<'a>(&'a self, _: &'a NewAccount, _: &'a Origin) -> Answer<'a, Seq> { unused() }
    fn account<'a>(&'a self, _: &'a str) -> Answer<'a, Account> { unused() }
    fn accounts<'a>(&'a self, _: Option<&'a str>, _: u32) -> Answer<'a, Page<Account>> { unused() }
    fn set_account_status<'a>(&'a self, _: &'a str, _: AccountStatus, _: Timestamp, _: &'a Origin) -> Answer<'a, Seq> { unused() }
    fn set_account_scopes<'a>(&'a self, _: &'a str, _: Option<&'a ScopeSet>, _: Timestamp, _: &'a Origin) -> Answer<'a, Seq> { unused() }
    fn set_account_plan<'a>(&'a self, _: &'a str, _: Option<&'a str>, _: Timestamp, _: &'a Origin) -> Answer<'a, Seq> { unused() }
    fn set_account_limits<'a>(&'a self, _: &'a str, _: &'a Overrides, _: Timestamp, _: &'a Origin) -> Answer<'a, Seq> { unused() }
    fn set_key_limits<'a>(&'a self, _: &'a str, _: &'a Overrides, _: Timestamp, _: &'a Origin) -> Answer<'a, Seq> { unused() }
    fn create_key<'a>(&'a self, _: &'a ApiKey, _: &'a Origin) -> Answer<'a, Seq> { unused() }
    fn key<'a>(&'a self, _: &'a str) -> Answer<'a, Key> { unused() }
    fn keys<'a>(&'a self, _: Option<&'a str>, _: Option<&'a str>, _: u32) -> Answer<'a, Page<Key>> { unused() }
    fn revoke_key<'a>(&'a self, _: &'a str, _: Timestamp, _: &'a Origin) -> Answer<'a, Seq> { unused() }
    fn remove_dead_keys<'a>(&'a self, _: Timestamp, _: u32, _: Timestamp, _: &'a Origin) -> Answer<'a, u32> { unused() }
    fn find_session<'a>(&'a self, id: &'a str) -> Answer<'a, FoundSession> {
        Box::pin(async move { Ok(FoundSession { as_of: Seq(0), session: Some((session(id), account(0))) }) })
    }
    fn start_session<'a>(&'a self, _: &'a NewSession, _: &'a Origin) -> Answer<'a, Started> { unused() }
    fn has_logged_in<'a>(&'a self, _: &'a str, _: &'a str, _: Timestamp) -> Answer<'a, bool> { unused() }
    fn session<'a>(&'a self, _: &'a str) -> Answer<'a, Session> { unused() }
    fn sessions<'a>(&'a self, _: Option<&'a str>, _: Timestamp, _: Option<&'a str>, _: u32) -> Answer<'a, Page<Session>> { unused() }
    fn newest_sessions<'a>(&'a self, _: &'a str, _: Timestamp, _: u32) -> Answer<'a, Vec<Session>> { unused() }
    fn end_session<'a>(&'a self, _: &'a str, _: Ending, _: Timestamp, _: &'a Origin) -> Answer<'a, Seq> { unused() }
    fn answered<'a>(&'a self, _: &'a Once) -> Answer<'a, Option<Kept>> { unused() }
    fn make_key<'a>(&'a self, _: &'a NewKey, _: &'a Origin) -> Answer<'a, Kept> { unused() }
    fn import_keys<'a>(&'a self, _: &'a [ImportedKey], _: &'a Origin) -> Answer<'a, Imports> { unused() }
    fn key_digests<'a>(&'a self, _: Option<&'a str>, _: u32) -> Answer<'a, Page<u64>> {
        Box::pin(async { Ok(Page { items: Vec::new(), next: None }) })
    }
    fn key_forms(&self) -> Answer<'_, Vec<KeyForm>> { Box::pin(async { Ok(Vec::new()) }) }
    fn note<'a>(&'a self, _: &'a [KeyUse], _: &'a [DayCount]) -> Answer<'a, ()> { Box::pin(async { Ok(()) }) }
    fn day_counts<'a>(&'a self, _: u32, _: Option<&'a str>, _: u32) -> Answer<'a, Page<DayCount>> {
        Box::pin(async { Ok(Page { items: Vec::new(), next: None }) })
    }
    fn remove_day_counts(&self, _: RangeInclusive<u32>, _: u32) -> Answer<'_, u32> { unused() }
    fn patch_key<'a>(&'a self, _: &'a str, _: &'a KeyPatch, _: Timestamp, _: &'a Origin) -> Answer<'a, Seq> { unused() }
    fn refresh<'a>(&'a self, _: &'a Refresh, _: &'a Origin) -> Answer<'a, Refreshed> { unused() }
    fn remove_dead_sessions<'a>(&'a self, _: Timestamp, _: u32, _: Timestamp, _: &'a Origin) -> Answer<'a, u32> { unused() }
    fn login<'a>(&'a self, _: &'a str) -> Answer<'a, Option<Login>> { unused() }
    fn set_password<'a>(&'a self, _: &'a PasswordChange, _: Timestamp, _: &'a Origin) -> Answer<'a, Seq> { unused() }
    fn create_reset_link<'a>(&'a self, _: &'a ResetLink, _: &'a Origin) -> Answer<'a, Seq> { unused() }
    fn reset_link(&self, _: HashedToken) -> Answer<'_, Option<(ResetLink, Account)>> { unused() }
    fn secret<'a>(&'a self, _: &'static str, _: &'a PrivateKey, _: Timestamp, _: &'a Origin) -> Answer<'a, PrivateKey> { unused() }
    fn remove_leftovers(&self, _: Timestamp, _: u32) -> Answer<'_, u32> { unused() }
    fn signing_keys(&self) -> Answer<'_, Vec<SigningKey>> { Box::pin(async { Ok(self.1.clone()) }) }
    fn add_signing_key<'a>(&'a self, _: &'a SigningKey, _: Option<&'a Handover>, _: &'a Origin) -> Answer<'a, Seq> { unused() }
    fn remove_signing_keys<'a>(&'a self, _: Timestamp, _: Timestamp, _: &'a Origin) -> Answer<'a, u32> { unused() }
    fn audit(&self, _: Seq, _: u32) -> Answer<'_, Vec<AuditEntry>> { unused() }
}

/// Random tokens, in the order they were made in.
fn tokens(count: usize) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let (prefix, random) = (Prefix::default(), System::default());
    let make = |_| Ok(PlainToken::generate(&prefix, Kind::ApiKey, &random)?.expose().to_owned());
    (0..count).map(make).collect()
}

/// Twenty routes, one of which is asked for with its scope.
const ROUTES: &str = r#"
identity: { public_url: "https://auth.example.com", audience: "https://api.example.com" }
scopes: { "orders:read": { description: Read orders, default: true }, "orders:write": { description: Write } }
upstreams: [{ name: api, endpoints: [{ url: "http://127.0.0.1:9000" }] }]
routes:
"#;

fn compiled() -> Option<(Decision, Rules)> {
    let mut text = ROUTES.to_owned();
    for number in 0..20 {
        text += &format!(
            "- {{ name: r{number}, match: {{ hosts: [api.example.com], path_prefix: /v{number}/orders }}, \
             auth: {{ required: {{ scopes: [\"orders:read\"] }} }}, upstream: api }}\n"
        );
    }
    let loaded = config::parse(&text, "bench", Path::new(""), &|_| None).ok()?;
    Some((Decision::compile(&loaded.config), Rules::of(&loaded.config)))
}

/// The whole decision, as the gateway asks for it; nothing in it waits when the key is cached.
fn decide(decision: &Decision, headers: &HeaderMap, front: &Front, clock: &Clock) -> Option<bool> {
    let path = target::canonical(black_box("/v7/orders/4711")).ok()?;
    let route = decision.route("api.example.com", &Method::GET, &path).ok()?;
    let visit = Visit { client: Ipv4Addr::LOCALHOST.into(), tick: clock.tick(), wall: clock.now() };
    let entry =
        decision.authenticate(route, headers, Ok(None), None, front, visit).now_or_never()?.ok()??;
    Some(decision.authorize(route, entry.principal(), Ipv4Addr::LOCALHOST.into()).is_ok())
}

fn hits(criterion: &mut Criterion) {
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return };
    let mut group = criterion.benchmark_group("decision on a cached key, by keys cached");
    for count in [1_000_usize, 100_000, 1_000_000] {
        let Ok(tokens) = tokens(count) else { return };
        let digests = tokens.iter().map(|token| HashedToken::of(token.as_bytes()));
        let store = Arc::new(Fixed(digests.zip(0..).collect(), Vec::new()));
        let (clock, terms) = (Clock::system(), terms(count));
        let Some((decision, rules)) = compiled() else { return };
        let (authenticator, _tasks) = runtime
            .block_on(async { Authenticator::start(store, clock.clone(), &terms, rules, Counting::Kept) });
        let front = authenticator.front();
        runtime.block_on(async {
            while authenticator.health() != Health::Ready {
                tokio::task::yield_now().await;
            }
            for token in &tokens {
                assert!(front.load(Question::key(HashedToken::of(token.as_bytes()))).await.is_ok());
            }
        });
        // Presented in another order than they were cached in.
        let mut order: Vec<_> = tokens.iter().map(|token| (token.get(10..), token)).collect();
        order.sort_unstable();
        let mut order = order.into_iter().map(|(_, token)| token).cycle();
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_custom(|iterations| {
                let mut spent = Duration::ZERO;
                for begun in (0..iterations).step_by(AT_ONCE) {
                    let some = AT_ONCE.min((iterations - begun) as usize);
                    // Written just before, as if they came from the network.
                    let requests: Vec<HeaderMap> = order.by_ref().take(some).filter_map(presenting).collect();
                    assert_eq!(requests.len(), some);
                    #[expect(clippy::disallowed_methods, reason = "nothing is judged by it")]
                    let from = Instant::now();
                    for headers in &requests {
                        assert_eq!(decide(&decision, headers, &front, &clock), Some(true));
                    }
                    spent += from.elapsed();
                }
                spent
            });
        });
    }
}

/// The fields of a request with this credential.
fn presenting(token: &String) -> Option<HeaderMap> {
    Some(headers(HeaderValue::from_str(&format!("Bearer {token}")).ok()?))
}

fn session(id: &str) -> Session {
    Session {
        id: id.to_owned(),
        account_id: account(0).id,
        created_at: Timestamp(0),
        last_used_at: Timestamp(0),
        expires_at: Timestamp(i64::MAX),
        ends_at: Timestamp(i64::MAX),
        ended: None,
        address: String::new(),
        agent: String::new(),
    }
}

/// What makes access tokens, and what they are validated by.
struct Issue {
    key: jwt::SigningKey,
    parties: Parties,
    made: std::cell::Cell<u64>,
}

impl Issue {
    fn new(algorithm: SigningAlgorithm) -> Option<Self> {
        let parties =
            Parties { issuer: "https://auth.example.com".into(), audience: "https://api.example.com".into() };
        Some(Self { key: jwt::SigningKey::generate(algorithm).ok()?, parties, made: Default::default() })
    }

    fn stored(&self) -> SigningKey {
        SigningKey {
            id: self.key.kid().to_owned(),
            purpose: Purpose::AccessToken,
            algorithm: self.key.algorithm(),
            private_key: PrivateKey::new(self.key.text()),
            created_at: Timestamp(0),
            signs_from: Timestamp(0),
            retires_at: None,
        }
    }

    /// One that was never seen before.
    fn token(&self) -> Option<HeaderValue> {
        self.made.set(self.made.get() + 1);
        let claims = Claims {
            account: account(0).id.into(),
            session: "01890000-0000-7000-a000-000000000000".into(),
            client: access_token::FIRST_PARTY.into(),
            id: format!("01890000-0000-7000-b000-{:012}", self.made.get()).into(),
            scopes: ScopeSet::parse("orders:read orders:write")?,
            issued_at: Timestamp(0),
            expires_at: Timestamp(253_402_300_799_000),
        };
        let token = access_token::mint(&self.key, &self.parties, &claims).ok()?;
        HeaderValue::from_str(&format!("Bearer {token}")).ok()
    }
}

fn access_tokens(criterion: &mut Criterion) {
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
    else {
        return;
    };
    for algorithm in SigningAlgorithm::ALL {
        let (Some(issue), Some((decision, rules))) = (Issue::new(algorithm), compiled()) else { return };
        let store = Arc::new(Fixed(HashMap::new(), vec![issue.stored()]));
        let (clock, terms) = (Clock::system(), terms(100_000));
        let rules = Rules { parties: Some(issue.parties.clone()), ..rules };
        let (authenticator, _tasks) = runtime
            .block_on(async { Authenticator::start(store, clock.clone(), &terms, rules, Counting::Kept) });
        let front = authenticator.front();
        runtime.block_on(async {
            while authenticator.health() != Health::Ready {
                tokio::task::yield_now().await;
            }
        });
        let known = |headers: &HeaderMap| runtime.block_on(first_seen(&decision, headers, &front, &clock));
        let mut group =
            criterion.benchmark_group(format!("decision on an access token, {}", algorithm.as_str()));
        let all: Vec<HeaderMap> = (0..1000).filter_map(|_| Some(headers(issue.token()?))).collect();
        assert!(all.iter().all(known));
        let mut order = all.iter().cycle();
        group.bench_function("cached", |bencher| {
            bencher.iter(|| {
                let passes = decide(&decision, order.next()?, &front, &clock)?;
                assert!(passes);
                Some(passes)
            });
        });
        let fresh = || issue.token().map(headers).unwrap_or_default();
        group.bench_function("first seen, processor time of both threads", |bencher| {
            bencher.iter_custom(|times| {
                let all: Vec<_> = (0..times).map(|_| fresh()).collect();
                let before = processor_time();
                assert!(all.iter().all(known));
                processor_time().saturating_sub(before)
            });
        });
        group.bench_function("first seen, with both hand-overs between threads", |bencher| {
            bencher.iter_batched(fresh, |headers| assert!(known(&headers)), BatchSize::SmallInput);
        });
        let keys = jwt::Keyring::new(issue.stored().open());
        let token = issue.token();
        let token =
            token.as_ref().and_then(|value| value.to_str().ok()?.strip_prefix("Bearer ")).unwrap_or_default();
        group.bench_function("judged and its signature verified", |bencher| {
            bencher.iter(|| {
                let read = access_token::read(black_box(token), &keys, &issue.parties, Timestamp(0));
                assert!(read.and_then(|token| token.verify()).is_ok());
            });
        });
    }
}

/// Of all threads. How long a thread sleeps after it was woken is the machine's, and differs from hour to hour.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn headers(value: HeaderValue) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, value)])
}

async fn first_seen(decision: &Decision, headers: &HeaderMap, front: &Front, clock: &Clock) -> bool {
    let visit = Visit { client: Ipv4Addr::LOCALHOST.into(), tick: clock.tick(), wall: clock.now() };
    decision.authenticate(0, headers, Ok(None), None, front, visit).await.is_ok()
}

fn terms(count: usize) -> Cache {
    Cache {
        capacity: count as u64,
        ttl: Duration::from_secs(3600),
        negative_capacity: 1000,
        negative_ttl: Duration::from_secs(5),
        stale_while_unavailable: Duration::from_secs(300),
    }
}

fn parts(criterion: &mut Criterion) {
    let prefix = Prefix::default();
    let Ok(tokens) = tokens(1) else { return };
    let Some(good) = tokens.first() else { return };
    let bad = format!("{}x", good.get(..good.len() - 1).unwrap_or_default());
    criterion.bench_function("refuse a bad checksum", |bencher| {
        bencher.iter(|| is_well_formed(&prefix, Kind::ApiKey, black_box(&bad)));
    });
    criterion.bench_function("check a good checksum", |bencher| {
        bencher.iter(|| is_well_formed(&prefix, Kind::ApiKey, black_box(good)));
    });
    criterion.bench_function("digest", |bencher| {
        bencher.iter(|| HashedToken::of(black_box(good.as_bytes())));
    });
    let clock = Clock::system();
    criterion.bench_function("both clocks", |bencher| bencher.iter(|| (clock.tick(), clock.now())));
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = parts, hits, access_tokens
}
criterion_main!(benches);
