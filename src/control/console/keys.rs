//! The API Key page.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};

use super::form::Form;
use super::pages::{self, time, time_from, typed};
use super::visitor::Visitor;
use super::{Trouble, limits, see};
use crate::clock::Timestamp;
use crate::control::identity::{Asked, is_cursor, sentence};
use crate::issuer::{
    Expiry, IssueError, Issuer, KEYS_MAX, KeyStatus, MadeOnce, NewKey, OVERLAP, Request, Rotation,
};
use crate::store::Key;

const PAGE: u32 = 50;
const DAY: u64 = 24 * 60 * 60;

/// `GET keys`
pub(super) async fn list(visitor: &Visitor<'_>, asked: Asked<'_>) -> Result<Response<Bytes>, Trouble> {
    let mut query = asked.call.parameters();
    let after = query.remove("after").filter(|after| is_cursor(after));
    let mut page = page(visitor, asked, after.as_deref()).await?;
    page.done = query.contains_key("revoked").then_some("The key is revoked.");
    Ok(pages::answer(StatusCode::OK, &page))
}

async fn page(visitor: &Visitor<'_>, asked: Asked<'_>, after: Option<&str>) -> Result<pages::Keys, Trouble> {
    let issuer = &asked.terms.issuer;
    let keys = issuer.keys(Some(&visitor.account.id), after, PAGE).await?;
    Ok(pages::Keys {
        frame: visitor.frame("keys"),
        done: None,
        problems: Vec::new(),
        limits: limits::of_account(visitor, asked),
        keys: keys.items.iter().map(|key| with_limits(visitor, asked, key)).collect(),
        is_first_page: after.is_none(),
        next: keys.next,
        scopes: scopes(visitor, asked, &[]),
        lives: lives(issuer.lives(), None),
        asked: pages::Asked::default(),
        once: issuer.nonce()?,
    })
}

fn with_limits(visitor: &Visitor<'_>, asked: Asked<'_>, key: &Key) -> pages::Key {
    pages::Key { limits: limits::of_key(visitor, asked, key), ..shown(key, asked.now) }
}

fn shown(key: &Key, now: Timestamp) -> pages::Key {
    let status = KeyStatus::of(key, now);
    let expires = match status {
        KeyStatus::Active => time_from(now, key.expires_at),
        KeyStatus::Expired | KeyStatus::Revoked => time(key.expires_at),
    };
    pages::Key {
        id: key.id.clone(),
        name: key.name.clone(),
        shown: format!("{}…{}", key.prefix, key.last4),
        status: status.as_str(),
        created: time(key.created_at),
        expires,
        used: key.last_used_at.map_or_else(|| "not yet, as far as is known".to_owned(), time),
        limits: None,
    }
}

/// What this account's keys may have, in the words of the catalogue.
fn scopes(visitor: &Visitor<'_>, asked: Asked<'_>, chosen: &[String]) -> Vec<pages::Scope> {
    let grantable = asked.terms.issuer.grantable(&visitor.account).iter();
    grantable.map(|scope| described(asked, scope.as_str(), chosen)).collect()
}

fn described(asked: Asked<'_>, name: &str, chosen: &[String]) -> pages::Scope {
    pages::Scope {
        name: name.to_owned(),
        description: asked.terms.describe(name).to_owned(),
        chosen: chosen.iter().any(|chosen| chosen == name),
    }
}

/// Some lives up to the longest, with the usual one; `chosen` or that is chosen.
fn lives((longest, usual): (Duration, Duration), chosen: Option<u64>) -> Vec<pages::Life> {
    let (longest, usual) = (longest.as_secs(), usual.as_secs());
    let mut seconds: Vec<u64> = [1, 7, 30, 90, 180, 365].map(|days| days * DAY).into();
    seconds.extend([usual, longest]);
    seconds.retain(|life| *life <= longest);
    seconds.sort_unstable();
    seconds.dedup();
    let chosen = chosen.filter(|chosen| seconds.contains(chosen)).unwrap_or(usual);
    let life = |seconds| pages::Life { seconds, words: in_words(seconds), chosen: seconds == chosen };
    seconds.into_iter().map(life).collect()
}

fn in_words(seconds: u64) -> String {
    match (seconds / DAY, seconds % DAY) {
        (1, 0) => "in a day".to_owned(),
        (365, 0) => "in a year".to_owned(),
        (days, 0) => format!("in {days} days"),
        _ => format!("in {} minutes", seconds.div_ceil(60)),
    }
}

