//! Values → bytes of a log line, by hand: these run once or more for every request.
//!
//! Whatever a client sent, a line stays one line and a terminal stays as it was: only visible ASCII and spaces are
//! written as they are, everything else is escaped.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Timestamp;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A JSON string in ASCII; what is not UTF-8 becomes U+FFFD.
pub fn json_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    // No early end: so it is done for many bytes at a time.
    if bytes.iter().fold(true, |plain, byte| plain & is_plain(byte)) {
        out.extend_from_slice(bytes);
        out.push(b'"');
        return;
    }
    for chunk in bytes.utf8_chunks() {
        json_text(out, chunk.valid());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(br"\ufffd");
        }
    }
    out.push(b'"');
}

/// Whether a byte stands for itself in a JSON string.
const fn is_plain(byte: &u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

fn json_text(out: &mut Vec<u8>, text: &str) {
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(br#"\""#),
            '\\' => out.extend_from_slice(br"\\"),
            '\n' => out.extend_from_slice(br"\n"),
            '\r' => out.extend_from_slice(br"\r"),
            '\t' => out.extend_from_slice(br"\t"),
            ' '..='~' => out.push(character as u8),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let [high, low] = unit.to_be_bytes();
                    out.extend_from_slice(br"\u");
                    hex(out, high);
                    hex(out, low);
                }
            }
        }
    }
}

/// One word for people: visible ASCII as it is, everything else, spaces too, as `\xNN`; `-` where there is nothing.
pub fn word(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_empty() {
        out.push(b'-');
        return;
    }
    for byte in bytes {
        match byte {
            b'\\' => out.extend_from_slice(br"\\"),
            b'!'..=b'~' => out.push(*byte),
            other => {
                out.extend_from_slice(br"\x");
                hex(out, *other);
            }
        }
    }
}

/// Text for people: as it is, except that control and format characters are escaped and further lines are indented,
/// so that none can pass for an entry of its own.
pub fn prose(out: &mut Vec<u8>, text: &str) {
    for character in text.trim_end().chars() {
        match character {
            '\n' => out.extend_from_slice(b"\n    "),
            ' '..='~' => out.push(character as u8),
            other if is_unprintable(other) => {
                out.extend(other.escape_unicode().map(|escaped| escaped as u8));
            }
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Control characters, separators of lines, and those that hide or reorder what stands beside them.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

fn hex(out: &mut Vec<u8>, byte: u8) {
    let digits = [byte >> 4, byte & 15];
    out.extend(digits.iter().filter_map(|digit| HEX.get(usize::from(*digit))));
}

/// A whole number.
pub fn decimal(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The last digits of a number, as many as there is room for.
fn put(room: &mut [u8], number: u64) {
    let mut rest = number;
    for digit in room.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// Milliseconds with three decimals.
pub fn millis(out: &mut Vec<u8>, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    decimal(out, micros / 1000);
    let mut part = *b".000";
    put(&mut part[1..], micros % 1000);
    out.extend_from_slice(&part);
}

/// An IP address; an IPv4 address that came in IPv6 form is written as IPv4.
pub fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            decimal(out, u64::from(a));
            for octet in [b, c, d] {
                out.push(b'.');
                decimal(out, u64::from(octet));
            }
        }
        IpAddr::V6(v6) => {
            // Writing to a vector does not fail.
            let _ = write!(out, "{v6}");
        }
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-11-01T00:00:00.000Z`. Times outside the years 1970 to 9999 are clamped.
pub fn time(out: &mut Vec<u8>, at: Timestamp) {
    const LAST: i64 = 253_402_300_799_999;
    let millis = at.millis().clamp(0, LAST) as u64;
    let (year, month, day) = civil(millis / 86_400_000);
    let in_day = millis % 86_400_000;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    put(&mut text[..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], in_day / 3_600_000);
    put(&mut text[14..16], in_day / 60_000 % 60);
    put(&mut text[17..19], in_day / 1000 % 60);
    put(&mut text[20..23], in_day % 1000);
    out.extend_from_slice(&text);
}

/// Days since 1970-01-01 → year, month, day of the Gregorian calendar. Years are counted from March, so that the leap
/// day is the last of its year, and in eras of 400 years, which all have 146 097 days.
const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + (month <= 2) as u64;
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(encode: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        encode(&mut out);
        String::from_utf8(out).expect("what is written is text")
    }

    #[test]
    fn numbers_and_durations_are_written_in_full() {
        assert_eq!(written(|out| decimal(out, 0)), "0");
        assert_eq!(written(|out| decimal(out, u64::MAX)), "18446744073709551615");
        assert_eq!(written(|out| millis(out, Duration::from_micros(7))), "0.007");
        assert_eq!(written(|out| millis(out, Duration::from_micros(12_345_678))), "12345.678");
    }

    #[test]
    fn addresses_are_written_in_their_usual_form() {
        for text in ["127.0.0.1", "203.0.113.255", "::1", "2001:db8::7"] {
            assert_eq!(written(|out| address(out, text.parse().unwrap())), text);
        }
        assert_eq!(written(|out| address(out, "::ffff:10.0.0.1".parse().unwrap())), "10.0.0.1");
    }

    #[test]
    fn a_word_has_only_visible_ascii() {
        let text = written(|out| word(out, b"a b\n\x1b[31m\\\xff"));
        assert_eq!(text, r"a\x20b\x0a\x1b[31m\\\xff");
        assert_eq!(written(|out| word(out, b"")), "-");
    }

    #[test]
    fn prose_keeps_text_and_disarms_the_rest() {
        let text = written(|out| prose(out, "käse\u{1b}[2J\nsecond\u{202e}\n"));
        assert_eq!(text, "käse\\u{1b}[2J\n    second\\u{202e}");
    }

    proptest! {
        #[test]
        fn any_bytes_make_a_json_string_of_visible_ascii_that_reads_back(
            bytes in proptest::collection::vec(any::<u8>(), 0..64)
        ) {
            let text = written(|out| json_string(out, &bytes));
            prop_assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            let back: String = serde_json::from_str(&text).expect("it is JSON");
            prop_assert_eq!(back, String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn any_text_makes_a_json_string_that_reads_back(text in any::<String>()) {
            let json = written(|out| json_string(out, text.as_bytes()));
            prop_assert_eq!(serde_json::from_str::<String>(&json).expect("it is JSON"), text);
        }

        #[test]
        fn any_time_is_written_as_the_time_crate_does(millis in 0_i64..253_402_300_799_999) {
            let whole = Timestamp(millis).rfc3339();
            let expected = format!("{}.{:03}Z", whole.trim_end_matches('Z'), millis % 1000);
            prop_assert_eq!(written(|out| time(out, Timestamp(millis))), expected);
        }
    }
}
