//! Areas: what is inside, who goes out, views that move, too many devices, slow clients.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Client, Server, eventually, folder, time};

/// A position of a device at a place.
fn at(device: &str, millis: u64, longitude: f64, latitude: f64) -> Value {
    json!({ "device_id": device, "timestamp": time(millis), "latitude": latitude, "longitude": longitude })
}

/// The ids of the devices in a snapshot, sorted.
fn devices(answer: &Value) -> Vec<&str> {
    let snapshot = answer["snapshot"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let mut devices: Vec<_> = snapshot.iter().map(|one| one["device_id"].as_str().unwrap()).collect();
    devices.sort_unstable();
    devices
}

#[actix::test]
async fn a_view_shows_what_is_inside_what_moves_there_and_what_goes_out() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let posts = json!([
        at("inside", 1, 13.4, 52.5),
        at("on the edge", 1, 13.5, 52.55),
        at("outside", 1, 13.6, 52.5),
        at("far", 1, -70.0, -33.0),
    ]);
    server.accept(&posts).await;
    let mut client = server.client().await;
    let area = "area:13.3,52.45,13.5,52.55";
    assert_eq!(devices(&client.subscribe(area).await), ["inside", "on the edge"]);

    server.accept(&at("far", 2, -70.1, -33.0)).await;
    server.accept(&at("inside", 2, 13.41, 52.5)).await;
    let expected = json!({
        "type": "position", "topic": "area", "device_id": "inside", "timestamp": time(2), "latitude": 52.5,
        "longitude": 13.41,
    });
    assert_eq!(client.json().await, expected);

    // One comes in, one goes out; of what happens outside nothing is heard.
    server.accept(&json!([at("outside", 2, 13.7, 52.5), at("outside", 3, 13.45, 52.5)])).await;
    assert_eq!(client.json().await["device_id"], "outside");
    server.accept(&at("inside", 3, 13.2, 52.5)).await;
    let expected = json!({ "type": "left", "topic": area, "device_id": "inside", "timestamp": time(3) });
    assert_eq!(client.json().await, expected);
    server.accept(&at("inside", 4, 13.2, 52.5)).await;

    client.text(json!({ "type": "unsubscribe", "topic": area }).to_string()).await;
    assert_eq!(client.json().await, json!({ "type": "unsubscribed", "topic": area }));
    assert_eq!(devices(&client.subscribe(area).await), ["on the edge", "outside"]);
}

#[actix::test]
async fn boxes_follow_the_globe() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let posts = json!([
        at("suva", 1, 178.4, -18.1),
        at("180", 1, 180.0, -17.0),
        at("-180", 1, -180.0, -17.0),
        at("samoa", 1, -172.0, -13.8),
        at("pole", 1, 33.0, 90.0),
        at("south pole", 1, 0.0, -90.0),
    ]);
    server.accept(&posts).await;
    let mut client = server.client().await;
    for (area, inside) in [
        ("area:177,-20,-178,-16", &["-180", "180", "suva"][..]),
        ("area:177,-20,180,-16", &["-180", "180", "suva"]),
        ("area:-180,-20,-179,-16", &["-180", "180"]),
        ("area:-180,66,180,90", &["pole"]),
        ("area:-180,-90,180,90", &["-180", "180", "pole", "samoa", "south pole", "suva"]),
        ("area:178.4,-18.1,178.4,-18.1", &["suva"]),
        ("area:0,0,1,1", &[]),
    ] {
        assert_eq!(devices(&client.subscribe(area).await), inside, "{area}");
    }
    for (area, message) in [
        (
            "area:1,2,3",
            "area must be <west>,<south>,<east>,<north>: four decimal numbers with commas between",
        ),
        ("area:", "area must be <west>,<south>,<east>,<north>: four decimal numbers with commas between"),
        ("area:1,4,3,2", "area south must not be more than north"),
        ("area:1,2,190,4", "area east must be from -180 to 180"),
        ("area:1,-91,3,4", "area south must be from -90 to 90"),
    ] {
        let answer = client.ask(json!({ "type": "subscribe", "topic": area, "id": "x" })).await;
        let expected = json!({
            "type": "error", "code": "protocol-violation", "topic": area, "id": "x", "message": message,
        });
        assert_eq!(answer, expected);
    }
}

