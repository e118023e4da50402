//! `keyward dev`: a gateway to try, with no configuration: it brings a store, a backend and keys of its own.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::{Exit, Failure, Streams};
use crate::app::{self, Options, Running, StartError, demo};
use crate::auth::random;
use crate::clock::{Clock, Timestamp};
use crate::config::{self, Config, Loaded};
use crate::issuer::{
    Expiry, IssueError, Issuer, KeyStatus, MadeKey, NewAccount, NewKey, NobodyToTell, ScopesChoice,
};
use crate::store::Origin;
use crate::telemetry::log;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const ACCOUNT: &str = "developer@example.com";
const KEY: &str = "keyward dev";
const EXPIRED_KEY: &str = "keyward dev, expired";

/// Runs a gateway to try out.
#[derive(Clone, Debug, Args)]
pub struct Dev {
    /// The backend [default: one that answers with what it received]
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Where to listen on 127.0.0.1; the admin listener takes the port after it; 0 takes free ones for both
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(..=65534))]
    port: u16,
}

/// Starts, prints what to paste, and runs until it is told to end.
///
/// # Errors
/// When it cannot start.
pub async fn run(dev: Dev, file: Option<&Path>, streams: &mut Streams<'_>) -> Result<(), Failure> {
    if let Some(file) = file {
        let line = "`dev` brings its own configuration and reads no file";
        let hint = format!("run yours with: keyward serve --config {}", file.display());
        return Err(Failure::new(Exit::Usage, line).hint(hint));
    }
    let signals = super::serve::hear()?;
    let system = |error: std::io::Error| Failure::new(Exit::Refused, error.to_string());
    let (upstream, _demo) = match &dev.upstream {
        Some(url) => (url.clone(), None),
        None => {
            let (address, tasks) = demo::start().await.map_err(system)?;
            (format!("http://{address}"), Some(tasks))
        }
    };
    let Loaded { config, warnings } = configuration(&upstream, dev.port)?;
    for warning in warnings.entries() {
        streams.say(&format!("warning: {}", warning.message));
    }
    let clock = Clock::system();
    let log = log::init(&config.log, clock.clone())
        .map_err(|error| Failure::new(Exit::Refused, format!("the log cannot be set up: {error}")))?;
    let store = std::path::absolute(&config.store.path).map_err(system)?;
    let options = Options { clock, log: Some(log.clone()), ..Options::default() };
    let running = app::start(config.clone(), options).await.map_err(not_started)?;
    let keys = keys(&running, &config).await?;
    streams.print(&welcome(&running, &store, dev.upstream.as_deref(), &keys))?;
    let outcome = super::serve::until_told(running, signals, super::serve::Hangup::Ends).await;
    log.flush(super::serve::LOG_CLOSING);
    outcome
}

/// Ports are chosen by an option here, not in a configuration.
fn not_started(error: StartError) -> Failure {
    match error {
        StartError::Bind(error) => Failure::new(Exit::Refused, error.to_string())
            .hint("stop the other process, or choose another port: keyward dev --port 8090"),
        error => error.into(),
    }
}

/// What `dev` runs on, as a file would have it. So many connections are to be had on every machine: nobody's first line is a
/// warning.
fn configuration(upstream: &str, port: u16) -> Result<Loaded, Failure> {
    let admin = if port == 0 { 0 } else { port.saturating_add(1) };
    let text = format!(
        "listeners: [{{ name: public, address: \"127.0.0.1:{port}\" }}]\n\
         admin: {{ address: \"127.0.0.1:{admin}\" }}\n\
         scopes: {{ \"demo:read\": {{ description: Read from the demo, default: true }}, \"demo:write\": {{ description: Write to the demo }} }}\n\
         upstreams: [{{ name: demo, endpoints: [{{ url: {upstream:?} }}] }}]\n\
         routes:\n\
         - {{ name: demo, match: {{ path_prefix: / }}, auth: required, upstream: demo }}\n\
         - {{ name: demo-admin, match: {{ path_prefix: /admin }}, auth: {{ required: {{ scopes: [\"demo:write\"] }} }}, upstream: demo }}\n\
         log: {{ level: warn }}\n\
         max: {{ connections: 2000, tunnels: 500 }}\n"
    );
    config::parse(&text, "keyward dev", Path::new(""), &|_| None).map_err(|problems| {
        let first = problems.entries().into_iter().next();
        let (message, expected) = first.map(|entry| (entry.message, entry.expected)).unwrap_or_default();
        let failure = Failure::new(Exit::Refused, format!("--upstream: {message}"));
        expected.into_iter().flat_map(|text| hints(&text)).fold(failure, Failure::hint)
    })
}

