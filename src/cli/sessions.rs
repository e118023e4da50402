//! `keyward sessions …`

use std::collections::HashMap;

use clap::{Args, Subcommand};

use super::accounts::Output;
use super::backend::{Backend, PAGE};
use super::{Failure, Streams, render};
use crate::config::Config;
use crate::issuer::{List, SessionView};
use crate::store::sqlite::Open;

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub enum Sessions {
    /// List who is logged in
    List(ListSessions),
    /// End a session: its tokens are refused from now on
    Revoke(Named),
}

/// Which sessions.
#[derive(Debug, Args)]
pub struct ListSessions {
    /// The id or the email of the account that is logged in
    #[arg(long, value_name = "ID-OR-EMAIL")]
    account: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// One session.
#[derive(Debug, Args)]
pub struct Named {
    /// The id of the session
    id: String,
    #[command(flatten)]
    output: Output,
}

/// Does what `command` says.
///
/// # Errors
/// What to print and how to exit.
pub async fn run(command: Sessions, config: &Config, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let backend = Backend::open(config, Open::Existing, streams).await?;
    let outcome = match &command {
        Sessions::List(which) => list(&backend, which).await,
        Sessions::Revoke(named) => revoke(&backend, named).await,
    };
    backend.close().await;
    streams.print_outcome(outcome)
}

async fn revoke(backend: &Backend, named: &Named) -> Result<String, Failure> {
    let session = backend.issuer.revoke_session(&named.id, &backend.origin).await?;
    let view = backend.issuer.session_view(&session);
    if named.output.json {
        return render::json(&view);
    }
    let account = backend.issuer.account(&session.account_id).await?;
    Ok(render::session(&view, &account.email))
}

async fn list(backend: &Backend, which: &ListSessions) -> Result<String, Failure> {
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let page = backend.issuer.sessions(which.account.as_deref(), after.as_deref(), PAGE).await?;
        items.extend(page.items.iter().map(|session| backend.issuer.session_view(session)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if which.output.json {
        return render::json(&List { items, next_cursor: None });
    }
    Ok(render::sessions(&with_addresses(backend, items).await?))
}

/// Each session with its account's address, asked for once per account.
async fn with_addresses(
    backend: &Backend,
    sessions: Vec<SessionView>,
) -> Result<Vec<(SessionView, String)>, Failure> {
    let mut known: HashMap<String, String> = HashMap::new();
    let mut rows = Vec::with_capacity(sessions.len());
    for session in sessions {
        let email = match known.get(&session.account_id) {
            Some(email) => email.clone(),
            None => backend.issuer.account(&session.account_id).await?.email,
        };
        known.insert(session.account_id.clone(), email.clone());
        rows.push((session, email));
    }
    Ok(rows)
}