#[actix::test]
async fn a_view_that_moves_is_told_only_what_is_new_and_what_is_gone() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let posts = json!([at("left", 1, 0.5, 0.5), at("both", 1, 1.5, 0.5), at("right", 1, 2.5, 0.5)]);
    server.accept(&posts).await;
    let mut client = server.client().await;
    let (first, second) = ("area:0,0,2,1", "area:1,0,3,1");
    // It was never held: the snapshot is whole, and `replaces` is not said.
    let answer = client.ask(json!({ "type": "subscribe", "topic": first, "replaces": second })).await;
    assert_eq!(devices(&answer), ["both", "left"]);
    assert_eq!((answer.get("replaces"), answer.get("left")), (None, None));
    let answer =
        client.ask(json!({ "type": "subscribe", "topic": second, "replaces": first, "id": "m" })).await;
    assert_eq!(devices(&answer), ["right"]);
    assert_eq!(
        (&answer["replaces"], &answer["left"], &answer["id"]),
        (&json!(first), &json!(["left"]), &json!("m"))
    );
    assert_eq!(server.metric("processor_live_subscriptions", "").await, 1.0);

    // From now on the new one counts.
    server.accept(&json!([at("left", 2, 0.6, 0.5), at("both", 2, 0.9, 0.5)])).await;
    let expected = json!({ "type": "left", "topic": second, "device_id": "both", "timestamp": time(2) });
    assert_eq!(client.json().await, expected);

    // Where both are held, one ends, and the other's snapshot is whole.
    client.subscribe(first).await;
    let answer =
        client.ask(json!({ "type": "subscribe", "topic": second, "replaces": first, "id": "n" })).await;
    assert_eq!(answer, json!({ "type": "unsubscribed", "topic": first, "id": "n" }));
    assert_eq!(devices(&client.json().await), ["right"]);

    for (topic, replaces, message) in [
        ("event:e", first, "replaces: only an area takes the place of another area"),
        (first, "event:e", "replaces: only an area takes the place of another area"),
        (
            first,
            "area:1",
            "replaces: area must be <west>,<south>,<east>,<north>: four decimal numbers with commas between",
        ),
    ] {
        let answer = client.ask(json!({ "type": "subscribe", "topic": topic, "replaces": replaces })).await;
        assert_eq!((&answer["code"], &answer["message"]), (&json!("protocol-violation"), &json!(message)));
    }
}

#[actix::test]
async fn an_area_with_too_many_devices_is_refused_and_one_that_grows_over_it_ends() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_MAX_AREA_DEVICES", "3")]);
    server
        .accept(&json!([
            at("a", 1, 0.1, 0.5),
            at("b", 1, 0.2, 0.5),
            at("c", 1, 2.5, 0.5),
            at("d", 1, 2.6, 0.5)
        ]))
        .await;
    let mut client = server.client().await;
    let (all, some) = ("area:0,0,3,1", "area:0,0,1,1");
    let answer = client.ask(json!({ "type": "subscribe", "topic": all, "id": "x" })).await;
    let message = "4 devices are inside this area, at most 3 may be; ask for a smaller one";
    let mut expected = json!({
        "type": "error", "code": "too-many-devices", "topic": all, "id": "x", "message": message,
    });
    assert_eq!(answer, expected);
    // What it would have replaced is still held.
    assert_eq!(devices(&client.subscribe(some).await), ["a", "b"]);
    let answer = client.ask(json!({ "type": "subscribe", "topic": all, "replaces": some, "id": "x" })).await;
    assert_eq!(answer, expected);
    server.accept(&json!([at("c", 2, 0.3, 0.5), at("d", 2, 0.4, 0.5), at("a", 2, 0.5, 0.5)])).await;
    expected = json!({
        "type": "error", "code": "too-many-devices", "topic": some, "message": message,
        "detail": "this subscription has ended",
    });
    assert_eq!(client.json().await, expected);
    assert_eq!(server.metric("processor_live_subscriptions", "").await, 0.0);
    // Devices that go make room; they are counted whoever looks.
    server.accept(&json!([at("a", 3, 5.0, 0.5)])).await;
    assert_eq!(devices(&client.subscribe(some).await), ["b", "c", "d"]);
    server.accept(&json!([at("b", 3, 5.0, 0.5), at("a", 4, 0.5, 0.5)])).await;
    assert_eq!(
        (client.json().await["type"].clone(), client.json().await["type"].clone()),
        (json!("left"), json!("position"))
    );
    assert_eq!(server.metric("processor_live_subscriptions", "").await, 1.0);
}

