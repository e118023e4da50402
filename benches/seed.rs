//! Fills a store with keys for a measurement and prints them, one a line:
//!
//! `cargo run --release --example seed -- CONFIG COUNT > keys`

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use keyward::auth::random;
use keyward::clock::Clock;
use keyward::config::{self, Synchronous};
use keyward::issuer::{Expiry, Issuer, NewAccount, NewKey, NobodyToTell, ScopesChoice};
use keyward::store::sqlite::{Open, SqliteStore};
use keyward::store::{Origin, SharedStore};

/// Keys of one account.
const KEYS_EACH: usize = 10;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let mut words = std::env::args().skip(1);
    let (Some(file), Some(count)) = (words.next(), words.next()) else {
        return Err("usage: seed CONFIG COUNT".into());
    };
    fill(Path::new(&file), count.parse()?).await
}

async fn fill(file: &Path, count: usize) -> Outcome {
    let loaded = config::load(file, &|name| std::env::var(name).ok())
        .map_err(|problems| problems.render(config::Style::Plain))?;
    let config = loaded.config;
    // Nobody relies on these keys yet: a power cut costs a second run.
    let store = SqliteStore::open(&config.store.path, Synchronous::Normal, Open::Create).await?;
    let store: SharedStore = Arc::new(store);
    let random = Arc::new(random::System::default());
    let issuer = Issuer::new(store.clone(), Clock::system(), random, &config, Arc::new(NobodyToTell));
    let origin = Origin { actor: "seed".to_owned(), via: "bench".to_owned() };
    let scopes = config.scopes.iter().filter(|scope| scope.default).map(|scope| scope.scope.to_string());
    let scopes: Vec<_> = scopes.collect();
    let mut out = std::io::stdout().lock();
    let first = issuer.accounts(None, 1).await?.items.len();
    let mut account = String::new();
    for number in 0..count {
        if number % KEYS_EACH == 0 {
            let email = format!("user-{number}-{first}-{}@example.com", std::process::id());
            let new = NewAccount { email, scopes: ScopesChoice::Defaults };
            account = issuer.create_account(&new, &origin).await?.id;
        }
        let key = NewKey {
            account: account.clone(),
            name: "seed".to_owned(),
            scopes: scopes.clone(),
            expiry: Expiry::Default,
            allowed_addresses: Vec::new(),
        };
        writeln!(out, "{}", issuer.create_key(&key, &origin).await?.token.expose())?;
    }
    store.close().await;
    Ok(())
}
