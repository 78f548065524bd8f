//! A second reading of RFC 6455, to hold the server's decoder against.
//!
//! It has all bytes at once and reads them front to back, without any state between two calls; plain enough to be
//! checked against the RFC by eye. It shares no code with what it is compared to, but the names of the outcomes.

use processor::live::wire::close::{self, CloseReason};
use processor::live::wire::decoder::Event;

/// Opcodes, by RFC 6455 section 11.8. Those of control frames have the highest of their four bits set.
pub mod opcode {
    #![allow(missing_docs, reason = "their names are the RFC's")]
    pub const CONTINUATION: u8 = 0;
    pub const TEXT: u8 = 1;
    pub const BINARY: u8 = 2;
    pub const CLOSE: u8 = 8;
    pub const PING: u8 = 9;
    pub const PONG: u8 = 10;
}

/// What a client's bytes say, when these are all that came and a message may have `max` bytes.
pub fn decode(bytes: &[u8], max: usize) -> Vec<Event> {
    let mut reader = Reader { left: bytes, max, message: None };
    let mut events = Vec::new();
    loop {
        match reader.frame() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return events,
            Err(reason) => events.push(Event::Violation(reason)),
        }
        if matches!(events.last(), Some(Event::Close(_) | Event::Violation(_))) {
            return events;
        }
    }
}

struct Reader<'a> {
    left: &'a [u8],
    max: usize,
    /// The message that has begun: whether it is text, and its payload so far.
    message: Option<(bool, Vec<u8>)>,
}

impl Reader<'_> {
    /// The next frame; none if it is not all there yet, and nothing is wrong with the part that is.
    fn frame(&mut self) -> Result<Option<Event>, CloseReason> {
        let [first, second, rest @ ..] = self.left else { return Ok(None) };
        let fin = first >= &0x80;
        let (reserved, opcode) = (first / 16 % 8, first % 16);
        let control = opcode >= opcode::CLOSE;
        let legal = match opcode {
            opcode::CONTINUATION => self.message.is_some(),
            opcode::TEXT | opcode::BINARY => self.message.is_none(),
            opcode::CLOSE | opcode::PING | opcode::PONG => fin && second % 128 < 126,
            _ => false,
        };
        if reserved != 0 || !legal || *second < 128 {
            return Err(close::PROTOCOL_ERROR);
        }
        let extended = match second % 128 {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let (Some(length), Some(mask), Some(payload)) =
            (rest.get(..extended), rest.get(extended..extended + 4), rest.get(extended + 4..))
        else {
            return Ok(None);
        };
        let (length, shortest) = match *length {
            [a, b] => (u128::from(u16::from_be_bytes([a, b])), 126..=0xFFFF),
            [a, b, c, d, e, f, g, h] => {
                (u128::from(u64::from_be_bytes([a, b, c, d, e, f, g, h])), 0x1_0000..=0x7FFF_FFFF_FFFF_FFFF)
            }
            _ => (u128::from(second % 128), 0..=125),
        };
        if !shortest.contains(&length) {
            return Err(close::PROTOCOL_ERROR);
        }
        let before = self.message.as_ref().map_or(0, |(_, message)| message.len());
        if !control && before as u128 + length > self.max as u128 {
            return Err(close::TOO_BIG.with(self.max as u64));
        }
        let there = payload.len().min(usize::try_from(length).unwrap_or(usize::MAX));
        let whole = there as u128 == length;
        let mut unmasked = Vec::new();
        for (index, byte) in payload[..there].iter().enumerate() {
            unmasked.push(byte ^ mask[index % 4]);
        }
        self.left = &payload[there..];
        if control {
            return if whole { control_frame(opcode, unmasked).map(Some) } else { Ok(None) };
        }
        let (is_text, mut message) = self.message.take().unwrap_or((opcode == opcode::TEXT, Vec::new()));
        message.extend(unmasked);
        if is_text {
            match utf8(&message) {
                Utf8::Whole => {}
                Utf8::Cut if !(fin && whole) => {}
                Utf8::Cut | Utf8::Bad => return Err(close::INVALID_DATA),
            }
        }
        if !whole {
            return Ok(None);
        }
        if !fin {
            self.message = Some((is_text, message));
            return Ok(Some(Event::Fragment));
        }
        let event = if is_text {
            Event::Text(String::from_utf8_lossy(&message).into_owned())
        } else {
            Event::Binary(message)
        };
        Ok(Some(event))
    }
}

fn control_frame(opcode: u8, payload: Vec<u8>) -> Result<Event, CloseReason> {
    match (opcode, &payload[..]) {
        (opcode::PING, _) => Ok(Event::Ping(payload.into())),
        (opcode::PONG, _) => Ok(Event::Pong),
        (_, []) => Ok(Event::Close(None)),
        (_, [_]) => Err(close::PROTOCOL_ERROR),
        (_, [high, low, reason @ ..]) => {
            let code = u16::from(*high) * 256 + u16::from(*low);
            let registered = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
            if !registered.contains(&code) && !(3000..5000).contains(&code) {
                return Err(close::PROTOCOL_ERROR);
            }
            if utf8(reason) == Utf8::Whole { Ok(Event::Close(Some(code))) } else { Err(close::INVALID_DATA) }
        }
    }
}

/// What a piece of text is, if more may follow.
#[derive(Debug, PartialEq, Eq)]
pub enum Utf8 {
    /// Whole characters.
    Whole,
    /// Whole characters and the beginning of one.
    Cut,
    /// No continuation makes it text.
    Bad,
}

/// Table 3-7 of the Unicode standard, well-formed UTF-8 byte sequences, byte by byte.
pub fn utf8(mut bytes: &[u8]) -> Utf8 {
    const TAIL: std::ops::RangeInclusive<u8> = 0x80..=0xBF;
    while let Some((first, rest)) = bytes.split_first() {
        let tails = match first {
            0x00..=0x7F => vec![],
            0xC2..=0xDF => vec![TAIL],
            0xE0 => vec![0xA0..=0xBF, TAIL],
            0xE1..=0xEC | 0xEE..=0xEF => vec![TAIL, TAIL],
            0xED => vec![0x80..=0x9F, TAIL],
            0xF0 => vec![0x90..=0xBF, TAIL, TAIL],
            0xF1..=0xF3 => vec![TAIL, TAIL, TAIL],
            0xF4 => vec![0x80..=0x8F, TAIL, TAIL],
            _ => return Utf8::Bad,
        };
        for (index, tail) in tails.iter().enumerate() {
            match rest.get(index) {
                None => return Utf8::Cut,
                Some(byte) if !tail.contains(byte) => return Utf8::Bad,
                Some(_) => {}
            }
        }
        bytes = &rest[tails.len()..];
    }
    Utf8::Whole
}