#[actix::test]
async fn a_slow_client_ends_with_what_is_true_of_its_area() {
    const DEVICES: usize = 1500;
    let folder = folder();
    let settings = [("LIVE_WS_OUTBOX_BYTES", "16384"), ("LIVE_WS_WORKERS", "1")];
    let server = Server::start(folder.path(), &settings);
    let place = |device: usize, round: u64| {
        // Every seventh is outside in odd rounds.
        let is_out = device.is_multiple_of(7) && round % 2 == 1;
        let longitude = if is_out { 5.0 } else { 0.1 + device as f64 / 2000.0 };
        at(&device.to_string(), round, longitude, 0.5)
    };
    let all = |round| (0..DEVICES).map(|device| place(device, round)).collect::<Value>();
    server.accept(&all(2)).await;
    let mut client = Client::narrow(server.live, 8192).await;
    let mut known = HashMap::new();
    let snapshot = client.subscribe("area:0,0,1,1").await;
    for position in snapshot["snapshot"].as_array().unwrap() {
        known.insert(position["device_id"].clone(), position["timestamp"].clone());
    }
    assert_eq!(known.len(), DEVICES);
    for round in 3..10 {
        server.accept(&all(round)).await;
    }
    eventually("positions that were not sent in their turn", async || {
        server.metric("processor_live_conflated_total", "").await > 0.0
    })
    .await;
    // The last round is 9, an odd one: every seventh is outside.
    let is_true = |known: &HashMap<Value, Value>| {
        known.len() == DEVICES - DEVICES.div_ceil(7) && known.values().all(|at| *at == json!(time(9)))
    };
    let mut messages = 0;
    while !is_true(&known) {
        let message = client.json().await;
        messages += 1;
        let (device, now) = (message["device_id"].clone(), message["timestamp"].clone());
        if message["type"] == "left" {
            known.remove(&device);
        } else {
            let before = known.insert(device, now.clone());
            assert!(before.is_none_or(|before| before.as_str() <= now.as_str()), "{message} is old");
        }
    }
    assert!(messages < 7 * DEVICES, "{messages} messages: nothing was left out");
    server.accept(&place(1, 10)).await;
    assert_eq!(client.json().await["timestamp"], time(10));
}

#[actix::test]
async fn the_devices_of_before_a_restart_are_inside_after_it() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    server.accept(&json!([at("a", 1, 0.5, 0.5), at("b", 1, 2.5, 0.5)])).await;
    server.stop();
    let server = Server::start(folder.path(), &[]);
    let mut client = server.client().await;
    assert_eq!(devices(&client.subscribe("area:0,0,1,1").await), ["a"]);
    server.accept(&at("a", 2, 2.5, 0.5)).await;
    let left = tokio::time::timeout(Duration::from_secs(20), client.json()).await.unwrap();
    assert_eq!((&left["type"], &left["device_id"]), (&json!("left"), &json!("a")));
}
