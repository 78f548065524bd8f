//! `processor simulate`: moves devices through a made-up street network and posts where they are, so that there is something
//! to see.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::Agent;

use self::kind::Kind;
use self::mover::{Fix, Mover};
use self::random::Random;
use self::streets::Streets;
use crate::domain::Timestamp;

mod kind;
mod mover;
mod random;
mod streets;

/// Metres in one degree of latitude.
const METRES_PER_DEGREE: f64 = 111_320.0;

/// Most positions in one post: well under the default body size.
const PER_POST: usize = 1_000;

/// How long one post may take.
const POST_TIMEOUT: Duration = Duration::from_secs(10);

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// How many devices.
    pub devices: usize,
    /// How they are named.
    pub names: Names,
    /// Positions a second of each.
    pub rate: f64,
    /// Where to post: the full URL.
    pub url: String,
    /// The event they report to, if any.
    pub event: Option<String>,
    /// The event that couriers report to besides, if any.
    pub courier_event: Option<String>,
    /// The bearer token that ingest wants, if any.
    pub token: Option<String>,
    /// How loudly it is said how far it is.
    pub progress: log::Level,
    /// When to stop; `None` for never.
    pub duration: Option<Duration>,
    /// Latitude and longitude of the middle.
    pub centre: (f64, f64),
}

/// How devices are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// `1` and so on.
    Numbers,
    /// `car-1`, `courier-2` and so on.
    Kinds,
}

/// A device that posts.
struct Device {
    id: String,
    /// The topics that it names.
    topics: Vec<String>,
    mover: Mover,
}

impl Device {
    fn new(number: usize, simulation: &Simulation, streets: &Streets, random: &mut Random) -> Self {
        let kind = Kind::of(number);
        let id = match simulation.names {
            Names::Numbers => (number + 1).to_string(),
            Names::Kinds => format!("{}-{}", kind.name(), number + 1),
        };
        let couriers = simulation.courier_event.iter().filter(|_| kind == Kind::Courier);
        let events = simulation.event.iter().chain(couriers);
        let mut topics: Vec<_> = events.map(|event| format!("event:{event}")).collect();
        topics.dedup();
        Self { id, topics, mover: Mover::new(kind, streets, random) }
    }

    fn report(&self, centre: (f64, f64), streets: &Streets, now: Timestamp) -> Value {
        let (latitude, longitude) = centre;
        let Fix { north, east, speed, heading, accuracy } = self.mover.fix(streets);
        let per_degree_east = METRES_PER_DEGREE * latitude.to_radians().cos().max(0.01);
        let round = |value: f64, digits: i32| (value * 10_f64.powi(digits)).round() / 10_f64.powi(digits);
        let mut report = json!({
            "device_id": self.id,
            "timestamp": now,
            "latitude": round(latitude + north / METRES_PER_DEGREE, 6).clamp(-90.0, 90.0),
            "longitude": round((longitude + east / per_degree_east + 540.0).rem_euclid(360.0) - 180.0, 6),
            "accuracy": accuracy,
            "speed": round(speed, 1),
            "attributes": self.mover.attributes(),
        });
        if let Some(heading) = heading {
            report["heading"] = json!(round(heading, 1).rem_euclid(360.0));
        }
        if !self.topics.is_empty() {
            report["topics"] = json!(self.topics);
        }
        report
    }
}

