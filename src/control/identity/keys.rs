//! `/user/api-keys`: an account's own keys.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;
use uuid::Uuid;

use super::caller::{Gift, Owner};
use super::{Asked, render};
use crate::auth::principal::Method;
use crate::auth::refusal::Refusal;
use crate::clock::Timestamp;
use crate::issuer::{
    Changes, Expiry, KEYS_MAX, KeyView, List, MadeKeyView, MadeOnce, NewKey, OVERLAP, Request, Rotation,
};
use crate::store::Key;
use crate::web::members::{Members, Need};

/// Keys of a page where nothing else is asked for.
const PAGE: u32 = 50;
const PAGE_MAX: u32 = 200;

/// `POST`: makes a key, and tells its secret once.
pub(super) async fn create(asked: Asked<'_>) -> Result<Response<Bytes>, Refusal> {
    let owner = Owner::of(asked)?;
    let new = read(asked, &owner)?;
    let expires_at = match new.expiry {
        Expiry::At(moment) => Some(moment),
        Expiry::Default | Expiry::In(_) => None,
    };
    let gift = Gift {
        scopes: new.scopes.clone(),
        holder: None,
        networks: new.allowed_addresses.clone(),
        expires_at,
    };
    owner.may_give(asked, &gift)?;
    may_make(asked, &owner, None).await?;
    let once = once(asked)?;
    let made = asked.terms.issuer.create_key_once(&new, once, &owner.origin(asked)).await?;
    told(asked, &made)
}

/// `POST …/rotate`: replaces a key, which lives on for a while.
pub(super) async fn rotate(asked: Asked<'_>, id: &str) -> Result<Response<Bytes>, Refusal> {
    let owner = Owner::of(asked)?;
    let mut members = Members::read_any(&asked.call.headers, &asked.call.body)?;
    let overlap = members.number("overlap_seconds", Need::Optional);
    members.done()?;
    let issuer = &asked.terms.issuer;
    let key = issuer.key_of(owner.account, id).await?;
    owner.may_give(asked, &Gift::like(&key))?;
    may_make(asked, &owner, Some(&key)).await?;
    let overlap = overlap.map_or(OVERLAP, Duration::from_secs);
    let terms = Rotation { judged: Some(&key), overlap, latest: owner.latest(), most: Some(KEYS_MAX) };
    let made = issuer.rotate_key(&key.id, terms, once(asked)?, &owner.origin(asked)).await?;
    told(asked, &made)
}

/// Whether it may make a key, or make of `old` another. A key that is limited itself makes none that is not, and gives
/// nothing to one that is not.
async fn may_make(asked: Asked<'_>, owner: &Owner<'_>, old: Option<&Key>) -> Result<(), Refusal> {
    if owner.principal.method != Method::ApiKey {
        return Ok(());
    }
    let own = asked.terms.issuer.key(owner.principal.identity.credential()).await?;
    let is_itself = old.is_some_and(|old| old.id == own.id);
    if own.limits.is_empty() || is_itself { Ok(()) } else { Err(Refusal::Conflict(LIMITED.into())) }
}

const LIMITED: &str = "A key with limits of its own makes no other keys and changes none but in name; it may only \
     change or replace itself. Log in to do more.";

/// `PATCH`: changes what is named.
pub(super) async fn change(asked: Asked<'_>, id: &str) -> Result<Response<Bytes>, Refusal> {
    let owner = Owner::of(asked)?;
    let mut members = Members::read_any(&asked.call.headers, &asked.call.body)?;
    let changes = Changes {
        name: members.text("name", Need::Optional),
        scopes: members.texts("scopes", Need::Optional),
        allowed_addresses: members.texts("allowed_addresses", Need::Optional),
        expires_at: expires_at(&mut members),
    };
    members.done()?;
    let issuer = &asked.terms.issuer;
    let key = issuer.key_of(owner.account, id).await?;
    let gift = changed(&key, &changes);
    if let Some(gift) = &gift {
        owner.may_give(asked, gift)?;
        may_make(asked, &owner, Some(&key)).await?;
    }
    // Another name makes it no stronger, whatever it is by now.
    let judged = gift.map(|_| &key);
    let key = issuer.change_key(&key.id, &changes, judged, &owner.origin(asked)).await?;
    Ok(render::json(StatusCode::OK, &issuer.key_view(&key)))
}

/// The key as `changes` leave it; `None` when they leave all that it can do.
fn changed(key: &Key, changes: &Changes) -> Option<Gift> {
    let Changes { scopes, allowed_addresses, expires_at, .. } = changes;
    if scopes.is_none() && allowed_addresses.is_none() && expires_at.is_none() {
        return None;
    }
    let Gift { scopes: had, networks, holder, .. } = Gift::like(key);
    Some(Gift {
        holder: holder.filter(|_| scopes.is_none()),
        scopes: scopes.clone().unwrap_or(had),
        networks: allowed_addresses.clone().unwrap_or(networks),
        expires_at: Some(expires_at.unwrap_or(key.expires_at)),
    })
}

