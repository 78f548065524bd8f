//! `processor simulate`: moves devices along plausible paths and posts where they are, so that there is something
//! to see.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::Agent;

use crate::domain::Timestamp;

/// Metres in one degree of latitude.
const METRES_PER_DEGREE: f64 = 111_320.0;

/// How far a device may stray from the middle before it turns back, in metres.
const RANGE: f64 = 5_000.0;

/// Most positions in one post: well under the default body size.
const PER_POST: usize = 1_000;

/// How long one post may take.
const POST_TIMEOUT: Duration = Duration::from_secs(10);

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

/// Runs until the duration is over, or for ever. The devices move on a thread of their own; it ends with the process if
/// nobody waits for it any longer.
///
/// # Errors
/// If nothing answers at the URL for the first post, or a post is refused for what it is. A server that is away for a
/// while is waited for, as a device would.
pub async fn run(simulation: Simulation) -> Result<(), SimulateError> {
    let (done, result) = tokio::sync::oneshot::channel();
    let devices = move || drop(done.send(Fleet::new(simulation).run()));
    std::thread::Builder::new().name("simulate".into()).spawn(devices).map_err(SimulateError::Thread)?;
    result.await.unwrap_or(Err(SimulateError::Panicked))
}

/// Why a simulation ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// No thread to be had.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// Its thread panicked.
    #[error("a fault of the simulation")]
    Panicked,
    /// A post did not arrive, or its response did not.
    #[error("cannot post to {url}: {reason}")]
    Unreachable {
        /// Where to.
        url: String,
        /// What stood in the way.
        reason: ureq::Error,
    },
    /// A post was answered, but not with success.
    #[error("{url} answered {status}: {body}")]
    Refused {
        /// Where to.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The body of the response.
        body: String,
    },
}

impl SimulateError {
    /// True where a device would try again later.
    fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Refused { status: 500.., .. })
    }
}

/// All devices, and their way to the server.
struct Fleet {
    simulation: Simulation,
    client: Agent,
    random: Random,
    movers: Vec<Mover>,
    /// Positions that the server accepted.
    posted: usize,
    /// The last post failed, which the log has said.
    is_away: bool,
}

impl Fleet {
    fn new(simulation: Simulation) -> Self {
        // The environment's proxy is not for a server that is, as a rule, on this machine.
        let client = Agent::config_builder()
            .timeout_global(Some(POST_TIMEOUT))
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .new_agent();
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let movers = (0..simulation.devices).map(|number| Mover::new(number, &mut random)).collect();
        Self { simulation, client, random, movers, posted: 0, is_away: false }
    }

    fn run(mut self) -> Result<(), SimulateError> {
        let period = Duration::from_secs_f64(1.0 / self.simulation.rate);
        log::info!("{} devices report to {} every {period:?}", self.movers.len(), self.simulation.url);
        let began = Instant::now();
        let (mut due, mut reported) = (began, began);
        while self.simulation.duration.is_none_or(|duration| began.elapsed() < duration) {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            // A server that was slow is not made to catch up.
            due = due.max(Instant::now().checked_sub(period).unwrap_or(due)) + period;
            self.drive(period)?;
            if reported.elapsed() > Duration::from_secs(10) {
                reported = Instant::now();
                log::info!("{} positions posted", self.posted);
            }
        }
        log::info!("{} positions posted by {} devices", self.posted, self.movers.len());
        Ok(())
    }

    /// Every device drives on for `period` and reports.
    fn drive(&mut self, period: Duration) -> Result<(), SimulateError> {
        let now = Timestamp::now();
        for mover in &mut self.movers {
            mover.drive(period.as_secs_f64(), &mut self.random);
        }
        let simulation = &self.simulation;
        let report = |mover: &Mover| mover.report(simulation, now);
        let posts =
            self.movers.chunks(PER_POST).map(|some| (some.len(), some.iter().map(report).collect::<Value>()));
        for (count, reports) in posts.collect::<Vec<_>>() {
            match self.post(&reports) {
                Ok(()) => {
                    self.posted += count;
                    self.is_away = false;
                }
                Err(error) if self.posted > 0 && error.is_passing() => {
                    if !std::mem::replace(&mut self.is_away, true) {
                        log::warn!("{error}; trying again");
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn post(&self, reports: &Value) -> Result<(), SimulateError> {
        let url = &self.simulation.url;
        let unreachable = |reason| SimulateError::Unreachable { url: url.clone(), reason };
        let mut request = self.client.post(url).content_type("application/json");
        if let Some(token) = &self.simulation.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = request.send(reports.to_string()).map_err(unreachable)?;
        // Also of a success, so that the connection can be used again.
        let body = response.body_mut().read_to_string().map_err(unreachable)?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(SimulateError::Refused { url: url.clone(), status: status.as_u16(), body }),
        }
    }
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
