//! `Shared`: messages that many clients are sent alike. Each is inflated and read once, then known again by its end.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail, ensure};
use flate2::{Decompress, FlushDecompress};
use serde_json::Value;

use crate::frame;
use crate::payload;

/// Bytes at the end of a message that it is known by. They hold its last position.
const END: usize = 256;

/// What ends a compressed message and is not sent (RFC 7692 section 7.2.2).
const FLUSH: [u8; 4] = [0, 0, 0xff, 0xff];

/// Of so many positions in a message, one's latency is recorded.
const SAMPLE: usize = 8;

/// Messages that were seen, by first byte, length and end.
#[derive(Default)]
pub(crate) struct Shared {
    known: HashMap<u64, Content>,
    /// What is wrong with the first that cannot be read.
    pub(crate) broken: Option<String>,
}

/// What is in a message.
pub(crate) struct Content {
    pub(crate) holds: Holds,
    /// How many positions.
    pub(crate) positions: u64,
    /// The numbers of some of them.
    pub(crate) numbers: Vec<usize>,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Positions,
    /// Anything else that makes sense.
    Answer,
    /// It cannot be inflated, or is not the JSON that is expected.
    Broken,
}

impl Shared {
    /// What is in a message, by the first byte of its frame and its payload.
    pub(crate) fn content(&mut self, first: u8, payload: &[u8]) -> &Content {
        self.known.entry(key(first, payload)).or_insert_with(|| {
            look(first, payload).unwrap_or_else(|error| {
                self.broken.get_or_insert_with(|| format!("a message cannot be read: {error:#}"));
                Content { holds: Holds::Broken, positions: 0, numbers: Vec::new() }
            })
        })
    }
}

/// A hash that is cheap enough for some millions a second.
fn key(first: u8, payload: &[u8]) -> u64 {
    let mix = |hash: u64, value: u64| (hash.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let end = &payload[payload.len().saturating_sub(END)..];
    let words = end.chunks(8).map(|bytes| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    });
    words.fold(mix(u64::from(first), payload.len() as u64), mix)
}

/// What was compressed, which does not end as a file does (so flate2's readers do not take it).
fn inflate(compressed: &[u8]) -> Result<Vec<u8>> {
    let (mut inflate, mut text) = (Decompress::new(false), Vec::new());
    loop {
        text.reserve(64 * 1024);
        let rest = &compressed[inflate.total_in() as usize..];
        inflate.decompress_vec(rest, &mut text, FlushDecompress::Sync).context("it does not inflate")?;
        // With room left, it has written all there is.
        if text.len() < text.capacity() {
            ensure!(inflate.total_in() as usize == compressed.len(), "it ends before its end");
            return Ok(text);
        }
    }
}

fn look(first: u8, payload: &[u8]) -> Result<Content> {
    let is_compressed = first & frame::RSV1 != 0;
    let text = if is_compressed { inflate(&[payload, &FLUSH[..]].concat())? } else { payload.to_vec() };
    let message: Value = serde_json::from_slice(&text).with_context(|| {
        format!("it is no JSON: {}", String::from_utf8_lossy(&text[..text.len().min(200)]))
    })?;
    let positions = match message["type"].as_str() {
        Some("position") => std::slice::from_ref(&message),
        Some("positions") => message["positions"].as_array().context("it has no positions")?,
        Some("error") => bail!("it is an error: {message}"),
        Some(_) => return Ok(Content { holds: Holds::Answer, positions: 0, numbers: Vec::new() }),
        None => bail!("it has no type"),
    };
    let is_whole = |position: &Value| {
        let is_text = |name: &str| position[name].is_string();
        let is_number = |name: &str| position[name].is_number();
        is_text("device_id") && is_text("timestamp") && is_number("latitude") && is_number("longitude")
    };
    ensure!(message["topic"].is_string() && !positions.is_empty(), "it has no topic, or no positions");
    ensure!(positions.iter().all(is_whole), "a position lacks something");
    let number = |position: &Value| payload::number_of(position["timestamp"].as_str()?);
    let numbers = positions.iter().step_by(SAMPLE).map(number).collect::<Option<_>>();
    let numbers = numbers.context("a timestamp is none")?;
    Ok(Content { holds: Holds::Positions, positions: positions.len() as u64, numbers })
}
