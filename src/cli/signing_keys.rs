//! `keyward signing-keys …`

use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::accounts::Output;
use super::backend::{open_store, origin};
use super::table::{self, terminal_width};
use super::{Exit, Failure, Streams, render};
use crate::auth::jwt::Purpose;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::issuer::List;
use crate::issuer::signing::{Signing, Stage, When, jwks};
use crate::store::sqlite::Open;
use crate::store::{Retiring, SharedStore, SigningKey};

/// What to do with the keys that tokens are signed with.
#[derive(Debug, Subcommand)]
pub enum SigningKeys {
    /// List them, without their private halves
    List(Output),
    /// Make a new one: published at once, it signs ten minutes later; what was signed before stays good to its end
    ///
    /// With --now it signs at once, and whatever any older key signed is refused from now on by every server of the store.
    /// That is for a key that somebody else has: everybody refreshes, and who verifies tokens elsewhere must read the key
    /// set again.
    Rotate(Rotate),
    /// Print the public halves, as /.well-known/jwks.json publishes them
    Jwks,
}

/// Which key.
#[derive(Debug, Args)]
pub struct Rotate {
    /// What it signs [default: both]
    #[arg(long, value_enum)]
    purpose: Option<Signs>,
    /// Refuse at once whatever older keys signed: somebody else has one
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    output: Output,
}

/// What a key signs.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Signs {
    AccessToken,
    Assertion,
}

impl From<Signs> for Purpose {
    fn from(signs: Signs) -> Self {
        match signs {
            Signs::AccessToken => Self::AccessToken,
            Signs::Assertion => Self::Assertion,
        }
    }
}

/// A signing key as it is shown.
#[derive(Debug, Serialize)]
struct View {
    id: String,
    purpose: &'static str,
    algorithm: &'static str,
    created_at: String,
    signs_from: String,
    retires_at: Option<String>,
    status: &'static str,
}

/// Does what `command` says.
///
/// # Errors
/// What to print and how to exit.
pub async fn run(command: SigningKeys, config: &Config, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let store = open_store(config, Open::Existing, streams).await?;
    let shared: SharedStore = Arc::<crate::store::sqlite::SqliteStore>::clone(&store);
    let clock = Clock::system();
    let outcome = match command {
        SigningKeys::List(output) => list(&shared, output, clock.now()).await,
        SigningKeys::Rotate(rotate) => change(&shared, &clock, config, &rotate).await,
        SigningKeys::Jwks => published(&shared, clock.now()).await,
    };
    crate::store::Store::close(&*store).await;
    streams.print_outcome(outcome)
}

async fn list(store: &SharedStore, output: Output, now: Timestamp) -> Result<String, Failure> {
    let all = store.signing_keys().await.map_err(crate::issuer::IssueError::from)?;
    text(&all, &all, output, now)
}

async fn published(store: &SharedStore, now: Timestamp) -> Result<String, Failure> {
    render::json(&jwks(store, now).await.map_err(crate::issuer::IssueError::from)?)
}

async fn change(
    store: &SharedStore,
    clock: &Clock,
    config: &Config,
    rotate: &Rotate,
) -> Result<String, Failure> {
    let signing = Signing::new(Arc::clone(store), clock.clone(), config).ok_or_else(|| {
        Failure::new(Exit::Refused, "the configuration has no `identity`, so nothing is signed")
            .hint("name the file that has it: keyward --config FILE signing-keys rotate")
    })?;
    let mut made = Vec::new();
    for purpose in rotate.purpose.map_or(Purpose::ALL.to_vec(), |signs| vec![signs.into()]) {
        let when = if rotate.now { When::Now } else { When::InTime };
        made.push(signing.rotate(purpose, when, &origin()).await?);
    }
    let all = signing.list().await?;
    text(&made, &all, rotate.output, clock.now())
}

fn text(shown: &[SigningKey], all: &[SigningKey], output: Output, now: Timestamp) -> Result<String, Failure> {
    let items: Vec<View> = shown.iter().map(|key| view(key, all, now)).collect();
    if output.json {
        return render::json(&List { items, next_cursor: None });
    }
    if items.is_empty() {
        return Ok(
            "There are no signing keys yet. `keyward serve` makes them, with `identity` configured.\n"
                .to_owned(),
        );
    }
    let rows: Vec<_> = items
        .into_iter()
        .zip(shown.iter().map(|key| retires(key.retires_at)))
        .map(|(key, retires)| {
            [
                key.id,
                key.purpose.to_owned(),
                key.algorithm.to_owned(),
                key.status.to_owned(),
                key.signs_from,
                retires,
            ]
        })
        .collect();
    Ok(table::rows(
        ["ID", "PURPOSE", "ALGORITHM", "STATUS", "SIGNS FROM", "RETIRES"],
        &rows,
        terminal_width(),
    ))
}

/// At what time is known of no key that was cut off: by each that there is.
fn retires(at: Option<Timestamp>) -> String {
    match at {
        None => "-".to_owned(),
        Some(Retiring::AT_ONCE) => "at once".to_owned(),
        Some(at) => at.rfc3339(),
    }
}

fn view(key: &SigningKey, all: &[SigningKey], now: Timestamp) -> View {
    View {
        id: key.id.clone(),
        purpose: key.purpose.as_str(),
        algorithm: key.algorithm.as_str(),
        created_at: key.created_at.rfc3339(),
        signs_from: key.signs_from.rfc3339(),
        retires_at: key.retires_at.map(Timestamp::rfc3339),
        status: Stage::of(key, all, now).as_str(),
    }
}
