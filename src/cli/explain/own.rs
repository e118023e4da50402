//! A request that no route gets: Keyward answers it itself.

use http::request::Parts;

use super::{Judges, Story, caller, presented, who};
use crate::auth::refusal::Refusal;
use crate::decision::{Presented, Visit};
use crate::proxy::identity;
use crate::web::endpoint::Endpoint;

/// Tells who answers, and whether the credential is one that may ask.
///
/// # Errors
/// When it would be refused before anybody looks at what it asks for.
pub(super) async fn tell(
    endpoint: Endpoint<'_>,
    parts: &Parts,
    (&Judges { plan, front, .. }, visit): (&Judges<'_>, Visit),
    story: &mut Story,
) -> Result<(), Refusal> {
    story.tell("route", "none: this path of the identity's host is Keyward's own (see `identity`)");
    identity::allow(endpoint, &parts.method)?;
    story.tell("credential", presented(plan, parts, Ok(None), front));
    let valid = match plan.decision.presented(&parts.headers, Ok(None)).map_err(Refusal::InvalidRequest)? {
        Presented::Nothing(_) => None,
        Presented::One(word) => Some(plan.decision.validate(&word, front, visit).await),
    };
    if !endpoint.is_for_accounts() {
        story.tell("caller", "not asked for: anybody may send this, and what it says is judged there");
        return Ok(());
    }
    if let Some(Err(refusal)) = &valid {
        story.whose = plan.decision.whose(refusal, &parts.headers, Ok(None), None, front);
    }
    if let Some(whose) = &story.whose {
        story.tell("caller", caller(whose));
    }
    let entry = valid.transpose()?;
    who(entry.as_ref(), visit.wall, story);
    let principal = entry.map(|entry| entry.principal().clone());
    identity::authorize(endpoint, principal, visit.client)?;
    story.tell("limits", "none apply");
    Ok(())
}
