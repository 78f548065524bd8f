//! Timestamps: RFC 3339, all of it and nothing else, and the instant it means.

use processor::domain::Timestamp;

use super::choices::Choices;

/// Texts that are almost, or not at all, a fraction and an offset.
const ENDS: [&str; 16] = [
    "",
    " Z",
    "Z ",
    "ZZ",
    ".Z",
    ",5Z",
    "+01",
    "+0100",
    "+01:00:30",
    "+24:00",
    "+01:60",
    "-1:00",
    "+01:0",
    "[UTC]",
    "\u{2212}01:00",
    "Z[UTC]",
];

/// A timestamp as text, and the milliseconds since the epoch that it means; none if it is not RFC 3339.
#[derive(Debug)]
pub struct Written {
    /// As it stands in a record.
    pub text: String,
    /// What it means.
    pub millis: Option<i64>,
}

/// Checks what was read from any text.
pub fn raw(text: &str) {
    let Some(read) = Timestamp::parse(text) else { return };
    let canonical = read.to_string();
    assert!(is_rfc_3339(text), "{text:?} is read as {canonical}");
    assert!(is_rfc_3339(&canonical) && canonical.len() == 24, "{text:?} is written as {canonical}");
    assert_eq!(Timestamp::parse(&canonical), Some(read), "{text:?}");
    assert_eq!(Timestamp::from_millis(read.as_millis()), Some(read), "{text:?}");
}

/// Makes a timestamp, mostly a right one, and checks how it is read.
pub fn structured(choices: &mut Choices<'_>) -> Written {
    let written = write(choices);
    let read = Timestamp::parse(&written.text).map(Timestamp::as_millis);
    assert_eq!(read, written.millis, "{:?}", written.text);
    raw(&written.text);
    written
}

fn write(choices: &mut Choices<'_>) -> Written {
    let year = if choices.one_in(4) { choices.word() % 10_000 } else { 1960 + choices.word() % 66 } as i64;
    let month = 1 + choices.below(12) as i64;
    let day = 1 + choices.below(31) as i64;
    let [hour, minute, mut second] = [24, 60, 60].map(|end| choices.below(end) as i64);
    if choices.one_in(8) {
        second = 60;
    }
    let t = choices.pick(&["T", "t"]);
    let mut text = format!("{year:04}-{month:02}-{day:02}{t}{hour:02}:{minute:02}:{second:02}");

    let digits: String = (0..choices.below(12)).map(|_| char::from(b'0' + choices.below(10) as u8)).collect();
    let fraction: i64 = format!("{digits:0<3}")[..3].parse().unwrap_or(0);
    if !digits.is_empty() {
        text.push_str(&format!(".{digits}"));
    }
    let (offset_hour, offset_minute) = (choices.below(24) as i64, choices.below(60) as i64);
    let sign = choices.pick(&[0, 0, 1, -1]);
    match sign {
        0 => text.push_str(choices.pick(&["Z", "z"])),
        _ => {
            let sign = if sign == 1 { '+' } else { '-' };
            text.push_str(&format!("{sign}{offset_hour:02}:{offset_minute:02}"));
        }
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let millis = (seconds - sign * (offset_hour * 3600 + offset_minute * 60)) * 1000 + fraction;
    let mut valid = day <= month_length(year, month);
    // What is written is UTC, with a year of four digits; the last hours of 9999 are beyond the library's range.
    valid &= (days(0, 1, 1) * 86_400_000..253_402_207_200_000).contains(&millis);
    if second == 60 {
        // A leap second: read as the first of the next day, which is that of a half-year.
        let begin = millis - fraction;
        valid &= [1, 7]
            .iter()
            .any(|month| (year - 1..=year + 1).any(|year| days(year, *month, 1) * 86_400_000 == begin));
    }
    if choices.one_in(16) {
        text.truncate(19);
        text.push_str(choices.pick(&ENDS));
        valid = false;
    }
    if choices.one_in(32) {
        text.replace_range(choices.pick(&[4, 7, 10, 13, 16]).., "");
        valid = false;
    }
    Written { text, millis: valid.then_some(millis) }
}

/// Days from 1970-01-01, by counting: each year and month on its own.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let leap_days = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let years = (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969);
    years + (1..month).map(|month| month_length(year, month)).sum::<i64>() + day - 1
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The grammar of RFC 3339 section 5.6, without its ranges but the offset's.
fn is_rfc_3339(text: &str) -> bool {
    let shape: String =
        text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c.to_ascii_uppercase() }).collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else { return false };
    let offset = match rest.strip_prefix('.') {
        Some(fraction) if fraction.starts_with('0') => fraction.trim_start_matches('0'),
        Some(_) => return false,
        None => rest,
    };
    match offset {
        "Z" => true,
        "+00:00" | "-00:00" => &text[text.len() - 5..text.len() - 3] < "24",
        _ => false,
    }
}
