//! How many requests an account or a key has left, in words.

use super::visitor::Visitor;
use crate::control::identity::Asked;
use crate::issuer::KeyStatus;
use crate::limits::{Policy, Span, Standing};
use crate::store::Key;

/// Where the account of who is logged in stands; `None` where nothing is limited.
pub(super) fn of_account(visitor: &Visitor<'_>, asked: Asked<'_>) -> Option<String> {
    let report = asked.authenticator.standing(&visitor.account, None)?;
    in_words(report.rows())
}

/// Where a key of theirs stands that has limits of its own; `None` where it has none, or is over.
pub(super) fn of_key(visitor: &Visitor<'_>, asked: Asked<'_>, key: &Key) -> Option<String> {
    if key.limits.is_empty() || KeyStatus::of(key, asked.now) != KeyStatus::Active {
        return None;
    }
    let report = asked.authenticator.standing(&visitor.account, Some(key))?;
    let own = |policy| matches!(policy, Policy::KeyMinute | Policy::KeyDay | Policy::KeyInFlight);
    in_words(report.rows().filter(|(policy, _)| own(*policy)))
}

/// Such as "600 requests a minute, 598 left; 50,000 a day, 49,210 left, until midnight UTC".
fn in_words(rows: impl Iterator<Item = (Policy, Standing)>) -> Option<String> {
    let words = |(index, (policy, standing)): (usize, (Policy, Standing))| {
        let Standing { quota, most, left, .. } = standing;
        let noun = match (index, quota) {
            (0, 1) => " request",
            (0, _) => " requests",
            _ => "",
        };
        let (quota, left) = (grouped(quota), grouped(left));
        match policy.span() {
            Span::Minute if most < standing.quota => {
                format!("{quota}{noun} a minute at an even pace, {left} of them now")
            }
            Span::Minute => format!("{quota}{noun} a minute, {left} left"),
            Span::Day => format!("{quota}{noun} a day, {left} left, until midnight UTC"),
            Span::Now => format!("{quota}{noun} at a time"),
        }
    };
    let words: Vec<String> = rows.enumerate().map(words).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

/// With a comma before each three digits from the end, as the pages' language has it.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three_digits() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (49_210, "49,210"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn what_is_limited_is_told_in_one_line_and_nothing_where_nothing_is() {
        let standing = |quota, most, left| Standing { quota, most, left, ..Standing::default() };
        let minute = (Policy::Minute, standing(600, 600, 598));
        let day = (Policy::Day, standing(50_000, 50_000, 49_210));
        let at_once = (Policy::InFlight, standing(10, u64::MAX, 10));
        let pace = (Policy::KeyMinute, standing(600, 10, 8));
        let one = (Policy::KeyDay, standing(1, 1, 0));
        for (rows, words) in [
            (vec![], None),
            (
                vec![minute, day, at_once],
                Some(
                    "600 requests a minute, 598 left; 50,000 a day, 49,210 left, until midnight UTC; 10 at a time",
                ),
            ),
            (vec![pace], Some("600 requests a minute at an even pace, 8 of them now")),
            (vec![one], Some("1 request a day, 0 left, until midnight UTC")),
            (vec![at_once], Some("10 requests at a time")),
        ] {
            assert_eq!(in_words(rows.into_iter()).as_deref(), words);
        }
    }
}
