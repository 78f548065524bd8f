//! `Traffic`: devices that post to one instance after the other until they are told to stop, and note what was acknowledged.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;

use super::harness::{http, post_over, time};
use super::postgres::Postgres;
use super::watcher::State;

/// All devices are in this event.
pub(crate) const EVENT: &str = "event:e";

/// Devices that post.
pub(crate) struct Traffic {
    /// Where each instance takes posts; those that are away as well.
    pub(crate) targets: Rc<RefCell<Vec<SocketAddr>>>,
    is_over: Rc<Cell<bool>>,
    /// Of each device, the times that were acknowledged.
    acknowledged: Rc<RefCell<BTreeMap<String, Vec<u64>>>>,
    /// Posts that were refused or had no answer.
    pub(crate) failed: Rc<Cell<usize>>,
    devices: Vec<tokio::task::JoinHandle<()>>,
}

impl Traffic {
    /// So many devices post every `pause`, each until it is acknowledged, to one instance after the other.
    pub(crate) fn start(targets: Vec<SocketAddr>, devices: usize, pause: Duration) -> Self {
        let mut traffic = Self {
            targets: Rc::new(RefCell::new(targets)),
            is_over: Rc::default(),
            acknowledged: Rc::default(),
            failed: Rc::default(),
            devices: Vec::new(),
        };
        for device in 0..devices {
            let (targets, is_over) = (traffic.targets.clone(), traffic.is_over.clone());
            let (acknowledged, failed) = (traffic.acknowledged.clone(), traffic.failed.clone());
            let task = actix::spawn(async move {
                let name = format!("d{device:03}");
                let client = http();
                let mut target = device;
                let mut millis = 0;
                while !is_over.get() {
                    millis += 1;
                    let body = json!({
                        "device_id": name, "timestamp": time(millis), "latitude": 1, "longitude": 2, "topics": [EVENT]
                    });
                    // Until it is acknowledged, whoever does that: also when all is over.
                    loop {
                        target += 1;
                        let address = targets.borrow()[target % targets.borrow().len()];
                        let url = format!("http://{address}/positions");
                        match post_over(&client, &url, &[], body.to_string()).await {
                            Ok((200, _)) => break,
                            Ok((503, _)) | Err(_) => failed.set(failed.get() + 1),
                            Ok(other) => panic!("{other:?}"),
                        }
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    acknowledged.borrow_mut().entry(name.clone()).or_default().push(millis);
                    tokio::time::sleep(pause).await;
                }
            });
            traffic.devices.push(task);
        }
        traffic
    }

    /// How many posts were acknowledged.
    pub(crate) fn count(&self) -> usize {
        self.acknowledged.borrow().values().map(Vec::len).sum()
    }

    /// Of each device, the newest that was acknowledged.
    pub(crate) fn newest(&self) -> State {
        let newest = |(device, times): (&String, &Vec<u64>)| (device.clone(), *times.last().unwrap());
        self.acknowledged.borrow().iter().map(newest).collect()
    }

    /// Of each device, all that was acknowledged.
    pub(crate) fn acknowledged(&self) -> BTreeMap<String, Vec<u64>> {
        self.acknowledged.borrow().clone()
    }

    /// Waits until all devices have been acknowledged their last post.
    pub(crate) async fn stop(&mut self) {
        self.is_over.set(true);
        for device in self.devices.drain(..) {
            super::harness::soon("a device's last post", device).await.unwrap();
        }
    }

    /// Expects that the database has all that was acknowledged, each once, by what another program finds there.
    pub(crate) fn is_stored_in(&self, postgres: &Postgres) {
        let rows = "SELECT device_id, round(extract(epoch FROM timestamp - '2026-01-02T00:00:00Z') * 1000)::bigint \
            FROM positions ORDER BY device_id, timestamp";
        let mut stored = BTreeMap::<String, Vec<u64>>::new();
        for line in postgres.sql(rows).lines() {
            let (device, millis) = line.split_once('|').unwrap();
            stored.entry(device.to_owned()).or_default().push(millis.parse().unwrap());
        }
        assert_eq!(stored, self.acknowledged());
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.devices.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
