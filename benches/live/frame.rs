//! Frames as a client writes and reads them (RFC 6455 section 5.2), as little of it as the generator needs.

/// Masks what a client sends. The server undoes it whatever it is.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// A masked frame with up to 65,535 bytes.
pub(crate) fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(opcode, payload.len());
    frame[1] |= 0x80;
    frame.extend_from_slice(&KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// A frame as a server sends it.
pub(crate) fn plain(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(opcode, payload.len());
    frame.extend_from_slice(payload);
    frame
}

fn head(opcode: u8, length: usize) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match length {
        0..=125 => frame.push(length as u8),
        126..=65_535 => {
            frame.push(126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame
}

/// Set in the first byte of a frame that ends its message.
pub(crate) const FIN: u8 = 0x80;

/// Set in the first byte of a message that is compressed (RFC 7692 section 6).
pub(crate) const RSV1: u8 = 0x40;

/// The first frame of what a server sent: its first byte, its payload, and what follows; `None` if it is not there as a
/// whole.
pub(crate) fn next(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [first, second, ..] = *bytes else { return None };
    let (length, at) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize, 10),
        short => (usize::from(short), 2),
    };
    let payload = bytes.get(at..at + length)?;
    Some((first, payload, &bytes[at + length..]))
}
