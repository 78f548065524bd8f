//! Unit tests of `hub`: what a client is sent, message for message. The model holds what it knows against what is true,
//! which is no less so for a client that is sent nothing.

use serde_json::json;

use serde_json::Value;

use super::*;

/// A model whose first client takes all that it is sent.
pub(super) fn model() -> Model {
    let model = Model::new();
    model.seats[0].pipe.room.set(usize::MAX);
    model
}

/// What the first client has been sent since this was last asked.
pub(super) fn sent(model: &Model) -> Vec<Value> {
    let Seat { client, outbox, pipe, .. } = &model.seats[0];
    outbox.flush();
    let pieces = std::iter::from_fn(|| model.hub.catch_up(client, Waker::noop()).then(|| outbox.flush()));
    assert!(pieces.take(10_000).count() < 10_000, "it has no end");
    let taken = pipe.taken.take();
    let mut rest = &taken[..];
    let (mut messages, mut message) = (Vec::new(), Vec::new());
    while let [first, length, ..] = *rest {
        assert!(matches!(first & 0x7F, 0 | 1), "a frame of text");
        let (length, at) = match length {
            126 => (usize::from(u16::from_be_bytes([rest[2], rest[3]])), 4),
            short => (usize::from(short), 2),
        };
        message.extend_from_slice(&rest[at..at + length]);
        if first & 0x80 != 0 {
            messages.push(serde_json::from_slice(&std::mem::take(&mut message)).unwrap());
        }
        rest = &rest[at + length..];
    }
    assert!(rest.is_empty() && message.is_empty(), "{rest:?}");
    messages
}

/// The devices in a snapshot or a batch.
pub(super) fn devices<'a>(message: &'a Value, key: &str) -> Vec<&'a str> {
    message[key].as_array().unwrap().iter().map(|one| one["device_id"].as_str().unwrap()).collect()
}

fn topic(name: &str) -> usize {
    TOPICS.iter().position(|topic| *topic == name).unwrap()
}

#[test]
fn who_subscribes_is_sent_what_there_is_and_then_what_follows() {
    let mut model = model();
    model.publish(&[(7, 1, (1, 1)), (8, 2, (1, 1))]);
    model.fan_out();
    model.subscribe(0, topic("event:a"), Wish { id: Some("x"), ..Wish::default() });
    let [subscribed] = &sent(&model)[..] else { panic!() };
    assert_eq!(
        (&subscribed["type"], &subscribed["topic"], &subscribed["id"]),
        (&json!("subscribed"), &json!("event:a"), &json!("x"))
    );
    assert_eq!(devices(subscribed, "snapshot"), ["7"]);
    model.publish(&[(8, 2, (2, 2)), (9, 1, (2, 2)), (7, 0, (2, 2))]);
    model.fan_out();
    let followed: Vec<_> =
        sent(&model).iter().map(|one| (one["type"].clone(), one["device_id"].clone())).collect();
    assert_eq!(followed, [(json!("position"), json!("9")), (json!("left"), json!("7"))]);
    model.hub.unsubscribe(&model.seats[0].client, &Topic::parse("event:a").unwrap());
    model.publish(&[(9, 1, (3, 3))]);
    model.fan_out();
    assert!(sent(&model).is_empty());
}

