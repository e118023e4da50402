//! How a command fails: one line, hints under it, an exit code.

/// Exit codes of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Refused, or the input is invalid.
    Refused = 1,
    /// The words of the command are wrong.
    Usage = 2,
    /// The store or the server cannot be reached.
    Unreachable = 3,
}

/// Why a command did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// One line.
    pub line: String,
    /// What to do about it, a line each.
    pub hints: Vec<String>,
}
