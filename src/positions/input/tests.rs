//! Tests of the input stream, with real servers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::*;
use crate::metrics::Metrics;
use crate::positions::eventually::{PATIENCE, eventually};
use crate::positions::redis::server::RedisServer;
use crate::settings::Settings;

const STREAM: &str = "positions:in";

/// One instance: a reader, and what it submitted.
struct Instance {
    input: RunningInput,
    store: Store,
    metrics: Metrics,
}

/// A store of tests: what was submitted, and what it says next.
#[derive(Clone, Default)]
struct Store(Rc<RefCell<Held>>);

#[derive(Default)]
struct Held {
    devices: Vec<String>,
    submitted: Vec<usize>,
    /// Said instead of taking anything.
    refuses: Option<SubmitError>,
    /// Never says anything.
    hangs: bool,
}

impl Store {
    fn submit(&self) -> SubmitTo {
        let Self(store) = self.clone();
        Box::new(move |positions| {
            let mut held = store.borrow_mut();
            held.submitted.push(positions.len());
            if let Some(error) = held.refuses.clone() {
                return Box::pin(std::future::ready(Err(error)));
            }
            if held.hangs {
                return Box::pin(std::future::pending());
            }
            held.devices.extend(positions.iter().map(|position| position.device_id.to_string()));
            Box::pin(std::future::ready(Ok(Stored::default())))
        })
    }

    fn devices(&self) -> Vec<String> {
        self.0.borrow().devices.clone()
    }

    async fn has(&self, devices: usize) {
        eventually("positions to be stored", || self.0.borrow().devices.len() >= devices).await;
    }
}

fn prepared(redis: &RedisServer, name: &str, claim_after: u64) -> (Input, Metrics) {
    let values = [
        ("DATABASE_URL", "postgres://unused".to_owned()),
        ("REDIS_URL", redis.url()),
        ("POSITIONS_LOG_TIMEOUT_MS", "1000".to_owned()),
        ("POSITIONS_INPUT_STREAM", STREAM.to_owned()),
        ("POSITIONS_INPUT_CLAIM_AFTER_MS", claim_after.to_string()),
    ];
    let values: HashMap<_, _> = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let settings = Settings::from(std::path::Path::new("/nonexistent"), values).unwrap();
    let metrics = Metrics::new(name).unwrap();
    let input = Input::new(&settings.input, &settings.log, name, metrics.input.clone());
    (input.unwrap().unwrap(), metrics)
}

impl Instance {
    fn start(redis: &RedisServer, name: &str, store: &Store) -> Self {
        Self::start_claiming(redis, name, store, 60_000)
    }

    fn start_claiming(redis: &RedisServer, name: &str, store: &Store, claim_after: u64) -> Self {
        let (input, metrics) = prepared(redis, name, claim_after);
        Self { input: input.start(store.submit()), store: store.clone(), metrics }
    }

    async fn stop(self) {
        tokio::time::timeout(PATIENCE, self.input.stop()).await.unwrap();
    }
}

