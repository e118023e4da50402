//! Counts and sizes.

use serde_json::{Value, json};

use super::{Complaint, Kind, or_variable};

const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// A whole number within bounds.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Count {
    pub least: u64,
    pub most: u64,
}

impl Kind for Count {
    type Value = u64;

    fn what(&self) -> String {
        "a number".to_owned()
    }

    fn expected(&self) -> String {
        format!("a whole number from {} to {}, digits only", self.least, self.most)
    }

    fn read(&self, text: &str) -> Result<u64, Complaint> {
        let plain: String = text.chars().filter(|c| !matches!(c, '_' | ',' | ' ' | '\'')).collect();
        if plain != text && digits(&plain).is_some() {
            return Err(Complaint::because("digits are not grouped").instead(plain));
        }
        let number = digits(text).ok_or_else(Complaint::plain)?;
        within(number, self.least, self.most, ToString::to_string)
    }

    fn show(&self, value: &u64) -> String {
        value.to_string()
    }

    fn schema(&self) -> Value {
        or_variable(vec![json!({ "type": "integer", "minimum": self.least, "maximum": self.most })])
    }
}

/// A number of bytes within bounds.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Size {
    pub least: u64,
    pub most: u64,
}

impl Kind for Size {
    type Value = u64;

    fn what(&self) -> String {
        "a size".to_owned()
    }

    fn expected(&self) -> String {
        "a whole number of bytes, or one with a unit: 512, 32KiB, 10MiB or 1GiB".to_owned()
    }

    fn read(&self, text: &str) -> Result<u64, Complaint> {
        let end = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at_checked(end).unwrap_or(("", text));
        let factor = match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, factor)) => *factor,
            None if unit.is_empty() => 1,
            None if number.is_empty() => return Err(Complaint::plain()),
            None => return Err(wrong_unit(number, unit)),
        };
        let bytes = digits(number).and_then(|number| number.checked_mul(factor));
        let too_large = || Complaint::because("it is larger than any size");
        within(bytes.ok_or_else(too_large)?, self.least, self.most, shown)
    }

    fn show(&self, value: &u64) -> String {
        shown(value)
    }

    fn schema(&self) -> Value {
        or_variable(vec![
            json!({ "type": "integer", "minimum": self.least, "maximum": self.most }),
            json!({ "type": "string", "pattern": "^[0-9]+(KiB|MiB|GiB)?$" }),
        ])
    }
}

fn shown(bytes: &u64) -> String {
    let unit = UNITS.iter().find(|(_, factor)| *bytes > 0 && bytes.is_multiple_of(*factor));
    unit.map_or_else(|| bytes.to_string(), |(unit, factor)| format!("{}{unit}", bytes / factor))
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn within(number: u64, least: u64, most: u64, show: impl Fn(&u64) -> String) -> Result<u64, Complaint> {
    if number < least {
        return Err(Complaint::refused(format!("the least is {}", show(&least))));
    }
    if number > most {
        return Err(Complaint::refused(format!("the most is {}", show(&most))));
    }
    Ok(number)
}

fn wrong_unit(number: &str, unit: &str) -> Complaint {
    let complaint = Complaint::because("the unit is not one of KiB, MiB, GiB");
    match unit.trim().to_ascii_lowercase().as_str() {
        "k" | "kb" | "kib" => complaint.instead(format!("{number}KiB")),
        "m" | "mb" | "mib" => complaint.instead(format!("{number}MiB")),
        "g" | "gb" | "gib" => complaint.instead(format!("{number}GiB")),
        "b" | "bytes" => complaint.instead(number),
        other if other.starts_with(['.', ',']) => {
            Complaint::because("it is not a whole number; use a smaller unit")
        }
        _ => complaint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { least: 0, most: u64::MAX };

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes) in
            [("0", 0), ("512", 512), ("32KiB", 32_768), ("10MiB", 10 << 20), ("1GiB", 1 << 30)]
        {
            assert_eq!(SIZE.read(text), Ok(bytes), "{text}");
            assert_eq!(SIZE.show(&bytes), text);
        }
    }

    #[test]
    fn other_forms_are_complained_of_with_a_better_one() {
        for (text, instead) in [
            ("10MB", Some("10MiB")),
            ("10 mib", Some("10MiB")),
            ("8k", Some("8KiB")),
            ("5b", Some("5")),
            ("1.5MiB", None),
            ("-1", None),
            ("", None),
            ("99999999999999999999", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(SIZE.read(text).unwrap_err().instead.as_deref(), instead, "{text}");
        }
        assert_eq!(Count { least: 1, most: 9 }.read("1_0").unwrap_err().instead.as_deref(), Some("10"));
        for text in ["0", "10", "+1", "1e0", "", "x"] {
            assert!(Count { least: 1, most: 9 }.read(text).is_err(), "{text}");
        }
    }
}
