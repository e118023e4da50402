//! How a command fails: an exit code, one line, and hints under it.

/// Why a command did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// 1 refused or invalid input, 2 wrong usage, 3 store or server not reachable.
    pub exit: u8,
    /// What is wrong.
    pub line: String,
    /// What to do about it, and further text.
    pub hints: Vec<String>,
}
