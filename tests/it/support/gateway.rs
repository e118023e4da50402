//! The gateway in process, on free ports, in a folder of its own.
//!
//! ```ignore
//! let upstream = Upstream::echo().await;
//! let gateway = Gateway::before(&upstream).await;                     // one route, `/`, key required
//! let response = gateway.client().await.get("/a").await;              // with a fresh key
//!
//! let gateway = Gateway::builder().upstream("api", &upstream.url()).yaml(ROUTES).start().await;
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use keyward::app::{self, Options, Running};
use keyward::auth::refusal::Code;
use keyward::clock::{Clock, Timestamp};
use keyward::config::{self, Config};
use keyward::proxy::upstream::resolve::Resolver;
use tempfile::TempDir;

use super::http::Client;
use super::raw::Raw;
use super::upstream::Upstream;
use super::within;

/// What a builder that was told nothing serves.
const ONE_ROUTE: &str = "routes:
  - name: all
    match: { path_prefix: / }
    upstream: api
";

const SCOPES: &str = "scopes:
  \"orders:read\": { description: Read orders, default: true }
  \"orders:write\": { description: Write orders, default: true }
";

/// A running gateway.
pub struct Gateway {
    running: Running,
    builder: Builder,
    folder: TempDir,
    account: tokio::sync::OnceCell<String>,
}

/// What the gateway is to be.
#[derive(Clone)]
pub struct Builder {
    /// Name, protocol, URLs.
    upstreams: Vec<(String, &'static str, Vec<String>)>,
    /// Upstreams with a section `tls` of their own, as they are written.
    by_tls: String,
    /// Further keys of all of them.
    sharing: String,
    yaml: String,
    /// The section `tls` of a second listener.
    tls: Option<String>,
    balancers: Option<String>,
    /// The section `tls` of the upstreams.
    upstream_tls: Option<String>,
    clock: Clock,
    workers: usize,
    resolver: Resolver,
}

impl Builder {
    /// Adds an upstream of one endpoint.
    #[must_use]
    pub fn upstream(self, name: &str, url: &str) -> Self {
        self.endpoints(name, &[url])
    }

    /// Adds an upstream of several endpoints.
    #[must_use]
    pub fn endpoints(self, name: &str, urls: &[&str]) -> Self {
        self.endpoints_of("http1", name, urls)
    }

    /// Adds an upstream of HTTP/2.
    #[must_use]
    pub fn http2(self, name: &str, urls: &[&str]) -> Self {
        self.endpoints_of("http2", name, urls)
    }

    /// Adds an upstream of one endpoint with this section `tls`.
    #[must_use]
    pub fn upstream_by(mut self, name: &str, url: &str, tls: &str) -> Self {
        self.by_tls += &format!("  - {{ name: {name}, endpoints: [{{ url: \"{url}\" }}], tls: {tls} }}\n");
        self
    }

    /// Adds keys to every upstream: `balance: round_robin, retries: { attempts: 0 }`.
    #[must_use]
    pub fn sharing(mut self, keys: &str) -> Self {
        self.sharing = format!(", {keys}");
        self
    }

    /// Leaves out the upstreams that were added before.
    #[must_use]
    pub fn instead(mut self) -> Self {
        self.upstreams.clear();
        self
    }

    fn endpoints_of(mut self, protocol: &'static str, name: &str, urls: &[&str]) -> Self {
        let urls = urls.iter().map(|&url| url.to_owned()).collect();
        self.upstreams.push((name.to_owned(), protocol, urls));
        self
    }

    /// Adds sections: `routes`, `timeouts`, `max`, … without `listeners`, `admin`, `store` and `upstreams`, which are made
    /// here. Without `routes`, everything goes to the upstream `api` with a key; without `scopes`, there are `orders:read`
    /// and `orders:write`.
    #[must_use]
    pub fn yaml(mut self, yaml: &str) -> Self {
        self.yaml.push_str(yaml);
        self.yaml.push('\n');
        self
    }

