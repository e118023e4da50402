//! Paths that two parsers could read differently, and what their clients are told of them.

/// Why a path has more than one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambiguity {
    /// `.` or `..` as a segment, in any spelling.
    DotSegment,
    /// NUL, another control byte, or a byte that no URL contains.
    ControlByte,
    /// A `#`.
    Fragment,
    /// A `%` that two hexadecimal digits do not follow.
    BrokenEscape,
    /// `%2F`.
    EncodedSlash,
    /// `//`.
    DoubleSlash,
    /// `;`, plain or escaped.
    Semicolon,
    /// `%25`.
    EncodedPercent,
    /// `\`, plain or escaped.
    Backslash,
    /// Escapes that are not UTF-8.
    NonUtf8,
}

impl Ambiguity {
    pub(super) const fn detail(self) -> &'static str {
        match self {
            Self::DotSegment => "The path has a dot segment (. or ..). Send the path it stands for.",
            Self::ControlByte => "The path has a control byte or one that no URL contains.",
            Self::Fragment => {
                "The path has a # or an escaped # or ? (%23, %3F). Fragments are not sent to servers."
            }
            Self::BrokenEscape => "The path has a % that two hexadecimal digits do not follow.",
            Self::EncodedSlash => "The path has an escaped slash (%2F), which this route does not allow.",
            Self::DoubleSlash => "The path has an empty segment (//), which this route does not allow.",
            Self::Semicolon => "The path has a semicolon, which this route does not allow.",
            Self::EncodedPercent => {
                "The path has an escaped percent sign (%25), which this route does not allow."
            }
            Self::Backslash => "The path has a backslash, which this route does not allow.",
            Self::NonUtf8 => "The path has escapes that are not UTF-8, which this route does not allow.",
        }
    }
}
