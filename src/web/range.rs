//! `Part`: which part of a file a `Range` asks for (RFC 9110 section 14.2); pure.

/// What is to be sent of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it: no range was asked for, several were, or it is none.
    Whole,
    /// From the first byte to the last, both counted from 0 and included.
    Bytes {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// There is no such part.
    Unsatisfiable,
}

impl Part {
    /// Reads a `Range` for a file of `length` bytes.
    pub(super) fn read(range: &str, length: u64) -> Self {
        Self::read_bytes(range, length).unwrap_or(Self::Whole)
    }

    fn read_bytes(range: &str, length: u64) -> Option<Self> {
        let (unit, range) = range.split_once('=')?;
        let (first, last) = range.trim_ascii().split_once('-')?;
        if !unit.trim_ascii().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = match (first, last) {
            ("", suffix) => (length.saturating_sub(number(suffix)?), length.checked_sub(1)?),
            (first, "") => (number(first)?, length.checked_sub(1)?),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if last < first {
                    return None;
                }
                (first, last.min(length.checked_sub(1)?))
            }
        };
        Some(if first > last { Self::Unsatisfiable } else { Self::Bytes { first, last } })
    }
}

/// Digits and nothing else; what is larger than any file counts as the largest number.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_range_of_bytes_is_a_part() {
        let bytes = |first, last| Part::Bytes { first, last };
        for (range, expected) in [
            ("bytes=0-0", bytes(0, 0)),
            ("bytes=0-99", bytes(0, 99)),
            ("Bytes=10-1000", bytes(10, 99)),
            ("bytes= 10-", bytes(10, 99)),
            ("bytes=99-", bytes(99, 99)),
            ("bytes=-1", bytes(99, 99)),
            ("bytes=-1000", bytes(0, 99)),
            ("bytes=5-18446744073709551616", bytes(5, 99)),
            ("bytes=100-", Part::Unsatisfiable),
            ("bytes=100-200", Part::Unsatisfiable),
            ("bytes=99999999999999999999-", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=0-1,5-6", Part::Whole),
            ("bytes=5-4", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=--1", Part::Whole),
            ("rows=0-1", Part::Whole),
            ("bytes", Part::Whole),
            ("", Part::Whole),
        ] {
            assert_eq!(Part::read(range, 100), expected, "{range}");
        }
        assert_eq!(Part::read("bytes=0-", 0), Part::Whole);
    }

    proptest! {
        #[test]
        fn every_part_is_inside_the_file(range in r"bytes=[0-9]{0,21}-[0-9]{0,21}|\PC*", length in 0..200_u64) {
            if let Part::Bytes { first, last } = Part::read(&range, length) {
                prop_assert!(first <= last && last < length, "{}-{} of {}", first, last, length);
            }
        }
    }
}
