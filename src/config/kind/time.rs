//! Durations: `500ms, 30s, 15m, 12h, 30d`.

use std::time::Duration;

use serde_json::Value;

use super::{Complaint, Kind, string_schema};

/// A hundred years; keeps every sum of a time and a duration within its type.
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

/// Units, the longest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A duration of at least some length.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Span {
    shortest: Duration,
    longest: Duration,
    /// Why nothing shorter, or longer where that is bounded.
    because: &'static str,
}

impl Span {
    /// Any duration, zero included.
    pub const ANY: Self = Self { shortest: Duration::ZERO, longest: LONGEST, because: "" };
    /// Not zero.
    pub const SOME: Self = Self {
        shortest: Duration::from_millis(1),
        longest: LONGEST,
        because: "it must be longer than zero; this limit cannot be turned off",
    };
    /// The life of a credential.
    pub const LIFE: Self = Self {
        shortest: Duration::from_secs(1),
        longest: LONGEST,
        because: "the shortest life of a key is 1s",
    };

    /// Between two bounds, `because` says which.
    pub const fn within(shortest: Duration, longest: Duration, because: &'static str) -> Self {
        Self { shortest, longest, because }
    }
}

impl Kind for Span {
    type Value = Duration;

    fn what(&self) -> String {
        "a duration".to_owned()
    }

    fn expected(&self) -> String {
        "a whole number and a unit: 500ms, 30s, 15m, 12h or 30d".to_owned()
    }

    fn read(&self, text: &str) -> Result<Duration, Complaint> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at_checked(digits).unwrap_or(("", text));
        if number.is_empty() {
            return Err(Complaint::plain());
        }
        let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(wrong_unit(number, unit));
        };
        let millis = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor));
        let duration = millis.map_or(Duration::MAX, Duration::from_millis);
        if duration > LONGEST {
            return Err(Complaint::refused("it is longer than 36500d, a hundred years"));
        }
        if duration < self.shortest || duration > self.longest {
            return Err(Complaint::refused(self.because));
        }
        Ok(duration)
    }

    fn show(&self, value: &Duration) -> String {
        let millis = u64::try_from(value.as_millis()).unwrap_or(u64::MAX);
        // Days only from three on: 24h and 36h read better than 1d.
        let fits =
            |factor: u64| millis.is_multiple_of(factor) && (factor < 86_400_000 || millis >= 3 * factor);
        // 60s and 300s stay seconds, as operators write limits.
        let seconds = millis.is_multiple_of(1000) && millis < 600_000;
        match UNITS.iter().find(|(_, factor)| fits(*factor)) {
            _ if seconds => format!("{}s", millis / 1000),
            Some((unit, factor)) => format!("{}{unit}", millis / factor),
            None => format!("{millis}ms"),
        }
    }

    fn schema(&self) -> Value {
        match self.shortest.is_zero() {
            true => string_schema("^[0-9]+(ms|s|m|h|d)$"),
            false => string_schema("^0*[1-9][0-9]*(ms|s|m|h|d)$"),
        }
    }
}

/// Reads a duration as the configuration writes it, for words of a command.
///
/// # Errors
/// What is wrong with it and what to write, in one line.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    Span::ANY.read(text).map_err(|complaint| {
        let expected = format!("write {}", Span::ANY.expected());
        let instead = complaint.instead.map(|instead| format!("did you mean {instead}?"));
        let parts = [Some(complaint.why).filter(|why| !why.is_empty()), instead, Some(expected)];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    })
}

fn wrong_unit(number: &str, unit: &str) -> Complaint {
    let meant = match unit.trim().to_ascii_lowercase().as_str() {
        "" => {
            let complaint = Complaint::because("it has no unit");
            return complaint.instead(format!("{number}s"));
        }
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        "ms" | "msec" | "millis" => "ms",
        other if other.starts_with(['.', ',']) => {
            return Complaint::because("it is not a whole number; use a smaller unit");
        }
        other if other.contains(|c: char| c.is_ascii_digit()) => {
            return Complaint::because("it has more than one part; write it in one unit, 90m for 1h30m");
        }
        _ => return Complaint::because("the unit is not one of ms, s, m, h, d"),
    };
    Complaint::because("the unit is not one of ms, s, m, h, d").instead(format!("{number}{meant}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("15m", 900_000),
            ("12h", 43_200_000),
            ("30d", 2_592_000_000),
            ("0s", 0),
        ] {
            let duration = Span::ANY.read(text).unwrap();
            assert_eq!(duration, Duration::from_millis(millis), "{text}");
            assert_eq!(Span::ANY.show(&duration), text);
        }
        assert_eq!(Span::ANY.show(&Duration::from_secs(300)), "300s");
    }

    #[test]
    fn other_forms_are_complained_of_with_a_better_one() {
        for (text, instead) in [
            ("10", Some("10s")),
            ("10 s", Some("10s")),
            ("10S", Some("10s")),
            ("5min", Some("5m")),
            ("1.5s", None),
            ("1h30m", None),
            ("-1s", None),
            ("", None),
            ("99999999999999999999d", None),
            ("36501d", None),
            ("1w", None),
            ("1é", None),
        ] {
            assert_eq!(Span::ANY.read(text).unwrap_err().instead.as_deref(), instead, "{text}");
        }
        assert_eq!(
            parse_duration("10min").unwrap_err(),
            "the unit is not one of ms, s, m, h, d; did you mean 10m?; \
             write a whole number and a unit: 500ms, 30s, 15m, 12h or 30d"
        );
        assert_eq!(parse_duration("30d"), Ok(Duration::from_hours(720)));
        assert!(Span::SOME.read("0ms").is_err());
        assert!(Span::LIFE.read("999ms").is_err());
    }
}
