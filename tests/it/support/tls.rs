//! Certificates of an authority of its own, and clients that trust it.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa, KeyIdMethod,
    KeyPair, RevokedCertParams, SerialNumber,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::within;

/// An authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for these hosts, and its key, as PEM.
    pub fn issue(&self, hosts: &[&str]) -> Issued {
        self.issue_with(hosts, |_| {})
    }

    /// The same with something changed.
    pub fn issue_with(&self, hosts: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Issued {
        self.certify(hosts, &KeyPair::generate().unwrap(), change)
    }

    /// The same for a key that is there.
    pub fn certify(
        &self,
        hosts: &[&str],
        key: &KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        change(&mut params);
        let certificate = params.signed_by(key, &self.0).unwrap();
        Issued { cert: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() }
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Its list of these revoked numbers, good from 2020 to the year.
    pub fn revoke(&self, numbers: &[u64], good_until: i32) -> String {
        let revoked = |number: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*number),
            revocation_time: rcgen::date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2020, 1, 1),
            next_update: rcgen::date_time_ymd(good_until, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: numbers.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().pem().unwrap()
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }

    /// A client that trusts it.
    pub fn client(&self) -> Client {
        self.client_of(rustls::ALL_VERSIONS)
    }

    /// A client that trusts it and speaks these versions only.
    pub fn client_of(&self, versions: &[&'static SupportedProtocolVersion]) -> Client {
        self.client_by(rustls::crypto::aws_lc_rs::default_provider(), versions)
    }

    /// The same by this cryptography.
    pub fn client_by(
        &self,
        provider: CryptoProvider,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Client {
        let roots = self.roots();
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Client(config)
    }
}

/// A place that TLS is spoken to by these rules, from which everything goes on in clear.
pub async fn terminator(config: ServerConfig, to: SocketAddr) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut secured) = acceptor.accept(stream).await {
                    let mut clear = TcpStream::connect(to).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut secured, &mut clear).await;
                }
            });
        }
    });
    address
}

/// A certificate and its key.
pub struct Issued {
    pub cert: String,
    pub key: String,
    pub der: Vec<u8>,
}

impl Issued {
    /// Rules for a server that shows this and speaks `protocols`; who asks it has to be certified by `clients`.
    pub fn server(&self, protocols: &[&str], clients: Option<&Authority>) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let roots = Arc::new(authority.roots());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(vec![self.der.clone().into()], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    /// Writes both into a folder under this name; gives them as an item of `certificates`.
    pub fn write(&self, folder: &Path, name: &str) -> String {
        let (cert, key) = paths(folder, name);
        std::fs::write(&cert, &self.cert).unwrap();
        std::fs::write(&key, &self.key).unwrap();
        std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        format!("{{ cert_file: {}, key_file: {} }}", cert.display(), key.display())
    }
}

/// Where [`Issued::write`] writes.
pub fn paths(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")))
}

/// A client. Clones remember sessions together.
#[derive(Clone)]
pub struct Client(ClientConfig);

impl Client {
    /// Offers these protocols.
    #[must_use]
    pub fn offering(mut self, protocols: &[&str]) -> Self {
        self.0.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        self
    }

    /// Changes how it does things.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        change(&mut self.0);
        self
    }

    /// Shows this, where it is asked for it.
    #[must_use]
    pub fn showing(mut self, issued: &Issued) -> Self {
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let certified = CertifiedKey::from_der(vec![issued.der.clone().into()], key, &provider).unwrap();
        self.0.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
        self
    }

    /// Connects and asks for this host.
    pub async fn connect(&self, to: SocketAddr, host: &str) -> TlsStream<TcpStream> {
        self.try_connect(to, host).await.expect("the handshake succeeds")
    }

    /// The same, or why not.
    pub async fn try_connect(&self, to: SocketAddr, host: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = within("connecting", TcpStream::connect(to)).await?;
        stream.set_nodelay(true).unwrap();
        self.secure(stream, host).await
    }

    /// Connects with a small receive buffer, so that a server that is not read from is soon held back.
    pub async fn connect_narrow(&self, to: SocketAddr, host: &str) -> TlsStream<TcpStream> {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = within("connecting", socket.connect(to)).await.expect("the connection is accepted");
        self.secure(stream, host).await.expect("the handshake succeeds")
    }

    /// Secures a connection that is there.
    pub async fn secure(&self, stream: TcpStream, host: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).unwrap();
        within("a handshake", TlsConnector::from(Arc::new(self.0.clone())).connect(name, stream)).await
    }

    /// A place in clear from which everything goes on by TLS, each connection on one of its own: so every client speaks
    /// TLS.
    pub async fn bridge(&self, to: SocketAddr, host: &str) -> SocketAddr {
        let (client, host) = (self.clone(), host.to_owned());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut clear, _)) = listener.accept().await {
                let (client, host) = (client.clone(), host.clone());
                tokio::spawn(async move {
                    if let Ok(mut secured) = client.try_connect(to, &host).await {
                        let _ = tokio::io::copy_bidirectional(&mut clear, &mut secured).await;
                    }
                });
            }
        });
        address
    }
}
