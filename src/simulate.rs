//! `processor simulate`: moves devices along plausible paths and posts where they are, so that there is something
//! to see.

use std::time::{Duration, Instant};

use awc::Client;
use serde_json::{Value, json};

use crate::domain::Timestamp;

/// Metres in one degree of latitude.
const METRES_PER_DEGREE: f64 = 111_320.0;

/// How far a device may stray from the middle before it turns back, in metres.
const RANGE: f64 = 5_000.0;

/// Most positions in one post: well under the default body size.
const PER_POST: usize = 1_000;

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// How many devices, named `1` to this number.
    pub devices: usize,
    /// Positions a second of each.
    pub rate: f64,
    /// Where to post: the full URL.
    pub url: String,
    /// The event they report to, if any.
    pub event: Option<String>,
    /// The bearer token that ingest wants, if any.
    pub token: Option<String>,
    /// When to stop; `None` for never.
    pub duration: Option<Duration>,
    /// Latitude and longitude of the middle.
    pub centre: (f64, f64),
}

/// A device on its way.
struct Mover {
    id: String,
    /// Metres north and east of the middle.
    north: f64,
    east: f64,
    /// Degrees clockwise from north.
    heading: f64,
    /// Metres per second.
    speed: f64,
}

/// Small and repeatable; nothing here needs better (Marsaglia's xorshift64).
struct Random(u64);

impl Random {
    /// Evenly from -1 to 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

impl Mover {
    fn new(number: usize, random: &mut Random) -> Self {
        Self {
            id: (number + 1).to_string(),
            north: random.next() * RANGE / 2.0,
            east: random.next() * RANGE / 2.0,
            heading: (random.next() + 1.0) * 180.0,
            speed: 8.0 + random.next() * 6.0,
        }
    }

    /// Drives on for `seconds`: turns a little, or back to the middle if it strayed.
    fn drive(&mut self, seconds: f64, random: &mut Random) {
        let home = (-self.east).atan2(-self.north).to_degrees();
        let strayed = self.north.hypot(self.east) > RANGE;
        let turn = if strayed {
            (home - self.heading + 540.0).rem_euclid(360.0) - 180.0
        } else {
            random.next() * 20.0
        };
        self.heading = (self.heading + turn.clamp(-30.0, 30.0) * seconds.min(1.0)).rem_euclid(360.0);
        self.speed = (self.speed + random.next() * seconds).clamp(1.0, 20.0);
        let (sine, cosine) = self.heading.to_radians().sin_cos();
        self.north += cosine * self.speed * seconds;
        self.east += sine * self.speed * seconds;
    }

    fn report(&self, simulation: &Simulation, now: Timestamp) -> Value {
        let (latitude, longitude) = simulation.centre;
        let per_degree_east = METRES_PER_DEGREE * latitude.to_radians().cos().max(0.01);
        let round = |value: f64, digits: i32| (value * 10_f64.powi(digits)).round() / 10_f64.powi(digits);
        let mut report = json!({
            "device_id": self.id,
            "timestamp": now,
            "latitude": round(latitude + self.north / METRES_PER_DEGREE, 6).clamp(-90.0, 90.0),
            "longitude": round((longitude + self.east / per_degree_east + 540.0).rem_euclid(360.0) - 180.0, 6),
            "accuracy": 5,
            "heading": round(self.heading, 1).rem_euclid(360.0),
            "speed": round(self.speed, 1),
        });
        if let Some(event) = &simulation.event {
            report["topics"] = json!([format!("event:{event}")]);
        }
        report
    }
}

/// Runs until the duration is over, or for ever.
///
/// # Errors
/// If nothing answers at the URL for the first post, or a post is refused for what it is. A server that is away for a
/// while is waited for, as a device would.
pub async fn run(simulation: &Simulation) -> anyhow::Result<()> {
    log::info!(
        "{} devices report to {} every {:?}",
        simulation.devices,
        simulation.url,
        Duration::from_secs_f64(1.0 / simulation.rate)
    );
    let client = Client::builder().timeout(Duration::from_secs(10)).finish();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut movers: Vec<_> = (0..simulation.devices).map(|number| Mover::new(number, &mut random)).collect();
    let period = Duration::from_secs_f64(1.0 / simulation.rate);
    let began = Instant::now();
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut posted, mut reported, mut away) = (0_usize, Instant::now(), false);
    while simulation.duration.is_none_or(|duration| began.elapsed() < duration) {
        ticks.tick().await;
        let now = Timestamp::now();
        movers.iter_mut().for_each(|mover| mover.drive(period.as_secs_f64(), &mut random));
        for some in movers.chunks(PER_POST) {
            let reports: Vec<_> = some.iter().map(|mover| mover.report(simulation, now)).collect();
            match post(&client, simulation, &reports).await {
                Ok(()) => {
                    posted += reports.len();
                    away = false;
                }
                Err(error) if posted > 0 && error.is_passing() => {
                    if !std::mem::replace(&mut away, true) {
                        log::warn!("{error}; trying again");
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        if reported.elapsed() > Duration::from_secs(10) {
            reported = Instant::now();
            log::info!("{posted} positions posted");
        }
    }
    log::info!("{posted} positions posted by {} devices", simulation.devices);
    Ok(())
}

/// Why a post failed.
#[derive(Debug, thiserror::Error)]
enum PostError {
    #[error("cannot post to {url}: {reason}")]
    Unreachable { url: String, reason: String },
    #[error("{url} answered {status}: {body}")]
    Refused { url: String, status: u16, body: String },
}

impl PostError {
    fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Refused { status: 500.., .. })
    }
}

async fn post(client: &Client, simulation: &Simulation, reports: &[Value]) -> Result<(), PostError> {
    let url = simulation.url.clone();
    let mut request = client.post(&url);
    if let Some(token) = &simulation.token {
        request = request.bearer_auth(token);
    }
    let unreachable = |reason: String| PostError::Unreachable { url: url.clone(), reason };
    let mut response = request.send_json(&reports).await.map_err(|error| unreachable(error.to_string()))?;
    let body = response.body().await.map_err(|error| unreachable(error.to_string()))?;
    if response.status().is_success() {
        return Ok(());
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    Err(PostError::Refused { url, status: response.status().as_u16(), body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Position;

    #[test]
    fn reports_are_positions_and_stay_in_range() {
        let simulation = Simulation {
            devices: 1,
            rate: 1.0,
            url: String::new(),
            event: Some("rally-42".into()),
            token: None,
            duration: None,
            centre: (52.5, 13.4),
        };
        let mut random = Random(42);
        let mut mover = Mover::new(0, &mut random);
        for _ in 0..10_000 {
            mover.drive(1.0, &mut random);
            let now = Timestamp::now();
            let position = Position::from_json(&mover.report(&simulation, now).to_string(), now).unwrap();
            assert!((position.latitude - 52.5).abs() < 0.1 && (position.longitude - 13.4).abs() < 0.2);
            assert_eq!(position.topics.len(), 1);
        }
    }
}
