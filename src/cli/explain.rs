//! `keyward explain`: what would become of a request, and why. Sends nothing, counts nothing.

mod limits;
mod own;
mod served;

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Read as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request};
use serde_json::{Value, json};

use super::{Exit, Failure, Streams};
use crate::auth::principal::Identity;
use crate::auth::refusal::{Ambiguity, Refusal};
use crate::auth::scope::Scope;
use crate::authenticator::{Authenticator, Counting, Front, Health, Rules, Valid};
use crate::clock::{Clock, Timestamp};
use crate::config::{Auth, Config};
use crate::decision::{Offered, Presented, Verifier, Visit};
use crate::message::{self, target};
use crate::proxy::plan::Plan;
use crate::proxy::{expiry, gateway, identity, upgrade};
use crate::store::sqlite::{Open, SqliteStore};
use crate::store::{SharedStore, Store};
use crate::web::client_address::{self, Trust};
use crate::web::cors;

/// How long the store may take to answer the first time.
const FIRST_CONTACT: Duration = Duration::from_secs(5);
/// The longest credential that is read from standard input, in bytes.
const INPUT_MAX: u64 = 64 * 1024;

/// Tells what would become of a request, and why. The credential is read from standard input, as it would stand in
/// `Authorization`; on a terminal none is read.
#[derive(Clone, Debug, Args)]
pub struct Explain {
    /// The request's method
    #[arg(long, default_value = "GET")]
    method: Method,
    /// The request's URL, as the client writes it, such as `http://api.example.com/v1/orders`
    #[arg(long, value_parser = whole_url)]
    url: http::Uri,
    /// A further header field, as `Name: value`; may be repeated
    #[arg(long = "header", value_name = "FIELD", value_parser = field)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Where the request comes from
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    client_address: IpAddr,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn whole_url(text: &str) -> Result<http::Uri, String> {
    const EXAMPLE: &str = "write it whole, such as http://api.example.com/v1/orders";
    if target::check_raw(text.as_bytes()) == Err(Ambiguity::Fragment) {
        return Err(
            "no client sends what follows a #, and a request that has one is refused; leave it out".into()
        );
    }
    let url: http::Uri =
        text.parse().map_err(|_| format!("{EXAMPLE}; what no URL contains is escaped, a space as %20"))?;
    match url.scheme_str() {
        Some("http" | "https") if url.authority().is_some() => Ok(url),
        _ => Err(EXAMPLE.to_owned()),
    }
}

fn field(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a header field is written as `Name: value`")?;
    let name = name.trim().parse().map_err(|_| format!("{name:?} is no name of a header field"))?;
    let value =
        value.trim().parse().map_err(|_| "the value has characters that no header field has".to_owned())?;
    Ok((name, value))
}

/// What was found, step by step.
#[derive(Default)]
struct Story {
    steps: Vec<(&'static str, String)>,
    route: Option<String>,
    caller: Option<Arc<Valid>>,
    /// Whose the credential was, when it is good no more.
    whose: Option<Identity>,
}

impl Story {
    fn tell(&mut self, step: &'static str, what: impl Into<String>) {
        self.steps.push((step, what.into()));
    }
}

/// Explains; exit 0 would pass, 1 would be refused.
///
/// # Errors
/// When the request would be refused, or nobody can tell.
pub async fn run(explain: Explain, config: &Config, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let credential = read_credential(streams)?;
    let parts = explain.parts(credential.as_deref())?;
    let clock = Clock::system();
    let plan = Plan::compile(config.clone(), Vec::new());
    let store = SqliteStore::open(&config.store.path, config.store.synchronous, Open::Existing).await?;
    let store: SharedStore = Arc::new(store);
    let (authenticator, _tasks) = Authenticator::start(
        Arc::clone(&store),
        clock.clone(),
        &config.cache,
        Rules::of(config),
        Counting::Ignored,
    );
    contact(&authenticator).await?;
    let mut story = Story::default();
    let judges = Judges { plan: &plan, front: &authenticator.front(), clock: &clock, store: &*store };
    let verdict = judge(&explain, &parts, &judges, &mut story).await;
    store.close().await;
    let text = if explain.json {
        as_json(&story, verdict.as_ref().err())
    } else {
        as_text(&story, verdict.as_ref().err())
    };
    streams.print(&text)?;
    match verdict {
        Ok(()) => Ok(()),
        Err(Refusal::ValidationUnavailable) => {
            Err(Failure::new(Exit::Unreachable, "the store does not answer"))
        }
        Err(_) => Err(Failure::told()),
    }
}

/// The credential on standard input: one line, as it stands behind `Authorization:`, or with that before it.
fn read_credential(streams: &mut Streams<'_>) -> Result<Option<String>, Failure> {
    let input = std::io::stdin();
    if input.is_terminal() {
        streams.say("standard input is a terminal; pipe the key in, such as by: keyward explain … < key.txt");
        return Ok(None);
    }
    let mut text = String::new();
    input
        .lock()
        .take(INPUT_MAX)
        .read_to_string(&mut text)
        .map_err(|error| Failure::new(Exit::Refused, format!("the credential cannot be read: {error}")))?;
    let text = without_name(text.trim());
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// The value of a line that was pasted as a whole field.
fn without_name(text: &str) -> &str {
    match text.split_once(':') {
        Some((name, value)) if name.trim_end().eq_ignore_ascii_case("authorization") => value.trim_start(),
        _ => text,
    }
}

impl Explain {
    fn parts(&self, credential: Option<&str>) -> Result<Parts, Failure> {
        let authority = self.url.authority().map_or("", |authority| authority.as_str());
        let target = self.url.path_and_query().map_or("/", |target| target.as_str());
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = self.method.clone();
        parts.uri = target.parse().map_err(|_| Failure::new(Exit::Usage, "--url has no usable path"))?;
        let host = HeaderValue::from_str(authority);
        parts.headers.insert(HOST, host.map_err(|_| Failure::new(Exit::Usage, "--url has no usable host"))?);
        for (name, value) in &self.headers {
            if *name == HOST {
                parts.headers.insert(name, value.clone());
            } else {
                parts.headers.append(name, value.clone());
            }
        }
        if let Some(credential) = credential {
            let value = HeaderValue::from_str(credential).map_err(|_| {
                Failure::new(Exit::Refused, "the credential has characters that no header field has")
            })?;
            parts.headers.append(AUTHORIZATION, value);
        }
        Ok(parts)
    }
}

async fn contact(authenticator: &Authenticator) -> Result<(), Failure> {
    let answered = tokio::time::timeout(FIRST_CONTACT, async {
        while authenticator.health() == Health::Starting {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    answered.await.map_err(|_| Failure::new(Exit::Unreachable, "the store does not answer"))
}

/// What a request is judged by.
struct Judges<'a> {
    plan: &'a Plan,
    front: &'a Front,
    clock: &'a Clock,
    store: &'a dyn Store,
}

/// The same steps, by the same functions, as a request takes in the gateway.
async fn judge(
    explain: &Explain,
    parts: &Parts,
    judges: &Judges<'_>,
    story: &mut Story,
) -> Result<(), Refusal> {
    let &Judges { plan, front, clock, store } = judges;
    let client = plan.trusted.client(explain.client_address, &parts.headers);
    story.tell("client", client.to_string());
    if plan.trusted.trust(explain.client_address) == Trust::Untrusted
        && parts.headers.contains_key(client_address::FIELD)
    {
        story.tell("client", "X-Forwarded-For is not read: this address is not among trusted_proxies");
    }
    let admission = message::admit(parts, &plan.message)?;
    story.tell(
        "request",
        format!("{} {} for {}", parts.method, admission.path.as_str(), admission.host.name()),
    );
    let now = (clock.tick(), clock.now());
    let visit = Visit { client, tick: now.0, wall: now.1 };
    if let Some(endpoint) = identity::endpoint(plan.config.identity.as_ref(), &admission) {
        return own::tell(endpoint, parts, (judges, visit), story).await;
    }
    let (host, path) = (admission.host.name(), &admission.path);
    if let Some(method) = cors::preflight(&parts.method, &parts.headers)
        && let Some((route, _)) = plan.preflight(host, &method, path)?
    {
        story.route = plan.route(route).map(|route| route.name.to_string());
        let route = story.route.clone().unwrap_or_default();
        story
            .tell("cors", format!("a preflight for {method}: route {route} answers it without a credential"));
        return Ok(());
    }
    let trace = plan.decision.table().trace(admission.host.name(), &parts.method, admission.path.as_str());
    for line in trace.lines {
        story.tell("route", line);
    }
    let index = plan.decision.route(admission.host.name(), &parts.method, &admission.path)?;
    let Some(route) = plan.route(index) else { return Err(Refusal::NoRoute) };
    story.route = Some(route.name.to_string());
    story.tell("auth", wants(&route.auth, route.certificate));
    let upgrade = match admission.upgrade {
        Some(protocol) => upgrade::over_http1(protocol, parts, &admission, route)?,
        None => None,
    };
    if admission.upgrade.is_some() {
        story.tell("upgrade", if upgrade.is_some() { "is asked for" } else { "is not asked for here" });
    }
    let offered = upgrade.as_ref().map_or(Ok(None), |upgrade| upgrade.credential());
    story.tell("credential", presented(plan, parts, offered, front));
    if route.certificate
        && matches!(plan.decision.presented(&parts.headers, offered), Ok(Presented::Nothing(_)))
    {
        story.tell("credential", UNSEEN);
    }
    let validated = plan.decision.authenticate(index, &parts.headers, offered, None, front, visit).await;
    if let Err(refusal) = &validated {
        story.whose = plan.decision.whose(refusal, &parts.headers, offered, None, front);
    }
    if let Some(whose) = &story.whose {
        story.tell("caller", caller(whose));
    }
    let entry = validated?;
    who(entry.as_ref(), now.1, story);
    if let Some(entry) = &entry {
        plan.decision.authorize(index, entry.principal(), client)?;
    }
    gateway::refuse_long_body(&admission, route.max_body)?;
    let condition = route.condition(&parts.headers);
    let path = match route.rewrite(condition) {
        Some(rewrite) => {
            let path = plan.decision.rewritten(rewrite, index, &admission.path)?;
            story.tell("rewrite", format!("{} becomes {path}", admission.path.as_str()));
            path
        }
        None => admission.path.as_str().to_owned(),
    };
    limits::tell((plan, store), index, entry.as_deref(), now, story).await?;
    served::tell(plan, (route, condition), (&path, admission.query), &parts.method, story);
    Ok(())
}

/// Tells whom the credential speaks for.
fn who(entry: Option<&Arc<Valid>>, now: Timestamp, story: &mut Story) {
    story.caller = entry.cloned();
    let Some(entry) = entry else {
        story.tell("caller", "anonymous");
        return;
    };
    let principal = entry.principal();
    story.tell("caller", caller(&principal.identity));
    story.tell("scopes", or_none(principal.scopes.as_str()));
    story.tell("expires", principal.expires_at.to_string());
    if expiry::is_told(principal, now) {
        story.tell("expires", "within 7 days: answers tell it in X-Credential-Expires");
    }
}

fn caller(identity: &Identity) -> String {
    format!("account {}, credential {}", identity.account(), identity.credential())
}

/// What stands in no field of a request is not known here.
const UNSEEN: &str = "a client certificate would be one on this route, and none can be shown here: this tells what becomes \
     of a client without one";

fn wants(auth: &Auth, certificate: bool) -> String {
    let or = if certificate { "; a client certificate is one where none is sent" } else { "" };
    let wanted = match auth {
        Auth::Public => "public: credentials are not looked at".to_owned(),
        Auth::Optional(scopes) if scopes.is_empty() => {
            "optional: no credential passes, one that is sent must hold".to_owned()
        }
        Auth::Optional(scopes) => format!("optional: no credential passes, one that is sent needs {scopes}"),
        Auth::Required(scopes) if scopes.is_empty() => "required: any credential that holds".to_owned(),
        Auth::Required(scopes) => format!("required: a credential with {scopes}"),
    };
    wanted + or
}

fn presented(plan: &Plan, parts: &Parts, offered: Offered<'_>, front: &Front) -> String {
    match plan.decision.presented(&parts.headers, offered) {
        Ok(Presented::Nothing(None)) => "none was sent".to_owned(),
        Ok(Presented::Nothing(Some(scheme))) => format!("none was sent; the scheme {scheme} is not read"),
        Ok(Presented::One(word)) => match plan.decision.verifier(&word, front) {
            Some(Verifier::Key) => "one, with the form and the checksum of an API key made here".to_owned(),
            Some(Verifier::ImportedKey) => "one, with the form of an imported API key".to_owned(),
            Some(Verifier::AccessToken) => "one, with the form of an access token".to_owned(),
            None => "one, which by its form or checksum cannot be valid".to_owned(),
        },
        Err(_) => "it cannot be read".to_owned(),
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

fn as_text(story: &Story, refusal: Option<&Refusal>) -> String {
    let mut text = String::new();
    let mut last = "";
    for (step, what) in &story.steps {
        let label = if *step == last { "" } else { step };
        let _ = writeln!(text, "{label:<10}  {what}");
        last = step;
    }
    let _ = match refusal {
        None => writeln!(text, "{:<10}  passes", "verdict"),
        Some(refusal) => {
            let code = refusal.code();
            writeln!(
                text,
                "{:<10}  refused: {} {}\n{:<10}  {}",
                "verdict",
                code.status(),
                code.as_str(),
                "",
                refusal.detail()
            )
        }
    };
    text
}

fn as_json(story: &Story, refusal: Option<&Refusal>) -> String {
    let steps: Vec<Value> =
        story.steps.iter().map(|(step, what)| json!({ "step": step, "found": what })).collect();
    let principal = story.caller.as_deref().map(Valid::principal);
    let identity = principal.map(|principal| &principal.identity).or(story.whose.as_ref());
    let body = json!({
        "verdict": if refusal.is_none() { "passes" } else { "refused" },
        "status": refusal.map(|refusal| refusal.code().status()),
        "code": refusal.map(|refusal| refusal.code().as_str()),
        "detail": refusal.map(Refusal::detail),
        "route": story.route,
        "account": identity.map(Identity::account),
        "credential": identity.map(Identity::credential),
        "scopes": principal.map(|principal| principal.scopes.iter().map(Scope::as_str).collect::<Vec<_>>()),
        "expires_at": principal.map(|principal| principal.expires_at.rfc3339()),
        "steps": steps,
    });
    format!("{body:#}\n")
}