/// Runs until the duration is over, or for ever. The devices move on a thread of their own; it ends soon when this is
/// dropped.
///
/// # Errors
/// If nothing answers at the URL for the first post, or a post is refused for what it is. A server that is away for a
/// while is waited for, as a device would.
pub async fn run(simulation: Simulation) -> Result<(), SimulateError> {
    let (done, result) = tokio::sync::oneshot::channel();
    let devices = move || {
        let result = Fleet::new(simulation).run(&|| done.is_closed());
        drop(done.send(result));
    };
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
    streets: Streets,
    devices: Vec<Device>,
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
        let (streets, mut random) = (Streets::new(), Random::new(0x9E37_79B9_7F4A_7C15));
        let device = |number| Device::new(number, &simulation, &streets, &mut random);
        let devices = (0..simulation.devices).map(device).collect();
        Self { simulation, client, random, streets, devices, posted: 0, is_away: false }
    }

    /// Until the duration is over, or nobody waits for it any longer.
    fn run(mut self, is_abandoned: &dyn Fn() -> bool) -> Result<(), SimulateError> {
        let period = Duration::from_secs_f64(1.0 / self.simulation.rate);
        log::info!("{} devices report to {} every {period:?}", self.devices.len(), self.simulation.url);
        let began = Instant::now();
        let (mut due, mut reported) = (began, began);
        while self.simulation.duration.is_none_or(|duration| began.elapsed() < duration) {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if is_abandoned() {
                return Ok(());
            }
            // A server that was slow is not made to catch up.
            due = due.max(Instant::now().checked_sub(period).unwrap_or(due)) + period;
            self.drive(period, is_abandoned)?;
            if reported.elapsed() > Duration::from_secs(10) {
                reported = Instant::now();
                log::log!(self.simulation.progress, "{} positions posted", self.posted);
            }
        }
        log::info!("{} positions posted by {} devices", self.posted, self.devices.len());
        Ok(())
    }

    /// Every device drives on for `period` and reports.
    fn drive(&mut self, period: Duration, is_abandoned: &dyn Fn() -> bool) -> Result<(), SimulateError> {
        let now = Timestamp::now();
        for device in &mut self.devices {
            device.mover.drive(period.as_secs_f64(), &self.streets, &mut self.random);
        }
        let report = |device: &Device| device.report(self.simulation.centre, &self.streets, now);
        let posts = self
            .devices
            .chunks(PER_POST)
            .map(|some| (some.len(), some.iter().map(report).collect::<Value>()));
        for (count, reports) in posts.collect::<Vec<_>>() {
            match self.post(&reports) {
                Ok(()) => {
                    self.posted += count;
                    self.is_away = false;
                }
                // The server may be stopping for the same reason.
                Err(_) if is_abandoned() => return Ok(()),
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

    fn simulation(names: Names, centre: (f64, f64)) -> Simulation {
        Simulation {
            devices: 20,
            names,
            progress: log::Level::Info,
            rate: 1.0,
            url: String::new(),
            event: Some("rally-42".into()),
            courier_event: Some("couriers".into()),
            token: None,
            duration: None,
            centre,
        }
    }

    /// What each device reports after an hour.
    fn positions(simulation: Simulation) -> Vec<Position> {
        let mut fleet = Fleet::new(simulation);
        let now = Timestamp::now();
        for device in &mut fleet.devices {
            device.mover.drive(3600.0, &fleet.streets, &mut fleet.random);
        }
        let report =
            |device: &Device| device.report(fleet.simulation.centre, &fleet.streets, now).to_string();
        fleet.devices.iter().map(|device| Position::from_json(&report(device), now).unwrap()).collect()
    }

    #[test]
    fn reports_are_positions_near_the_middle() {
        let positions = positions(simulation(Names::Numbers, (52.5, 13.4)));
        for (number, position) in positions.iter().enumerate() {
            assert!((position.latitude - 52.5).abs() < 0.05 && (position.longitude - 13.4).abs() < 0.08);
            assert_eq!(&*position.device_id, (number + 1).to_string());
            assert_eq!(position.topics.len(), if Kind::of(number) == Kind::Courier { 2 } else { 1 });
            assert!(position.attributes.is_some());
        }
    }

    #[test]
    fn they_are_positions_at_the_edges_of_the_map_too() {
        for centre in [(80.0, 180.0), (-80.0, -180.0), (0.0, 179.99)] {
            let positions = positions(simulation(Names::Kinds, centre));
            assert_eq!(&*positions[1].device_id, "courier-2");
            for position in positions {
                let east = (position.longitude - centre.1 + 540.0).rem_euclid(360.0) - 180.0;
                assert!((position.latitude - centre.0).abs() < 0.05 && east.abs() < 0.3, "{position:?}");
            }
        }
    }
}
