//! `keyward accounts …`

use clap::{Args, Subcommand};

use super::backend::{Backend, PAGE};
use super::{Failure, Streams, render};
use crate::config::Config;
use crate::issuer::{List, NewAccount, ScopesChoice, check_email};
use crate::store::sqlite::Open;
use crate::store::{Account, AccountStatus};

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub enum Accounts {
    /// Make an account, and the store if there is none
    Create(Create),
    /// List all accounts
    List(Output),
    /// Show one account
    Show(Named),
    /// Refuse all credentials of an account
    Disable(Named),
    /// Accept the credentials of an account again
    Enable(Named),
    /// Set what the keys of an account may have
    SetScopes(SetScopes),
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, Args)]
pub struct Output {
    /// Print the object as JSON
    #[arg(long)]
    pub json: bool,
}

/// One account.
#[derive(Debug, Args)]
pub struct Named {
    /// The id or the email of the account
    #[arg(value_name = "ID-OR-EMAIL")]
    account: String,
    #[command(flatten)]
    output: Output,
}

/// A new account.
#[derive(Debug, Args)]
pub struct Create {
    /// The address of its owner; each account has its own
    #[arg(long)]
    email: String,
    #[command(flatten)]
    output: Output,
}

/// Scopes for one account.
#[derive(Debug, Args)]
#[command(override_usage = "keyward accounts set-scopes [OPTIONS] <ID-OR-EMAIL> <SCOPES|--default>")]
pub struct SetScopes {
    /// The id or the email of the account
    #[arg(value_name = "ID-OR-EMAIL")]
    account: String,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    output: Output,
}

/// One of the two.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Choice {
    /// Scopes of the catalogue, parted by commas; "" for none
    scopes: Option<String>,
    /// What the catalogue marks as default
    #[arg(long)]
    default: bool,
}

/// Does what `command` says.
///
/// # Errors
/// What to print and how to exit.
pub async fn run(command: Accounts, config: &Config, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let open = match &command {
        Accounts::Create(new) => {
            // A refused command makes no store.
            check_email(&new.email)?;
            Open::Create
        }
        _ => Open::Existing,
    };
    let backend = Backend::open(config, open, streams).await?;
    let outcome = carry_out(&command, &backend).await;
    backend.close().await;
    streams.print_outcome(outcome)
}

async fn carry_out(command: &Accounts, backend: &Backend) -> Result<String, Failure> {
    let Backend { issuer, origin, .. } = backend;
    let (account, output) = match command {
        Accounts::List(output) => return list(backend, *output).await,
        Accounts::Create(new) => {
            let asked = NewAccount { email: new.email.clone(), scopes: ScopesChoice::Defaults };
            (issuer.create_account(&asked, origin).await?, new.output)
        }
        Accounts::Show(named) => (issuer.account(&named.account).await?, named.output),
        Accounts::Disable(named) => {
            let status = AccountStatus::Disabled;
            (issuer.set_account_status(&named.account, status, origin).await?, named.output)
        }
        Accounts::Enable(named) => {
            let status = AccountStatus::Active;
            (issuer.set_account_status(&named.account, status, origin).await?, named.output)
        }
        Accounts::SetScopes(set) => {
            (issuer.set_account_scopes(&set.account, &chosen(&set.choice), origin).await?, set.output)
        }
    };
    one(backend, &account, output)
}

fn chosen(choice: &Choice) -> ScopesChoice {
    choice.scopes.as_deref().map_or(ScopesChoice::Defaults, |scopes| ScopesChoice::These(words(scopes)))
}

fn one(backend: &Backend, account: &Account, output: Output) -> Result<String, Failure> {
    let view = backend.issuer.account_view(account);
    if output.json { render::json(&view) } else { Ok(render::account(&view)) }
}

async fn list(backend: &Backend, output: Output) -> Result<String, Failure> {
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let page = backend.issuer.accounts(after.as_deref(), PAGE).await?;
        items.extend(page.items.iter().map(|account| backend.issuer.account_view(account)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if output.json {
        return render::json(&List { items, next_cursor: None });
    }
    Ok(render::accounts(&items))
}

/// Words parted by commas or spaces.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
