//! What rows that are dead cost those that live: a login's, a refresh's and a cold validation's work in the store, on a
//! store with a million used refresh tokens, ended sessions and revoked keys of one account, and on one without, in turns.
//!
//! Of each step the processor's time, which the disk and whatever else the machine does have little part in, and the time on
//! the clock: its median and its 99th of a hundred.
//!
//! `cargo bench --bench dead_rows`, or `… -- ROWS`

use std::path::Path;
use std::time::{Duration, Instant};

use keyward::auth::random::{Random, RandomFailed};
use keyward::auth::refresh_token::{self, Beginning};
use keyward::auth::scope::ScopeSet;
use keyward::auth::token::{HashedToken, Prefix};
use keyward::clock::Timestamp;
use keyward::config::Synchronous;
use keyward::limits::Overrides;
use keyward::store::sqlite::{Open, Opening, SqliteStore};
use keyward::store::{
    ApiKey, Key, NewAccount, NewSession, Origin, Refresh, Refreshed, Session, Store, StoreError,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// The one that Keyward has.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const ROWS: u32 = 1_000_000;
/// Of each step on each store.
const TIMES: u32 = 2_000;
/// Steps in a row on one store before the other has its turn.
const TURN: u32 = 50;

const ACCOUNT: &str = "account";
const EMAIL: &str = "a@example.com";
const HOME: &str = "192.0.2.7";
const NOW: Timestamp = Timestamp(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What is measured.
#[derive(Clone, Copy)]
enum Step {
    Login,
    Wait,
    Refresh,
    Key,
    Session,
}

impl Step {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Login, "login: the account, and a session that begins"),
        (Self::Wait, "login that has to wait: whether its place is known"),
        (Self::Refresh, "refresh"),
        (Self::Key, "cold validation of a key"),
        (Self::Session, "cold validation of an access token"),
    ];
}

/// One store, and what was done on it.
struct Bed {
    store: SqliteStore,
    origin: Origin,
    /// Sessions that were begun, of which the newest is refreshed.
    begun: u32,
    /// How often that one was.
    refreshed: u32,
}

#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    // Cargo adds words of its own.
    let rows = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(ROWS);
    let places = [tempfile::tempdir()?, tempfile::tempdir()?];
    let began = moment();
    let mut beds = [
        Bed::new(&places[0].path().join("keyward.db"), 0).await?,
        Bed::new(&places[1].path().join("keyward.db"), rows).await?,
    ];
    println!(
        "filled in {:.1} s; µs of the processor, then median and 99th on the clock",
        began.elapsed().as_secs_f64()
    );
    println!("{:52}{:>20}{:>26}", "", "empty", format!("{rows} dead"));
    for (step, name) in Step::ALL {
        let [empty, full] = measured(&mut beds, step).await?;
        println!("{name:52}{:>20}{:>26}", empty.told(), full.told());
    }
    Ok(())
}

/// What one step took on one store.
#[derive(Default)]
struct Taken {
    /// Each time, on the clock.
    each: Vec<Duration>,
    /// All of them, of the processor.
    processor: Duration,
}

/// What one step takes on both stores, which take turns, so that whatever else the machine does is shared.
async fn measured(beds: &mut [Bed; 2], step: Step) -> Outcome<[Taken; 2]> {
    let mut taken = [Taken::default(), Taken::default()];
    for _ in 0..TIMES / TURN {
        for (bed, taken) in beds.iter_mut().zip(&mut taken) {
            bed.take(step).await?;
            let before = processor();
            for _ in 0..TURN {
                let began = moment();
                bed.take(step).await?;
                taken.each.push(began.elapsed());
            }
            taken.processor += processor() - before;
        }
    }
    Ok(taken)
}

/// The processor's time that this process has had, all its threads together.
fn processor() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "nothing is judged by it")]
fn moment() -> Instant {
    Instant::now()
}

impl Taken {
    fn told(mut self) -> String {
        self.each.sort_unstable();
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let at =
            |part: usize| micros(self.each.get(self.each.len() * part / 100).copied().unwrap_or_default());
        format!("{:.0}, {:.0} / {:.0}", micros(self.processor) / f64::from(TIMES), at(50), at(99))
    }
}

impl Bed {
    async fn new(path: &Path, dead: u32) -> Outcome<Self> {
        // Without the disk's own time, which would hide all else.
        let opening =
            Opening::new(path, Synchronous::Normal, Open::Create).patience(Duration::from_secs(600));
        let store = opening.open().await?;
        let origin = Origin { actor: "bench".to_owned(), via: "bench".to_owned() };
        let (id, email) = (ACCOUNT.to_owned(), EMAIL.to_owned());
        let account = NewAccount { id, email, scopes: None, password: None, created_at: NOW };
        store.create_account(&account, &origin).await?;
        fill(path, dead).await?;
        store.create_key(&key(), &origin).await?;
        let mut bed = Self { store, origin, begun: 0, refreshed: 0 };
        bed.take(Step::Login).await?;
        Ok(bed)
    }

