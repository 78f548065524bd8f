//! A second reading of RFC 6455, and of messages that are compressed (RFC 7692), to hold the server's decoder against.
//!
//! It has all bytes at once and reads them front to back, without any state between two calls; plain enough to be
//! checked against the RFC by eye. It shares no code with what it is compared to, but the names of the outcomes, and the
//! library that reads DEFLATE.

use flate2::{Decompress, FlushDecompress, Status};
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

/// What a client's bytes say, when these are all that came, a message may have `max` bytes, and `deflate` was agreed on or
/// not.
pub fn decode(bytes: &[u8], max: usize, deflate: bool) -> Vec<Event> {
    let mut reader = Reader { left: bytes, max, deflate, message: None };
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
    deflate: bool,
    /// The message that has begun: whether it is text, whether it is compressed, and its payload so far.
    message: Option<(bool, bool, Vec<u8>)>,
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
        // RSV1 is the highest of the three; the message's first frame has it if the message is compressed.
        let compressed = reserved == 4 && self.deflate && [opcode::TEXT, opcode::BINARY].contains(&opcode);
        if (reserved != 0 && !compressed) || !legal || *second < 128 {
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
        let begun = self.message.as_ref();
        let compressed = begun.map_or(compressed, |(_, compressed, _)| *compressed);
        let before = begun.map_or(0, |(_, _, message)| message.len());
        // What does not get shorter gets a little longer.
        let most = if compressed { self.max + self.max / 64 + 64 } else { self.max };
        if !control && before as u128 + length > most as u128 {
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
        let first = (opcode == opcode::TEXT, compressed, Vec::new());
        let (is_text, _, mut message) = self.message.take().unwrap_or(first);
        message.extend(unmasked);
        if compressed && fin && whole {
            message = self.inflate(&message)?;
        }
        if is_text && (!compressed || fin && whole) {
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
            self.message = Some((is_text, compressed, message));
            return Ok(Some(Event::Fragment));
        }
        let event = if is_text {
            Event::Text(String::from_utf8_lossy(&message).into_owned())
        } else {
            Event::Binary(message)
        };
        Ok(Some(event))
    }

    /// The message behind a compressed payload: one stream of blocks after another, the last of them left open.
    fn inflate(&self, payload: &[u8]) -> Result<Vec<u8>, CloseReason> {
        let mut message = Vec::new();
        let mut left = payload.to_vec();
        let mut is_open = !payload.is_empty();
        if is_open && !self.ends_in_a_final_block(payload) {
            // What the sender left out, and a final block that says nothing.
            left.extend([0, 0, 0xFF, 0xFF, 3, 0]);
        }
        while is_open {
            let mut buffer = vec![0; self.max + 1 - message.len()];
            let mut stream = Decompress::new(false);
            let status = stream.decompress(&left, &mut buffer, FlushDecompress::Finish);
            message.extend(&buffer[..stream.total_out() as usize]);
            if message.len() > self.max {
                return Err(close::TOO_BIG.with(self.max as u64));
            }
            if !matches!(status, Ok(Status::StreamEnd)) {
                return Err(close::CORRUPT_DATA);
            }
            left.drain(..stream.total_in() as usize);
            is_open = !left.is_empty();
        }
        Ok(message)
    }

    /// True if the payload is streams to their ends and nothing more.
    fn ends_in_a_final_block(&self, payload: &[u8]) -> bool {
        let mut left = payload;
        while !left.is_empty() {
            let mut stream = Decompress::new(false);
            // More than the longest that may come can hold.
            let mut buffer = vec![0; self.max + 1];
            if !matches!(stream.decompress(left, &mut buffer, FlushDecompress::Finish), Ok(Status::StreamEnd))
            {
                return false;
            }
            left = &left[stream.total_in() as usize..];
        }
        true
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
