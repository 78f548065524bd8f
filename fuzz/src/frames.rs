//! The frame path: a client's bytes mean the same however they are cut, what [`reference`](super::reference) says
//! they mean, and cost no more memory than a message may have.

use std::collections::VecDeque;

use processor::live::wire::decoder::{Decoder, Event};
use processor::live::wire::deflate;
use processor::live::wire::frame;

use super::choices::Choices;
use super::reference::{self, opcode};

/// Limits of a message, in bytes: at, below and above where the lengths of frames change their form.
const LIMITS: [usize; 8] = [65_536, 0, 1, 7, 125, 126, 1000, 70_000];

/// Lengths of payloads.
const LENGTHS: [usize; 16] = [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 124, 125, 126, 127, 65_535, 65_536];

/// What payloads are made of. The last row is not text: a surrogate, an overlong slash, beyond U+10FFFF, a lone
/// continuation.
const PIECES: [&[u8]; 10] = [
    b"a",
    b"hello ",
    "ü".as_bytes(),
    "漢".as_bytes(),
    "🚲".as_bytes(),
    b"\0", //
    b"\xED\xA0\x80",
    b"\xC0\xAF",
    b"\xF4\x90",
    b"\xBF",
];

/// Codes for close frames; the second half must not be sent.
const CODES: [u16; 16] =
    [1000, 1001, 1003, 1007, 1014, 3000, 4401, 4999, 0, 999, 1004, 1005, 1006, 1015, 2999, 5000];

/// Checks `data` as bytes from a client, and as choices that make frames.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let max = choices.pick(&LIMITS);
    for deflate in [false, true] {
        holds(choices.clone().rest(), max, deflate, data);
    }
    let bytes = sequence(&mut choices);
    for deflate in [false, true] {
        holds(&bytes, max, deflate, data);
    }
    written(data);
}

/// Decodes `bytes` in one piece, byte by byte, and in pieces of the sizes that `sizes` names.
fn holds(bytes: &[u8], max: usize, deflate: bool, sizes: &[u8]) {
    let expected = reference::decode(bytes, max, deflate);
    let decode = |size: &mut dyn FnMut() -> usize| {
        decode(if deflate { Decoder::deflating(max) } else { Decoder::new(max) }, bytes, max, size)
    };
    assert_eq!(decode(&mut || usize::MAX), expected, "in one piece");
    if bytes.len() <= 4096 {
        assert_eq!(decode(&mut || 1), expected, "byte by byte");
    }
    let mut sizes = sizes.iter().cycle();
    let size = || sizes.next().map_or(1, |size| 1 + usize::from(*size));
    assert_eq!(decode(&mut { size }), expected, "in pieces");
}

fn decode(mut decoder: Decoder, mut bytes: &[u8], max: usize, mut size: impl FnMut() -> usize) -> Vec<Event> {
    let mut events = VecDeque::new();
    while !bytes.is_empty() {
        let piece = &bytes[..size().min(bytes.len())];
        let before = events.len();
        let read = decoder.feed(piece, &mut events);
        bytes = &bytes[read..];
        // What follows a compressed message is read when that was handled.
        assert!(read == piece.len() || events.len() > before, "{decoder:?} does not go on");
        // Twice, as a buffer that grows doubles; 125 bytes are the longest control frame. What is compressed may be a
        // little longer than what it holds.
        let most = 2 * (max + max / 64 + 64 + 125);
        assert!(decoder.buffered() <= most, "{decoder:?} holds more than a message");
        if matches!(events.back(), Some(Event::Close(_) | Event::Violation(_))) {
            assert_eq!(decoder.buffered(), 0, "nothing follows");
        }
    }
    events.into()
}

/// Frames as a client sends them, mostly in an order that is allowed.
fn sequence(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut in_message, mut is_compressed) = (false, false);
    while !choices.is_empty() && bytes.len() < 200_000 {
        let wild = choices.one_in(64);
        let opcode = match choices.below(16) {
            _ if wild => choices.byte() % 16,
            0 => opcode::PING,
            1 => opcode::PONG,
            15 => opcode::CLOSE,
            _ if in_message => opcode::CONTINUATION,
            2 | 5 | 8 | 11 | 14 => opcode::BINARY,
            _ => opcode::TEXT,
        };
        let control = opcode >= opcode::CLOSE;
        let fin = if control { !wild } else { choices.one_in(2) };
        let mut payload = match opcode {
            opcode::CLOSE => close_payload(choices),
            _ => payload(choices, control && !wild),
        };
        let mut reserved = if choices.one_in(128) { choices.byte() & 0x70 } else { 0 };
        if !control && opcode != opcode::CONTINUATION {
            is_compressed = choices.one_in(3);
            reserved |= if is_compressed { 0x40 } else { 0 };
        }
        if !control && is_compressed {
            payload = compressed(choices, &payload, fin);
        }
        push_frame(choices, &mut bytes, u8::from(fin) << 7 | reserved | opcode, &payload);
        if !control {
            in_message = !fin;
        }
    }
    if choices.one_in(4) {
        bytes.truncate(bytes.len().saturating_sub(1 + choices.below(16)));
    }
    bytes
}

