//! Tests of the log in Redis, with real servers: instances that append and read.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use futures_util::stream;

use super::RedisLog;
use super::running::Running;
use crate::domain::{Position, Revocation, Timestamp};
use crate::metrics::Metrics;
use crate::positions::arrived::Arrived;
use crate::positions::eventually::{PATIENCE, eventually};
use crate::positions::log::{Log, Stored, Tail};
use crate::positions::redis::RedisError;
use crate::positions::redis::server::RedisServer;
use crate::settings::{LogSettings, Settings};

mod away;
mod cluster;
mod gaps;
mod reading;
mod revoking;

/// What the log may take in these tests; what may be added to it on a machine that does much else goes by it.
const TIMEOUT: Duration = Duration::from_secs(1);

/// One instance: a log, and what its tail was given.
struct Instance {
    log: Running,
    seen: Rc<RefCell<Seen>>,
    metrics: Metrics,
}

thread_local! {
    /// The store of all instances of a test: the newest latitude of each device.
    static STORE: RefCell<HashMap<String, f64>> = RefCell::default();
}

/// What a tail was given.
#[derive(Default)]
struct Seen {
    /// Device and latitude, in order, but for those that were known.
    positions: Vec<(String, f64)>,
    newest: HashMap<String, f64>,
    revocations: Vec<Revocation>,
    catch_ups: usize,
    /// Catch-ups that fail before one does not.
    failures: usize,
    /// How long it takes to read.
    slow: Duration,
}

impl Seen {
    fn take(&mut self, device: &str, latitude: f64) {
        if self.newest.get(device).is_none_or(|newest| *newest < latitude) {
            self.newest.insert(device.to_owned(), latitude);
            self.positions.push((device.to_owned(), latitude));
        }
    }
}

#[derive(Clone)]
struct Recorder(Rc<RefCell<Seen>>);

impl Tail for Recorder {
    fn read(&mut self, positions: Vec<Arrived>) {
        let mut seen = self.0.borrow_mut();
        std::thread::sleep(seen.slow);
        for Arrived { position, received, .. } in positions {
            assert!(received <= Instant::now());
            seen.take(&position.device_id, position.latitude);
        }
    }

    fn revoked(&mut self, revocations: Vec<Revocation>) {
        self.0.borrow_mut().revocations.extend(revocations);
    }

    fn stored(&self) -> Stored {
        let mut seen = self.0.borrow_mut();
        seen.catch_ups += 1;
        if seen.failures > 0 {
            seen.failures -= 1;
            return Box::pin(stream::iter([Err("the store is away".into())]));
        }
        let stored = STORE.with_borrow(|store| {
            store.iter().map(|(device, latitude)| at(device, *latitude as u32)).collect()
        });
        Box::pin(stream::iter([Ok(stored)]))
    }
}

fn settings(url: &str, others: &[(&str, &str)]) -> LogSettings {
    let timeout = TIMEOUT.as_millis().to_string();
    let mut values = HashMap::from([
        ("DATABASE_URL".to_owned(), "postgres://unused".to_owned()),
        ("REDIS_URL".to_owned(), url.to_owned()),
        ("POSITIONS_LOG_TIMEOUT_MS".to_owned(), timeout),
    ]);
    values.extend(others.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Settings::from(std::path::Path::new("/nonexistent"), values).unwrap().log
}

/// A log that does not run.
fn prepared(settings: &LogSettings, name: &str) -> (RedisLog, Metrics) {
    let metrics = Metrics::new(name).unwrap();
    let log = RedisLog::new(settings.redis.as_ref().unwrap(), settings, name, metrics.log.clone()).unwrap();
    (log, metrics)
}

fn run(log: RedisLog, metrics: Metrics, seen: Seen) -> Instance {
    let seen = Rc::new(RefCell::new(seen));
    Instance { log: log.start(Recorder(seen.clone())), seen, metrics }
}

impl Instance {
    async fn start(settings: &LogSettings, name: &str) -> Self {
        let (mut log, metrics) = prepared(settings, name);
        log.note_ends().await;
        let mut seen = Seen::default();
        STORE.with_borrow(|store| store.iter().for_each(|(device, latitude)| seen.take(device, *latitude)));
        run(log, metrics, seen)
    }

    /// Appends one group with positions of these devices at this latitude.
    fn append(&mut self, devices: &[&str], latitude: u32) -> LocalBoxFuture<'static, ()> {
        self.append_all(devices.iter().map(|device| at(device, latitude)).collect())
    }

    /// Stores positions, and appends them as one group.
    fn append_all(&mut self, positions: Vec<Arrived>) -> LocalBoxFuture<'static, ()> {
        let newest = positions
            .iter()
            .map(|Arrived { position, .. }| (position.device_id.to_string(), position.latitude));
        STORE.with_borrow_mut(|store| store.extend(newest));
        self.log.append(positions)
    }

    fn positions(&self) -> Vec<(String, f64)> {
        self.seen.borrow().positions.clone()
    }

    /// Waits until it has seen this, the last of its device.
    async fn sees(&self, device: &str, latitude: u32) {
        let is_last = || self.seen.borrow().newest.get(device) == Some(&f64::from(latitude));
        eventually(&format!("{device} at {latitude}"), is_last).await;
    }

    /// Waits until it has seen the newest of all that is stored.
    async fn sees_all(&self) {
        let all = || STORE.with_borrow(|store| self.seen.borrow().newest == *store);
        eventually("all that is stored", all).await;
    }

    async fn is_up(&self, up: i64) {
        eventually("the log to be noticed", || self.metrics.log.up.get() == up).await;
    }

    async fn catches_up(&self, times: usize) {
        eventually("a catch-up", || self.seen.borrow().catch_ups >= times).await;
    }
}

/// A position; the higher the latitude, the newer.
fn at(device: &str, latitude: u32) -> Arrived {
    let timestamp = Timestamp::from_millis(1_767_323_045_000 + i64::from(latitude)).unwrap();
    let latitude = f64::from(latitude);
    let json = format!(
        r#"{{"device_id":"{device}","timestamp":"{timestamp}","latitude":{latitude},"longitude":2}}"#
    );
    let position = Position::from_json(&json, timestamp).unwrap();
    Arrived { position, arrival: Timestamp::now(), received: Instant::now() }
}

/// Waits for an append, which must not take longer than the log may.
async fn in_time(append: impl Future<Output = ()>) {
    let began = Instant::now();
    tokio::time::timeout(PATIENCE, append).await.unwrap();
    // With room for a machine that does much else.
    assert!(began.elapsed() < TIMEOUT * 2, "{:?}", began.elapsed());
}