    /// Adds a second listener, `secure`, with this section `tls`.
    #[must_use]
    pub fn tls(mut self, tls: &str) -> Self {
        self.tls = Some(tls.to_owned());
        self
    }

    /// Adds a last listener, `behind`, to which these networks say by the PROXY protocol who the client is; it speaks TLS
    /// where `secure` does.
    #[must_use]
    pub fn behind(mut self, balancers: &str) -> Self {
        self.balancers = Some(balancers.to_owned());
        self
    }

    /// Connects to upstreams by this section `tls`.
    #[must_use]
    pub fn upstream_tls(mut self, tls: &str) -> Self {
        self.upstream_tls = Some(tls.to_owned());
        self
    }

    /// Goes by this clock.
    #[must_use]
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.clock = clock.clone();
        self
    }

    /// Runs so many workers; one, if not told.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Looks names up so.
    #[must_use]
    pub fn resolver(mut self, resolver: &Resolver) -> Self {
        self.resolver = resolver.clone();
        self
    }

    /// Starts it.
    pub async fn start(self) -> Gateway {
        let folder = TempDir::new().unwrap();
        let config = self.config(&folder);
        let options = Options {
            clock: self.clock.clone(),
            workers: Some(self.workers),
            resolver: self.resolver.clone(),
            ..Options::default()
        };
        let running =
            within("the gateway's start", app::start(config, options)).await.expect("the gateway starts");
        Gateway { running, builder: self, folder, account: tokio::sync::OnceCell::new() }
    }

    fn config(&self, folder: &TempDir) -> Config {
        let mut text = "listeners:\n  - { name: public, address: \"127.0.0.1:0\" }\n".to_owned();
        if let Some(tls) = &self.tls {
            text += &format!("  - {{ name: secure, address: \"127.0.0.1:0\", tls: {tls} }}\n");
        }
        if let Some(balancers) = &self.balancers {
            let tls = self.tls.as_ref().map_or(String::new(), |tls| format!("tls: {tls}, "));
            text += &format!(
                "  - {{ name: behind, address: \"127.0.0.1:0\", {tls}proxy_protocol: {{ from: {balancers} }} }}\n"
            );
        }
        text += "admin: { address: \"127.0.0.1:0\" }\n\
                        store: { sqlite: { path: data/keyward.db, synchronous: normal } }\n\
                        upstreams:\n";
        let tls = self.upstream_tls.as_ref().map_or(String::new(), |tls| format!(", tls: {tls}"));
        for (name, protocol, urls) in &self.upstreams {
            let endpoints: Vec<String> = urls.iter().map(|url| format!("{{ url: \"{url}\" }}")).collect();
            let endpoints = endpoints.join(", ");
            let sharing = &self.sharing;
            text += &format!(
                "  - {{ name: {name}, protocol: {protocol}, endpoints: [{endpoints}]{tls}{sharing} }}\n"
            );
        }
        text += &self.by_tls;
        let has = |section: &str| self.yaml.lines().any(|line| line.starts_with(section));
        text += if has("routes:") { "" } else { ONE_ROUTE };
        text += if has("scopes:") { "" } else { SCOPES };
        text += if has("log:") { "" } else { "log: { access: \"off\" }\n" };
        text += &self.yaml;
        // The fourth argument is where `${VAR}` is looked up.
        match config::parse(&text, "test.yaml", folder.path(), &|_| None) {
            Ok(loaded) => loaded.config,
            Err(problems) => panic!("{problems}\n{text}"),
        }
    }
}

impl Gateway {
    /// To be told what it is to be.
    pub fn builder() -> Builder {
        Builder {
            upstreams: Vec::new(),
            by_tls: String::new(),
            sharing: String::new(),
            yaml: String::new(),
            tls: None,
            balancers: None,
            upstream_tls: None,
            clock: Clock::system(),
            workers: 1,
            resolver: Resolver::default(),
        }
    }

