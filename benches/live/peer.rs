//! What the processor is compared with, each a process of its own.
//!
//! They agree on two things. A subscriber's topic is the number that its handshake's path consists of (`/17`). And
//! positions come over a TCP connection as bursts, all numbers 32 bits, little-endian: topic, count, and so many
//! times length and payload. A burst is sent to the topic's subscribers as `count` text messages. Nothing is
//! answered. `--echo`: messages are sent back. `--ping-ms N`: every client gets a ping every N milliseconds.

pub(crate) mod limit;
pub(crate) mod postgres;
pub(crate) mod sqlite;
pub(crate) mod tungstenite;

use std::net::SocketAddr;
use std::time::Duration;

/// What a peer is told.
#[derive(Debug, clap::Parser)]
pub(crate) struct Arguments {
    #[arg(long)]
    echo: bool,
    #[arg(long)]
    ping_ms: Option<u64>,
}

impl Arguments {
    fn ping(&self) -> Option<Duration> {
        self.ping_ms.map(Duration::from_millis)
    }
}

/// Takes the first burst off the input, if it is there as a whole: its topic and payloads.
fn take_burst(input: &mut Vec<u8>) -> Option<(u32, Vec<Vec<u8>>)> {
    let number = |at: usize| Some(u32::from_le_bytes(input.get(at..at + 4)?.try_into().ok()?));
    let (topic, count) = (number(0)?, number(4)?);
    let (mut payloads, mut at) = (Vec::new(), 8);
    for _ in 0..count {
        let length = number(at)? as usize;
        payloads.push(input.get(at + 4..at + 4 + length)?.to_vec());
        at += 4 + length;
    }
    input.drain(..at);
    Some((topic, payloads))
}

/// Says where it listens, as the processor does.
fn ready(ops: SocketAddr, live: SocketAddr) {
    eprintln!("ops server ready on {ops}\nlive server ready on {live}");
}
