//! The wire contract: requests, responses, snapshots.

use processor::live::ScaffoldHandler;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Client, Live, Server, crowd, folder, position, time};

#[actix::test]
async fn the_scaffold_answers_not_implemented_to_each_valid_request() {
    let live = Live::start(&[], |_| ScaffoldHandler);
    let mut client = Client::connect(live.address()).await;
    client.text(r#"{"type":"subscribe","topic":"device:1","id":"a"}"#).await;
    let answer = client.json().await;
    assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!("not-implemented")));
    assert_eq!(answer["id"], "a");
    client.text("{}").await;
    assert_eq!(client.json().await["code"], "protocol-violation");
    client.close().await;
    for (kind, count) in [("subscribe", 1.0), ("unsubscribe", 0.0), ("invalid", 1.0)] {
        assert_eq!(live.metric("processor_live_messages_inbound_total", kind), count, "{kind}");
    }
}

#[actix::test]
async fn a_violation_is_answered_and_the_connection_stays() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let mut client = server.client().await;
    let object =
        "the message must be a JSON object in UTF-8, with type and what that type needs, each field once";
    let topic = "topic: missing; it must be a string, or there must be topics, an array of 1 to 1000 strings";
    for (bad, detail) in [
        ("hello", object),
        ("{\"type\":", object),
        ("[]", object),
        (r#"{"type":"subscribe"}"#, topic),
        (r#"{"type":"dance","topic":"device:1"}"#, "type: one of hello, auth, subscribe, unsubscribe"),
    ] {
        client.text(bad).await;
        let expected = json!({
            "type": "error", "code": "protocol-violation", "message": "Invalid message envelope", "detail": detail,
        });
        assert_eq!(client.json().await, expected, "{bad}");
    }
    client.send(Message::binary(&b"\xFF\x00"[..])).await;
    assert_eq!(client.json().await["code"], "protocol-violation");
    client.subscribe("device:1").await;
    assert_eq!(server.metric("processor_live_messages_inbound_total", "invalid").await, 6.0);
    server.logged("type=invalid");
    assert!(server.log().iter().all(|line| !line.contains("dance")), "a payload is in the log");
}

#[actix::test]
async fn a_binary_frame_with_the_same_json_is_read_the_same() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let mut client = server.client().await;
    client.send(Message::binary(&br#"{"type":"subscribe","topic":"event:e","id":"b"}"#[..])).await;
    let expected = json!({ "type": "subscribed", "topic": "event:e", "id": "b", "snapshot": [] });
    assert_eq!(client.json().await, expected);
}

#[actix::test]
async fn an_unknown_kind_is_not_implemented_and_the_message_names_those_there_are() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let mut client = server.client().await;
    for topic in ["foo", "Area:1,2,3,4", ""] {
        client.text(json!({ "type": "subscribe", "topic": topic, "id": "a3" }).to_string()).await;
        let answer = client.json().await;
        assert_eq!(
            (&answer["code"], &answer["topic"], &answer["id"]),
            (&json!("not-implemented"), &json!(topic), &json!("a3"))
        );
        assert!(answer["message"].as_str().unwrap().contains("device:<id>, event:<id>"), "{answer}");
    }
    client.text(r#"{"type":"subscribe","topic":"device:"}"#).await;
    let answer = client.json().await;
    assert_eq!((&answer["code"], &answer["topic"]), (&json!("protocol-violation"), &json!("device:")));
}

#[actix::test]
async fn a_position_reaches_the_subscribers_of_its_device_and_its_events_and_no_one_else() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let (mut device, mut event, mut other) =
        (server.client().await, server.client().await, server.client().await);
    device.subscribe("device:42").await;
    event.subscribe("event:rally-42").await;
    other.subscribe("device:43").await;
    let mut post = position("42", 5678, 52.5);
    post["topics"] = json!(["event:rally-42"]);
    post["speed"] = json!(3.5);
    post["attributes"] = json!({ "battery": 0.5 });
    server.accept(&post).await;
    let mut expected = json!({
        "type": "position", "topic": "device:42", "device_id": "42", "timestamp": time(5678),
        "latitude": 52.5, "longitude": 13.4, "speed": 3.5, "attributes": { "battery": 0.5 },
    });
    assert_eq!(device.json().await, expected);
    expected["topic"] = json!("event:rally-42");
    assert_eq!(event.json().await, expected);
    server.accept(&position("43", 0, 1.0)).await;
    assert_eq!(other.json().await["device_id"], "43");
}

#[actix::test]
async fn the_snapshot_is_the_latest_position_of_every_device_in_the_topic() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let at = |device: &str, millis, topics: &[&str]| {
        let mut position = position(device, millis, 1.0);
        position["topics"] = json!(topics);
        position
    };
    server
        .accept(&json!([
            at("a", 1, &["event:e"]),
            at("a", 2, &["event:e"]),
            at("b", 1, &["event:e", "event:f"])
        ]))
        .await;
    server.accept(&json!([at("c", 1, &["event:e"]), at("c", 2, &[])])).await;
    let mut client = server.client().await;
    let seen = |answer: serde_json::Value| {
        let snapshot = answer["snapshot"].as_array().unwrap().clone();
        let mut seen: Vec<_> = snapshot
            .iter()
            .map(|position| {
                (position["device_id"].as_str().unwrap().to_owned(), position["timestamp"].clone())
            })
            .collect();
        seen.sort_by(|a, b| a.0.cmp(&b.0));
        seen
    };
    let expected = [("a".to_owned(), json!(time(2))), ("b".to_owned(), json!(time(1)))];
    assert_eq!(seen(client.subscribe("event:e").await), expected);
    assert_eq!(seen(client.subscribe("event:f").await), expected[1..]);
    assert_eq!(seen(client.subscribe("device:c").await), [("c".to_owned(), json!(time(2)))]);
    assert_eq!(seen(client.subscribe("device:nobody").await), []);
}

