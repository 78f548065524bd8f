//! Positions as devices post them.

use serde_json::{Value, json};

use super::{Server, eventually};

/// A position as a device posts it.
pub(crate) fn position(device: &str, millis: u64, latitude: f64) -> Value {
    json!({ "device_id": device, "timestamp": time(millis), "latitude": latitude, "longitude": 13.4 })
}

/// A time in 2026, so many milliseconds into the day.
pub(crate) fn time(millis: u64) -> String {
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    format!("2026-01-02T{:02}:{:02}:{seconds:02}.{millis:03}Z", minutes / 60, minutes % 60)
}

/// The same of a position, read back: milliseconds into the day.
pub(crate) fn millis(position: &Value) -> u64 {
    let text = position["timestamp"].as_str().unwrap();
    let part = |range: std::ops::Range<usize>| text[range].parse::<u64>().unwrap();
    ((part(11..13) * 60 + part(14..16)) * 60 + part(17..19)) * 1000 + part(20..23)
}

/// Positions of the devices `0` and on, all in event `e`.
pub(crate) fn crowd(devices: impl IntoIterator<Item = usize>, millis: u64) -> Value {
    let in_event = |device: usize| {
        let mut position = position(&device.to_string(), millis, 1.0);
        position["topics"] = json!(["event:e"]);
        position
    };
    devices.into_iter().map(in_event).collect()
}

/// Has so many devices in event `e`.
pub(crate) async fn populate(server: &Server, devices: usize) {
    for first in (0..devices).step_by(2000) {
        server.accept(&crowd(first..devices.min(first + 2000), 1)).await;
    }
}

/// Posts positions of device `1` until one of its subscribers is too slow for them.
pub(crate) async fn conflate(server: &Server) {
    let mut millis = 0;
    eventually("a subscriber that is too slow", async || {
        let steps = (millis..millis + 200).map(|step| position("1", step, 1.0)).collect();
        server.accept(&steps).await;
        millis += 200;
        server.metric("processor_live_conflated_total", "").await > 0.0
    })
    .await;
}
