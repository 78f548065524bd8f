//! Unit tests of `frame`.

use super::*;
use crate::live::wire::deflate;

/// A frame as a client sends it.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn decode(max: usize, bytes: &[u8], piece: usize) -> Vec<Event> {
    decode_with(Decoder::new(max), bytes, piece)
}

fn decode_with(mut decoder: Decoder, bytes: &[u8], piece: usize) -> Vec<Event> {
    let mut events = VecDeque::new();
    for mut chunk in bytes.chunks(piece) {
        while !chunk.is_empty() {
            let read = decoder.feed(chunk, &mut events);
            assert!(read > 0, "it has no end");
            chunk = &chunk[read..];
        }
    }
    events.into()
}

#[test]
fn reads_the_same_however_the_bytes_are_cut() {
    let long = "ü".repeat(300);
    let mut bytes = masked(0x81, b"hello");
    bytes.extend(masked(0x01, &long.as_bytes()[..301]));
    bytes.extend(masked(0x89, b"still there?"));
    bytes.extend(masked(0x00, b""));
    bytes.extend(masked(0x80, &long.as_bytes()[301..]));
    bytes.extend(masked(0x82, b""));
    bytes.extend(masked(0x8A, b""));
    bytes.extend(masked(0x88, &[0x03, 0xE8, b'x']));
    bytes.extend(masked(0x81, b"after the close"));
    let expected = [
        Event::Text("hello".into()),
        Event::Fragment,
        Event::Ping(Bytes::from_static(b"still there?")),
        Event::Fragment,
        Event::Text(long),
        Event::Binary(Vec::new()),
        Event::Pong,
        Event::Close(Some(1000)),
    ];
    for piece in [1, 2, 3, 7, 64, bytes.len()] {
        assert_eq!(decode(1000, &bytes, piece), expected, "in pieces of {piece}");
    }
}

