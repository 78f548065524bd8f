//! `Decoder`: what a client sends, RFC 6455 frames read strictly, over bytes as they arrive.
//!
//! Written here instead of taken from a library because what it bounds is what this server exists for: the
//! codecs at hand buffer a whole frame before they look at its size or its UTF-8.

use std::collections::VecDeque;

use bytes::Bytes;

use super::close::{self, CloseReason};
use super::frame::{BINARY, CLOSE, CONTINUATION, MAX_CONTROL, PING, PONG, RSV1, TEXT};
use super::inflate::{InflateError, inflate, most_compressed};

/// Longest header of a frame from a client: two bytes, eight of length, four of mask.
const MAX_HEADER: usize = 14;

/// What a client's bytes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole message of text.
    Text(String),
    /// A whole message of bytes.
    Binary(Vec<u8>),
    /// A piece of a message that is not yet complete.
    Fragment,
    /// A ping, to be answered with the same payload.
    Ping(Bytes),
    /// A pong, asked for or not.
    Pong,
    /// The client closes, with this code if it gave one. Nothing follows.
    Close(Option<u16>),
    /// The client broke the protocol or a limit. Nothing follows.
    Violation(CloseReason),
}

/// Turns a client's bytes into events. It holds at most one message of the size that is allowed.
///
/// A compressed message is kept as it came until it is complete: so a client makes the server hold no more than it sends,
/// no connection has a decompressor of its own, and what is wrong with such a message is found at its end.
#[derive(Debug)]
pub struct Decoder {
    max_message: usize,
    /// Bytes of the header that is being read.
    header: [u8; MAX_HEADER],
    header_len: u8,
    /// The frame whose payload is being read.
    frame: Option<FrameHeader>,
    /// What the message began as, while it is not complete.
    message_kind: Option<Kind>,
    message: Vec<u8>,
    /// How much of `message` is known to be UTF-8; less than four bytes behind its end.
    valid: usize,
    control: Vec<u8>,
    /// The client may compress: permessage-deflate was negotiated.
    may_deflate: bool,
    /// The message that came last, or is coming, is compressed.
    is_deflated: bool,
    inflated: Inflated,
    /// Nobody waits for messages any more, so none is decompressed.
    ignores_messages: bool,
    /// Set after a close or a violation: what follows is not read (section 1.4).
    done: bool,
}

/// Bytes of messages that were decompressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inflated {
    /// As they came.
    pub compressed: u32,
    /// As they are handled.
    pub plain: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

#[derive(Clone, Copy, Debug)]
struct FrameHeader {
    fin: bool,
    opcode: u8,
    mask: [u8; 4],
    /// Payload bytes that are still to come.
    remaining: usize,
}

impl Decoder {
    /// Messages may have `max_message` bytes from now on.
    pub(crate) fn limit(&mut self, max_message: usize) {
        self.max_message = max_message;
    }

    /// A decoder for messages of at most `max_message` bytes.
    pub fn new(max_message: usize) -> Self {
        Self {
            max_message,
            header: [0; MAX_HEADER],
            header_len: 0,
            frame: None,
            message_kind: None,
            message: Vec::new(),
            valid: 0,
            control: Vec::new(),
            may_deflate: false,
            is_deflated: false,
            inflated: Inflated::default(),
            ignores_messages: false,
            done: false,
        }
    }

    /// The same for a client that may compress its messages (permessage-deflate, RFC 7692). The limit is that of a message
    /// that is decompressed.
    pub fn deflating(max_message: usize) -> Self {
        Self { may_deflate: true, ..Self::new(max_message) }
    }

    /// Reads `bytes`, the next that came, and appends what they say to `events`. Returns how many were read: all, but for
    /// those behind a message that was compressed. A few bytes can be a long message, so it should be handled before the
    /// next one is read.
    #[must_use]
    pub fn feed(&mut self, bytes: &[u8], events: &mut VecDeque<Event>) -> usize {
        let length = bytes.len();
        length - self.read(bytes, events).len()
    }

