//! A Redis Cluster: streams lie on different nodes.

use super::*;
use crate::positions::redis::server::free_port;

/// Two nodes, each with half of the slots.
fn cluster() -> [RedisServer; 2] {
    let node = || {
        let port = free_port().to_string();
        let args =
            ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", &port];
        (RedisServer::start_with(&args), port)
    };
    let ((one, _), (other, bus)) = (node(), node());
    one.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]);
    other.cli(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]);
    one.cli(&["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string(), &bus]);
    [one, other]
}

#[actix::test]
async fn a_cluster_holds_the_log() {
    let nodes = cluster();
    let is_ready = || nodes.iter().all(|node| node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
    eventually("the cluster", is_ready).await;
    let urls = nodes.iter().map(RedisServer::url).collect::<Vec<_>>().join(",");
    let settings = settings(&urls, &[("POSITIONS_LOG_SHARDS", "4")]);
    let mut one = Instance::start(&settings, "one").await;
    let other = Instance::start(&settings, "other").await;
    let devices: Vec<_> = (0..40).map(|device| format!("d{device}")).collect();
    let devices: Vec<_> = devices.iter().map(String::as_str).collect();
    for latitude in 0..20 {
        in_time(one.append(&devices, latitude)).await;
    }
    for device in &devices {
        other.sees(device, 19).await;
        let seen = other.positions();
        let latitudes = seen.iter().filter(|(one, _)| one == device).map(|(_, latitude)| *latitude);
        assert!(latitudes.eq((0..20).map(f64::from)), "{device}");
    }
    assert_eq!(other.seen.borrow().catch_ups, 0);
    let held: Vec<usize> = nodes.iter().map(|node| node.cli(&["DBSIZE"]).parse().unwrap()).collect();
    assert!(held.iter().sum::<usize>() == 4 && held.iter().all(|held| *held > 0), "{held:?}");
}

#[actix::test]
async fn a_node_that_is_frozen_holds_up_nobody() {
    let nodes = cluster();
    let is_ready = || nodes.iter().all(|node| node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
    eventually("the cluster", is_ready).await;
    let urls = nodes.iter().map(RedisServer::url).collect::<Vec<_>>().join(",");
    let settings = settings(&urls, &[("POSITIONS_LOG_SHARDS", "4")]);
    let mut one = Instance::start(&settings, "one").await;
    let other = Instance::start(&settings, "other").await;
    let devices = ["a", "b", "c", "d", "e", "f", "g", "h"];
    in_time(one.append(&devices, 1)).await;
    nodes[0].freeze();
    in_time(one.append(&devices, 2)).await;
    in_time(one.append(&devices, 3)).await;
    assert_eq!(one.metrics.log.up.get(), 0);
    nodes[0].thaw();
    for device in devices {
        other.sees(device, 3).await;
    }
    one.is_up(1).await;
}
