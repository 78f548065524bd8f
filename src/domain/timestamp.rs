//! `Timestamp`: a point in time, written as RFC 3339.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde::ser::Serializer;

/// 0000-01-01T00:00:00Z, the first instant that RFC 3339 can write.
const YEAR_0_MS: i64 = -62_167_219_200_000;

/// The end of a time that has a leap second.
pub(super) const LEAP_SECOND: &str = ":60";

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. On the wire RFC 3339, UTC, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub(super) i64);

impl Timestamp {
    /// The server's clock now.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_millisecond())
    }

    /// From milliseconds since the epoch, if RFC 3339 can write it (years 0000 to 9999).
    pub fn from_millis(millis: i64) -> Option<Self> {
        // jiff has years before 0000 as well, and writes them with a sign. Its last day is that of 9999.
        let written = millis >= YEAR_0_MS && jiff::Timestamp::from_millisecond(millis).is_ok();
        written.then_some(Self(millis))
    }

    /// Milliseconds since the epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads an RFC 3339 date and time with any offset; finer fractions than milliseconds are cut off. A leap second,
    /// `:60`, is read where one can be, at the end of June and December (UTC), as POSIX time has it: as the first second
    /// of the next day.
    pub fn parse(text: &str) -> Option<Self> {
        // jiff reads more than RFC 3339 (a space, a comma, a zone in brackets, offsets with seconds or without a
        // colon) and less (at most nine digits of a fraction), so the shape is held here.
        let (start, rest) = text.split_at_checked(19)?;
        let digits = rest.strip_prefix('.').map(|rest| rest.bytes().take_while(u8::is_ascii_digit).count());
        let (fraction, offset) = rest.split_at(digits.map_or(0, |digits| 1 + digits));
        let offset_fits = match offset.as_bytes() {
            [b'Z' | b'z'] => true,
            [b'+' | b'-', time @ ..] => has_shape(time, b"00:00") && time < &b"24"[..],
            _ => false,
        };
        if !has_shape(start.as_bytes(), b"0000-00-00T00:00:00") || digits == Some(0) || !offset_fits {
            return None;
        }
        // A fraction counts forward also before 1970, so cutting its digits is cutting off for all instants.
        let cut = &fraction[..fraction.len().min(".000".len())];
        let (text, leap) = match start.strip_suffix(LEAP_SECOND) {
            // jiff would read it as `:59` anywhere.
            Some(minute) => (Cow::from(format!("{minute}:59{cut}{offset}")), 1000),
            None if cut.len() == fraction.len() => (Cow::from(text), 0),
            None => (Cow::from(format!("{start}{cut}{offset}")), 0),
        };
        let parsed: jiff::Timestamp = text.parse().ok()?;
        let moment = Self::from_millis(parsed.as_millisecond() + leap)?;
        (leap == 0 || begins_a_half_year(moment)).then_some(moment)
    }
}

/// True in the first second of January or July, UTC.
fn begins_a_half_year(moment: Timestamp) -> bool {
    let text = moment.to_string();
    matches!(text.get(4..19), Some("-01-01T00:00:00" | "-07-01T00:00:00"))
}

/// True if `text` has a digit wherever `shape` has one, and else the same bytes, in capitals or not.
fn has_shape(text: &[u8], shape: &[u8]) -> bool {
    let fits = |(byte, shape): (&u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        _ => byte.eq_ignore_ascii_case(shape),
    };
    text.len() == shape.len() && text.iter().zip(shape).all(fits)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp:.3}"),
            Err(_) => Err(fmt::Error), // unreachable: `from_millis` and `parse` hold the range
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_rfc_3339() {
        for (text, expected) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"),
            ("2026-01-02T05:04:05.6789+02:00", "2026-01-02T03:04:05.678Z"),
            ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"),
            ("2026-01-02t03:04:05.1234567890z", "2026-01-02T03:04:05.123Z"),
            ("0000-01-01T00:00:00-23:59", "0000-01-01T23:59:00.000Z"),
            ("2016-12-31T23:59:59.9Z", "2016-12-31T23:59:59.900Z"),
            ("2016-12-31T23:59:60.9Z", "2017-01-01T00:00:00.900Z"),
            ("2015-07-01T01:59:60+02:00", "2015-07-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), expected);
        }
        for text in [
            "2026-01-02T03:04:05",
            "2026-01-02T03:04:60Z",
            "2016-12-31T23:59:60+01:00",
            "2016-03-31T23:59:60Z",
            "2016-12-31T23:59:61Z",
            "2026-01-02 03:04:05Z",
            "2026-01-02T03:04Z",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05,5Z",
            "2026-01-02T03:04:05Z[UTC]",
            "2026-01-02T03:04:05+01",
            "2026-01-02T03:04:05+0100",
            "2026-01-02T03:04:05+01:00:30",
            "2026-01-02T03:04:05+24:00",
            "2026-01-02T03:04:0ü5Z",
            "0000-01-01T00:00:00+00:01",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }
}
