//! What of a path a route has to allow.

use crate::auth::refusal::Ambiguity;

/// Readings of a path on which backends differ; a route allows those that its backend reads as Keyward does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks(u8);

impl Quirks {
    /// No quirk.
    pub const NONE: Self = Self(0);
    /// `%2F`.
    pub const ENCODED_SLASH: Self = Self(1);
    /// An empty segment.
    pub const DOUBLE_SLASH: Self = Self(1 << 1);
    /// `;`, plain or escaped.
    pub const SEMICOLON: Self = Self(1 << 2);
    /// `%25`.
    pub const ENCODED_PERCENT: Self = Self(1 << 3);
    /// `\`, plain or escaped.
    pub const BACKSLASH: Self = Self(1 << 4);
    /// Escapes that are not UTF-8.
    pub const NON_UTF8: Self = Self(1 << 5);

    pub(super) const NAMES: [(Self, Ambiguity); 6] = [
        (Self::ENCODED_SLASH, Ambiguity::EncodedSlash),
        (Self::DOUBLE_SLASH, Ambiguity::DoubleSlash),
        (Self::SEMICOLON, Ambiguity::Semicolon),
        (Self::ENCODED_PERCENT, Ambiguity::EncodedPercent),
        (Self::BACKSLASH, Ambiguity::Backslash),
        (Self::NON_UTF8, Ambiguity::NonUtf8),
    ];

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The first quirk that `allowed` does not have.
    #[must_use]
    pub fn outside(self, allowed: Self) -> Option<Ambiguity> {
        let left = self.0 & !allowed.0;
        if left == 0 {
            return None;
        }
        Self::NAMES.into_iter().find(|(quirk, _)| left & quirk.0 != 0).map(|(_, name)| name)
    }
}

/// Ambiguities that can be allowed become their quirk; the others are refused on every route and add nothing.
impl From<&[Ambiguity]> for Quirks {
    fn from(allowed: &[Ambiguity]) -> Self {
        let named = Self::NAMES.into_iter().filter(|(_, name)| allowed.contains(name));
        named.fold(Self::NONE, |all, (quirk, _)| all.with(quirk))
    }
}
