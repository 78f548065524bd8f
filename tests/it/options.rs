//! `hello`, lists of topics, cadence and batches.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Client, Server, crowd, eventually, folder, populate, position, time};

#[actix::test]
async fn welcome_says_what_this_server_has_and_allows() {
    let folder = folder();
    let settings = [
        ("LIVE_WS_PING_INTERVAL_MS", "1234"),
        ("LIVE_WS_MAX_SUBSCRIPTIONS", "7"),
        ("LIVE_WS_MAX_AREA_DEVICES", "99"),
        ("LIVE_WS_MIN_EVERY_MS", "300"),
    ];
    let server = Server::start(folder.path(), &settings);
    let mut client = server.client().await;
    let welcome = client.ask(json!({ "type": "hello", "id": "h" })).await;
    assert_eq!((&welcome["type"], &welcome["id"]), (&json!("welcome"), &json!("h")));
    assert_eq!(welcome["ping_interval_ms"], 1234);
    let limits = &welcome["limits"];
    assert_eq!((&limits["subscriptions"], &limits["area_devices"]), (&json!(7), &json!(99)));
    // What is asked for is rounded up to a step.
    assert_eq!(limits["min_every_ms"], 500);
    assert_eq!(client.ask(json!({ "type": "hello" })).await.get("id"), None);
    let answer = client.ask(json!({ "type": "hello", "id": 7 })).await;
    assert_eq!(answer["detail"], "id: must be a string");
    assert_eq!(server.metric("processor_live_messages_inbound_total", "hello").await, 2.0);
    assert_eq!(server.metric("processor_live_messages_outbound_total", "welcome").await, 2.0);
}

#[actix::test]
async fn a_new_view_of_900_topics_sent_twice_is_answered_in_order() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let mut client = server.client().await;
    let topics: Vec<_> = (0..900).map(|device| format!("device:{device}")).collect();
    for id in ["1", "2"] {
        client.text(json!({ "type": "subscribe", "topics": topics, "id": id }).to_string()).await;
    }
    client.text(json!({ "type": "unsubscribe", "topics": topics, "id": "3" }).to_string()).await;
    client.text(json!({ "type": "hello", "id": "4" }).to_string()).await;
    for (id, kind) in [("1", "subscribed"), ("2", "subscribed"), ("3", "unsubscribed")] {
        for topic in &topics {
            let answer = client.json().await;
            assert_eq!(
                (&answer["type"], &answer["topic"], &answer["id"]),
                (&json!(kind), &json!(topic), &json!(id))
            );
        }
    }
    assert_eq!(client.json().await["type"], "welcome");
    client.close().await;
}

#[actix::test]
async fn what_is_wrong_with_one_topic_of_a_list_concerns_that_one_only() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_MAX_SUBSCRIPTIONS", "2")]);
    let mut client = server.client().await;
    let topics = ["device:1", "planet:mars", "area:1", "device:2", "device:3", "device:1"];
    client.text(json!({ "type": "subscribe", "topics": topics, "id": "x" }).to_string()).await;
    let mut codes = Vec::new();
    for topic in topics {
        let answer = client.json().await;
        assert_eq!((&answer["topic"], &answer["id"]), (&json!(topic), &json!("x")), "{answer}");
        codes.push(answer["code"].as_str().unwrap_or("subscribed").to_owned());
    }
    let expected = [
        "subscribed",
        "not-implemented",
        "protocol-violation",
        "subscribed",
        "too-many-subscriptions",
        "subscribed",
    ];
    assert_eq!(codes, expected);
}

#[actix::test]
async fn a_list_whose_answers_are_not_read_holds_no_more_than_the_client_may() {
    let folder = folder();
    let settings = [("LIVE_WS_OUTBOX_BYTES", "65536"), ("LIVE_WS_WORKERS", "1")];
    let server = Server::start(folder.path(), &settings);
    populate(&server, 200).await;
    let mut client = Client::narrow(server.live, 4096).await;
    // 1000 snapshots of 20 KiB each.
    let topics = vec!["event:e"; 1000];
    client.text(json!({ "type": "subscribe", "topics": topics, "id": "x" }).to_string()).await;
    let waiting = async || {
        let (_, page) = server.get("/connections").await;
        let page: Value = serde_json::from_str(&page).unwrap();
        // The one for whom most waits.
        page["connections"][0]["waiting_bytes"].as_u64().unwrap()
    };
    eventually("a full outbox", async || waiting().await > 65536).await;
    // The worker has gone on: it answers others, again and again.
    let mut other = server.client().await;
    for _ in 0..50 {
        other.ask(json!({ "type": "hello" })).await;
    }
    let waiting = waiting().await;
    assert!(waiting < 3 * 65536, "{waiting} bytes wait");
    for _ in 0..1000 {
        let answer = client.json().await;
        assert_eq!(answer["snapshot"].as_array().unwrap().len(), 200);
    }
}

