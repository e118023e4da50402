//! `keyward keys …`

use std::collections::HashMap;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::accounts::{Output, words};
use super::backend::{Backend, PAGE};
use super::own_limits::{self, OwnLimits};
use super::{Exit, Failure, Streams, input, render};
use crate::auth::credential::{self, Form};
use crate::config::{self, Config};
use crate::issuer::{Expiry, KeyView, List, MadeKey, MadeKeyView, MadeOnce, NewKey};
use crate::limits::Rates;
use crate::store::Key;
use crate::store::sqlite::Open;

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key and print it, once
    Create(Create),
    /// List the keys of one account, or all
    List(ListKeys),
    /// Show one key, without its secret
    Show(Named),
    /// Revoke a key for good
    Revoke(Named),
    /// Set the limits of a key's own, all of them
    #[command(after_help = LIMITS_HELP)]
    SetLimits(SetLimits),
    /// Replace a key by another like it and print that, once; the old one lives on for a while
    Rotate(Rotate),
    /// Take keys over from elsewhere: digests from standard input, a JSON object a line
    #[command(after_help = IMPORT_HELP)]
    Import(Output),
}

const IMPORT_HELP: &str = "\
Each line: {\"digest\": SHA-256 of the whole key in hexadecimal, \"prefix\": what the key begins with, \"last4\": …,
\"name\": …, \"account\": id or email, \"scopes\": […], \"expires_at\": \"2027-01-31T00:00:00Z\"}, and if it is known
\"length\": bytes of the whole key, \"allowed_addresses\": […]. At most 10000 lines at once. When a line is wrong, every
wrong line is told and nothing is imported.";

const LIMITS_HELP: &str = "\
They hold beside the account's: a request counts on both, or on neither where one of them refuses it. What is not named \
here has no limit for this key alone. The key that replaces it by `keys rotate` has the same.";

/// Limits for one key.
#[derive(Debug, Args)]
#[command(override_usage = "keyward keys set-limits [OPTIONS] <ID> <LIMITS|--none>")]
pub struct SetLimits {
    /// The id of the key
    id: String,
    #[command(flatten)]
    limits: OwnLimits,
    #[command(flatten)]
    output: Output,
}

/// A key to be replaced.
#[derive(Debug, Args)]
pub struct Rotate {
    /// The id of the key
    id: String,
    /// How long the old key lives on: 0s, 12h, 7d, …
    #[arg(long, value_name = "DURATION", value_parser = config::parse_duration, default_value = "24h")]
    overlap: Duration,
    /// Print the new key alone: key=$(keyward keys rotate --quiet …)
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
    #[command(flatten)]
    output: Output,
}

/// A new key.
#[derive(Debug, Args)]
pub struct Create {
    /// The id or the email of the account that owns it
    #[arg(long, value_name = "ID-OR-EMAIL")]
    account: String,
    /// What to call it
    #[arg(long)]
    name: String,
    /// What it may do: scopes parted by commas [default: nothing]
    #[arg(long, default_value = "", hide_default_value = true)]
    scopes: String,
    /// How long it lives: 12h, 30d, … [default: keys.default_lifetime]
    #[arg(long, value_name = "DURATION", value_parser = config::parse_duration)]
    expires_in: Option<Duration>,
    /// A network or an address that it may be used from, repeatable [default: anywhere]
    #[arg(long = "allow", value_name = "CIDR")]
    allow: Vec<String>,
    /// Print the key alone: key=$(keyward keys create --quiet …)
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
    #[command(flatten)]
    output: Output,
}