#[test]
fn of_areas_that_may_not_be_read_any_more_none_gets_a_new_snapshot() {
    let mut model = model();
    let areas: Vec<_> = (2..10).map(|north| Topic::parse(&format!("area:0,0,2,{north}")).unwrap()).collect();
    let subscribe =
        |model: &Model, area| model.hub.subscribe(&model.seats[0].client, area, Wish::default()).unwrap();
    subscribe(&model, &areas[0]);
    sent(&model);
    // What it is told of the first waits, and the snapshots of the others are newer.
    model.seats[0].pipe.room.set(0);
    model.publish(&[(7, 0, (1, 1))]);
    model.fan_out();
    areas[1..].iter().for_each(|area| subscribe(&model, area));
    let narrowed = model.hub.narrow(&model.seats[0].client, |_| false);
    assert_eq!((narrowed.ended, narrowed.left), (8, 0));
    model.seats[0].pipe.room.set(usize::MAX);
    let kinds: Vec<_> = sent(&model).iter().map(|one| one["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, [vec!["subscribed"; 7], vec!["error"; 8]].concat());
}

#[test]
fn a_client_whose_connection_is_closing_is_not_subscribed() {
    let mut model = model();
    model.seats[0].client.close(close::GOING_AWAY);
    model.subscribe(0, topic("event:a"), Wish::default());
    model.publish(&[(7, 1, (1, 1))]);
    model.fan_out();
    assert!(model.hub.interest.borrow().is_empty() && model.hub.subscribers.borrow().is_empty());
    assert_eq!(model.metrics.subscriptions.get(), 0);
}

#[test]
fn a_snapshot_has_what_is_published_but_not_delivered_and_it_is_not_sent_twice() {
    let mut model = model();
    model.publish(&[(7, 1, (1, 1))]);
    model.subscribe(0, topic("device:7"), Wish::default());
    assert_eq!(devices(&sent(&model)[0], "snapshot"), ["7"]);
    model.fan_out();
    assert!(sent(&model).is_empty());
}

#[test]
fn what_is_not_staged_any_more_follows_its_snapshot() {
    let mut model = model();
    for _ in 0..MAX_STAGED {
        model.publish(&[(0, 1, (1, 1))]);
        model.subscribe(0, topic("device:0"), Wish::default());
    }
    sent(&model);
    model.publish(&[(7, 1, (1, 1))]);
    model.subscribe(0, topic("device:7"), Wish::default());
    assert_eq!(devices(&sent(&model)[0], "snapshot"), [""; 0]);
    model.fan_out();
    let followed = sent(&model);
    assert_eq!((followed.len(), &followed[0]["device_id"]), (1, &json!("7")));
}

#[test]
fn who_subscribes_again_is_served_as_is_asked_for_now() {
    let mut model = model();
    let slow = Wish { cadence: Cadence::at_least(1000), batch: true, ..Wish::default() };
    model.subscribe(0, topic("event:a"), Wish::default());
    model.subscribe(0, topic("event:a"), slow);
    let subscribed = &sent(&model)[1];
    assert_eq!((&subscribed["every_ms"], &subscribed["batch"]), (&json!(1000), &json!(true)));
    model.publish(&[(7, 1, (1, 1)), (8, 1, (1, 1))]);
    model.fan_out();
    assert!(sent(&model).is_empty());
    model.tick(1000);
    while model.poll() {}
    let [batch] = &sent(&model)[..] else { panic!() };
    assert_eq!(devices(batch, "positions"), ["7", "8"]);
    model.subscribe(0, topic("event:a"), Wish::default());
    assert_eq!(devices(&sent(&model)[0], "snapshot").len(), 2);
    model.publish(&[(7, 1, (2, 2))]);
    model.fan_out();
    assert_eq!(sent(&model).len(), 1);
    assert_eq!(model.metrics.subscriptions.get(), 1);
}

#[test]
fn a_long_snapshot_is_compressed_for_who_takes_that() {
    let model = model();
    let json = json!({
        "device_id": "7", "timestamp": "2026-01-02T03:04:05Z", "latitude": 1, "longitude": 2,
        "attributes": { "long": "x".repeat(1000) },
    });
    let position = Position::from_json(&json.to_string(), Timestamp::now()).unwrap();
    model.hubs.publish(vec![(position, Instant::now())]);
    model.subscribe(0, topic("device:7"), Wish::default());
    let plain = sent(&model);
    assert_eq!(plain[0]["snapshot"][0]["attributes"], json["attributes"]);
    let pipe = &model.seats[2].pipe;
    pipe.room.set(usize::MAX);
    model.subscribe(2, topic("device:7"), Wish::default());
    let taken = pipe.taken.take();
    assert!(taken.len() < 500, "{}", taken.len());
    let [0xC1, length, ..] = *taken else { panic!("not compressed") };
    let compressed = &taken[if length == 126 { 4 } else { 2 }..];
    assert_eq!(serde_json::from_slice::<Value>(&inflate(compressed)).unwrap(), plain[0]);
}

#[test]
fn half_a_snapshot_of_an_area_takes_no_device_from_another_area() {
    let mut model = model();
    let (small, large) = ("area:0,0,2,2", "area:-180,-90,180,90");
    // The snapshot of the large one comes in pieces, and what is in both is not in the first.
    let positions: Vec<_> =
        (0..9).map(|device| (device, 0, if device < 7 { (4, 4) } else { (1, 1) })).collect();
    model.publish(&positions);
    model.fan_out();
    model.subscribe(0, topic(small), Wish::default());
    model.drive(0);
    assert_eq!(model.seats[0].known.of(small).len(), 2);
    model.seats[0].pipe.room.set(0);
    model.subscribe(0, topic(large), Wish::default());
    model.seats[0].pipe.room.set(200);
    model.drive(0);
    assert!(model.seats[0].outbox.is_jammed());
    let client = model.seats[0].client.clone();
    model.hub.unsubscribe(&client, &Topic::parse(large).unwrap());
    client.send(&Outgoing::Unsubscribed { topic: large, id: None });
    model.seats[0].pipe.room.set(usize::MAX);
    model.drive(0);
    assert_eq!(model.seats[0].known.topics(), 1);
    assert_eq!(model.seats[0].known.of(small), model.expected(small));
}

#[test]
fn a_snapshot_behind_a_longer_one_takes_no_device_that_the_longer_one_brought() {
    let mut model = Model::new();
    let (small, large) = ("area:1,1,3,3", "area:0,0,2,2");
    model.subscribe(0, topic(small), Wish { batch: true, ..Wish::default() });
    model.publish(&[(0, 0, (0, 0))]);
    model.subscribe(0, topic(large), Wish::default());
    model.publish(&[(1, 0, (0, 0)), (2, 0, (0, 0)), (3, 0, (0, 0)), (4, 0, (0, 0))]);
    // The end of the subscription that it had of the small one makes the large one begin again, which is long now.
    model.subscribe(0, topic(small), Wish::default());
    model.hub.unsubscribe(&model.seats[0].client, &Topic::parse(small).unwrap());
    model.seats[0].client.send(&Outgoing::Unsubscribed { topic: small, id: None });
    model.publish(&[(0, 0, (1, 1))]);
    model.fan_out();
    model.seats[0].pipe.room.set(usize::MAX);
    model.drive(0);
    assert_eq!(model.seats[0].known.of(large), model.expected(large));
}

#[test]
fn very_many_of_one_topic_are_served_at_different_instants_but_compressed_together() {
    let mut model = model();
    // The third of them takes compressed messages, and so do two more.
    let more: Vec<_> = [2, 2].map(|number| model.seat(number)).into();
    model.seats.extend(more);
    let event = topic("event:a");
    let wish = || Wish { cadence: Cadence::at_least(1000), ..Wish::default() };
    (0..7).for_each(|seat| model.subscribe(seat, event, wish()));
    let parts = |model: &Model| -> Vec<(usize, Duration)> {
        let interest = model.hub.interest.borrow();
        let audiences = interest.audiences(&Topic::parse(TOPICS[event]).unwrap());
        audiences.iter().map(|audience| (audience.members.borrow().len(), audience.phase)).collect()
    };
    let sizes = |parts: &[(usize, Duration)]| parts.iter().map(|(size, _)| *size).collect::<Vec<_>>();
    let before = parts(&model);
    assert_eq!(sizes(&before), [2, 3, 2]);
    assert_ne!(before[0].1, before[2].1);
    // Each of them is told.
    model.publish(&[(7, 1, (1, 1)), (8, 1, (1, 1))]);
    model.fan_out();
    while model.hub.ticks.borrow().next().is_some() {
        model.tick(2000);
        while model.poll() {}
    }
    for seat in 0..7 {
        model.seats[seat].pipe.room.set(usize::MAX);
        model.drive(seat);
        assert_eq!(model.seats[seat].known.of("event:a"), model.expected("event:a"), "{seat}");
    }
    // Who comes takes a place that is free.
    model.hub.leave(&model.seats[0].client);
    assert_eq!(sizes(&parts(&model)), [1, 3, 2]);
    model.seats[0] = model.seat(0);
    model.subscribe(0, event, wish());
    assert_eq!(parts(&model), before);
    // Without a cadence all are one.
    [0, 1, 3, 4].into_iter().for_each(|seat| model.subscribe(seat, event, Wish::default()));
    assert_eq!(sizes(&parts(&model)), [3, 4]);
}
