//! Instances of another release: what they append is read, or skipped and counted.

use serde_json::json;

use crate::harness::{eventually, time};
use crate::instances::Instances;
use crate::turn;
use crate::watcher::{State, all_tell};

#[actix::test]
async fn entries_of_other_releases_are_read_or_skipped_and_counted() {
    let _turn = turn().await;
    let instances = Instances::start(2, &[]);
    instances.ready().await;
    let stream = "processor:log:{0}";
    // A newer release may say more of a position, and of an entry.
    let newer = json!({
        "instance": "newer", "region": "eu", "positions": [{
            "device_id": "n", "timestamp": 1_767_312_000_007_i64, "latitude": 1.0, "longitude": 2.0, "topics": ["event:e"],
            "arrival": 1_767_400_000_000_i64, "satellites": 7
        }]
    });
    instances.redis.cli(&["XADD", stream, "*", "v", "1", "json", &newer.to_string(), "signature", "x"]);
    // What is revoked, by this release and by one that can revoke more.
    let revoked = |kind: &str| {
        let revocation =
            json!({ "kind": kind, "name": "x", "revoked_at": 1_767_312_000_007_i64, "why": "lost" });
        json!({ "instance": "newer", "positions": [], "revocations": [revocation] }).to_string()
    };
    instances.redis.cli(&["XADD", stream, "*", "v", "1", "json", &revoked("subject")]);
    instances.redis.cli(&["XADD", stream, "*", "v", "1", "json", &revoked("device")]);
    // A release after a change of the form, an old experiment, and no entry of ours.
    instances.redis.cli(&["XADD", stream, "*", "v", "2", "cbor", "\u{1}\u{2}"]);
    instances.redis.cli(&["XADD", stream, "*", "v", "0", "json", "{}"]);
    instances.redis.cli(&["XADD", stream, "*", "v", "1", "json", "{\"positions\":[{\"device_id\":7}]}"]);
    instances.redis.cli(&["XADD", stream, "*", "hello", "world"]);
    instances
        .get(0)
        .accept(&json!({
            "device_id": "d", "timestamp": time(9), "latitude": 1, "longitude": 2, "topics": ["event:e"]
        }))
        .await;
    let expected = State::from([("n".to_owned(), 7), ("d".to_owned(), 9)]);
    let addresses: Vec<_> = instances.all().map(|server| server.live).collect();
    all_tell(&addresses, &["event:e".to_owned()], &expected).await;
    for server in instances.all() {
        eventually("skipped entries to be counted", async || {
            server.metric("processor_positions_log_skipped_total", "").await == 5.0
        })
        .await;
        assert_eq!(server.metric("processor_positions_log_skipped_total", r#"reason="version""#).await, 2.0);
        assert_eq!(server.metric("processor_positions_log_read_revocations_total", "").await, 1.0);
        assert_eq!(server.log().iter().filter(|line| line.contains("ERROR")).count(), 0);
    }
}