/// `POST keys`
pub(super) async fn create(visitor: &Visitor<'_>, asked: Asked<'_>) -> Result<Response<Bytes>, Trouble> {
    let form = visitor.reads(asked)?;
    let lines = form.value("addresses").lines().map(str::trim).filter(|line| !line.is_empty());
    let life = form.number("expires", "Choose from the list when the key is to expire.")?;
    let new = NewKey {
        account: visitor.account.id.clone(),
        name: form.value("name").to_owned(),
        scopes: form.values("scopes"),
        expiry: life.map_or(Expiry::Default, |life| Expiry::In(Duration::from_secs(life))),
        allowed_addresses: lines.map(str::to_owned).collect(),
    };
    let issuer = &asked.terms.issuer;
    match issuer.create_key_once(&new, once(asked, &form)?, &visitor.origin(asked)).await {
        Ok(made) => Ok(tell(visitor, made, None)),
        Err(IssueError::Invalid(problems)) => {
            let mut page = page(visitor, asked, None).await?;
            page.problems = problems.iter().map(sentence).collect();
            page.scopes = scopes(visitor, asked, &new.scopes);
            page.lives = lives(issuer.lives(), life);
            page.asked = pages::Asked { name: typed(&new.name), addresses: typed(form.value("addresses")) };
            Ok(pages::answer(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
        Err(error) => Err(error.into()),
    }
}

/// A form that is sent twice makes one key.
fn once<'a>(asked: Asked<'a>, form: &'a Form) -> Result<Option<Request<'a>>, Trouble> {
    match form.value("once") {
        "" => Ok(None),
        key if Issuer::is_nonce(key) => Ok(Some(Request { key, body: &asked.call.body })),
        _ => Err(Trouble::Unreadable("Open the page again and send the form from there.")),
    }
}

fn tell(visitor: &Visitor<'_>, made: MadeOnce, old: Option<String>) -> Response<Bytes> {
    let (name, secret) = match made {
        MadeOnce::Made(made) => (made.key.name, Some(made.token.expose().to_owned())),
        MadeOnce::Before(key) => (key.name, None),
    };
    let curl = secret.as_deref().map(|secret| curl(visitor, secret)).unwrap_or_default();
    pages::answer(StatusCode::OK, &pages::Made { frame: visitor.frame("keys"), name, secret, curl, old })
}

/// A line that tells whether the key works.
fn curl(visitor: &Visitor<'_>, secret: &str) -> String {
    let url = visitor.identity.public_url.as_str();
    format!(
        "curl {url}/user/token/validate -H 'Authorization: Bearer {secret}' \
         -H 'Content-Type: application/json' -d '{{}}'"
    )
}

/// `GET keys/{id}`
pub(super) async fn show(
    visitor: &Visitor<'_>,
    asked: Asked<'_>,
    id: &str,
) -> Result<Response<Bytes>, Trouble> {
    let issuer = &asked.terms.issuer;
    let key = issuer.key_of(&visitor.account.id, id).await?;
    let page = pages::OneKey {
        frame: visitor.frame("keys"),
        key: with_limits(visitor, asked, &key),
        scopes: key.scopes.iter().map(|scope| described(asked, scope.as_str(), &[])).collect(),
        addresses: key.allowed_addresses.iter().map(ToString::to_string).collect(),
        once: issuer.nonce()?,
        replaced_by: key.replaced_by,
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

/// `POST keys/{id}/rotate`
pub(super) async fn rotate(
    visitor: &Visitor<'_>,
    asked: Asked<'_>,
    id: &str,
) -> Result<Response<Bytes>, Trouble> {
    let form = visitor.reads(asked)?;
    let issuer = &asked.terms.issuer;
    let key = issuer.key_of(&visitor.account.id, id).await?;
    // What cannot be read is not to end a key at once.
    let overlap = form.number("overlap", "Choose from the list how long the old key is to work on.")?;
    let overlap = overlap.map_or(OVERLAP, Duration::from_secs);
    let terms = Rotation { judged: None, overlap, latest: None, most: Some(KEYS_MAX) };
    let made = issuer.rotate_key(&key.id, terms, once(asked, &form)?, &visitor.origin(asked)).await?;
    let old = issuer.key(&key.id).await?;
    let old = match KeyStatus::of(&old, asked.now) {
        KeyStatus::Active => format!("The key before it works until {}.", time(old.expires_at)),
        KeyStatus::Expired | KeyStatus::Revoked => "The key before it works no longer.".to_owned(),
    };
    Ok(tell(visitor, made, Some(old)))
}

/// `POST keys/{id}/revoke`
pub(super) async fn revoke(
    visitor: &Visitor<'_>,
    asked: Asked<'_>,
    id: &str,
) -> Result<Response<Bytes>, Trouble> {
    visitor.reads(asked)?;
    let key = asked.terms.issuer.key_of(&visitor.account.id, id).await?;
    asked.terms.issuer.revoke_key(&key.id, &visitor.origin(asked)).await?;
    Ok(see("/console/keys?revoked"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::scope::ScopeSet;
    use crate::limits::Overrides;

    #[test]
    fn the_page_tells_when_a_key_was_last_used() {
        let at = Timestamp(1_793_491_200_000);
        let key = |last_used_at| Key {
            id: "k".to_owned(),
            account_id: "a".to_owned(),
            name: "a key".to_owned(),
            prefix: "acme-".to_owned(),
            last4: "wxyz".to_owned(),
            scopes: ScopeSet::default(),
            allowed_addresses: Vec::new(),
            limits: Overrides::default(),
            created_at: Timestamp(0),
            expires_at: Timestamp(i64::MAX),
            last_used_at,
            revoked_at: None,
            replaced_by: None,
            counts_as: None,
        };
        let used = |last_used_at| shown(&key(last_used_at), at).used;
        assert_eq!(used(Some(at)), r#"<time datetime="2026-11-01T00:00:00Z">2026-11-01 00:00 UTC</time>"#);
        assert_eq!(used(None), "not yet, as far as is known");
    }
}
