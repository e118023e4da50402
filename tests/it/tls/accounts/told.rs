//! What operators are told of clients' certificates, by the real binary.

use keyward::auth::refusal::Code;
use serde_json::Value;
use tempfile::TempDir;

use super::{ANN, ANNS_URI, BEN, BY_URI, dns, uri};
use crate::support::binary::Home;
use crate::support::http::Client;
use crate::support::tls::Authority;
use crate::support::upstream::Upstream;
use crate::support::{sha256, within};

/// Its client can do nothing about it, and may come back a thousand times.
#[tokio::test]
async fn the_log_says_once_that_names_are_of_two_accounts_and_whose_requests_were() {
    let (upstream, servers, clients) = (Upstream::echo().await, Authority::new(), Authority::new());
    let (home, folder) = (Home::new(""), TempDir::new().unwrap());
    let own = servers.issue(&["a.test"]).write(folder.path(), "a");
    home.write("clients.pem", &clients.pem());
    let accounts = format!("{BY_URI}, {{ dns: b.test, account: {BEN} }}");
    home.write(
        "keyward.yaml",
        &format!(
            "listeners: [{{ name: public, address: \"{}\", tls: {{ certificates: [{own}], client_ca_file: clients.pem, \
             client_accounts: [{accounts}] }} }}]\n\
             admin: {{ address: \"{}\" }}\nstore: {{ sqlite: {{ path: data/keyward.db }} }}\nlog: {{ access: access.log }}\n\
             upstreams: [{{ name: api, endpoints: [{{ url: \"{}\" }}] }}]\n\
             routes: [{{ name: all, match: {{ path_prefix: / }}, auth: {{ required: {{ certificate: true }} }}, upstream: api }}]\n",
            home.public(),
            home.admin(),
            upstream.url(),
        ),
    );
    home.run(&["check"]).exited(0);
    [ANN, BEN].into_iter().for_each(|email| home.account(email));
    let serving = home.serve().await;
    let issue = |names| clients.issue_with(&[], |params| params.subject_alt_names = names);
    let (both, hers) = (issue(vec![uri(ANNS_URI), dns("b.test")]), issue(vec![uri(ANNS_URI)]));
    let client = async |shown| {
        let client = servers.client().showing(shown);
        Client::new(client.bridge(home.public(), "a.test").await).with_host("a.test")
    };
    for _ in 0..3 {
        client(&both).await.get("/").await.refused(Code::InvalidCredentials);
    }
    let mut client = client(&hers).await;
    assert_eq!(client.get("/").await.status, 200);
    home.run(&["accounts", "disable", ANN]).exited(0);
    within("the refusal", async { while client.get("/").await.status == 200 {} }).await;
    serving.until_output("more than one of `client_accounts`").await;
    let (status, output) = serving.stop().await;
    assert_eq!(status.code(), Some(0), "{output}");
    let told: Vec<&str> = output.lines().filter(|line| line.contains("`client_accounts`")).collect();
    assert!(told.len() == 1 && told[0].contains(&sha256(&both.der)) && !told[0].contains(ANN), "{output}");

    let log = std::fs::read_to_string(home.path().join("access.log")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of = |line: Value| (line["status"].as_u64(), line["credential"].as_str().map(str::to_owned));
    // Workers write theirs in turn.
    let (lines, hers) = (lines.map(of).collect::<Vec<_>>(), Some(sha256(&hers.der)));
    assert_eq!(lines.iter().filter(|line| **line == (Some(401), None)).count(), 3, "{log}");
    for status in [200, 401] {
        assert!(lines.contains(&(Some(status), hers.clone())), "{status}: {log}");
    }
}
