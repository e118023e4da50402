//! Names in clients' certificates, and the accounts that they stand for.

use std::sync::Arc;

use serde_json::Value;

use super::host::HostName;
use super::{Complaint, Kind, string_schema};
use crate::auth::certificate::Name;
use crate::auth::token::HashedToken;

/// The longest name, in bytes.
const NAME_MAX: usize = 1024;

/// A name in a certificate.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) enum CertificateName {
    /// A URI.
    Uri,
    /// A DNS name.
    Dns,
    /// An e-mail address.
    Email,
    /// The subject's commonName.
    CommonName,
    /// SHA-256 of the certificate.
    Sha256,
}

impl Kind for CertificateName {
    type Value = Name;

    fn what(&self) -> String {
        match self {
            Self::Uri => "a URI",
            Self::Dns => "a DNS name",
            Self::Email => "an e-mail address",
            Self::CommonName => "a name",
            Self::Sha256 => "a SHA-256 digest",
        }
        .to_owned()
    }

    fn expected(&self) -> String {
        match self {
            Self::Uri => "the whole URI as it is in the certificate, such as spiffe://example.com/billing",
            Self::Dns => "the whole name, such as billing.example.com; other alphabets as xn--",
            Self::Email => "the whole address as it is in the certificate, such as billing@example.com",
            Self::CommonName => "the whole commonName of the subject, such as billing",
            Self::Sha256 => {
                "64 hexadecimal digits, as told by: openssl x509 -in cert.pem -noout -fingerprint -sha256"
            }
        }
        .to_owned()
    }

    fn read(&self, text: &str) -> Result<Name, Complaint> {
        if text.is_empty() || text.len() > NAME_MAX || text.chars().any(char::is_control) {
            return Err(Complaint::plain());
        }
        match self {
            Self::Uri => uri(text),
            Self::Dns => dns(text),
            Self::Email => email(text),
            Self::CommonName => Ok(Name::CommonName(text.into())),
            Self::Sha256 => sha256(text).ok_or_else(Complaint::plain),
        }
    }

    fn show(&self, value: &Name) -> String {
        match value {
            Name::Uri(text) | Name::Dns(text) | Name::Email(text) | Name::CommonName(text) => {
                text.to_string()
            }
            Name::Sha256(digest) => digest.hex(),
        }
    }

    fn schema(&self) -> Value {
        string_schema(match self {
            Self::Uri => "^[A-Za-z][A-Za-z0-9+.-]*:[^*]+$",
            Self::Dns => "^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$",
            Self::Email => "^[^*]+@[^@*]+$",
            Self::CommonName => "^.+$",
            Self::Sha256 => "^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$",
        })
    }
}

/// A name with a wildcard would stand for whoever can get a certificate under it.
fn whole(text: &str) -> Result<(), Complaint> {
    match text.contains('*') {
        true => Err(Complaint::because("names match whole: there are no wildcards here")),
        false => Ok(()),
    }
}

fn uri(text: &str) -> Result<Name, Complaint> {
    whole(text)?;
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(legal) {
        return Err(Complaint::because("it does not start with a scheme such as spiffe:"));
    }
    match text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(Name::Uri(text.into())),
        false => Err(Complaint::because("it has characters that no URI contains")),
    }
}

fn dns(text: &str) -> Result<Name, Complaint> {
    whole(text)?;
    HostName.read(&text.to_ascii_lowercase()).map(|name| Name::dns(&name))
}

fn email(text: &str) -> Result<Name, Complaint> {
    whole(text)?;
    match text.rsplit_once('@') {
        Some((local, host)) if !local.is_empty() && !host.is_empty() && text.is_ascii() => {
            Ok(Name::email(text))
        }
        _ => Err(Complaint::plain()),
    }
}

fn sha256(text: &str) -> Option<Name> {
    let pairs: Vec<&str> = match text.contains(':') {
        true => text.split(':').collect(),
        false => vec![text],
    };
    let digits = pairs.concat();
    let apart = pairs.len() == 1 || pairs.iter().all(|pair| pair.len() == 2);
    let legal = apart && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    HashedToken::from_hex(&digits).filter(|_| legal).map(Name::Sha256)
}

/// An account, by its e-mail address or its id.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct AccountName;

impl Kind for AccountName {
    type Value = Arc<str>;

    fn what(&self) -> String {
        "an account".to_owned()
    }

    fn expected(&self) -> String {
        "an account's e-mail address or id, such as billing@example.com; `keyward accounts list` tells both"
            .to_owned()
    }

    fn read(&self, text: &str) -> Result<Arc<str>, Complaint> {
        let clean = !text.chars().any(|c| c.is_control() || c.is_whitespace()) && text.len() <= NAME_MAX;
        let is_email =
            text.rsplit_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty());
        match (clean && is_email, uuid::Uuid::try_parse(text)) {
            (true, _) => Ok(text.into()),
            // As it is kept.
            (false, Ok(id)) => Ok(id.hyphenated().to_string().into()),
            (false, Err(_)) => Err(Complaint::plain()),
        }
    }

    fn show(&self, value: &Arc<str>) -> String {
        value.to_string()
    }

    fn schema(&self) -> Value {
        string_schema("^([^@\\s]+@[^@\\s]+|[0-9A-Fa-f-]{32,36})$")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_with_colons_and_without() {
        let plain = "0123456789ABCDEF".repeat(4);
        let pairs: Vec<String> =
            plain.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect();
        let read = |text: &str| CertificateName::Sha256.read(text).ok();
        assert_eq!(read(&pairs.join(":")), read(&plain.to_lowercase()));
        assert!(read(&plain).is_some());
        for wrong in
            [&plain[1..], &pairs.join("::"), &format!("{plain}:"), &pairs.join("-"), &"+f".repeat(32)]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
