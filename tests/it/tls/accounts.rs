//! Clients' certificates that stand for accounts: whom, for how long, and beside which other credentials.

mod credentials;
mod names;
mod renewed;
mod told;

use keyward::clock::{Clock, Timestamp};
use rcgen::{SanType, SerialNumber};
use tempfile::TempDir;

use crate::support::gateway::Gateway;
use crate::support::http::Client;
use crate::support::keys;
use crate::support::tls::{Authority, Issued};
use crate::support::upstream::Upstream;

/// 2027-01-15T08:00:00Z.
const START: Timestamp = Timestamp(1_800_000_000_000);

/// The account that certificates stand for here.
const ANN: &str = "ann@example.com";
const BEN: &str = "ben@example.com";
const ANNS_URI: &str = "spiffe://example.com/ann";
const BY_URI: &str = "{ uri: \"spiffe://example.com/ann\", account: Ann@example.com }";

const ROUTES: &str = "routes:
  - { name: certified, match: { path_prefix: / }, auth: { required: { certificate: true } }, upstream: api }
  - { name: maybe, match: { path_prefix: /maybe }, auth: { optional: { certificate: true } }, upstream: api }
  - { name: key, match: { path_prefix: /key }, upstream: api }
  - { name: open, match: { path_prefix: /open }, auth: public, upstream: api }
  - { name: anybody, match: { path_prefix: /anybody }, auth: optional, upstream: api }
  - { name: writes, match: { path_prefix: /writes }, auth: { required: { scopes: [\"orders:write\"], certificate: true } }, upstream: api }
";

/// A gateway that asks its clients for certificates, and has the accounts of Ann and Ben.
struct Bed {
    gateway: Gateway,
    upstream: Upstream,
    clock: Clock,
    servers: Authority,
    clients: Authority,
    folder: TempDir,
    own: String,
    ann: String,
    ben: String,
}

impl Bed {
    /// With these `client_accounts`.
    async fn new(accounts: &str) -> Self {
        Self::with(accounts, ROUTES).await
    }

    /// With these sections in place of the routes.
    async fn with(accounts: &str, yaml: &str) -> Self {
        Self::before(Upstream::echo().await, accounts, yaml).await
    }

    /// The same before this upstream.
    async fn before(upstream: Upstream, accounts: &str, yaml: &str) -> Self {
        let (servers, clients, folder) = (Authority::new(), Authority::new(), TempDir::new().unwrap());
        let own = servers.issue(&["a.test"]).write(folder.path(), "a");
        std::fs::write(folder.path().join("clients.pem"), clients.pem()).unwrap();
        std::fs::write(folder.path().join("revoked.pem"), clients.revoke(&[], 2090)).unwrap();
        let clock = Clock::manual(START);
        let builder = Gateway::builder().upstream("api", &upstream.url()).yaml(yaml).clock(&clock);
        let gateway = builder.tls(&tls(&folder, &own, accounts)).start().await;
        let [ann, ben] = [ANN, BEN].map(|email| {
            let issuer = gateway.issuer();
            async move { keys::account(&issuer, email).await }
        });
        let (ann, ben) = (ann.await, ben.await);
        Self { gateway, upstream, clock, servers, clients, folder, own, ann, ben }
    }

    /// The same with these `client_accounts`, by a reload.
    async fn reload(&mut self, accounts: &str) {
        let tls = tls(&self.folder, &self.own, accounts);
        self.gateway.reload(|builder| builder.yaml(ROUTES).tls(&tls)).await;
    }

    /// A certificate with these names, and its own number.
    fn issue(&self, names: Vec<SanType>, number: u64) -> Issued {
        self.clients.issue_with(&[], |params| {
            params.subject_alt_names = names;
            params.serial_number = Some(SerialNumber::from(number));
        })
    }

    /// One with the URI that stands for Ann.
    fn anns(&self) -> Issued {
        self.issue(vec![uri(ANNS_URI)], 1)
    }

    /// A client that shows it.
    async fn client(&self, shown: &Issued) -> Client {
        self.connecting(&self.servers.client().showing(shown)).await
    }

    /// A client that connects so, each connection on one of its own.
    async fn connecting(&self, client: &crate::support::tls::Client) -> Client {
        Client::new(client.bridge(self.gateway.secure(), "a.test").await).with_host("a.test")
    }

    /// Whom the upstream was told of by the newest request.
    fn told(&self) -> Option<String> {
        self.upstream.requests().last().unwrap().header("x-auth-subject").map(str::to_owned)
    }
}

fn tls(folder: &TempDir, own: &str, accounts: &str) -> String {
    let at = folder.path().display();
    let accounts =
        if accounts.is_empty() { String::new() } else { format!("client_accounts: [{accounts}], ") };
    format!(
        "{{ certificates: [{own}], client_ca_file: {at}/clients.pem, client_auth: optional, {accounts}crl_files: [{at}/revoked.pem] }}"
    )
}

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn email(name: &str) -> SanType {
    SanType::Rfc822Name(name.try_into().unwrap())
}