    /// Reads, and returns what is left.
    fn read<'a>(&mut self, mut bytes: &'a [u8], events: &mut VecDeque<Event>) -> &'a [u8] {
        while !self.done {
            let step = match self.frame {
                None => self.header(&mut bytes),
                Some(frame) => self.payload(frame, &mut bytes),
            };
            match step {
                Ok(Some(event)) => {
                    self.done = matches!(event, Event::Close(_));
                    let was_inflated = self.is_deflated && matches!(event, Event::Text(_) | Event::Binary(_));
                    events.push_back(event);
                    if was_inflated {
                        return bytes;
                    }
                }
                Ok(None) => {
                    // A frame without payload is complete as soon as its header is.
                    let empty_frame = self.frame.is_some_and(|frame| frame.remaining == 0);
                    if bytes.is_empty() && !empty_frame {
                        return bytes;
                    }
                }
                Err(reason) => {
                    self.done = true;
                    events.push_back(Event::Violation(reason));
                }
            }
        }
        self.message = Vec::new();
        self.control = Vec::new();
        &[] // what follows is of no interest
    }

    /// From now on a compressed message is read as if it were a fragment: only its frames are looked at.
    pub fn ignore_messages(&mut self) {
        self.ignores_messages = true;
    }

    /// What was decompressed since this was last asked.
    pub fn take_inflated(&mut self) -> Inflated {
        std::mem::take(&mut self.inflated)
    }

    /// Bytes of memory held for a message or a control frame that is not yet complete.
    pub fn buffered(&self) -> usize {
        self.message.capacity() + self.control.capacity()
    }

    /// Takes header bytes until the header is whole, then checks it.
    fn header(&mut self, bytes: &mut &[u8]) -> Result<Option<Event>, CloseReason> {
        while let Some((&byte, rest)) = bytes.split_first() {
            self.header[usize::from(self.header_len)] = byte;
            self.header_len += 1;
            *bytes = rest;
            if self.header_len == 2 {
                self.check_start()?;
            }
            if self.header_len >= 2 && self.header_len == self.header_size() {
                self.begin_frame()?;
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn header_size(&self) -> u8 {
        match self.header[1] & 0x7F {
            126 => 8,
            127 => 14,
            _ => 6,
        }
    }

    /// Checks what the first two bytes alone can break (sections 5.1, 5.2, 5.4 and 5.5).
    fn check_start(&self) -> Result<(), CloseReason> {
        let [first, second, ..] = self.header;
        let (fin, opcode, length) = (first & 0x80 != 0, first & 0x0F, usize::from(second & 0x7F));
        let in_message = self.message_kind.is_some();
        let fits = match opcode {
            CONTINUATION => in_message,
            TEXT | BINARY => !in_message,
            CLOSE | PING | PONG => fin && length <= MAX_CONTROL,
            _ => false,
        };
        let reserved = match first & 0x70 {
            0 => true,
            // Only the first frame of a message says that it is compressed (RFC 7692 section 6.1).
            RSV1 => self.may_deflate && matches!(opcode, TEXT | BINARY),
            _ => false,
        };
        let masked = second & 0x80 != 0;
        if fits && reserved && masked { Ok(()) } else { Err(close::PROTOCOL_ERROR) }
    }

    /// Reads length and mask of a whole header and starts its frame.
    fn begin_frame(&mut self) -> Result<(), CloseReason> {
        let size = usize::from(std::mem::take(&mut self.header_len));
        let header = &self.header[..size];
        let (extended, mask) = header[2..].split_at(size - 6);
        let announced = match extended.len() {
            0 => u64::from(header[1] & 0x7F),
            _ => extended.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        // The shortest form must be used, and the highest bit must not be set (section 5.2).
        let shortest = match extended.len() {
            0 => true,
            2 => announced > 125,
            _ => announced > 0xFFFF && announced >> 63 == 0,
        };
        if !shortest {
            return Err(close::PROTOCOL_ERROR);
        }
        let opcode = header[0] & 0x0F;
        if matches!(opcode, TEXT | BINARY) {
            self.is_deflated = header[0] & RSV1 != 0;
        }
        let most = if self.is_deflated { most_compressed(self.max_message) } else { self.max_message };
        let room = most - self.message.len();
        let remaining = usize::try_from(announced).unwrap_or(usize::MAX);
        if opcode < CLOSE && remaining > room {
            return Err(close::TOO_BIG.with(self.max_message as u64));
        }
        match opcode {
            TEXT => self.message_kind = Some(Kind::Text),
            BINARY => self.message_kind = Some(Kind::Binary),
            _ => {}
        }
        let mut key = [0; 4];
        key.copy_from_slice(mask);
        self.frame = Some(FrameHeader { fin: header[0] & 0x80 != 0, opcode, mask: key, remaining });
        Ok(())
    }

    /// Takes payload bytes; at the end of the frame says what it was.
    fn payload(&mut self, mut frame: FrameHeader, bytes: &mut &[u8]) -> Result<Option<Event>, CloseReason> {
        let (piece, rest) = bytes.split_at(frame.remaining.min(bytes.len()));
        *bytes = rest;
        let is_control = frame.opcode >= CLOSE;
        let buffer = if is_control { &mut self.control } else { &mut self.message };
        let start = buffer.len();
        buffer.extend_from_slice(piece);
        unmask(&mut buffer[start..], frame.mask);
        frame.mask.rotate_left(piece.len() % 4);
        frame.remaining -= piece.len();
        if !is_control && !self.is_deflated && self.message_kind == Some(Kind::Text) {
            self.check_utf8(frame.fin && frame.remaining == 0)?;
        }
        if frame.remaining > 0 {
            self.frame = Some(frame);
            return Ok(None);
        }
        self.frame = None;
        if is_control { self.end_control(frame.opcode).map(Some) } else { self.end_data(frame.fin).map(Some) }
    }

    /// Looks at text as soon as it is there, so that a fault is found in the bytes that carry it (section 8.1).
    fn check_utf8(&mut self, complete: bool) -> Result<(), CloseReason> {
        match std::str::from_utf8(&self.message[self.valid..]) {
            Ok(_) => self.valid = self.message.len(),
            // A character that is cut off may be continued by the next bytes, if any are to come.
            Err(error) if error.error_len().is_none() && !complete => self.valid += error.valid_up_to(),
            Err(_) => return Err(close::INVALID_DATA),
        }
        Ok(())
    }

    fn end_data(&mut self, fin: bool) -> Result<Event, CloseReason> {
        if !fin {
            return Ok(Event::Fragment);
        }
        let mut message = std::mem::take(&mut self.message);
        let kind = self.message_kind.take();
        self.valid = 0;
        if self.is_deflated && self.ignores_messages {
            return Ok(Event::Fragment);
        }
        if self.is_deflated {
            message = self.inflate(&message)?;
        }
        match kind {
            Some(Kind::Text) => String::from_utf8(message).map(Event::Text).map_err(|_| close::INVALID_DATA),
            _ => Ok(Event::Binary(message)),
        }
    }

    fn inflate(&mut self, compressed: &[u8]) -> Result<Vec<u8>, CloseReason> {
        let plain = inflate(compressed, self.max_message).map_err(|error| match error {
            InflateError::TooLong => close::TOO_BIG.with(self.max_message as u64),
            InflateError::Corrupt => close::CORRUPT_DATA,
        })?;
        let add = |sum: &mut u32, bytes: usize| {
            *sum = sum.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        };
        add(&mut self.inflated.compressed, compressed.len());
        add(&mut self.inflated.plain, plain.len());
        Ok(plain)
    }

    fn end_control(&mut self, opcode: u8) -> Result<Event, CloseReason> {
        let payload = std::mem::take(&mut self.control);
        match opcode {
            PING => Ok(Event::Ping(payload.into())),
            PONG => Ok(Event::Pong),
            _ => read_close(&payload).map(Event::Close),
        }
    }
}

/// Reads the payload of a close frame (section 5.5.1) and checks its code (section 7.4) and reason.
fn read_close(payload: &[u8]) -> Result<Option<u16>, CloseReason> {
    match payload {
        [] => Ok(None),
        [_] => Err(close::PROTOCOL_ERROR),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            // 1012 to 1014 were registered with IANA after the RFC.
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(close::PROTOCOL_ERROR);
            }
            std::str::from_utf8(reason).map(|_| Some(code)).map_err(|_| close::INVALID_DATA)
        }
    }
}

/// Undoes the mask of section 5.3, eight bytes at a time.
fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut chunks = bytes.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        chunk.copy_from_slice(&(u64::from_ne_bytes(word) ^ wide).to_ne_bytes());
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests;
