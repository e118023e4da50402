//! `keyward accounts …`

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::backend::{Backend, PAGE};
use super::own_limits::{self, OwnLimits};
use super::{Exit, Failure, Streams, input, render};
use crate::config::Config;
use crate::issuer::{LinkView, List, NewAccount, ScopesChoice, check_email, check_password};
use crate::store::sqlite::Open;
use crate::store::{Account, AccountStatus};

type Password = Zeroizing<String>;

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
    /// Set the plan that says how many requests an account may make
    SetPlan(SetPlan),
    /// Set the limits of an account's own, all of them
    #[command(after_help = LIMITS_HELP)]
    SetLimits(SetLimits),
    /// Give an account the password that stands on standard input; its sessions end
    SetPassword(Named),
    /// Print a link under which an account gets a new password, once and within an hour
    ResetLink(Named),
}

const LIMITS_HELP: &str = "\
What is not named here is as the account's plan says, or as `limits.account` says for those without one. Whoever says \
--per-minute says at which pace, too: without --burst it is a window of a minute.";

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
    /// Read its password from standard input; without one it cannot log in
    #[arg(long)]
    password_stdin: bool,
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

/// A plan for one account.
#[derive(Debug, Args)]
#[command(override_usage = "keyward accounts set-plan [OPTIONS] <ID-OR-EMAIL> <PLAN|--none>")]
pub struct SetPlan {
    /// The id or the email of the account
    #[arg(value_name = "ID-OR-EMAIL")]
    account: String,
    #[command(flatten)]
    choice: PlanChoice,
    #[command(flatten)]
    output: Output,
}

/// One of the two.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct PlanChoice {
    /// A plan of the configuration, by its name under `limits.plans`
    plan: Option<String>,
    /// None: what accounts without a plan may
    #[arg(long)]
    none: bool,
}

/// Limits for one account.
#[derive(Debug, Args)]
#[command(override_usage = "keyward accounts set-limits [OPTIONS] <ID-OR-EMAIL> <LIMITS|--none>")]
pub struct SetLimits {
    /// The id or the email of the account
    #[arg(value_name = "ID-OR-EMAIL")]
    account: String,
    #[command(flatten)]
    limits: OwnLimits,
    #[command(flatten)]
    output: Output,
}

/// Does what `command` says.
///
/// # Errors
/// What to print and how to exit.
pub async fn run(command: Accounts, config: &Config, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let (open, password) = prepared(&command, config)?;
    let backend = Backend::open(config, open, streams).await?;
    let outcome = carry_out(&command, password, &backend, streams).await;
    backend.close().await;
    match (command, outcome) {
        (Accounts::ResetLink(_), Ok(text)) => hand_out(&text, streams),
        (_, outcome) => streams.print_outcome(outcome),
    }
}

/// What can be refused before there is a store: a refused command makes none.
fn prepared(command: &Accounts, config: &Config) -> Result<(Open, Option<Password>), Failure> {
    match command {
        Accounts::Create(new) => {
            check_email(&new.email)?;
            let password = new.password_stdin.then(input::password).transpose()?;
            if let Some(password) = &password {
                check_password(&new.email, password, config)?;
            }
            Ok((Open::Create, password))
        }
        Accounts::SetPassword(_) => Ok((Open::Existing, Some(input::password()?))),
        _ => Ok((Open::Existing, None)),
    }
}

async fn carry_out(
    command: &Accounts,
    password: Option<Password>,
    backend: &Backend,
    streams: &mut Streams<'_>,
) -> Result<String, Failure> {
    let Backend { issuer, origin, .. } = backend;
    let (account, output) = match command {
        Accounts::List(output) => return list(backend, *output).await,
        Accounts::Create(new) => (create(backend, new, password).await?, new.output),
        Accounts::ResetLink(named) => return reset_link(backend, named).await,
        Accounts::SetPassword(named) => {
            (issuer.set_password(&named.account, password.unwrap_or_default(), origin).await?, named.output)
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
        Accounts::SetPlan(set) => {
            (issuer.set_plan(&set.account, set.choice.plan.as_deref(), origin).await?, set.output)
        }
        Accounts::SetLimits(set) => {
            let said = set.limits.said();
            let account = issuer.set_account_limits(&set.account, &said, origin).await?;
            own_limits::tell_of_no_effect(&said, &issuer.allowance(&account), streams);
            (account, set.output)
        }
    };
    one(backend, &account, output)
}

async fn create(backend: &Backend, new: &Create, password: Option<Password>) -> Result<Account, Failure> {
    let Backend { issuer, origin, .. } = backend;
    let asked = NewAccount { email: new.email.clone(), scopes: ScopesChoice::Defaults };
    Ok(match password {
        None => issuer.create_account(&asked, origin).await?,
        Some(password) => issuer.create_person(&asked, password, origin).await?,
    })
}

async fn reset_link(backend: &Backend, named: &Named) -> Result<String, Failure> {
    let link = backend.issuer.make_reset_link(&named.account, &backend.origin).await?;
    match named.output.json {
        true => render::json(&LinkView::new(&link)),
        false => Ok(render::reset_link(&link)),
    }
}

/// Here a closed pipe is a loss: nobody will ever see this link.
fn hand_out(text: &str, streams: &mut Streams<'_>) -> Result<(), Failure> {
    streams.write(text).map_err(|error| {
        Failure::new(Exit::Refused, format!("the link was made, but it could not be printed: {error}"))
            .hint("make another; it ends this one")
    })
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
