//! Compression of what is sent (permessage-deflate, RFC 7692): whole messages, and pieces that many messages can share.
//!
//! Each message, and each piece of one, begins with an empty window: so it is compressed once for all who receive it, and no
//! connection keeps a window. A message can be made of pieces that were compressed apart, in any order, with a few bytes
//! that are not compressed ([`push_stored`]) between them:
//!
//! ```text
//! stored("{…\"snapshot\":[")  piece  stored(",")  piece  stored("]}")  END
//! ```

use std::cell::RefCell;

use bytes::Bytes;
use flate2::{Compress, CompressError, Compression, FlushCompress};

use super::frame;

/// A shorter payload is sent as it is: 500 bytes of JSON cost 13 µs to compress and save 280; 200 bytes cost 12 and save 40.
pub const MIN_BYTES: usize = 512;

/// How hard the compressor tries. 450 positions in 64 KiB, in µs and bytes of a position: level 1 0.34 and 33.9, level 2
/// 0.50 and 25.0, level 3 0.85 and 24.0, level 6 1.72 and 22.4.
const LEVEL: u32 = 2;

/// What every piece ends with: an empty block, without its first bits. A message leaves it out (RFC 7692 section 7.2.1).
pub const FLUSHED: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// What a message ends with behind stored bytes: the first bits of that empty block.
pub const END: &[u8] = &[0];

/// The longest stored block (RFC 1951 section 3.2.4).
const MAX_STORED: usize = 0xFFFF;

/// What is kept of the buffer for compressed bytes.
const KEPT_BYTES: usize = 256 * 1024;

/// How far back compressed data may refer: 2 to this power bytes, `server_max_window_bits` (RFC 7692 section 7.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window(u8);

impl Window {
    /// The largest, which a client has that does not ask for another. Pieces are made for this one.
    pub const FULL: Self = Self(15);

    /// A window of so many bits, if it is one that the compressor has: 9 to 15. (At 8 zlib writes data for 9.)
    pub fn of(bits: u8) -> Option<Self> {
        (9..=15).contains(&bits).then_some(Self(bits))
    }

    /// Its bits.
    pub fn bits(self) -> u8 {
        self.0
    }
}

/// A compressor, and the buffer that it writes to.
struct Deflater {
    compress: Compress,
    compressed: Vec<u8>,
}

thread_local! {
    /// One for each thread that ever compresses, as it takes 270 KB and 10 µs to make. Nothing of a payload is left in it.
    static DEFLATER: RefCell<Deflater> =
        RefCell::new(Deflater { compress: compressor(Window::FULL), compressed: Vec::new() });
}

fn compressor(window: Window) -> Compress {
    Compress::new_with_window_bits(Compression::new(LEVEL), false, window.0)
}

/// A whole message of text or bytes as one frame, compressed. `None` if it would save nothing, or is shorter than
/// [`MIN_BYTES`].
pub(super) fn message(opcode: u8, payload: &[u8], window: Window) -> Option<Bytes> {
    if payload.len() < MIN_BYTES {
        return None;
    }
    compressed(payload, window, |compressed| {
        let compressed = &compressed[..compressed.len() - FLUSHED.len()];
        (compressed.len() < payload.len()).then(|| frame::deflated(opcode, compressed))
    })
    .ok()
    .flatten()
}

/// A piece of a message, compressed for [`Window::FULL`]: whole blocks that end at a byte, with [`FLUSHED`]. What follows
/// in the message may be another piece or stored bytes; the last one goes through [`last`].
pub fn piece(payload: &[u8]) -> Bytes {
    compressed(payload, Window::FULL, Bytes::copy_from_slice).unwrap_or_else(|error| {
        // It was given no parameters that it could refuse.
        log::error!("piece of a message not compressed: {error}");
        let mut stored = Vec::new();
        push_stored(&mut stored, payload);
        stored.extend_from_slice(END);
        stored.extend_from_slice(&FLUSHED);
        stored.into()
    })
}

/// The same piece as the end of a message; it shares the bytes.
pub fn last(piece: &Bytes) -> Bytes {
    piece.slice(..piece.len() - FLUSHED.len())
}

/// Appends `plain` as blocks that are not compressed, which takes no compressor: 5 bytes more for each 65,535. A message that
/// ends with them needs [`END`] behind.
pub fn push_stored(to: &mut Vec<u8>, plain: &[u8]) {
    for block in plain.chunks(MAX_STORED) {
        let length = block.len() as u16;
        to.push(0);
        to.extend_from_slice(&length.to_le_bytes());
        to.extend_from_slice(&(!length).to_le_bytes());
        to.extend_from_slice(block);
    }
}

/// Compresses `payload`, and gives what came of it to `take`.
fn compressed<T>(payload: &[u8], window: Window, take: impl FnOnce(&[u8]) -> T) -> Result<T, CompressError> {
    DEFLATER.with_borrow_mut(|Deflater { compress, compressed }| {
        compressed.clear();
        if window == Window::FULL {
            compress.reset();
            flush(compress, payload, compressed)?;
        } else {
            // Few ask for less.
            flush(&mut compressor(window), payload, compressed)?;
        }
        let taken = take(compressed);
        compressed.clear();
        compressed.shrink_to(KEPT_BYTES);
        Ok(taken)
    })
}

/// Appends all of `payload` to `to`, compressed and flushed.
fn flush(compress: &mut Compress, mut payload: &[u8], to: &mut Vec<u8>) -> Result<(), CompressError> {
    loop {
        to.reserve(payload.len() / 4 + 256);
        let before = compress.total_in();
        compress.compress_vec(payload, to, FlushCompress::Sync)?;
        payload = &payload[(compress.total_in() - before) as usize..];
        // With room left it had nothing more to write.
        if payload.is_empty() && to.len() < to.capacity() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
