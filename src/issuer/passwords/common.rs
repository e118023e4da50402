//! The passwords that everybody tries first.

const LIST: &str = include_str!("common.txt");

/// Whether `password` is among them, letter case aside. A walk over 47 kB, next to a hash of 19 MiB.
pub(super) fn is_common(password: &str) -> bool {
    let folded = password.to_lowercase();
    LIST.lines().any(|line| line == folded) || is_monotonous(&folded)
}

/// One or two characters over and over, such as `aaaaaaaaaa` or `1212121212`.
fn is_monotonous(password: &str) -> bool {
    let mut different: Vec<char> = password.chars().collect();
    different.sort_unstable();
    different.dedup();
    different.len() <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole_and_its_lines_are_found() {
        let words: Vec<&str> = LIST.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(words.len(), 5_000);
        assert!(words.iter().all(|word| word.len() >= 8));
        assert!(words.iter().step_by(100).all(|word| is_common(word)));
    }

    #[test]
    fn what_everybody_tries_is_common_and_what_nobody_tries_is_not() {
        for common in
            ["password", "PASSWORD", "Password1", "12345678", "qwertyuiop", "iloveyou", "zzzzzzzzzzz"]
        {
            assert!(is_common(common), "{common}");
        }
        for rare in ["correct horse battery staple", "xkJ7#qz!", "żółta łódź podwodna", "# The 5,000 most"]
        {
            assert!(!is_common(rare), "{rare}");
        }
    }
}