    /// In front of one upstream, with one route for everything that wants a key.
    pub async fn before(upstream: &Upstream) -> Self {
        Self::builder().upstream("api", &upstream.url()).start().await
    }

    /// In front of one upstream, with these sections besides.
    pub async fn with(upstream: &Upstream, yaml: &str) -> Self {
        Self::builder().upstream("api", &upstream.url()).yaml(yaml).start().await
    }

    /// Where clients connect.
    pub fn public(&self) -> SocketAddr {
        self.running.public()
    }

    /// Where clients connect by TLS.
    pub fn secure(&self) -> SocketAddr {
        self.running.listeners()[1].1
    }

    /// Where clients connect through a load balancer.
    pub fn behind(&self) -> SocketAddr {
        self.running.listeners().last().unwrap().1
    }

    /// Where operators connect.
    pub fn admin(&self) -> SocketAddr {
        self.running.admin()
    }

    /// The store's file.
    pub fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("data/keyward.db")
    }

    /// Lets so much time pass on its clock, and has its worker look at the clock: what moves from here on moves then. Only
    /// with a clock of its own and one worker.
    pub async fn pass(&self, time: Duration) {
        self.builder.clock.advance(time);
        self.raw().await.ask("GET /%2e%2e HTTP/1.1\r\nHost: a\r\n\r\n").await.refused(Code::AmbiguousPath);
    }

    /// The time it goes by.
    pub fn now(&self) -> Timestamp {
        self.builder.clock.now()
    }

    /// The use cases behind the commands.
    pub fn issuer(&self) -> std::sync::Arc<keyward::issuer::Issuer> {
        self.running.issuer()
    }

    /// The store it judges by.
    pub fn store(&self) -> keyward::store::SharedStore {
        self.running.store()
    }

    /// The making of access tokens.
    pub fn mint(&self) -> keyward::issuer::signing::Mint {
        self.running.mint().expect("tokens are issued")
    }

    /// The configuration it was started with.
    pub fn configured(&self) -> Config {
        self.builder.config(&self.folder)
    }

    /// The id of the account that [`key`](Self::key) makes keys of.
    pub async fn account(&self) -> &str {
        self.account
            .get_or_init(|| async { super::keys::account(&self.issuer(), "test@example.com").await })
            .await
    }

    /// A fresh key with both scopes, and its id.
    pub async fn key(&self) -> Key {
        self.key_with(&["orders:read", "orders:write"]).await
    }

    /// A fresh key with these scopes.
    pub async fn key_with(&self, scopes: &[&str]) -> Key {
        super::keys::key(&self.issuer(), self.account().await, scopes).await
    }

    /// A client without a credential.
    pub fn anonymous(&self) -> Client {
        Client::new(self.public())
    }

    /// A client with a fresh key.
    pub async fn client(&self) -> Client {
        self.anonymous().with_key(&self.key().await.secret)
    }

    /// A bare connection.
    pub async fn raw(&self) -> Raw {
        Raw::connect(self.public()).await
    }

    /// The head of a request with a fresh key, up to where more fields or the empty line follow.
    pub async fn head(&self, line: &str) -> String {
        format!(
            "{line} HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer {}\r\n",
            self.key().await.secret
        )
    }

    /// Loads these sections in place of the first ones.
    pub async fn reload(&mut self, change: impl FnOnce(Builder) -> Builder) {
        let told_nothing = Builder { yaml: String::new(), ..self.builder.clone() };
        self.builder = change(told_nothing);
        let config = self.builder.config(&self.folder);
        within("a reload", self.running.reload(config)).await;
    }

    /// Loads the same configuration anew, and with it the files that it names; gives the warnings.
    pub async fn reload_same(&self) -> Vec<String> {
        within("a reload", self.running.reload(self.configured())).await
    }

    /// Ends it and waits.
    pub async fn stop(self) -> keyward::app::Cut {
        within("the gateway's end", self.running.stop()).await
    }
}

/// A key that was just made.
pub struct Key {
    pub id: String,
    pub secret: String,
}