#[test]
fn a_limit_is_found_in_the_header() {
    let tebibyte = [0x82, 0xFF, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(decode(65536, &tebibyte, 14), [Event::Violation(close::TOO_BIG.with(65536))]);
    let mut pieces = masked(0x01, &[b'x'; 100]);
    pieces.extend(masked(0x80, &[b'x'; 100]));
    assert_eq!(decode(200, &pieces, 9), [Event::Fragment, Event::Text("x".repeat(200))]);
    let over = decode(199, &pieces[..106 + 6], 9);
    assert_eq!(over, [Event::Fragment, Event::Violation(close::TOO_BIG.with(199))]);
}

#[test]
fn what_the_rfc_forbids_is_a_protocol_error() {
    let long_ping = masked(0x89, &[0; 126]);
    let cases: &[(&str, &[u8])] = &[
        ("not masked", &[0x81, 0x01, b'x']),
        ("RSV1", &[0xC1, 0x80]),
        ("opcode 3", &[0x83, 0x80]),
        ("opcode 11", &[0x8B, 0x80]),
        ("continuation of nothing", &[0x80, 0x80]),
        ("fragmented ping", &[0x09, 0x80]),
        ("ping of 126 bytes", &long_ping),
        ("length not in its shortest form", &[0x81, 0xFE, 0, 125, 0, 0, 0, 0]),
        ("64-bit length not in its shortest form", &[0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0]),
        ("length with the highest bit", &[0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("close of one byte", &[0x88, 0x81, 0, 0, 0, 0, 0]),
        ("close code 1005", &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xED]),
    ];
    for (what, bytes) in cases {
        assert_eq!(decode(100, bytes, 3), [Event::Violation(close::PROTOCOL_ERROR)], "{what}");
    }
    let mut interleaved = masked(0x01, b"a");
    interleaved.extend(masked(0x81, b"b"));
    assert_eq!(decode(100, &interleaved, 99), [Event::Fragment, Event::Violation(close::PROTOCOL_ERROR)]);
}

#[test]
fn bad_utf8_is_found_in_the_byte_that_carries_it() {
    let frame = masked(0x81, b"ab\xC3\xA9\xED\xA0 and much more");
    let (seen, rest) = frame.split_at(6 + 6);
    assert!(!rest.is_empty());
    assert_eq!(decode(100, seen, 99), [Event::Violation(close::INVALID_DATA)]);
    assert_eq!(decode(100, &masked(0x81, b"cut \xE2\x82"), 99), [Event::Violation(close::INVALID_DATA)]);
    assert_eq!(decode(100, &masked(0x88, b"\x03\xE8\xFF"), 99), [Event::Violation(close::INVALID_DATA)]);
}

const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";

#[test]
fn compressed_messages_are_read_the_same_however_they_are_cut() {
    let mut bytes = masked(0xC1, HELLO);
    bytes.extend(masked(0x81, b"plain"));
    bytes.extend(masked(0x42, &HELLO[..3]));
    bytes.extend(masked(0x89, b"still there?"));
    bytes.extend(masked(0x00, b""));
    bytes.extend(masked(0x80, &HELLO[3..]));
    bytes.extend(masked(0x01, b"pl"));
    bytes.extend(masked(0x80, b"ain"));
    bytes.extend(masked(0xC1, b"\0"));
    bytes.extend(masked(0xC2, b""));
    bytes.extend(masked(0x88, b""));
    let expected = [
        Event::Text("Hello".into()),
        Event::Text("plain".into()),
        Event::Fragment,
        Event::Ping(Bytes::from_static(b"still there?")),
        Event::Fragment,
        Event::Binary(b"Hello".to_vec()),
        Event::Fragment,
        Event::Text("plain".into()),
        Event::Text(String::new()),
        Event::Binary(Vec::new()),
        Event::Close(None),
    ];
    for piece in [1, 2, 3, 7, 64, bytes.len()] {
        assert_eq!(decode_with(Decoder::deflating(100), &bytes, piece), expected, "in pieces of {piece}");
    }
}

#[test]
fn only_the_first_frame_of_a_message_may_say_that_it_is_compressed() {
    let refused = Event::Violation(close::PROTOCOL_ERROR);
    for (what, first) in [("a continuation", 0xC0), ("a ping", 0xC9), ("RSV2", 0xA1), ("RSV1 and RSV3", 0xD1)]
    {
        let bytes = [masked(0x41, HELLO), masked(first, b"")].concat();
        let events = decode_with(Decoder::deflating(100), &bytes, 99);
        assert_eq!(events, [Event::Fragment, refused.clone()], "{what}");
    }
    assert_eq!(decode(100, &masked(0xC1, HELLO), 99), [refused]);
}

#[test]
fn limits_and_text_are_those_of_what_was_compressed() {
    let closed = |bytes: &[u8], reason: CloseReason| {
        for piece in [1, 64, 100_000] {
            let events = decode_with(Decoder::deflating(1000), bytes, piece);
            assert_eq!(events.last(), Some(&Event::Violation(reason)), "in pieces of {piece}");
        }
    };
    let compressed = |plain: &[u8]| deflate::last(&deflate::piece(plain));
    let limit = decode_with(Decoder::deflating(1000), &masked(0xC1, &compressed(&[b'x'; 1000])), 99);
    assert_eq!(limit, [Event::Text("x".repeat(1000))]);
    let too_big = close::TOO_BIG.with(1000);
    closed(&masked(0xC1, &compressed(&[b'x'; 1001])), too_big);
    let bomb = compressed(&[0; 1 << 20]);
    closed(&masked(0xC2, &bomb), too_big);
    let fragments: Vec<u8> = bomb[1..].chunks(10).flat_map(|piece| masked(0x00, piece)).collect();
    closed(&[masked(0x42, &bomb[..1]), fragments, masked(0x80, b"")].concat(), too_big);
    // Blocks that say nothing are bounded as well, though the message would be short.
    closed(&masked(0xC2, &deflate::FLUSHED.repeat(300)), too_big);
    closed(&masked(0xC1, &compressed(b"\xFF")), close::INVALID_DATA);
    closed(&masked(0xC1, b"nonsense"), close::CORRUPT_DATA);
}

#[test]
fn what_follows_a_compressed_message_is_read_when_that_was_handled() {
    let mut decoder = Decoder::deflating(100);
    let mut events = VecDeque::new();
    let one = masked(0xC1, HELLO);
    let both = [one.clone(), one.clone()].concat();
    assert_eq!(decoder.feed(&both, &mut events), one.len());
    assert_eq!(events, [Event::Text("Hello".into())]);
    let compressed = HELLO.len() as u32;
    assert_eq!(decoder.take_inflated(), Inflated { compressed, plain: 5 });
    assert_eq!(decoder.take_inflated(), Inflated::default());
    assert_eq!(decoder.feed(&both[one.len()..], &mut events), one.len());
    assert_eq!((events.len(), decoder.buffered()), (2, 0));
}

#[test]
fn messages_that_nobody_waits_for_are_not_decompressed() {
    let mut decoder = Decoder::deflating(100);
    decoder.ignore_messages();
    let bytes =
        [masked(0xC1, HELLO), masked(0x41, b"non"), masked(0x80, b"sense"), masked(0x88, b"")].concat();
    let events = decode_with(decoder, &bytes, 99);
    assert_eq!(events, [Event::Fragment, Event::Fragment, Event::Fragment, Event::Close(None)]);
}

/// Feeds what holds no compressed message, and so is read in one go.
fn feed(decoder: &mut Decoder, bytes: &[u8], events: &mut VecDeque<Event>) {
    assert_eq!(decoder.feed(bytes, events), bytes.len());
}

#[test]
fn it_holds_what_is_not_complete_and_nothing_after_the_end() {
    let mut decoder = Decoder::new(1000);
    let mut events = VecDeque::new();
    assert_eq!(decoder.buffered(), 0);
    feed(&mut decoder, &masked(0x01, &[b'x'; 500]), &mut events);
    let message = decoder.buffered();
    assert!((500..=1000).contains(&message), "{message}");
    feed(&mut decoder, &masked(0x89, &[b'p'; 100])[..6 + 99], &mut events);
    let both = decoder.buffered();
    assert!((message + 99..=message + 256).contains(&both), "{both}");
    feed(&mut decoder, b"", &mut events);
    assert_eq!(events, [Event::Fragment]);
    for end in [masked(0x88, b""), masked(0x83, b"")] {
        let mut decoder = Decoder::new(1000);
        feed(&mut decoder, &masked(0x01, &[b'x'; 500]), &mut events);
        feed(&mut decoder, &end, &mut events);
        assert_eq!(decoder.buffered(), 0);
    }
}

#[test]
fn control_frames_count_for_no_message() {
    let mut bytes = masked(0x01, b"as long as may be");
    bytes.extend(masked(0x89, b"ping"));
    bytes.extend(masked(0x8A, b"pong"));
    bytes.extend(masked(0x88, &[0x03, 0xE8, b'b', b'y', b'e']));
    let expected =
        [Event::Fragment, Event::Ping(Bytes::from_static(b"ping")), Event::Pong, Event::Close(Some(1000))];
    assert_eq!(decode(17, &bytes, 99), expected);
}

#[test]
fn a_message_of_bytes_may_come_in_pieces() {
    let mut bytes = masked(0x02, b"\xFF");
    bytes.extend(masked(0x00, b"\xFE"));
    let mut interleaved = bytes.clone();
    bytes.extend(masked(0x80, b"\xFD"));
    assert_eq!(decode(3, &bytes, 99), [Event::Fragment, Event::Fragment, Event::Binary(vec![255, 254, 253])]);
    interleaved.extend(masked(0x82, b"x"));
    let violation = Event::Violation(close::PROTOCOL_ERROR);
    assert_eq!(decode(3, &interleaved, 99), [Event::Fragment, Event::Fragment, violation]);
}

#[test]
fn all_is_read_but_for_what_follows_a_compressed_message() {
    let mut events = VecDeque::new();
    let plain = [masked(0x81, b"one"), masked(0x82, b"two"), masked(0x89, b"")].concat();
    assert_eq!(Decoder::deflating(99).feed(&plain, &mut events), plain.len());
    assert_eq!(events.len(), 3);
    let compressed = masked(0xC1, HELLO);
    let followed = [&compressed[..], &plain].concat();
    let mut decoder = Decoder::deflating(99);
    assert_eq!(decoder.feed(&followed, &mut events), compressed.len());
    assert_eq!(decoder.feed(&plain, &mut events), plain.len());
    assert_eq!(events.len(), 3 + 1 + 3);
}
