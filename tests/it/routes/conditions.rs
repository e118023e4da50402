//! Fields of a request that choose where it goes within its route.

use keyward::auth::refusal::Code;

use crate::support::gateway::Gateway;
use crate::support::upstream::{Answer, Upstream};

const ROUTES: &str = "routes:
  - name: api
    match: { path_prefix: /api }
    auth: { required: { scopes: [\"orders:read\"] } }
    upstream: api
    limits: { per_minute: 20 }
    conditions:
      - when: [{ field: X-Canary, equals: always }]
        upstream: canary
      - when: [{ field: X-Version, prefix: v2 }, { field: X-Old, present: false }]
        upstream: canary
        rewrite: { prefix: /v2 }
      - when: [{ field: X-Version, equals: v1 }]
        rewrite: { prefix: /v1 }
";

async fn gateway() -> (Gateway, Upstream, Upstream) {
    let (api, canary) =
        (Upstream::always(Answer::ok("api")).await, Upstream::always(Answer::ok("canary")).await);
    let builder = Gateway::builder().upstream("api", &api.url()).upstream("canary", &canary.url());
    let gateway = builder.yaml(ROUTES).start().await;
    (gateway, api, canary)
}

#[tokio::test]
async fn the_first_condition_that_holds_says_where_a_request_goes() {
    let (gateway, api, canary) = gateway().await;
    let mut client = gateway.client().await;
    for (fields, upstream, target) in [
        (&[][..], "api", "/api/x?q"),
        (&[("X-Canary", "always")], "canary", "/api/x?q"),
        (&[("x-canary", "always"), ("X-Version", "v1")], "canary", "/api/x?q"),
        (&[("X-Canary", "Always")], "api", "/api/x?q"),
        (&[("X-Canary", "always "), ("X-Version", "v3")], "canary", "/api/x?q"),
        (&[("X-Canary", "always, never")], "api", "/api/x?q"),
        (&[("X-Canary", "always"), ("X-Canary", "always")], "api", "/api/x?q"),
        (&[("X_Canary", "always")], "api", "/api/x?q"),
        (&[("X-Version", "v2.1")], "canary", "/v2/x?q"),
        (&[("X-Version", "v2.1"), ("X-Old", "")], "api", "/api/x?q"),
        (&[("X-Version", "v1")], "api", "/v1/x?q"),
        (&[("X-Version", "v10")], "api", "/api/x?q"),
    ] {
        let request = client.request("GET", "/api/x?q");
        let response =
            fields.iter().fold(request, |request, (name, value)| request.header(name, value)).send().await;
        assert_eq!(response.text(), upstream, "{fields:?}");
        let seen = if upstream == "api" { &api } else { &canary };
        assert_eq!(seen.requests().last().unwrap().target, target, "{fields:?}");
    }
}

/// Whoever may not pass may not whatever he sends, and whatever is sent counts by the same limits.
#[tokio::test]
async fn no_condition_changes_who_may_pass_or_how_often() {
    let (gateway, api, canary) = gateway().await;
    let poor = gateway.key_with(&["orders:write"]).await.secret;
    let fields = [("X-Canary", "always"), ("X-Version", "v2"), ("X-Version", "v1")];
    for (name, value) in fields {
        let mut nobody = gateway.anonymous();
        let response = nobody.request("GET", "/api").header(name, value).send().await;
        response.refused(Code::MissingCredentials);
        let mut poor = gateway.anonymous().with_key(&poor);
        poor.request("GET", "/api").header(name, value).send().await.refused(Code::InsufficientScope);
        poor.request("GET", "/api/../x").header(name, value).send().await.refused(Code::AmbiguousPath);
    }
    assert_eq!((api.requests().len(), canary.requests().len()), (0, 0));
    let mut client = gateway.client().await;
    for turn in 0..20 {
        let (name, value) = fields[turn % 3];
        assert_eq!(client.request("GET", "/api").header(name, value).send().await.status, 200);
    }
    for (name, value) in fields {
        client.request("GET", "/api").header(name, value).send().await.refused(Code::RateLimited);
    }
}
