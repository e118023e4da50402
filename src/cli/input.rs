//! What comes on standard input: a password, or lines.

use std::io::{self, Read};

use zeroize::Zeroizing;

use super::{Exit, Failure};

/// Longest input that is read: an import of ten thousand keys has some 4 MB.
const INPUT_MAX: u64 = 16 << 20;

/// A password: the whole input without its last line break.
pub(super) fn password() -> Result<Zeroizing<String>, Failure> {
    let text = all()?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(Failure::new(Exit::Refused, "there is no password on standard input")
            .hint("printf %s \"$PASSWORD\" | keyward accounts …"));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// All of it.
pub(super) fn all() -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    let refused = |why: &str| Failure::new(Exit::Refused, format!("standard input could not be read: {why}"));
    let read = io::stdin().take(INPUT_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| refused(&error.to_string()))?;
    if bytes.len() as u64 > INPUT_MAX {
        return Err(refused("it is larger than 16 MiB"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| refused("it is not UTF-8"))?;
    Ok(Zeroizing::new(text.to_owned()))
}
