//! `Movers`: the devices of one event, that drive about and report as phones do.

use std::fmt::Write as _;
use std::ops::Range;

use crate::payload;

/// The topic they report to. As long as the topics of `payload.rs`, so that a timestamp stands at the same place.
pub(crate) const TOPIC: &str = "event:stage1";

/// Metres in one degree of latitude.
const METRES_PER_DEGREE: f64 = 111_320.0;

/// How far from the middle they begin, in metres.
const RANGE: f64 = 5000.0;

/// Devices, each of whose positions is one millisecond later than the one before of any.
pub(crate) struct Movers {
    base: i64,
    /// The number of the next position. Its device is the number modulo how many there are.
    next: u64,
    movers: Vec<Mover>,
    random: Random,
}

struct Mover {
    north: f64,
    east: f64,
    heading: f64,
    speed: f64,
}

/// xorshift64: the same numbers each time.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(0x2545_f491_4f6c_dd1d)
    }

    /// A number from `low` to `high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        low + (self.0 >> 11) as f64 / (1_u64 << 53) as f64 * (high - low)
    }
}

impl Movers {
    pub(crate) fn new(count: usize) -> Self {
        let mut random = Random::new();
        let movers = (0..count).map(|_| Mover {
            north: random.between(-RANGE, RANGE),
            east: random.between(-RANGE, RANGE),
            heading: random.between(0.0, 360.0),
            speed: random.between(3.0, 20.0),
        });
        Self { base: payload::base(), next: 0, movers: movers.collect(), random: Random::new() }
    }

    /// The body of a post with the next `count` positions, and their numbers.
    pub(crate) fn body(&mut self, count: usize) -> (Vec<u8>, Range<u64>) {
        let numbers = self.next..self.next + count as u64;
        let mut body = String::from("[");
        for _ in numbers.clone() {
            let position = self.report();
            write!(body, r#"{{{position},"topics":["{TOPIC}"]}},"#).unwrap();
        }
        body.pop();
        (format!("{body}]").into_bytes(), numbers)
    }

    /// The same for a peer: one burst for topic 0, as `peer.rs` describes it.
    pub(crate) fn burst(&mut self, count: usize) -> (Vec<u8>, Range<u64>) {
        let numbers = self.next..self.next + count as u64;
        let mut bytes = 0_u32.to_le_bytes().to_vec();
        bytes.extend_from_slice(&(count as u32).to_le_bytes());
        for _ in numbers.clone() {
            let message = format!(r#"{{"type":"position","topic":"{TOPIC}",{}}}"#, self.report());
            bytes.extend_from_slice(&(message.len() as u32).to_le_bytes());
            bytes.extend_from_slice(message.as_bytes());
        }
        (bytes, numbers)
    }

    /// The fields of the next position. Its device has driven for a second.
    fn report(&mut self) -> String {
        let number = self.next;
        self.next += 1;
        let device = (number % self.movers.len() as u64) as usize;
        let (turn, push) = (self.random.between(-20.0, 20.0), self.random.between(-1.0, 1.0));
        let Mover { north, east, heading, speed } = &mut self.movers[device];
        *heading = (*heading + turn).rem_euclid(360.0);
        *speed = (*speed + push).clamp(1.0, 20.0);
        let (sine, cosine) = heading.to_radians().sin_cos();
        *north += cosine * *speed;
        *east += sine * *speed;
        let round = |value: f64, to: f64| (value * to).round() / to;
        let latitude = round(52.52 + *north / METRES_PER_DEGREE, 1e6);
        let longitude = round(13.4 + *east / METRES_PER_DEGREE / 0.61, 1e6);
        let (heading, speed) = (round(*heading, 10.0) % 360.0, round(*speed, 10.0));
        let time = payload::stamp(self.base, number);
        format!(
            r#""device_id":"{device:05}","timestamp":"{time}","latitude":{latitude},"longitude":{longitude},"accuracy":5,"heading":{heading},"speed":{speed}"#
        )
    }
}
