//! Unit tests of `deflate`.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::live::wire::frame::{Place, TEXT, deflated_fragment};
use crate::live::wire::inflate::inflate;

/// How a part of a message is sent.
#[derive(Clone, Copy, Debug)]
enum Form {
    Piece,
    Stored,
}

/// Text that compresses, some that does not, and long runs.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..3000),
        vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'"')], 0..5000),
        (any::<u8>(), 0..70_000_usize).prop_map(|(byte, length)| vec![byte; length]),
        vec(0..100_u32, 0..600).prop_map(|numbers| positions(&numbers).into_bytes()),
    ]
}

fn positions(numbers: &[u32]) -> String {
    let one =
        |number| format!(r#"{{"device_id":"{number}","latitude":52.5{number},"longitude":13.4{number}}}"#);
    numbers.iter().map(one).collect::<Vec<_>>().join(",")
}

/// The parts as one message's payload.
fn joined(parts: &[(Vec<u8>, Form)]) -> Vec<u8> {
    let mut message = Vec::new();
    for (at, (plain, form)) in parts.iter().enumerate() {
        let is_last = at + 1 == parts.len();
        match form {
            Form::Piece if is_last => message.extend_from_slice(&last(&piece(plain))),
            Form::Piece => message.extend_from_slice(&piece(plain)),
            Form::Stored => {
                push_stored(&mut message, plain);
                if is_last {
                    message.extend_from_slice(END);
                }
            }
        }
    }
    message
}

/// Read by another implementation, which knows nothing of messages.
fn read_by_another(message: &[u8]) -> Vec<u8> {
    let stream = [message, &FLUSHED, &[3, 0]].concat();
    miniz_oxide::inflate::decompress_to_vec(&stream).unwrap()
}

proptest! {
    // Each is a hundred kilobytes on average.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_and_stored_bytes_are_one_message_in_any_order(
        parts in vec((payload(), prop_oneof![Just(Form::Piece), Just(Form::Stored)]), 1..6),
    ) {
        let plain: Vec<u8> = parts.iter().flat_map(|(plain, _)| plain.clone()).collect();
        let message = joined(&parts);
        prop_assert_eq!(inflate(&message, plain.len()).unwrap(), plain.clone());
        prop_assert_eq!(read_by_another(&message), plain);
    }

    #[test]
    fn a_whole_message_reads_back_within_its_window(plain in payload(), bits in 9..=15_u8) {
        let Some(frame) = message(TEXT, &plain, Window::of(bits).unwrap()) else { return Ok(()) };
        let payload = unframed(&frame);
        prop_assert!(payload.len() < plain.len());
        prop_assert_eq!(inflate(payload, plain.len()).unwrap(), plain.clone());
        prop_assert_eq!(read_by_another(payload), plain.clone());
        prop_assert_eq!(read_with_window(payload, bits), Some(plain));
    }
}

/// The payload of a compressed text message in one frame.
fn unframed(frame: &[u8]) -> &[u8] {
    assert_eq!(frame[0], 0xC1);
    match frame[1] {
        126 => &frame[4..],
        127 => &frame[10..],
        _ => &frame[2..],
    }
}

/// Read with a buffer that is no longer than a window of so many bits. `None` if something refers farther back.
fn read_with_window(payload: &[u8], bits: u8) -> Option<Vec<u8>> {
    let stream = [payload, &FLUSHED, &[3, 0]].concat();
    let mut decompressor = DecompressorOxide::new();
    let (mut window, mut at) = (vec![0; 1 << bits], 0);
    let (mut plain, mut input) = (Vec::new(), &stream[..]);
    loop {
        let (status, read, written) = decompress(&mut decompressor, input, &mut window, at, 0);
        plain.extend_from_slice(&window[at..at + written]);
        input = &input[read..];
        at = (at + written) % window.len();
        match status {
            TINFLStatus::Done => return Some(plain),
            TINFLStatus::HasMoreOutput => {}
            _ => return None,
        }
    }
}