    async fn take(&mut self, step: Step) -> Result<(), Box<dyn std::error::Error>> {
        match step {
            Step::Login => self.log_in().await?,
            Step::Wait => drop(self.store.has_logged_in(ACCOUNT, HOME, NOW.before(30 * DAY)).await?),
            Step::Refresh => return self.refresh().await,
            Step::Key => drop(self.store.find_key(HashedToken::of(b"key")).await?),
            Step::Session => drop(self.store.find_session(&session(self.begun).id).await?),
        }
        Ok(())
    }

    async fn log_in(&mut self) -> Result<(), StoreError> {
        self.begun += 1;
        self.refreshed = 0;
        let found = self.store.login(EMAIL).await?;
        let new = NewSession {
            session: session(self.begun),
            refresh: token(self.begun, 0),
            password: found.and_then(|login| login.password),
            subscriber: HOME.to_owned(),
            most: 1_000,
        };
        self.store.start_session(&new, &self.origin).await.map(drop)
    }

    async fn refresh(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        let step = Refresh {
            presented: token(self.begun, self.refreshed),
            presented_plain: HashedToken::of(b"as before"),
            successor: token(self.begun, self.refreshed + 1),
            idle: 30 * DAY,
            reuse_window: Duration::ZERO,
            from: HOME.to_owned(),
            at: NOW,
        };
        self.refreshed += 1;
        match self.store.refresh(&step, &self.origin).await? {
            Refreshed::Fresh(..) => Ok(()),
            other => Err(format!("a refresh brought {other:?}").into()),
        }
    }
}

/// As the tokens of sessions that begin a second apart are kept.
fn token(session: u32, number: u32) -> HashedToken {
    let began = Beginning::at(NOW.after(Duration::from_secs(session.into())));
    let made = began
        .token(&Prefix::default(), &Counted(session, number))
        .unwrap_or_else(|_| unreachable!("it never fails"));
    refresh_token::digest(made.expose())
}

/// Bytes that follow from two numbers.
struct Counted(u32, u32);

impl Random for Counted {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomFailed> {
        let digest = HashedToken::of(format!("{}/{}", self.0, self.1).as_bytes());
        bytes.iter_mut().zip(digest.as_bytes().iter().cycle()).for_each(|(byte, drawn)| *byte = drawn % 248);
        Ok(())
    }
}

fn session(number: u32) -> Session {
    Session {
        id: format!("session-{number:08}"),
        account_id: ACCOUNT.to_owned(),
        created_at: NOW,
        last_used_at: NOW,
        expires_at: NOW.after(30 * DAY),
        ends_at: NOW.after(90 * DAY),
        ended: None,
        address: HOME.to_owned(),
        agent: String::new(),
    }
}

fn key() -> ApiKey {
    let key = Key {
        id: "key".to_owned(),
        account_id: ACCOUNT.to_owned(),
        name: "bench".to_owned(),
        prefix: "kw_sk_".to_owned(),
        last4: "wxyz".to_owned(),
        scopes: ScopeSet::default(),
        allowed_addresses: Vec::new(),
        limits: Overrides::default(),
        created_at: NOW,
        expires_at: NOW.after(90 * DAY),
        last_used_at: None,
        revoked_at: None,
        replaced_by: None,
        counts_as: None,
    };
    ApiKey { key, digest: HashedToken::of(b"key") }
}

/// So many of each kind, all of the one account, and the rows of the audit log that their ends left.
async fn fill(path: &Path, rows: u32) -> Outcome<()> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut conn = options.synchronous(sqlx::sqlite::SqliteSynchronous::Off).connect().await?;
    let numbers = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 WHERE {rows} > 0 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
    );
    let before = NOW.before(DAY).millis();
    // Ten sessions a second, up to the first of those that are measured; as digests begin.
    let began = token(0, 0).hex();
    let began = u32::from_str_radix(&began[..8], 16)? - rows / 10;
    for statement in [
        format!(
            "INSERT INTO sessions (id, account_id, created_at, last_used_at, expires_at, ends_at, ended_at, ended_by, \
             dead_at, address, agent, subscriber) {numbers} SELECT printf('dead-%08d', i), '{ACCOUNT}', 1, 1, 2, 3, \
             {before}, 'revoked', {before}, '{HOME}', '', '{HOME}' FROM n"
        ),
        format!(
            "INSERT INTO refresh_tokens (digest, session_id, created_at, expires_at, used_at, successor) {numbers} \
             SELECT printf('%08x', {began} + i / 10) || lower(hex(randomblob(28))), printf('dead-%08d', i), 1, 2, 1, \
             lower(hex(randomblob(32))) FROM n"
        ),
        format!(
            "INSERT INTO api_keys (id, account_id, digest, name, prefix, last4, scopes, allowed_addresses, created_at, \
             expires_at, revoked_at) {numbers} SELECT printf('dead-%08d', i), '{ACCOUNT}', lower(hex(randomblob(32))), \
             'dead', 'kw_sk_', 'wxyz', '', '', 1, 2, 1 FROM n"
        ),
        format!(
            "INSERT INTO audit_log {numbers} SELECT i + 1, 1, 'bench', 'bench', 'session.ended', 'session', \
             printf('dead-%08d', i), 'by: revoked' FROM n"
        ),
    ] {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut conn).await?;
    }
    // Else the system would be busy writing all of it while the steps are measured.
    sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut conn).await?;
    conn.close().await?;
    std::fs::File::open(path)?.sync_all()?;
    Ok(())
}
