//! `Frame`: what the server sends, as RFC 6455 frames, and the opcodes.

use bytes::{BufMut, Bytes, BytesMut};

/// A frame that continues a message (RFC 6455 section 5.2, as are all opcodes).
pub(super) const CONTINUATION: u8 = 0x0;
/// A message of text, or its first fragment.
pub(super) const TEXT: u8 = 0x1;
/// A message of bytes, or its first fragment.
pub(super) const BINARY: u8 = 0x2;
/// Begins or answers the closing handshake.
pub(super) const CLOSE: u8 = 0x8;
/// Asks for a pong.
pub(super) const PING: u8 = 0x9;
/// Answers a ping, or comes unasked.
pub(super) const PONG: u8 = 0xA;

/// Of a frame's first byte: the message that begins with it is compressed (RFC 7692 section 6).
pub(super) const RSV1: u8 = 0x40;

/// Longest payload of a control frame, in bytes (section 5.5).
pub(super) const MAX_CONTROL: usize = 125;

/// A frame in two pieces, so that frames to different receivers can share the longer one. Nothing comes between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Header and beginning of the payload.
    pub head: Bytes,
    /// The rest of the payload, which may be empty.
    pub tail: Bytes,
}

impl Frame {
    /// Length in bytes, the header included.
    pub fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// True if there is nothing of it.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.tail.is_empty()
    }
}

impl From<Bytes> for Frame {
    fn from(head: Bytes) -> Self {
        Self { head, tail: Bytes::new() }
    }
}

/// Where a fragment stands in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The message begins with it.
    pub first: bool,
    /// The message ends with it.
    pub last: bool,
}

impl Place {
    /// The message is one fragment.
    pub(crate) const WHOLE: Self = Self { first: true, last: true };
}

/// A whole text message as a server sends it: one frame, not masked.
pub fn text(payload: &[u8]) -> Bytes {
    data(TEXT, payload)
}

/// A whole message of bytes as a server sends it: one frame, not masked.
pub fn binary(payload: &[u8]) -> Bytes {
    data(BINARY, payload)
}

/// A whole text message whose payload is `begin` and then `tail`.
pub(crate) fn text_of(begin: &[u8], tail: Bytes) -> Frame {
    Frame { head: head(TEXT, true, begin, tail.len()), tail }
}

/// A fragment of a text message (RFC 6455 section 5.4) whose payload is `begin` and then `tail`.
pub(crate) fn fragment(place: Place, begin: &[u8], tail: Bytes) -> Frame {
    let opcode = if place.first { TEXT } else { CONTINUATION };
    Frame { head: head(opcode, place.last, begin, tail.len()), tail }
}

/// A fragment of a compressed text message, or all of it, whose payload is `begin` and then `tail`, both compressed or
/// stored ([`deflate`](super::deflate)). Only the first one says that the message is compressed (RFC 7692 section 6.1).
pub fn deflated_fragment(place: Place, begin: &[u8], tail: Bytes) -> Frame {
    let opcode = if place.first { RSV1 | TEXT } else { CONTINUATION };
    Frame { head: head(opcode, place.last, begin, tail.len()), tail }
}

/// A whole compressed message.
pub(super) fn deflated(opcode: u8, compressed: &[u8]) -> Bytes {
    data(RSV1 | opcode, compressed)
}

/// A whole message, or a control frame.
pub(super) fn data(opcode: u8, payload: &[u8]) -> Bytes {
    head(opcode, true, payload, 0)
}

/// Header and beginning of a frame of which `more` bytes follow.
fn head(opcode: u8, fin: bool, payload: &[u8], more: usize) -> Bytes {
    let mut frame = BytesMut::with_capacity(payload.len() + 10);
    frame.put_u8(if fin { 0x80 | opcode } else { opcode });
    match payload.len() + more {
        length @ 0..=125 => frame.put_u8(length as u8),
        length @ 126..=0xFFFF => {
            frame.put_u8(126);
            frame.put_u16(length as u16);
        }
        length => {
            frame.put_u8(127);
            frame.put_u64(length as u64);
        }
    }
    frame.put_slice(payload);
    frame.freeze()
}

/// A ping without payload.
pub const PING_FRAME: Bytes = Bytes::from_static(&[0x80 | PING, 0]);

/// The pong that answers a ping with this payload, which came in a control frame and so is short.
pub fn pong(payload: &[u8]) -> Bytes {
    data(PONG, payload)
}

/// A close frame with code and reason; without either if `code` is `None`.
pub fn close(code: Option<u16>, reason: &str) -> Bytes {
    let mut payload = Vec::with_capacity(2 + reason.len());
    if let Some(code) = code {
        payload.extend_from_slice(&code.to_be_bytes());
        payload.extend_from_slice(reason.as_bytes());
    }
    debug_assert!(payload.len() <= MAX_CONTROL);
    data(CLOSE, &payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_their_shortest_form() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (65535, 4), (65536, 10)] {
            assert_eq!(text(&vec![b'x'; length]).len(), length + header);
        }
        assert_eq!(&close(Some(1001), "bye")[..], b"\x88\x05\x03\xE9bye");
        assert_eq!(&close(None, "")[..], b"\x88\x00");
    }

    #[test]
    fn the_header_says_what_a_frame_is_and_counts_both_pieces() {
        assert_eq!(&text(b"ab")[..], b"\x81\x02ab");
        assert_eq!(&binary(b"ab")[..], b"\x82\x02ab");
        assert_eq!(&pong(b"ab")[..], b"\x8A\x02ab");
        assert_eq!(&PING_FRAME[..], b"\x89\x00");
        let frame = |head| Frame { head: Bytes::from_static(head), tail: Bytes::from_static(b"cde") };
        assert_eq!(text_of(b"ab", Bytes::from_static(b"cde")), frame(b"\x81\x05ab"));
        for (first, last, head) in [
            (true, false, b"\x01\x05ab"),
            (false, false, b"\x00\x05ab"),
            (false, true, b"\x80\x05ab"),
            (true, true, b"\x81\x05ab"),
        ] {
            let fragment = fragment(Place { first, last }, b"ab", Bytes::from_static(b"cde"));
            assert_eq!((fragment.len(), fragment), (7, frame(head)));
        }
    }

    #[test]
    fn a_frame_is_empty_if_both_pieces_are() {
        let [none, some] = [Bytes::new(), Bytes::from_static(b"x")];
        for (head, tail, is_empty) in
            [(&none, &none, true), (&some, &none, false), (&none, &some, false), (&some, &some, false)]
        {
            assert_eq!(Frame { head: head.clone(), tail: tail.clone() }.is_empty(), is_empty);
        }
        assert_eq!(Frame::from(some.clone()), Frame { head: some, tail: none });
    }
}