#[test]
fn a_smaller_window_matters() {
    let mut plain = positions(&(0..50).collect::<Vec<_>>()).into_bytes();
    plain.extend(plain.clone());
    let frame = message(TEXT, &plain, Window::FULL).unwrap();
    assert_eq!(read_with_window(unframed(&frame), 15), Some(plain));
    assert!(read_with_window(unframed(&frame), 9).is_none());
}

#[test]
fn what_would_not_get_shorter_is_not_compressed() {
    let short = vec![b'a'; MIN_BYTES - 1];
    assert_eq!(message(TEXT, &short, Window::FULL), None);
    assert!(message(TEXT, &vec![b'a'; MIN_BYTES], Window::FULL).is_some());
    let mut random = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 24) as u8
    })
    .take(2000)
    .collect();
    assert_eq!(message(TEXT, &noise, Window::FULL), None);
}

#[test]
fn a_piece_shares_its_bytes_with_the_end_of_a_message() {
    let whole = piece(b"hello");
    let end = last(&whole);
    assert_eq!(end.as_ptr(), whole.as_ptr());
    assert_eq!(whole[end.len()..], FLUSHED);
}

#[test]
fn a_message_in_fragments_shares_its_pieces_with_others() {
    let (one, two) = (positions(&[1, 2, 3]), positions(&[4, 5]));
    let (first, second) = (piece(one.as_bytes()), piece(two.as_bytes()));
    let stored = |plain: &[u8]| {
        let mut stored = Vec::new();
        push_stored(&mut stored, plain);
        stored
    };
    let fragment = |first, last, begin: &[u8], tail: &Bytes| {
        let frame = deflated_fragment(Place { first, last }, begin, tail.clone());
        assert!(frame.tail.is_empty() || frame.tail.as_ptr() == tail.as_ptr());
        frame
    };
    let end = [&stored(b"]}")[..], END].concat();
    let frames = [
        fragment(true, false, &stored(b"{\"snapshot\":["), &first),
        fragment(false, false, &stored(b","), &second),
        fragment(false, true, &end, &Bytes::new()),
    ];
    assert_eq!(frames.each_ref().map(|frame| frame.head[0]), [0x41, 0x00, 0x80]);
    let payload: Vec<u8> =
        frames.iter().flat_map(|frame| [&frame.head[2..], &frame.tail[..]].concat()).collect();
    let expected = format!("{{\"snapshot\":[{one},{two}]}}");
    assert_eq!(inflate(&payload, 1000).unwrap(), expected.as_bytes());
    // The same pieces as a whole message, whose end is a piece.
    let whole = fragment(true, true, &stored(b"["), &last(&first));
    assert_eq!(whole.head[0], 0xC1);
    assert_eq!(
        inflate(&[&whole.head[2..], &whole.tail[..]].concat(), 1000).unwrap(),
        format!("[{one}").as_bytes()
    );
}

#[test]
fn positions_take_so_few_bytes() {
    let mut random = 7_u64;
    let mut below = |end: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % end
    };
    let mut position = || {
        format!(
            "{{\"device_id\":\"bus-{}\",\"timestamp\":\"2026-11-26T14:00:{:02}.{:03}Z\",\"latitude\":52.{:04},\
             \"longitude\":13.{:04},\"accuracy\":{}.0,\"heading\":{}.0,\"speed\":{}.{}}}",
            below(1000),
            below(60),
            below(1000),
            below(10_000),
            below(10_000),
            below(20),
            below(360),
            below(30),
            below(10)
        )
    };
    let all = (0..450).map(|_| position()).collect::<Vec<_>>().join(",");
    let each = piece(all.as_bytes()).len() / 450;
    assert!(each <= 26, "{each} bytes for each position");
}

#[test]
fn only_windows_that_the_compressor_has() {
    let bits: Vec<_> = (0..=255).filter_map(Window::of).map(Window::bits).collect();
    assert_eq!(bits, [9, 10, 11, 12, 13, 14, 15]);
}