/// Adds an entry with a position of each device as JSON.
fn add(redis: &RedisServer, devices: &[&str]) {
    let position = |device: &&str| {
        format!(r#"{{"device_id":"{device}","timestamp":"2026-01-02T03:04:05Z","latitude":1,"longitude":2}}"#)
    };
    let positions: Vec<_> = devices.iter().map(position).collect();
    redis.cli(&["XADD", STREAM, "*", "json", &format!("[{}]", positions.join(","))]);
}

/// How many entries were taken and not acknowledged.
fn pending(redis: &RedisServer) -> usize {
    redis.cli(&["XPENDING", STREAM, "processor"]).lines().next().unwrap().parse().unwrap()
}

#[actix::test]
async fn entries_are_stored_and_then_acknowledged() {
    let redis = RedisServer::start();
    // Also what was there before anyone read it.
    add(&redis, &["a", "b"]);
    let store = Store::default();
    let one = Instance::start(&redis, "one", &store);
    store.has(2).await;
    for device in 0..20 {
        add(&redis, &[&device.to_string()]);
    }
    store.has(22).await;
    eventually("all to be acknowledged", || pending(&redis) == 0).await;
    let metrics = &one.metrics.input;
    assert!(metrics.entries.get() >= 21 && metrics.positions.get() > metrics.entries.get());
    eventually("the stream to be read", || metrics.up.get() == 1).await;
    one.stop().await;
    add(&redis, &["later"]);
    let other = Instance::start(&redis, "other", &store);
    store.has(23).await;
    assert_eq!(store.devices().last().unwrap(), "later");
    other.stop().await;
}

#[actix::test]
async fn the_lines_of_the_document_work_as_typed() {
    let redis = RedisServer::start();
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/input-stream.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks: Vec<_> =
        page.split("```sh input\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 2);
    let store = Store::default();
    let one = Instance::start(&redis, "one", &store);
    for block in blocks {
        // As typed, but for the port.
        let script = format!("alias redis-cli='redis-cli -p {}'\n{block}", redis.port());
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
    store.has(3).await;
    assert_eq!(store.devices(), ["42", "42", "43"]);
    assert_eq!(
        (one.metrics.input.rejected.get(), redis.cli(&["EXISTS", "positions:in:rejected"])),
        (0, "0".into())
    );
}

#[actix::test]
async fn what_is_no_position_is_moved_with_the_reason_and_holds_up_nothing() {
    let redis = RedisServer::start();
    let store = Store::default();
    let one = Instance::start(&redis, "one", &store);
    add(&redis, &["a"]);
    let id = redis.cli(&["XADD", STREAM, "*", "device_id", "b", "latitude", "91", "x", "\u{fc}"]);
    redis.cli(&["XADD", STREAM, "*", "json", "nonsense"]);
    add(&redis, &["c"]);
    store.has(2).await;
    eventually("the rejects", || one.metrics.input.rejected.get() == 2).await;
    eventually("all to be acknowledged", || pending(&redis) == 0).await;
    assert_eq!(store.devices(), ["a", "c"]);
    let rejects = redis.cli(&["--no-raw", "XRANGE", "positions:in:rejected", "-", "+"]);
    for part in [
        "\"rejected_reason\"",
        "\"timestamp is missing\"",
        &id,
        "\"device_id\"",
        "\"latitude\"",
        "\"91\"",
        "\"nonsense\"",
    ] {
        assert!(rejects.contains(part), "{part} is not in {rejects}");
    }
}

#[actix::test]
async fn while_nothing_can_be_stored_nothing_is_acknowledged() {
    let redis = RedisServer::start();
    let store = Store::default();
    let one = Instance::start(&redis, "one", &store);
    store.0.borrow_mut().refuses = Some(SubmitError::Full);
    add(&redis, &["a"]);
    eventually("several tries", || store.0.borrow().submitted.len() >= 3).await;
    assert_eq!((pending(&redis), store.devices().len()), (1, 0));
    store.0.borrow_mut().refuses = None;
    store.has(1).await;
    eventually("all to be acknowledged", || pending(&redis) == 0).await;
    // A stop does not wait for a store that takes nothing.
    store.0.borrow_mut().refuses = Some(SubmitError::Full);
    add(&redis, &["b"]);
    eventually("a try", || pending(&redis) == 1).await;
    one.stop().await;
    assert_eq!(pending(&redis), 1);
    // Under the same name it goes on with what it had taken.
    store.0.borrow_mut().refuses = None;
    let again = Instance::start(&redis, "one", &store);
    store.has(2).await;
    eventually("all to be acknowledged", || pending(&redis) == 0).await;
    assert_eq!(again.metrics.input.claimed.get(), 0);
}

#[actix::test]
async fn it_ends_with_what_stores_positions() {
    let redis = RedisServer::start();
    let store = Store::default();
    let one = Instance::start(&redis, "one", &store);
    store.0.borrow_mut().refuses = Some(SubmitError::Stopping);
    add(&redis, &["a"]);
    eventually("a submit", || !store.0.borrow().submitted.is_empty()).await;
    let mut input = one.input;
    tokio::time::timeout(PATIENCE, &mut input.task.0).await.unwrap().unwrap();
    assert_eq!(pending(&redis), 1);
}

#[actix::test]
async fn what_a_dead_instance_took_is_taken_over() {
    let redis = RedisServer::start();
    let (dead, alive) = (Store::default(), Store::default());
    dead.0.borrow_mut().hangs = true;
    let one = Instance::start(&redis, "one", &dead);
    add(&redis, &["a"]);
    add(&redis, &["b"]);
    eventually("a submit", || !dead.0.borrow().submitted.is_empty()).await;
    // As a kill would end it.
    drop(one);
    let other = Instance::start_claiming(&redis, "other", &alive, 200);
    alive.has(2).await;
    let mut devices = alive.devices();
    devices.sort();
    assert_eq!(devices, ["a", "b"]);
    eventually("all to be acknowledged", || pending(&redis) == 0).await;
    assert!((1..=2).contains(&other.metrics.input.claimed.get()));
}

#[actix::test]
async fn instances_share_the_entries() {
    let redis = RedisServer::start();
    let stores = [Store::default(), Store::default()];
    let instances = [("one", &stores[0]), ("other", &stores[1])];
    let instances = instances.map(|(name, store)| Instance::start(&redis, name, store));
    for device in 0..100 {
        add(&redis, &[&format!("{device:03}")]);
        tokio::task::yield_now().await;
    }
    eventually("all to be stored", || stores.iter().map(|store| store.devices().len()).sum::<usize>() == 100)
        .await;
    let mut devices = stores.iter().flat_map(Store::devices).collect::<Vec<_>>();
    devices.sort();
    devices.dedup();
    assert_eq!(devices.len(), 100);
    for instance in instances {
        instance.stop().await;
    }
    assert_eq!(pending(&redis), 0);
}

#[actix::test]
async fn redis_ends_is_frozen_and_is_used_again() {
    let mut redis = RedisServer::start();
    let store = Store::default();
    let one = Instance::start(&redis, "one", &store);
    add(&redis, &["a"]);
    store.has(1).await;
    redis.kill();
    eventually("the end to be noticed", || one.metrics.input.up.get() == 0).await;
    redis.start_again();
    // The group is gone too.
    add(&redis, &["b"]);
    store.has(2).await;
    redis.freeze();
    eventually("the freeze to be noticed", || one.metrics.input.up.get() == 0).await;
    redis.thaw();
    add(&redis, &["c"]);
    store.has(3).await;
    assert_eq!(one.store.devices(), ["a", "b", "c"]);
    assert!(one.metrics.input.reconnects.get() >= 2);
    redis.freeze();
    // A stop does not wait for it.
    one.stop().await;
}

#[actix::test]
async fn an_entry_that_was_deleted_meanwhile_is_no_reject() {
    let redis = RedisServer::start();
    let store = Store::default();
    store.0.borrow_mut().refuses = Some(SubmitError::Full);
    let one = Instance::start(&redis, "one", &store);
    add(&redis, &["a"]);
    eventually("a try", || !store.0.borrow().submitted.is_empty()).await;
    one.stop().await;
    let id = redis.cli(&["XRANGE", STREAM, "-", "+"]).lines().next().unwrap().to_owned();
    redis.cli(&["XDEL", STREAM, &id]);
    store.0.borrow_mut().refuses = None;
    let again = Instance::start(&redis, "one", &store);
    add(&redis, &["b"]);
    store.has(1).await;
    eventually("all to be acknowledged", || pending(&redis) == 0).await;
    assert_eq!((store.devices(), again.metrics.input.rejected.get()), (vec!["b".to_owned()], 0));
}
