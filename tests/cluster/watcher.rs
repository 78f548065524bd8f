//! `Watcher`: a client that notes what it is told of each device, and finds every fault in it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::{Client, eventually, millis};

/// Of each device, the time of its newest position.
pub(crate) type State = BTreeMap<String, u64>;

/// A client that notes what it is told of each device.
pub(crate) struct Watcher {
    client: Client,
    pub(crate) state: State,
    /// Of each device, the times that it was told of after the snapshot.
    pub(crate) steps: BTreeMap<String, Vec<u64>>,
}

impl Watcher {
    /// Connects and subscribes.
    pub(crate) async fn connect(address: SocketAddr, topics: &[String]) -> Self {
        let mut watcher =
            Self { client: Client::connect(address).await, state: State::new(), steps: BTreeMap::new() };
        let request = json!({ "type": "subscribe", "topics": topics, "batch": true });
        watcher.client.text(request.to_string()).await;
        for _ in topics {
            assert!(watcher.next().await, "it was closed");
        }
        watcher
    }

    /// Reads one message. False if the connection is over.
    ///
    /// # Panics
    /// If it goes back in time, or tells of a position again.
    pub(crate) async fn next(&mut self) -> bool {
        let Some(message) = self.client.idle().await else { return false };
        let Ok(text) = message.into_text() else { return false };
        let Ok(message) = serde_json::from_str::<Value>(&text) else { return false };
        match message["type"].as_str() {
            Some("subscribed") => {
                for position in message["snapshot"].as_array().unwrap() {
                    self.state.insert(device(position), millis(position));
                }
            }
            Some("positions") => {
                message["positions"].as_array().unwrap().iter().for_each(|one| self.step(one))
            }
            Some("position") => self.step(&message),
            Some("draining") => {}
            _ => panic!("{message}"),
        }
        true
    }

    fn step(&mut self, position: &Value) {
        let (device, now) = (device(position), millis(position));
        let before = self.state.insert(device.clone(), now);
        assert!(before < Some(now), "{device} went from {before:?} to {now}");
        self.steps.entry(device).or_default().push(now);
    }

    /// Reads until it knows what is expected.
    pub(crate) async fn until(&mut self, expected: &State) {
        crate::harness::soon("the last positions", async {
            while !expected.iter().all(|(device, time)| self.state.get(device) >= Some(time)) {
                assert!(self.next().await, "it was closed");
            }
        })
        .await;
    }
}

fn device(position: &Value) -> String {
    position["device_id"].as_str().unwrap().to_owned()
}

/// What a new client of this server is told.
pub(crate) async fn snapshot(address: SocketAddr, topics: &[String]) -> State {
    Watcher::connect(address, topics).await.state
}

/// Waits until new clients of all these servers are told what is expected.
pub(crate) async fn all_tell(addresses: &[SocketAddr], topics: &[String], expected: &State) {
    for address in addresses {
        let mut told = State::new();
        eventually(&format!("the last state at {address}"), async || {
            told = snapshot(*address, topics).await;
            told == *expected
        })
        .await;
    }
}
