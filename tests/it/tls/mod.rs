//! TLS: what a client is shown and agrees upon, what becomes of its requests, and the life of certificates.

mod accounts;
mod certificates;
mod clients;
mod connections;
mod files;
mod sessions;
mod upstreams;

use tempfile::TempDir;

use crate::support::gateway::{Builder, Gateway};
use crate::support::tls::{Authority, Client};
use crate::support::upstream::Upstream;

const PUBLIC: &str = "routes: [{ name: all, match: { path_prefix: / }, auth: public, upstream: api }]\n";

/// A gateway with a certificate for `a.test`, and a client that trusts its authority.
struct Bed {
    gateway: Gateway,
    client: Client,
    authority: Authority,
    folder: TempDir,
}

impl Bed {
    async fn before(upstream: &Upstream) -> Self {
        Self::with(upstream, "", |builder| builder).await
    }

    /// With these keys in `tls` besides.
    async fn with(upstream: &Upstream, keys: &str, change: impl FnOnce(Builder) -> Builder) -> Self {
        let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
        let certificate = authority.issue(&["a.test"]).write(folder.path(), "a");
        let tls = format!("{{ certificates: [{certificate}], {keys} }}");
        let builder = Gateway::builder().upstream("api", &upstream.url()).yaml(PUBLIC).tls(&tls);
        let gateway = change(builder).start().await;
        Self { gateway, client: authority.client(), authority, folder }
    }

    async fn connect(&self) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
        self.client.connect(self.gateway.secure(), "a.test").await
    }
}

/// The certificate that a client was shown, as DER.
fn shown(stream: &tokio_rustls::client::TlsStream<tokio::net::TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}