/// Made now with its secret, or before, when that was told.
fn told(asked: Asked<'_>, made: &MadeOnce) -> Result<Response<Bytes>, Refusal> {
    Ok(match made {
        MadeOnce::Made(made) => render::json(StatusCode::CREATED, &MadeKeyView::new(made, asked.now)),
        MadeOnce::Before(key) => {
            render::json(StatusCode::OK, &Untold { object: asked.terms.issuer.key_view(key), key: None })
        }
    })
}

/// A key whose secret nobody can tell any more.
#[derive(Serialize)]
struct Untold {
    #[serde(flatten)]
    object: KeyView,
    key: Option<&'static str>,
}

/// The `Idempotency-Key`, where there is one.
fn once(asked: Asked<'_>) -> Result<Option<Request<'_>>, Refusal> {
    let mut keys = asked.call.headers.get_all("idempotency-key").iter();
    let Some(key) = keys.next() else { return Ok(None) };
    match (key.to_str(), keys.next()) {
        (Ok(key), None) => Ok(Some(Request { key, body: &asked.call.body })),
        _ => Err(Refusal::BadRequest("The Idempotency-Key is repeated, or has bytes outside visible ASCII.")),
    }
}

fn read(asked: Asked<'_>, owner: &Owner<'_>) -> Result<NewKey, Refusal> {
    let mut members = Members::read(&asked.call.headers, &asked.call.body)?;
    let name = members.text("name", Need::Required("what you call the key"));
    let scopes = members.texts("scopes", Need::Optional);
    let expiry = expires_at(&mut members).map_or_else(|| usual(asked, owner), Expiry::At);
    let allowed_addresses = members.texts("allowed_addresses", Need::Optional);
    members.done()?;
    Ok(NewKey {
        account: owner.account.to_owned(),
        name: name.unwrap_or_default(),
        scopes: scopes.unwrap_or_default(),
        expiry,
        allowed_addresses: allowed_addresses.unwrap_or_default(),
    })
}

/// When a key ends where nobody says: as usual, but with its maker at the latest.
fn usual(asked: Asked<'_>, owner: &Owner<'_>) -> Expiry {
    let (_, life) = asked.terms.issuer.lives();
    owner.latest().map_or(Expiry::Default, |latest| Expiry::At(asked.now.after(life).min(latest)))
}

fn expires_at(members: &mut Members) -> Option<Timestamp> {
    let text = members.text("expires_at", Need::Optional)?;
    let moment = Timestamp::parse(&text);
    if moment.is_none() {
        let told = "The member expires_at must be a time such as 2027-01-31T12:00:00Z.";
        members.fault("expires_at", told.to_owned());
    }
    moment
}

/// `GET`: a page of them.
pub(super) async fn list(asked: Asked<'_>) -> Result<Response<Bytes>, Refusal> {
    let owner = Owner::of(asked)?;
    let page = Page::read(asked.call.query.as_deref())?;
    let issuer = &asked.terms.issuer;
    let keys = issuer.keys(Some(owner.account), page.after.as_deref(), page.limit).await?;
    let items = keys.items.iter().map(|key| issuer.key_view(key)).collect();
    Ok(render::json(StatusCode::OK, &List { items, next_cursor: keys.next }))
}

/// `GET` of one.
pub(super) async fn show(asked: Asked<'_>, id: &str) -> Result<Response<Bytes>, Refusal> {
    let owner = Owner::of(asked)?;
    let key = asked.terms.issuer.key_of(owner.account, id).await?;
    Ok(render::json(StatusCode::OK, &asked.terms.issuer.key_view(&key)))
}

/// `DELETE`: revokes one. Again, it is still revoked.
pub(super) async fn revoke(asked: Asked<'_>, id: &str) -> Result<Response<Bytes>, Refusal> {
    let owner = Owner::of(asked)?;
    let key = asked.terms.issuer.key_of(owner.account, id).await?;
    asked.terms.issuer.revoke_key(&key.id, &owner.origin(asked)).await?;
    Ok(render::nothing())
}

/// Which page of a list is asked for.
struct Page {
    after: Option<String>,
    limit: u32,
}

impl Page {
    fn read(query: Option<&str>) -> Result<Self, Refusal> {
        let mut page = Self { after: None, limit: PAGE };
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                // Each is the id of a key; after another text there would seem to be nothing.
                "cursor" if is_cursor(&value) => page.after = Some(value.into_owned()),
                "limit" => page.limit = limit(&value)?,
                _ => return Err(Refusal::BadRequest(PARAMETERS)),
            }
        }
        Ok(page)
    }
}

/// Whether it is the id of a key as it is told: by another spelling it would be looked for elsewhere in the order.
pub(in crate::control) fn is_cursor(text: &str) -> bool {
    Uuid::parse_str(text).is_ok_and(|id| id.hyphenated().to_string() == text)
}

const PARAMETERS: &str = "The query takes cursor, as the page before told it, and limit, from 1 to 200.";

fn limit(text: &str) -> Result<u32, Refusal> {
    let limit = text.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
    limit.ok_or(Refusal::BadRequest(PARAMETERS))
}
