//! Durations as the configuration writes them: a whole number and a unit.

use std::time::Duration;

/// Reads `500ms`, `30s`, `15m`, `12h` or `30d`.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    read(text).ok_or_else(|| "a duration is a whole number and a unit: 500ms, 30s, 15m, 12h, 30d".to_owned())
}

fn read(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let number: u64 = number.parse().ok()?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_number_and_a_unit() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("30d"), Ok(Duration::from_hours(720)));
        for bad in ["", "30", "d", "-1d", "1.5h", "1w", "99999999999999999d", "30 d"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