fn payload(choices: &mut Choices<'_>, control: bool) -> Vec<u8> {
    let length = choices.pick(if control { &LENGTHS[..12] } else { &LENGTHS });
    let pieces = if choices.one_in(16) { &PIECES[..] } else { &PIECES[..6] };
    let piece = choices.pick(pieces);
    let mut payload = piece.repeat(length.div_ceil(piece.len()));
    // Text may be cut in the midst of a character; the frame behind it may or may not go on with the rest.
    payload.truncate(length);
    if choices.one_in(4) {
        payload.splice(0..0, piece[piece.len() / 2..].iter().copied());
    }
    payload.truncate(if control { 125 } else { usize::MAX });
    payload
}

/// A piece of a compressed message, mostly as it should be.
fn compressed(choices: &mut Choices<'_>, plain: &[u8], is_last: bool) -> Vec<u8> {
    let mut payload = match choices.below(4) {
        0 => {
            let mut stored = Vec::new();
            deflate::push_stored(&mut stored, plain);
            stored.extend_from_slice(if is_last { deflate::END } else { b"" });
            stored
        }
        _ if is_last => deflate::last(&deflate::piece(plain)).to_vec(),
        _ => deflate::piece(plain).to_vec(),
    };
    if choices.one_in(8) {
        // "Hello" in a final block (RFC 7692 section 7.2.3.4), with or without what should follow.
        payload = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"[..7 + choices.below(2)].to_vec();
    }
    if choices.one_in(16) && !payload.is_empty() {
        let at = usize::from(choices.byte()) % payload.len();
        payload[at] ^= 1 << choices.below(8);
    }
    if choices.one_in(16) {
        payload.truncate(payload.len().saturating_sub(1 + choices.below(8)));
    }
    payload
}

fn close_payload(choices: &mut Choices<'_>) -> Vec<u8> {
    match choices.below(8) {
        0 => Vec::new(),
        1 => vec![3],
        form => {
            let codes = if form < 6 { &CODES[..8] } else { &CODES[..] };
            let mut payload = choices.pick(codes).to_be_bytes().to_vec();
            let reason = choices.pick(&PIECES);
            payload.extend_from_slice(&reason[..reason.len() - usize::from(choices.one_in(8))]);
            payload
        }
    }
}

/// Writes a frame; sometimes its length is not in the shortest form, not true, or there is no mask.
fn push_frame(choices: &mut Choices<'_>, bytes: &mut Vec<u8>, first: u8, payload: &[u8]) {
    bytes.push(first);
    let masked = !choices.one_in(128);
    let mask_bit = u8::from(masked) << 7;
    let length = if choices.one_in(128) { choices.word() } else { payload.len() as u64 };
    let form = if choices.one_in(64) { choices.below(3) } else { 0 };
    match (length, form) {
        (0..=125, 0) => bytes.push(mask_bit | length as u8),
        (0..=0xFFFF, 0 | 1) => {
            bytes.push(mask_bit | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(mask_bit | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    let mask = [choices.byte(), choices.byte(), 0, 0xFF];
    if masked {
        bytes.extend(mask);
        bytes.extend(payload.iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]));
    } else {
        bytes.extend(payload);
    }
}

/// What the server writes is read back as what it was; only the mask is a client's alone.
fn written(data: &[u8]) {
    let short = &data[..data.len().min(123)];
    let mut cases = vec![
        (frame::binary(data), Event::Binary(data.to_vec())),
        (frame::pong(short), Event::Pong),
        (frame::close(Some(4401), ""), Event::Close(Some(4401))),
        (frame::close(None, ""), Event::Close(None)),
        (frame::PING_FRAME, Event::Ping(bytes::Bytes::new())),
    ];
    if let Ok(text) = std::str::from_utf8(data) {
        cases.push((frame::text(data), Event::Text(text.to_owned())));
    }
    if let Ok(reason) = std::str::from_utf8(short) {
        cases.push((frame::close(Some(1008), reason), Event::Close(Some(1008))));
    }
    for (frame, event) in cases {
        let header = match frame[1] {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        let mut masked = frame.to_vec();
        masked[1] |= 0x80;
        masked.splice(header..header, [0; 4]);
        assert_eq!(decode(Decoder::new(data.len()), &masked, data.len(), || usize::MAX), [event]);
    }
}
