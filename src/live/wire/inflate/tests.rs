//! Unit tests of `inflate`.

use super::*;
use crate::live::wire::deflate;

#[test]
fn the_examples_of_the_rfc() {
    let cases: &[(&str, &[u8], &[u8])] = &[
        ("7.2.3.1: a block", b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"Hello"),
        ("7.2.3.3: stored", b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", b"Hello"),
        ("7.2.3.4: a final block", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", b"Hello"),
        ("7.2.3.5: two blocks", b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", b"Hello"),
        ("7.2.3.6: empty", b"\x00", b""),
        ("no bytes at all", b"", b""),
        ("a final block with nothing behind", b"\xf3\x48\xcd\xc9\xc9\x07\x00", b"Hello"),
        (
            "a final block within",
            b"\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
            b"HelloHello",
        ),
    ];
    for (what, compressed, plain) in cases {
        assert_eq!(inflate(compressed, 100).unwrap(), *plain, "{what}");
    }
}

#[test]
fn what_no_compressor_writes_is_corrupt() {
    let cases: &[(&str, &[u8])] = &[
        ("a reserved kind of block", b"\x06"),
        ("a stored block whose lengths do not agree", b"\x00\x05\x00\x05\x00Hello\x00"),
        ("cut in a stored block", b"\x00\x05\x00\xfa\xffHel"),
        ("cut in a block", b"\xf2\x48\xcd"),
        ("a distance before the beginning", b"\x4b\x04\x11\x00"),
        ("behind a final block, a distance into it", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x02\x11\x00"),
        ("text", b"Hello, world"),
        ("ones", &[0xFF; 100]),
    ];
    for (what, compressed) in cases {
        assert_eq!(inflate(compressed, 100), Err(InflateError::Corrupt), "{what}");
    }
    // A fault leaves nothing behind.
    assert_eq!(inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00", 5).unwrap(), b"Hello");
}

#[test]
fn the_limit_is_that_of_the_plain_message() {
    for length in [0, 1, 63, 64, 65, 1000, 100_000] {
        let plain = vec![b'x'; length];
        let compressed = deflate::last(&deflate::piece(&plain));
        let read = inflate(&compressed, length).unwrap();
        assert_eq!(read, plain);
        assert!(read.capacity() <= length + 1, "{} for {length}", read.capacity());
        if length > 0 {
            assert_eq!(inflate(&compressed, length - 1), Err(InflateError::TooLong));
        }
    }
    // 100 MB in 100 KB; it ends long before.
    let bomb = deflate::piece(&vec![0; 1 << 20]).repeat(100);
    assert_eq!(inflate(&bomb, 65_536), Err(InflateError::TooLong));
}

#[test]
fn what_does_not_compress_fits_into_what_may_come() {
    let mut random = 1_u32;
    let mut noise = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 24) as u8
    };
    for length in [0, 1, 125, 1000, 65_536] {
        let plain: Vec<u8> = (0..length).map(|_| noise()).collect();
        let compressed = deflate::last(&deflate::piece(&plain));
        assert!(compressed.len() <= most_compressed(length), "{} for {length}", compressed.len());
    }
}
