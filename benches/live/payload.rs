//! `Positions`: what is published, as a device posts it and as a client receives it.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

/// Instants a position's place in time can tell apart: its seconds and milliseconds.
pub(crate) const STAMPS: usize = 60_000;

/// How far before now the first position is, so that none is ever too far ahead of the server's clock.
const BEFORE: Duration = Duration::from_secs(3600);

const HEAD: &str = r#"{"type":"position","topic":"device:"#;
const DEVICE: &str = r#"","device_id":""#;
const TIMESTAMP: &str = r#"","timestamp":""#;
const TAIL: &str = r#"","latitude":52.520008,"longitude":13.404954,"altitude":34.5,"accuracy":4.5,"heading":271.5,"speed":13.9"#;

/// Digits of a device's id.
const ID_DIGITS: usize = 5;

/// Where the seconds stand in a message: `HH:MM:SS.mmm` begins eleven characters into the timestamp.
const SECONDS_AT: usize = HEAD.len() + DEVICE.len() + TIMESTAMP.len() + 2 * ID_DIGITS + 17;

/// Makes positions, each one millisecond later than the one before: so the receiver can tell from the timestamp,
/// which stands at a fixed place, when it was sent.
pub(crate) struct Positions {
    /// Milliseconds since the epoch of number 0; a whole minute.
    base: i64,
    next: u64,
    /// What stands behind the last number, up to the end of the object.
    end: String,
}

impl Positions {
    /// Positions whose messages have about 200 bytes, or `filler` bytes more.
    pub(crate) fn new(filler: usize) -> Self {
        let mut end = "}".to_owned();
        if filler > 0 {
            end = format!(r#","attributes":{{"filler":"{}"}}}}"#, "x".repeat(filler));
        }
        Self { base: base(), next: 0, end }
    }

    /// The body of a post: `steps` positions of each of the devices, and the numbers of the steps.
    pub(crate) fn body(&mut self, devices: &Range<usize>, steps: usize) -> (String, Range<u64>) {
        let numbers = self.take(steps);
        let mut body = String::with_capacity(devices.len() * steps * (200 + self.end.len()));
        body.push('[');
        for number in numbers.clone() {
            let stamp = self.stamp(number);
            for device in devices.clone() {
                write!(body, r#"{{"device_id":"{device:05}{TIMESTAMP}{stamp}{TAIL}{},"#, self.end).unwrap();
            }
        }
        body.pop();
        body.push(']');
        (body, numbers)
    }

    /// The same for a peer: a burst of messages for each device's topic, as `peer.rs` describes it.
    pub(crate) fn bursts(&mut self, devices: &Range<usize>, steps: usize) -> (Vec<u8>, Range<u64>) {
        let numbers = self.take(steps);
        let stamps: Vec<_> = numbers.clone().map(|number| self.stamp(number)).collect();
        let mut bytes = Vec::with_capacity(devices.len() * steps * (220 + self.end.len()));
        for device in devices.clone() {
            bytes.extend_from_slice(&(device as u32).to_le_bytes());
            bytes.extend_from_slice(&(steps as u32).to_le_bytes());
            for stamp in &stamps {
                let message = self.message(device, stamp);
                bytes.extend_from_slice(&(message.len() as u32).to_le_bytes());
                bytes.extend_from_slice(message.as_bytes());
            }
        }
        (bytes, numbers)
    }

    /// The length of every message, in bytes.
    pub(crate) fn message_bytes(&self) -> usize {
        self.message(0, &self.stamp(0)).len()
    }

    fn message(&self, device: usize, stamp: &str) -> String {
        let end = &self.end;
        format!("{HEAD}{device:05}{DEVICE}{device:05}{TIMESTAMP}{stamp}{TAIL}{end}")
    }

    fn take(&mut self, steps: usize) -> Range<u64> {
        let first = self.next;
        self.next += steps as u64;
        first..self.next
    }

    fn stamp(&self, number: u64) -> String {
        stamp(self.base, number)
    }
}

/// Milliseconds since the epoch of the position with number 0; a whole minute.
pub(crate) fn base() -> i64 {
    let now = jiff::Timestamp::now().as_millisecond() - BEFORE.as_millis() as i64;
    now - now % STAMPS as i64
}

/// The timestamp of a number.
pub(crate) fn stamp(base: i64, number: u64) -> String {
    let time = jiff::Timestamp::from_millisecond(base + number as i64).unwrap();
    format!("{time:.3}")
}

/// The topic of a device.
pub(crate) fn topic(device: usize) -> String {
    format!("device:{device:05}")
}

/// What a message is, from one byte of it: `position`, `subscribed`, `error`.
pub(crate) fn kind(message: &[u8]) -> u8 {
    message.get(9).copied().unwrap_or_default()
}

/// True if a message has several positions: its type is `positions`.
pub(crate) fn is_batch(message: &[u8]) -> bool {
    message.get(17) == Some(&b's') && kind(message) == b'p'
}

/// The number of a position, modulo [`STAMPS`], read from a message.
pub(crate) fn number(message: &[u8]) -> Option<usize> {
    number_at(message, SECONDS_AT)
}

/// The same, read from a timestamp.
pub(crate) fn number_of(timestamp: &str) -> Option<usize> {
    number_at(timestamp.as_bytes(), 17)
}

fn number_at(text: &[u8], at: usize) -> Option<usize> {
    let digits = text.get(at..at + 6)?;
    let digit = |place: usize| usize::from(digits[place].wrapping_sub(b'0'));
    let millis = digit(0) * 10_000 + digit(1) * 1000 + digit(3) * 100 + digit(4) * 10 + digit(5);
    (millis < STAMPS).then_some(millis)
}
