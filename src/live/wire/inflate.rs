//! Decompression of messages from clients (permessage-deflate, RFC 7692), bounded.

use std::cell::RefCell;

use flate2::{Decompress, FlushDecompress, Status};

use super::deflate::FLUSHED;

/// A final block that says nothing. Only between two blocks, where every message ends, is it read as one.
const FINAL_BLOCK: [u8; 2] = [0x03, 0x00];

/// Why a message cannot be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    /// It is longer than is allowed.
    #[error("the message is too long")]
    TooLong,
    /// It is not what a compressor writes, or not all of it.
    #[error("the compressed data is corrupt")]
    Corrupt,
}

thread_local! {
    /// One for each thread that ever decompresses, as it takes some 40 KB. Nothing of a message is left in it.
    static INFLATER: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

/// The most bytes that a message of `max` can be compressed to. What does not get shorter gets 5 bytes longer for each
/// block, and no compressor makes blocks of less than a few hundred bytes of it.
pub fn most_compressed(max: usize) -> usize {
    max + max / 64 + 64
}

/// Decompresses a whole message's payload, without holding more than `max` bytes of it.
///
/// It may hold final blocks, behind which an empty window begins (RFC 7692 section 7.2.3.4). A payload of no bytes, which
/// the RFC does not have, is taken for an empty message.
///
/// # Errors
/// [`InflateError`] if it is corrupt or longer than `max`.
pub fn inflate(payload: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
    if payload.is_empty() {
        return Ok(Vec::new());
    }
    INFLATER.with_borrow_mut(|decompress| {
        decompress.reset(false);
        let mut stream = Stream { decompress, max, message: Vec::new(), is_at_end: false };
        stream.read(payload)?;
        if !stream.is_at_end {
            stream.read(&FLUSHED)?;
            stream.read(&FINAL_BLOCK)?;
        }
        if stream.is_at_end { Ok(stream.message) } else { Err(InflateError::Corrupt) }
    })
}

/// A message that is being decompressed.
struct Stream<'a> {
    decompress: &'a mut Decompress,
    max: usize,
    message: Vec<u8>,
    /// The last block was a final one.
    is_at_end: bool,
}

impl Stream<'_> {
    fn read(&mut self, mut compressed: &[u8]) -> Result<(), InflateError> {
        loop {
            if std::mem::take(&mut self.is_at_end) {
                self.decompress.reset(false);
            }
            self.make_room(compressed.len());
            let (read, written) = (self.decompress.total_in(), self.message.len());
            let status = self.decompress.decompress_vec(compressed, &mut self.message, FlushDecompress::None);
            if self.message.len() > self.max {
                return Err(InflateError::TooLong);
            }
            self.is_at_end = status.map_err(|_| InflateError::Corrupt)? == Status::StreamEnd;
            let read = (self.decompress.total_in() - read) as usize;
            compressed = &compressed[read..];
            // With room left it had nothing more to write.
            let has_room = self.message.len() < self.message.capacity();
            if compressed.is_empty() && (has_room || self.is_at_end) {
                return Ok(());
            }
            let is_stuck = read == 0 && self.message.len() == written && has_room && !self.is_at_end;
            if is_stuck {
                return Err(InflateError::Corrupt);
            }
        }
    }

    /// Makes room for at least one byte more, and for at most one more than a message may have.
    fn make_room(&mut self, compressed: usize) {
        let held = self.message.len();
        if held == self.message.capacity() {
            let more = held.max(4 * compressed).max(64).min(self.max + 1 - held);
            self.message.reserve_exact(more);
        }
    }
}

#[cfg(test)]
mod tests;