#[actix::test]
async fn at_a_cadence_the_newest_of_each_device_comes_once_a_step() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_WORKERS", "2")]);
    let (mut every, mut slow) = (server.client().await, server.client().await);
    every.subscribe("event:e").await;
    let request = json!({ "type": "subscribe", "topic": "event:e", "every_ms": 300, "id": "c" });
    let answer = slow.ask(request).await;
    let expected =
        json!({ "type": "subscribed", "topic": "event:e", "id": "c", "every_ms": 500, "snapshot": [] });
    assert_eq!(answer, expected);
    let began = Instant::now();
    let mut step = 0;
    while began.elapsed() < Duration::from_secs(3) {
        step += 1;
        server.accept(&crowd(0..3, step)).await;
    }
    // Two in a second, and the one that was under way.
    let steps = (began.elapsed().as_millis() / 500) as u64 + 2;
    for _ in 0..step * 3 {
        every.json().await;
    }
    let mut messages = 0;
    let mut last = [0; 3];
    while last != [step; 3] {
        let message = slow.json().await;
        messages += 1;
        let device: usize = message["device_id"].as_str().unwrap().parse().unwrap();
        let now = (1..=step).find(|step| message["timestamp"] == time(*step)).unwrap();
        assert!(now > last[device], "{message} is not new");
        last[device] = now;
    }
    assert!(messages <= steps * 3, "{messages} messages in {steps} steps");
    assert!(step > 2 * steps, "only {step} posts in {steps} steps: nothing was left out");
}

#[actix::test]
async fn who_left_is_told_in_its_place_and_who_came_back_is_there() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let mut client = server.client().await;
    server.accept(&crowd(0..3, 1)).await;
    let request = json!({ "type": "subscribe", "topic": "event:e", "every_ms": 1000, "batch": true });
    let answer = client.ask(request).await;
    assert_eq!(answer["snapshot"].as_array().unwrap().len(), 3);
    // Device 0 moves, 1 leaves, 2 leaves and comes back: in one post, so in one step.
    let mut posts = vec![];
    posts.extend(crowd([0], 2).as_array().unwrap().clone());
    posts.push(position("1", 2, 1.0));
    posts.push(position("2", 2, 1.0));
    posts.extend(crowd([2], 3).as_array().unwrap().clone());
    server.accept(&Value::from(posts)).await;
    let first = client.json().await;
    assert_eq!((&first["type"], &first["positions"][0]["device_id"]), (&json!("positions"), &json!("0")));
    assert_eq!(
        client.json().await,
        json!({ "type": "left", "topic": "event:e", "device_id": "1", "timestamp": time(2) })
    );
    let last = client.json().await;
    assert_eq!(
        (&last["positions"][0]["device_id"], &last["positions"][0]["timestamp"]),
        (&json!("2"), &json!(time(3)))
    );
    // What was handed over is counted at the end of the fan-out.
    eventually("two batches to be counted", async || {
        server.metric("processor_live_messages_outbound_total", "positions").await == 2.0
    })
    .await;
    assert_eq!(server.metric("processor_live_batched_positions_total", "").await, 2.0);
}

#[actix::test]
async fn what_leaves_together_is_one_message_of_bounded_length() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let (mut batched, mut single) = (server.client().await, server.client().await);
    batched.ask(json!({ "type": "subscribe", "topic": "event:e", "batch": true })).await;
    single.subscribe("event:e").await;
    server.accept(&crowd(0..2000, 1)).await;
    let mut positions = Vec::new();
    let mut messages = 0;
    while positions.len() < 2000 {
        let message = batched.json().await;
        assert_eq!((&message["type"], &message["topic"]), (&json!("positions"), &json!("event:e")));
        assert!(message.to_string().len() < 80 * 1024);
        positions.extend(message["positions"].as_array().unwrap().clone());
        messages += 1;
    }
    assert!(messages <= 20, "{messages} messages");
    // The same, in the same order.
    for position in positions {
        let mut message = single.json().await;
        let object = message.as_object_mut().unwrap();
        object.remove("type");
        object.remove("topic");
        assert_eq!(message, position);
    }
}

#[actix::test]
async fn the_operator_s_smallest_step_holds_for_everyone() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_MIN_EVERY_MS", "1000")]);
    let mut client = server.client().await;
    for (asked, said) in [(json!(null), 1000), (json!(0), 1000), (json!(100), 1000), (json!(1500), 2000)] {
        let request = json!({ "type": "subscribe", "topic": "device:1", "every_ms": asked });
        assert_eq!(client.ask(request).await["every_ms"], said);
    }
    // Each subscription took the place of the one before.
    assert_eq!(server.metric("processor_live_subscriptions", "").await, 1.0);
}

#[actix::test]
async fn a_subscription_can_be_served_in_another_way_from_now_on() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let mut client = server.client().await;
    let request = json!({ "type": "subscribe", "topic": "device:1", "batch": true });
    assert_eq!(client.ask(request).await["batch"], true);
    server.accept(&position("1", 1, 1.0)).await;
    assert_eq!(client.json().await["type"], "positions");
    client.subscribe("device:1").await;
    server.accept(&position("1", 2, 1.0)).await;
    assert_eq!(client.json().await["type"], "position");
}
