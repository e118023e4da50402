//! Did you mean …? Pure functions on words.

/// The candidate that is probably meant by `word`.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = match word.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let wanted = plain(word);
    candidates
        .into_iter()
        .map(|candidate| (distance(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many characters must be put in, left out or replaced (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    // Long words are never near; this bounds the work as well.
    if from.len().abs_diff(to.len()) > 4 || from.len() > 100 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (line, left) in from.chars().enumerate() {
        let mut diagonal = line;
        let mut before = line + 1;
        let mut next = vec![before];
        for (above, right) in row.iter().skip(1).zip(to.chars()) {
            let replaced = diagonal + usize::from(left != right);
            before = replaced.min(above + 1).min(before + 1);
            next.push(before);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_as_far_apart_as_they_differ() {
        for (from, to, expected) in
            [("", "", 0), ("a", "", 1), ("routes", "route", 1), ("lsiten", "listen", 2), ("abc", "abd", 1)]
        {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn the_nearest_word_is_suggested_and_a_far_one_is_not() {
        let known = ["listeners", "routes", "upstreams", "max"];
        assert_eq!(nearest("listener", known), Some("listeners"));
        assert_eq!(nearest("Routes", known), Some("routes"));
        assert_eq!(nearest("banana", known), None);
        assert_eq!(nearest("tls", known), None);
    }
}
