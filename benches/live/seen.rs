//! `Seen`: what the generator's connections have received.

use std::time::{Duration, Instant};

use crate::payload::{self, STAMPS};
use crate::shared::{Content, Holds, Shared};

/// Counts, and the times that positions took.
pub(crate) struct Seen {
    epoch: Instant,
    /// Handshakes that succeeded.
    pub(crate) opened: usize,
    /// When they did.
    pub(crate) openings: Vec<u64>,
    /// Of these, such as may send and be sent compressed messages.
    pub(crate) deflating: usize,
    /// Connections that failed before their handshake was done.
    pub(crate) failed: usize,
    /// Why the last of them did.
    pub(crate) failure: String,
    /// Connections that ended after it, each with when and how it behaved.
    pub(crate) ended: Vec<(u64, crate::conn::Manner)>,
    /// Positions that polite clients received.
    pub(crate) positions: u64,
    /// Of these, such as have not the length they were sent with.
    pub(crate) odd: u64,
    /// Other text messages.
    pub(crate) answers: u64,
    /// The first of these that is an error.
    pub(crate) error: Option<String>,
    messages: Shared,
    /// When clients were told to connect again: nanoseconds since the epoch.
    pub(crate) returns: Vec<u64>,
    /// Pings.
    pub(crate) pings: u64,
    /// When close frames came.
    pub(crate) closes: Vec<u64>,
    /// Bytes of all kinds.
    pub(crate) bytes: u64,
    /// What follows each answer, in `echo`.
    pub(crate) echo: Option<Vec<u8>>,
    /// Nanoseconds since the epoch at which the position of each number was sent.
    sent: Box<[u64]>,
    /// Microseconds from sent to received, while they are recorded.
    latencies: Option<Vec<u32>>,
    /// The length that positions are sent with; 0 if they have several.
    message_bytes: usize,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            opened: 0,
            openings: Vec::new(),
            deflating: 0,
            failed: 0,
            failure: String::new(),
            ended: Vec::new(),
            positions: 0,
            odd: 0,
            answers: 0,
            error: None,
            messages: Shared::default(),
            returns: Vec::new(),
            pings: 0,
            closes: Vec::new(),
            bytes: 0,
            echo: None,
            sent: vec![0; STAMPS].into(),
            latencies: None,
            message_bytes: 0,
        }
    }

    /// Nanoseconds since the generator began.
    pub(crate) fn now(&self) -> u64 {
        self.nanos(Instant::now())
    }

    /// An instant as nanoseconds since the generator began.
    pub(crate) fn nanos(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.epoch).as_nanos() as u64
    }

    /// Notes when a position was sent.
    pub(crate) fn sent(&mut self, number: u64, at: u64) {
        self.sent[number as usize % STAMPS] = at;
    }

    /// From now on, positions have this length; 0 for any.
    pub(crate) fn expect(&mut self, message_bytes: usize) {
        self.message_bytes = message_bytes;
    }

    pub(crate) fn position(&mut self, message: &[u8], now: u64) {
        self.positions += 1;
        self.odd += u64::from(message.len() != self.message_bytes && self.message_bytes > 0);
        if let Some(latencies) = &mut self.latencies
            && let Some(number) = payload::number(message)
        {
            latencies.push((now.saturating_sub(self.sent[number]) / 1000) as u32);
        }
    }

    /// Takes a message that is compressed or has several positions; says what it was.
    pub(crate) fn shared(&mut self, first: u8, payload: &[u8], now: u64, is_measured: bool) -> Holds {
        let Content { holds, positions, numbers } = self.messages.content(first, payload);
        if is_measured {
            self.positions += positions;
            if let Some(latencies) = &mut self.latencies {
                let latency = |number: &usize| (now.saturating_sub(self.sent[*number]) / 1000) as u32;
                latencies.extend(numbers.iter().map(latency));
            }
        }
        *holds
    }

    /// What is wrong with what came, if something is: an error, or a message that cannot be read.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.messages.broken.as_deref().or(self.error.as_deref())
    }

    /// Notes when the client that was told so comes back, if this is what an answer says.
    pub(crate) fn draining(&mut self, answer: &[u8], now: u64) {
        let Some(digits) = answer.strip_prefix(br#"{"type":"draining","reconnect_after_ms":"#) else {
            return;
        };
        let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
        let millis = digits.fold(0, |millis, byte| millis * 10 + u64::from(byte - b'0'));
        self.returns.push(now + millis * 1_000_000);
    }

    /// Keeps the first error.
    pub(crate) fn check(&mut self, answer: &[u8]) {
        if payload::kind(answer) == b'e' && self.error.is_none() {
            self.error = Some(String::from_utf8_lossy(answer).into_owned());
        }
    }

    /// Begins to record latencies.
    pub(crate) fn record(&mut self) {
        self.latencies = Some(Vec::with_capacity(1 << 20));
    }

    /// Ends recording.
    pub(crate) fn recorded(&mut self) -> Latencies {
        let mut micros = self.latencies.take().unwrap_or_default();
        micros.sort_unstable();
        Latencies(micros)
    }
}

/// Latencies, sorted, in microseconds.
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    /// The latency that `share` of all stay within.
    pub(crate) fn at(&self, share: f64) -> Duration {
        let place = (self.0.len() as f64 * share).ceil() as usize;
        let micros = self.0.get(place.saturating_sub(1)).copied().unwrap_or_default();
        Duration::from_micros(u64::from(micros))
    }
}
