//! Whoever takes a position, the clients of all instances get it, once and in order.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{eventually, time};
use crate::instances::Instances;
use crate::turn;
use crate::watcher::{State, Watcher, all_tell};

const DEVICES: usize = 30;
const EVENTS: usize = 3;
const STEPS: u64 = 30;
const CLIENTS: usize = 300;

/// Device `n` is in event `n % EVENTS`.
fn name(device: usize) -> String {
    format!("d{device:02}")
}

#[actix::test]
async fn every_client_sees_every_position_once_and_in_order() {
    let _turn = turn().await;
    let instances = Instances::start(3, &[("LIVE_WS_MAX_CONNECTIONS_PER_ADDRESS", "1000")]);
    instances.ready().await;
    let addresses: Vec<_> = instances.all().map(|server| server.live).collect();
    // An event, and a device that is not in it, as areas and events overlap in other tests.
    let topics = |client: usize| {
        let event = client % EVENTS;
        vec![format!("event:e{event}"), format!("device:{}", name((event + 1) % EVENTS))]
    };
    let watchers = (0..CLIENTS).map(|client| {
        let address = addresses[client % addresses.len()];
        async move { Watcher::connect(address, &topics(client)).await }
    });
    let watchers = join_all(watchers).await;

    let load = join_all((0..DEVICES).map(|device| {
        let instances = &instances;
        async move {
            for step in 1..=STEPS {
                let position = json!({
                    "device_id": name(device), "timestamp": time(step), "latitude": 1, "longitude": step,
                    "topics": [format!("event:e{}", device % EVENTS)]
                });
                // Each step at another instance.
                instances.get((device + step as usize) % instances.len()).accept(&position).await;
            }
        }
    }));
    let watching = join_all(watchers.into_iter().enumerate().map(|(client, mut watcher)| async move {
        let event = client % EVENTS;
        let mut devices: Vec<_> = (event..DEVICES).step_by(EVENTS).map(name).collect();
        devices.push(name((event + 1) % EVENTS));
        watcher.until(&devices.iter().map(|device| (device.clone(), STEPS)).collect()).await;
        let all: BTreeMap<_, Vec<u64>> =
            devices.into_iter().map(|device| (device, (1..=STEPS).collect())).collect();
        assert_eq!(watcher.steps, all, "client {client}");
    }));
    tokio::join!(load, watching);

    let last: State = (0..DEVICES).map(|device| (name(device), STEPS)).collect();
    let events: Vec<_> = (0..EVENTS).map(|event| format!("event:e{event}")).collect();
    all_tell(&addresses, &events, &last).await;
    assert_eq!(
        instances.postgres.sql("SELECT count(*) FROM positions"),
        (DEVICES as u64 * STEPS).to_string()
    );
    for server in instances.all() {
        // Counted when its first session has done something: that may be the next check.
        eventually("all devices to be counted", async || {
            server.metric("processor_positions_devices", "").await == DEVICES as f64
        })
        .await;
    }
}

/// An instance that starts among others has all that there is, and what comes meanwhile.
#[actix::test]
async fn an_instance_that_starts_has_everything() {
    let _turn = turn().await;
    let mut instances = Instances::start(2, &[]);
    instances.ready().await;
    let topics = ["event:e".to_owned()];
    let mut expected = State::new();
    for step in 1..=20_u64 {
        if step % 5 == 0 {
            instances.kill(1);
            instances.resume(1);
        }
        let device = format!("d{step}");
        let position = json!({
            "device_id": device, "timestamp": time(step), "latitude": 1, "longitude": 1, "topics": topics
        });
        instances.get((step % 2) as usize).accept(&position).await;
        expected.insert(device, step);
    }
    let addresses: Vec<_> = instances.all().map(|server| server.live).collect();
    all_tell(&addresses, &topics, &expected).await;
}
