//! The `Date` of an answer (RFC 9110 §6.6.1), made once a second.

use std::cell::RefCell;

use http::HeaderValue;
use time::OffsetDateTime;

use crate::clock::{Clock, Timestamp};

/// One worker's dates.
#[derive(Debug)]
pub struct Dates {
    clock: Clock,
    /// The second, and how it is written.
    last: RefCell<(i64, HeaderValue)>,
}

impl Dates {
    /// Dates by `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let now = clock.now();
        Self { clock, last: RefCell::new((second(now), value(now))) }
    }

    /// What an answer that begins now is dated.
    #[must_use]
    pub fn now(&self) -> HeaderValue {
        let now = self.clock.now();
        let mut last = self.last.borrow_mut();
        if last.0 != second(now) {
            *last = (second(now), value(now));
        }
        last.1.clone()
    }
}

const fn second(time: Timestamp) -> i64 {
    time.millis().div_euclid(1000)
}

/// IMF-fixdate (RFC 9110 §5.6.7).
fn value(time: Timestamp) -> HeaderValue {
    let time = OffsetDateTime::from_unix_timestamp(second(time)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (day, month) = (time.weekday().to_string(), time.month().to_string());
    let text = format!(
        "{:.3}, {:02} {:.3} {:04} {:02}:{:02}:{:02} GMT",
        day,
        time.day(),
        month,
        time.year(),
        time.hour(),
        time.minute(),
        time.second()
    );
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_date_is_written_as_the_standard_says_and_follows_the_clock() {
        let clock = Clock::manual(Timestamp(784_111_777_000));
        let dates = Dates::new(clock.clone());
        assert_eq!(dates.now(), "Sun, 06 Nov 1994 08:49:37 GMT");
        clock.advance(Duration::from_secs(86_400));
        assert_eq!(dates.now(), "Mon, 07 Nov 1994 08:49:37 GMT");
        assert_eq!(value(Timestamp(0)), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
