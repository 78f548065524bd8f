//! `SnapshotForm`: how a snapshot is put together from pieces that many clients share, as text or compressed.

use bytes::Bytes;

use super::deflate;
use super::encoding::Encoding;
use super::frame::{self, Frame, Place};

/// How a snapshot is put together. A message is of one form from its beginning to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SnapshotForm {
    /// Pieces of JSON.
    Plain,
    /// The same, compressed apart from each other, with a few bytes between them that are not.
    Deflated,
}

/// The end of the JSON of every snapshot.
const END: &[u8] = b"]}";

/// The same as a stored block (RFC 1951 section 3.2.4), and the end of a compressed message.
const DEFLATED_END: &[u8] = &[0, 2, 0, 0xFD, 0xFF, b']', b'}', 0];

impl SnapshotForm {
    /// The form of a snapshot for a client with this encoding; `bytes` is how long its text is, at least.
    pub(crate) fn of(encoding: Encoding, bytes: usize) -> Self {
        let pays = encoding.takes_pieces() && bytes >= deflate::MIN_BYTES;
        if pays { Self::Deflated } else { Self::Plain }
    }

    /// What ends the message behind the last position.
    pub(crate) fn end(self) -> &'static [u8] {
        match self {
            Self::Plain => END,
            Self::Deflated => DEFLATED_END,
        }
    }

    /// A piece: positions as JSON objects with commas between, and then [`SnapshotForm::end`].
    pub(crate) fn piece(self, mut positions: Vec<u8>) -> Vec<u8> {
        if self == Self::Deflated && !positions.is_empty() {
            positions = deflate::piece(&positions).into();
        }
        positions.extend_from_slice(self.end());
        positions
    }

    /// A fragment of the message, or all of it: JSON, then a piece, with or without its end.
    pub(crate) fn fragment(self, place: Place, json: &[u8], piece: Bytes) -> Frame {
        match self {
            Self::Plain => frame::fragment(place, json, piece),
            Self::Deflated => {
                if json.len() >= deflate::MIN_BYTES {
                    return frame::deflated_fragment(place, &deflate::piece(json), piece);
                }
                let mut stored = Vec::with_capacity(json.len() + 5);
                deflate::push_stored(&mut stored, json);
                frame::deflated_fragment(place, &stored, piece)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Decompress, FlushDecompress};

    use super::*;

    #[test]
    fn a_compressed_snapshot_reads_as_the_plain_one() {
        let pieces: Vec<Vec<u8>> = (0..3)
            .map(|piece| format!(r#"{{"device_id":"{piece}"}},"#).repeat(30).trim_end_matches(',').into())
            .collect();
        let read = |form: SnapshotForm| {
            let mut payload = Vec::new();
            for (number, positions) in pieces.iter().enumerate() {
                let (first, last) = (number == 0, number == pieces.len() - 1);
                let json: &[u8] = if first { br#"{"snapshot":["# } else { b"," };
                let mut piece = form.piece(positions.clone());
                if !last {
                    piece.truncate(piece.len() - form.end().len());
                }
                let frame = form.fragment(Place { first, last }, json, piece.into());
                let whole = [&frame.head[..], &frame.tail[..]].concat();
                assert_eq!(whole[0] & 0x40 != 0, first && form == SnapshotForm::Deflated);
                payload.extend_from_slice(&whole[if whole[1] == 126 { 4 } else { 2 }..]);
            }
            payload
        };
        let mut compressed = read(SnapshotForm::Deflated);
        compressed.extend_from_slice(&deflate::FLUSHED);
        let mut text = Vec::with_capacity(1 << 16);
        Decompress::new(false).decompress_vec(&compressed, &mut text, FlushDecompress::Sync).unwrap();
        assert_eq!(text, read(SnapshotForm::Plain));
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(json["snapshot"].as_array().unwrap().len(), 90);
        assert_eq!(SnapshotForm::Deflated.piece(Vec::new()), DEFLATED_END);
    }
}
