//! What runs of the section `identity`: what is issued to people, where, and how long it holds.

use std::time::Duration;

use crate::auth::algorithm::SigningAlgorithm;

/// What is issued to whom, and where that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Where clients reach it: the issuer of its tokens, the start of its links. Never taken from `Host`.
    pub public_url: PublicUrl,
    /// The hosts whose reserved paths are its endpoints, lower case and without port.
    pub hosts: Vec<Box<str>>,
    /// Other names of the same machine, where its public URL is on loopback: programs find the endpoints there too, and
    /// browsers are led to the public URL, which cookies and forms are bound to.
    pub other_names: Vec<Box<str>>,
    /// Whether there is a console.
    pub console: bool,
    /// Whom access tokens are for.
    pub audience: Box<str>,
    /// What access tokens are signed with.
    pub algorithm: SigningAlgorithm,
    /// How long a signing key signs before another takes over.
    pub signing_key_lifetime: Duration,
    /// The life of an access token.
    pub access_token_ttl: Duration,
    /// How refresh tokens live.
    pub refresh: Refresh,
    /// The life of a session, however often it is refreshed.
    pub session_max: Duration,
    /// How passwords are judged.
    pub passwords: Passwords,
    /// Whether cookies and passwords may travel in clear to other machines.
    pub insecure_http: bool,
}

/// Where clients reach the identity endpoints: scheme, host and perhaps a port, in canonical form, without a slash at
/// the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    pub(in crate::config) text: Box<str>,
    pub(in crate::config) host: Box<str>,
    pub(in crate::config) reach: Reach,
}

impl PublicUrl {
    /// As it is written: `https://auth.example.com`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host without its port, an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// How what is sent to it travels.
    #[must_use]
    pub const fn reach(&self) -> Reach {
        self.reach
    }
}

/// How what is sent to a public URL travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Over https.
    Secure,
    /// Over http, on this machine alone.
    Loopback,
    /// Over http, where others can read it.
    Clear,
}

/// How refresh tokens live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// How long one may wait for its use.
    pub idle: Duration,
    /// How long after its use the same client gets the same successor again; zero = never.
    pub reuse_window: Duration,
}

/// How passwords are judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passwords {
    /// The fewest characters of a new one.
    pub min_length: usize,
    /// Most that are hashed at once, each for some 20 ms of a core and 19 MiB.
    pub concurrent: usize,
}