/// The correction and the general form, a line each.
fn hints(expected: &str) -> Vec<String> {
    expected.split("; ").map(str::to_owned).collect()
}

struct Keys {
    good: MadeKey,
    expired: MadeKey,
}

/// A fresh key and one that has expired; those of earlier starts are revoked.
async fn keys(running: &Running, config: &Config) -> Result<Keys, Failure> {
    let issuer = running.issuer();
    let origin = Origin { actor: "keyward dev".to_owned(), via: "cli".to_owned() };
    let account = match issuer.account(ACCOUNT).await {
        Ok(account) => account,
        Err(IssueError::NotFound(_)) => {
            let new = NewAccount { email: ACCOUNT.to_owned(), scopes: ScopesChoice::Defaults };
            issuer.create_account(&new, &origin).await?
        }
        Err(error) => return Err(error.into()),
    };
    revoke_earlier(&issuer, &account.id, &origin).await?;
    let key = |name: &str, life| NewKey {
        account: account.id.clone(),
        name: name.to_owned(),
        scopes: vec!["demo:read".to_owned()],
        expiry: Expiry::In(life),
        allowed_addresses: Vec::new(),
    };
    let good = issuer.create_key(&key(KEY, DAY), &origin).await?;
    // Made as if it were two days ago, by the same rules as any key.
    let past = Clock::manual(Timestamp(Clock::system().now().millis() - 2 * 24 * 60 * 60 * 1000));
    let random = Arc::new(random::System::default());
    let then = Issuer::new(running.store(), past, random, config, Arc::new(NobodyToTell));
    let expired = then.create_key(&key(EXPIRED_KEY, DAY), &origin).await?;
    Ok(Keys { good, expired })
}

async fn revoke_earlier(issuer: &Issuer, account: &str, origin: &Origin) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let page = issuer.keys(Some(account), after.as_deref(), 100).await?;
        for key in page.items.iter().filter(|key| key.revoked_at.is_none()) {
            if key.name == KEY || key.name == EXPIRED_KEY {
                issuer.revoke_key(&key.id, origin).await?;
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// Says that keys of `dev` open this server too, where one still does: its account is not one that anybody made.
pub(super) async fn warn_of_live_keys(running: &Running) {
    let issuer = running.issuer();
    let (now, mut after) = (Clock::system().now(), None);
    // Without an account of `dev`, or with a store that does not answer, there is nothing to tell.
    while let Ok(page) = issuer.keys(Some(ACCOUNT), after.as_deref(), 100).await {
        for key in page.items.iter().filter(|key| key.name == KEY) {
            if KeyStatus::of(key, now) == KeyStatus::Active {
                tracing::warn!(
                    expires_at = %key.expires_at,
                    "a key of `keyward dev` is valid here; revoke it: keyward keys revoke {}",
                    key.id
                );
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return,
        }
    }
}

/// What a newcomer reads first.
fn welcome(running: &Running, store: &Path, upstream: Option<&str>, keys: &Keys) -> String {
    let url = format!("http://{}", running.public());
    let (good, expired) = (keys.good.token.expose(), keys.expired.token.expose());
    let mut text = String::new();
    let _ = write!(
        text,
        "\nKeyward {version} is running at {url}\n\
         \x20 backend  {backend}\n\
         \x20 store    {store}\n\
         \x20 admin    http://{admin}/readyz and /metrics\n\n\
         Paste these into another terminal:\n\n\
         # it works: a good key (it lasts for 24 hours)\n\
         curl -i {url}/hello -H 'Authorization: Bearer {good}'\n\n\
         # missing: no key at all\n\
         curl -i {url}/hello\n\n\
         # invalid: a key with a typing error\n\
         curl -i {url}/hello -H 'Authorization: Bearer {mistyped}'\n\n\
         # expired: a key that ended yesterday\n\
         curl -i {url}/hello -H 'Authorization: Bearer {expired}'\n\n\
         # not enough: a good key without the scope that /admin wants\n\
         curl -i {url}/admin -H 'Authorization: Bearer {good}'\n\n\
         Ctrl-C ends it. What follows is one line for each request.\n\n",
        version = env!("CARGO_PKG_VERSION"),
        backend = upstream.unwrap_or("built in: it answers with what it received"),
        store = store.display(),
        admin = running.admin(),
        mistyped = mistyped(good),
    );
    text
}

/// The key with its last character changed.
fn mistyped(key: &str) -> String {
    let mut text = key.to_owned();
    let last = text.pop();
    text.push(if last == Some('x') { 'y' } else { 'x' });
    text
}