#[actix::test]
async fn a_position_that_was_answered_200_is_in_every_snapshot_from_then_on_and_comes_once() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_WORKERS", "2")]);
    let mut client = server.client().await;
    for device in 0..300 {
        let device = device.to_string();
        server.accept(&position(&device, 1, 1.0)).await;
        // Had it been delivered as well, the next answer would not be the next message.
        let answer = client.subscribe(&format!("device:{device}")).await;
        assert_eq!(answer["snapshot"][0]["device_id"], device.as_str(), "{answer}");
    }
}

#[actix::test]
async fn a_snapshot_that_many_share_is_never_an_old_one() {
    let folder = folder();
    let server = Server::start(
        folder.path(),
        &[("LIVE_WS_WORKERS", "1"), ("LIVE_WS_MAX_MESSAGES_PER_SECOND", "10000")],
    );
    let (mut one, mut other) = (server.client().await, server.client().await);
    let post = async |device: &str, millis| {
        let mut position = position(device, millis, 1.0);
        position["topics"] = json!(["event:e"]);
        server.accept(&position).await;
    };
    post("1", 1).await;
    for step in 2..100 {
        post("2", step).await;
        let answer = one.subscribe("event:e").await;
        one.text(r#"{"type":"unsubscribe","topic":"event:e"}"#).await;
        assert_eq!(one.json().await["type"], "unsubscribed");
        assert_eq!(other.subscribe("event:e").await, answer);
        other.text(r#"{"type":"subscribe","topic":"event:e","id":"a"}"#).await;
        let named = other.json().await;
        assert_eq!((&named["id"], &named["snapshot"]), (&json!("a"), &answer["snapshot"]));
        other.text(r#"{"type":"unsubscribe","topic":"event:e"}"#).await;
        assert_eq!(other.json().await["type"], "unsubscribed");
        let mut times: Vec<_> =
            answer["snapshot"].as_array().unwrap().iter().map(|p| &p["timestamp"]).collect();
        times.sort_by_key(|time| time.to_string());
        assert_eq!(times, [&json!(time(1)), &json!(time(step))]);
    }
}

#[actix::test]
async fn subscribing_twice_delivers_once_and_unsubscribing_ends_it() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let mut client = server.client().await;
    client.subscribe("device:1").await;
    client.subscribe("device:1").await;
    assert_eq!(server.metric("processor_live_subscriptions", "").await, 1.0);
    server.accept(&position("1", 1, 1.0)).await;
    server.accept(&position("1", 2, 1.0)).await;
    assert_eq!(client.json().await["timestamp"], time(1));
    assert_eq!(client.json().await["timestamp"], time(2));
    for _ in 0..2 {
        client.text(r#"{"type":"unsubscribe","topic":"device:1","id":"a2"}"#).await;
        let expected = json!({ "type": "unsubscribed", "topic": "device:1", "id": "a2" });
        assert_eq!(client.json().await, expected);
    }
    assert_eq!(server.metric("processor_live_subscriptions", "").await, 0.0);
    server.accept(&position("1", 3, 1.0)).await;
    let snapshot = client.subscribe("device:1").await;
    assert_eq!(snapshot["snapshot"][0]["timestamp"], time(3));
    client.close().await;
    crate::harness::eventually("no subscription", async || {
        server.metric("processor_live_subscriptions", "").await == 0.0
    })
    .await;
}

#[actix::test]
async fn a_device_that_leaves_an_event_is_said_to_have_left_in_its_place_in_the_order() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_WORKERS", "2")]);
    let at = |millis, topics: &[&str]| {
        let mut position = position("1", millis, 1.0);
        position["topics"] = json!(topics);
        position
    };
    server.accept(&at(1, &["event:e"])).await;
    let mut client = server.client().await;
    let snapshot = client.subscribe("event:e").await;
    assert_eq!(snapshot["snapshot"].as_array().unwrap().len(), 1);
    let mut device = server.client().await;
    device.subscribe("device:1").await;
    // Moves, changes to another event, comes back, and leaves for good, in one post.
    let steps =
        [at(2, &["event:e"]), at(3, &["event:f"]), at(4, &["event:e", "event:f"]), at(5, &[]), at(6, &[])];
    server.accept(&json!(steps)).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let message = client.json().await;
        assert_eq!((&message["topic"], &message["device_id"]), (&json!("event:e"), &json!("1")));
        seen.push((message["type"].as_str().unwrap().to_owned(), message["timestamp"].clone()));
    }
    let expected = [("position", 2), ("left", 3), ("position", 4), ("left", 5)];
    assert_eq!(seen, expected.map(|(kind, millis)| (kind.to_owned(), json!(time(millis)))));
    let left = json!({ "type": "left", "topic": "event:e", "device_id": "1", "timestamp": time(7) });
    server.accept(&json!([at(6, &["event:e"]), at(7, &[])])).await;
    server.accept(&at(8, &["event:e"])).await;
    // 6 was there already.
    assert_eq!(client.json().await["timestamp"], time(8));
    server.accept(&at(9, &["event:f"])).await;
    let mut expected = left;
    expected["timestamp"] = json!(time(9));
    assert_eq!(client.json().await, expected);
    for millis in 2..10 {
        let message = device.json().await;
        assert_eq!((&message["type"], &message["timestamp"]), (&json!("position"), &json!(time(millis))));
    }
    assert_eq!(client.subscribe("event:e").await["snapshot"], json!([]));
    assert_eq!(server.metric("processor_live_messages_outbound_total", "left").await, 3.0);
}

#[actix::test]
async fn a_large_snapshot_comes_as_one_message_with_all_devices_and_goes_on_without_a_gap() {
    const DEVICES: usize = 3000;
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    server.accept(&crowd(0..DEVICES, 1)).await;
    // It moves while clients come.
    let load = async {
        for step in 2..12 {
            server.accept(&crowd(0..DEVICES, step)).await;
        }
    };
    let clients = async {
        for number in 0..6 {
            let mut client = server.client().await;
            client
                .text(
                    json!({ "type": "subscribe", "topic": "event:e", "id": number.to_string() }).to_string(),
                )
                .await;
            let answer = client.json().await;
            assert_eq!((&answer["type"], &answer["id"]), (&json!("subscribed"), &json!(number.to_string())));
            let mut newest: std::collections::HashMap<String, String> = answer["snapshot"]
                .as_array()
                .unwrap()
                .iter()
                .map(|p| (p["device_id"].to_string(), p["timestamp"].as_str().unwrap().to_owned()))
                .collect();
            assert_eq!(newest.len(), DEVICES);
            while newest.values().any(|now| *now < time(11)) {
                let message = client.json().await;
                let now = message["timestamp"].as_str().unwrap().to_owned();
                let before = newest.insert(message["device_id"].to_string(), now.clone()).unwrap();
                assert!(before < now, "{before} before {now}");
            }
        }
    };
    tokio::join!(load, clients);
}