/// Which keys.
#[derive(Debug, Args)]
pub struct ListKeys {
    /// The id or the email of the account that owns them
    #[arg(long, value_name = "ID-OR-EMAIL")]
    account: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// One key.
#[derive(Debug, Args)]
pub struct Named {
    /// The id of the key
    id: String,
    #[command(flatten)]
    output: Output,
}

/// Does what `command` says.
///
/// # Errors
/// What to print and how to exit.
pub async fn run(command: Keys, config: &Config, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let lines = matches!(command, Keys::Import(_)).then(input::all).transpose()?.unwrap_or_default();
    if let Keys::Show(Named { id, .. })
    | Keys::Revoke(Named { id, .. })
    | Keys::SetLimits(SetLimits { id, .. }) = &command
    {
        refuse_secret(id, config)?;
    }
    let backend = Backend::open(config, Open::Existing, streams).await?;
    let outcome = match command {
        Keys::Rotate(rotate) => replace(&backend, &rotate, streams).await,
        Keys::SetLimits(set) => set_limits(&backend, &set, streams).await,
        Keys::Import(output) => import(&backend, &lines, output, streams).await,
        Keys::Create(new) => create(&backend, new, streams).await,
        Keys::List(which) => streams.print_outcome(list(&backend, &which).await),
        Keys::Show(named) => streams.print_outcome(show(&backend, &named).await),
        Keys::Revoke(named) => streams.print_outcome(revoke(&backend, &named).await),
    };
    backend.close().await;
    outcome
}

/// Whoever has only the secret looks for the id; the store knows keys by their ends.
fn refuse_secret(id: &str, config: &Config) -> Result<(), Failure> {
    if credential::form(id, &config.keys.prefix) != Form::Ours {
        return Ok(());
    }
    let last4 = id.char_indices().rev().nth(3).and_then(|(start, _)| id.get(start..)).unwrap_or_default();
    Err(Failure::new(Exit::Refused, "this is a key's secret, not its id")
        .hint(format!("`keyward keys list` shows ids; the key that ends in {last4} is the one")))
}

async fn create(backend: &Backend, new: Create, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let asked = NewKey {
        account: new.account,
        name: new.name,
        scopes: words(&new.scopes),
        expiry: new.expires_in.map_or(Expiry::Default, Expiry::In),
        allowed_addresses: new.allow,
    };
    let made = backend.issuer.create_key(&asked, &backend.origin).await?;
    hand_out(backend, &made, new.quiet, new.output, streams).await
}

async fn replace(backend: &Backend, rotate: &Rotate, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let made = backend.issuer.rotate_key(&rotate.id, rotate.overlap, None, &backend.origin).await?;
    match made {
        MadeOnce::Made(made) => hand_out(backend, &made, rotate.quiet, rotate.output, streams).await,
        // Only for a request that is sent again.
        MadeOnce::Before(key) => streams.print_outcome(one(backend, &key, rotate.output).await),
    }
}

async fn import(
    backend: &Backend,
    lines: &str,
    output: Output,
    streams: &mut Streams<'_>,
) -> Result<(), Failure> {
    let keys = backend.issuer.import_keys(lines, &backend.origin).await?;
    for doubt in backend.issuer.doubts(&keys) {
        streams.say(&doubt.to_string());
    }
    streams.print_outcome(imported(backend, &keys, output))
}

fn imported(backend: &Backend, keys: &[Key], output: Output) -> Result<String, Failure> {
    if output.json {
        let items = keys.iter().map(|key| backend.issuer.key_view(key)).collect();
        return render::json(&List { items, next_cursor: None });
    }
    let many = if keys.len() == 1 { "" } else { "s" };
    Ok(format!("imported {} key{many}\n", keys.len()))
}

async fn hand_out(
    backend: &Backend,
    made: &MadeKey,
    quiet: bool,
    output: Output,
    streams: &mut Streams<'_>,
) -> Result<(), Failure> {
    let text = if quiet {
        format!("{}\n", made.token.expose())
    } else if output.json {
        render::json(&MadeKeyView::new(made, backend.clock.now()))?
    } else {
        in_words(backend, made).await?
    };
    // Here a closed pipe is a loss: nobody will ever see this key.
    streams.write(&text).map_err(|error| {
        let line = format!("the key {} was made, but it could not be printed: {error}", made.key.id);
        Failure::new(Exit::Refused, line)
            .hint(format!("revoke it and make another: keyward keys revoke {}", made.key.id))
    })
}

async fn in_words(backend: &Backend, made: &MadeKey) -> Result<String, Failure> {
    let account = backend.issuer.account(&made.key.account_id).await?;
    Ok(render::made_key(&backend.issuer.key_view(&made.key), &account.email, made.token.expose()))
}

async fn show(backend: &Backend, named: &Named) -> Result<String, Failure> {
    let key = backend.issuer.key(&named.id).await?;
    one(backend, &key, named.output).await
}

async fn revoke(backend: &Backend, named: &Named) -> Result<String, Failure> {
    let key = backend.issuer.revoke_key(&named.id, &backend.origin).await?;
    one(backend, &key, named.output).await
}

async fn set_limits(backend: &Backend, set: &SetLimits, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let said = set.limits.said();
    let key = backend.issuer.set_key_limits(&set.id, &said, &backend.origin).await?;
    own_limits::tell_of_no_effect(&said, &said.over(&Rates::default()), streams);
    streams.print_outcome(one(backend, &key, set.output).await)
}

async fn one(backend: &Backend, key: &Key, output: Output) -> Result<String, Failure> {
    let view = backend.issuer.key_view(key);
    if output.json {
        return render::json(&view);
    }
    let account = backend.issuer.account(&key.account_id).await?;
    Ok(render::key(&view, &account.email, key.replaced_by.as_deref()))
}

async fn list(backend: &Backend, which: &ListKeys) -> Result<String, Failure> {
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let page = backend.issuer.keys(which.account.as_deref(), after.as_deref(), PAGE).await?;
        items.extend(page.items.iter().map(|key| backend.issuer.key_view(key)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if which.output.json {
        return render::json(&List { items, next_cursor: None });
    }
    Ok(render::keys(&with_addresses(backend, items).await?))
}

/// Each key with its account's address, asked for once per account.
async fn with_addresses(backend: &Backend, keys: Vec<KeyView>) -> Result<Vec<(KeyView, String)>, Failure> {
    let mut known: HashMap<String, String> = HashMap::new();
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        let email = match known.get(&key.account_id) {
            Some(email) => email.clone(),
            None => backend.issuer.account(&key.account_id).await?.email,
        };
        known.insert(key.account_id.clone(), email.clone());
        rows.push((key, email));
    }
    Ok(rows)
}
