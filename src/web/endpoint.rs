//! The endpoints that Keyward serves itself beside the routes, as their paths and methods tell them apart.

/// One endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// `/user/login`
    Login,
    /// `/user/token/validate`
    Validate,
    /// `/user/token/refresh`
    Refresh,
    /// `/user/logout`
    Logout,
    /// `/user/api-keys`
    Keys,
    /// `/user/api-keys/{id}`
    Key(&'a str),
    /// `/user/api-keys/{id}/rotate`
    RotateKey(&'a str),
    /// `/user/limits`
    Limits,
    /// `/.well-known/jwks.json`
    KeySet,
    /// `/console/` and what is below it, without the slash in front.
    Console(&'a str),
}

impl<'a> Endpoint<'a> {
    /// What `path`, a canonical one, names; `None` when it is for the routes.
    #[must_use]
    pub fn of(path: &'a str) -> Option<Self> {
        Some(match path {
            "/user/login" => Self::Login,
            "/user/token/validate" => Self::Validate,
            "/user/token/refresh" => Self::Refresh,
            "/user/logout" => Self::Logout,
            "/user/api-keys" => Self::Keys,
            "/user/limits" => Self::Limits,
            "/.well-known/jwks.json" => Self::KeySet,
            "/console" => Self::Console(""),
            _ => return Self::below(path),
        })
    }

    fn below(path: &'a str) -> Option<Self> {
        if let Some(page) = path.strip_prefix("/console/") {
            return Some(Self::Console(page));
        }
        match path.strip_prefix("/user/api-keys/")?.split_once('/') {
            None => path.strip_prefix("/user/api-keys/").filter(|id| !id.is_empty()).map(Self::Key),
            Some((id, "rotate")) if !id.is_empty() => Some(Self::RotateKey(id)),
            Some(_) => None,
        }
    }

    /// Whether it is for accounts alone, whose credential stands in `Authorization`.
    #[must_use]
    pub const fn is_for_accounts(self) -> bool {
        match self {
            Self::Logout | Self::Keys | Self::Key(_) | Self::RotateKey(_) | Self::Limits => true,
            Self::Login | Self::Validate | Self::Refresh | Self::KeySet | Self::Console(_) => false,
        }
    }

    /// The methods that it takes, as `Allow` tells them.
    #[must_use]
    pub const fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Login | Self::Validate | Self::Refresh | Self::Logout | Self::RotateKey(_) => &["POST"],
            Self::Keys | Self::Console(_) => &["GET", "HEAD", "POST"],
            Self::Key(_) => &["GET", "HEAD", "PATCH", "DELETE"],
            Self::KeySet | Self::Limits => &["GET", "HEAD"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_endpoints_whole_or_not_at_all() {
        for (path, endpoint) in [
            ("/user/login", Some(Endpoint::Login)),
            ("/user/login/", None),
            ("/user/api-keys", Some(Endpoint::Keys)),
            ("/user/api-keys/", None),
            ("/user/api-keys/1", Some(Endpoint::Key("1"))),
            ("/user/api-keys/1/rotate", Some(Endpoint::RotateKey("1"))),
            ("/user/api-keys/1/rotate/", None),
            ("/user/api-keys//rotate", None),
            ("/user/api-keys/1/2", None),
            ("/user/limits", Some(Endpoint::Limits)),
            ("/user/limits/", None),
            ("/user/profile", None),
            ("/console", Some(Endpoint::Console(""))),
            ("/console/keys", Some(Endpoint::Console("keys"))),
            ("/consoles", None),
            ("/", None),
        ] {
            assert_eq!(Endpoint::of(path), endpoint, "{path}");
        }
    }
}
