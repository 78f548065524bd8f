//! Unit tests of `hub`: what a client of areas is sent, refused and charged.

use serde_json::{Value, json};

use super::served::{self, model, sent};
use super::*;
use crate::live::fanout::subscription::BEHIND;
use crate::live::wire::deflate::MIN_BYTES;

const AREA: &str = "area:0,0,2,2";
/// Shares a quarter with the other.
const BESIDE: &str = "area:1,1,3,3";
const INSIDE: (u8, u8) = (1, 1);
const OUTSIDE: (u8, u8) = (4, 4);

fn wish(every: u64) -> Wish<'static> {
    Wish { cadence: Cadence::at_least(every), ..Wish::default() }
}

fn subscribe_as(model: &Model, seat: usize, name: &str, wish: Wish<'_>) -> Result<(), NotSubscribed> {
    model.hub.subscribe(&model.seats[seat].client, &Topic::parse(name).unwrap(), wish)
}

fn subscribe(model: &Model, name: &str) -> Result<(), NotSubscribed> {
    subscribe_as(model, 0, name, Wish::default())
}

/// Subscribes the first client to an area in the place of [`AREA`]; what it is sent then.
fn replace(model: &Model, name: &str) -> Vec<Value> {
    let replaced = Topic::parse(AREA).unwrap();
    subscribe_as(model, 0, name, Wish { replaces: Some(&replaced), ..Wish::default() }).unwrap();
    sent(model)
}

/// Publishes a position of each of the devices.
fn publish(model: &mut Model, devices: impl IntoIterator<Item = u8>, place: (u8, u8)) {
    let positions: Vec<_> = devices.into_iter().map(|device| (device, 0, place)).collect();
    model.publish(&positions);
}

/// The same, and delivers it.
fn put(model: &mut Model, devices: impl IntoIterator<Item = u8>, place: (u8, u8)) {
    publish(model, devices, place);
    model.fan_out();
}

/// Serves who has a cadence.
fn step(model: &mut Model) {
    model.tick(60_000);
    while model.poll() {}
}

/// Of updates, their types and devices.
fn updates(messages: &[Value]) -> Vec<(&str, &str)> {
    let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned().leak() as &str;
    messages.iter().map(|one| (text(one, "type"), text(one, "device_id"))).collect()
}

/// The devices in a snapshot, sorted: it has no order.
fn snapshot(message: &Value) -> Vec<&str> {
    let mut devices = served::devices(message, "snapshot");
    devices.sort_unstable();
    devices
}

/// The ids of the devices in `left`.
fn left(message: &Value) -> Vec<&str> {
    message["left"].as_array().unwrap().iter().map(|device| device.as_str().unwrap()).collect()
}

#[test]
fn an_area_may_have_as_many_devices_inside_as_are_allowed() {
    let mut model = model();
    put(&mut model, 0..12, INSIDE);
    assert_eq!(subscribe(&model, AREA), Ok(()));
    assert_eq!(snapshot(&sent(&model)[0]).len(), MAX_DEVICES);
    model.hub.unsubscribe(&model.seats[0].client, &Topic::parse(AREA).unwrap());
    put(&mut model, [12], INSIDE);
    let refused = NotSubscribed::TooManyDevices { inside: 13, limit: MAX_DEVICES };
    assert_eq!(subscribe(&model, AREA), Err(refused));
    assert!(sent(&model).is_empty() && model.hub.interest.borrow().is_empty());
}

#[test]
fn all_areas_of_a_connection_may_have_ten_times_as_many_each_counted_in_each() {
    let mut model = model();
    put(&mut model, 0..12, INSIDE);
    let area = |north: usize| format!("area:0,0,2,{north}");
    for north in 1..=10 {
        assert_eq!(subscribe(&model, &area(north)), Ok(()));
    }
    let refused = NotSubscribed::TooManyTogether { inside: 11 * 12, limit: 10 * 12 };
    assert_eq!(subscribe(&model, &area(11)), Err(refused));
    // One that it has already counts once.
    assert_eq!(subscribe(&model, &area(1)), Ok(()));
    // As many as there are now, not as there were.
    put(&mut model, 0..12, OUTSIDE);
    assert_eq!(subscribe(&model, "area:0,0,1,1"), Ok(()));
}

#[test]
fn an_area_that_has_too_many_devices_later_ends_for_all_of_its_clients() {
    let mut model = model();
    put(&mut model, 0..11, INSIDE);
    subscribe(&model, AREA).unwrap();
    subscribe_as(&model, 1, AREA, Wish::default()).unwrap();
    sent(&model);
    put(&mut model, [11], INSIDE);
    assert_eq!(updates(&sent(&model)), [("position", "11")]);
    put(&mut model, [12], INSIDE);
    let messages = sent(&model);
    let error = messages.last().unwrap();
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("too-many-devices")));
    assert_eq!((&error["topic"], &error["id"]), (&json!(AREA), &Value::Null));
    assert!(error["message"].as_str().unwrap().starts_with("13 devices"), "{error}");
    assert_eq!(model.metrics.subscriptions.get(), 0);
    put(&mut model, [0], INSIDE);
    assert!(sent(&model).is_empty());
}

#[test]
fn looking_for_the_devices_of_an_area_is_charged() {
    let mut model = model();
    let outbox = model.seats[0].outbox.clone();
    // Each of them must be looked at, as the area is smaller than the tile of the grid, which must be, too.
    put(&mut model, 0..13, INSIDE);
    assert!(subscribe(&model, "area:1,1,1,1").is_err());
    assert_eq!(outbox.take_charge(), (13 + 1) * 16);
}

/// What a subscription is charged beyond the bytes of its snapshot, and that.
fn charged(model: &Model, seat: usize, name: &str, id: &str) -> (usize, Vec<u8>) {
    let Seat { outbox, pipe, .. } = &model.seats[seat];
    pipe.room.set(usize::MAX);
    pipe.taken.take();
    outbox.take_charge();
    subscribe_as(model, seat, name, Wish { id: Some(id), ..Wish::default() }).unwrap();
    let taken = pipe.taken.take();
    (outbox.take_charge() - taken.len(), taken)
}

#[test]
fn a_snapshot_that_is_compressed_for_one_client_is_charged_before_it_is() {
    let mut model = model();
    put(&mut model, 0..4, INSIDE);
    let (looked_at, plain) = charged(&model, 0, AREA, "x");
    let text = std::str::from_utf8(&plain[4..]).unwrap();
    let (begin, positions) = text.split_once(r#""snapshot":["#).unwrap();
    let positions = positions.strip_suffix("]}").unwrap();
    assert_eq!(looked_at, 16);
    let id = "x".repeat(MIN_BYTES - text.len() + 3);
    let (charge, compressed) = charged(&model, 2, AREA, &id);
    assert_eq!((compressed[0], charge), (0xC1, 16 + positions.len()), "{begin}");
    // One that is too short for it comes as it is.
    let (charge, text) = charged(&model, 2, AREA, &id[3..]);
    assert_eq!((text[0], charge), (0x81, 16));
    // Of a long one it is not known yet how much it will be.
    put(&mut model, [4], INSIDE);
    assert_eq!(charged(&model, 2, AREA, "x").0, 16 + 5 * 150);
    assert_eq!(charged(&model, 0, AREA, "x").0, 16);
}

#[test]
fn where_very_many_went_out_since_it_was_served_a_client_is_sent_its_area_anew() {
    let mut model = model();
    subscribe_as(&model, 0, AREA, wish(1000)).unwrap();
    put(&mut model, [0], INSIDE);
    step(&mut model);
    sent(&model);
    for device in 1..=25 {
        put(&mut model, [device], INSIDE);
        put(&mut model, [device], OUTSIDE);
        assert!(sent(&model).is_empty(), "{device}");
    }
    put(&mut model, [26], INSIDE);
    put(&mut model, [26], OUTSIDE);
    let messages = sent(&model);
    assert_eq!((messages.len(), snapshot(&messages[0])), (1, vec!["0"]));
    put(&mut model, [27], INSIDE);
    put(&mut model, [27], OUTSIDE);
    assert!(sent(&model).is_empty());
    step(&mut model);
    assert_eq!(updates(&sent(&model)), [("left", "27")]);
}

#[test]
fn an_area_is_served_at_its_time_what_was_dispatched() {
    let mut model = model();
    subscribe_as(&model, 0, AREA, wish(1000)).unwrap();
    sent(&model);
    put(&mut model, [6, 7, 8, 9], INSIDE);
    put(&mut model, [6], OUTSIDE);
    // Another subscribes, so that the snapshots have this already.
    model.publish(&[(8, 0, INSIDE), (7, 0, OUTSIDE)]);
    subscribe_as(&model, 1, "event:a", Wish::default()).unwrap();
    step(&mut model);
    let messages = sent(&model);
    let mut first = updates(&messages);
    first.sort_unstable();
    assert_eq!(first, [("left", "6"), ("left", "7"), ("position", "9")]);
    model.fan_out();
    step(&mut model);
    // That the other has left may be told twice.
    assert_eq!(updates(&sent(&model)), [("position", "8"), ("left", "7")]);
}

#[test]
fn who_falls_behind_in_an_area_is_told_who_went_out() {
    for every in [0, 100] {
        let mut model = model();
        put(&mut model, 10..16, INSIDE);
        subscribe_as(&model, 0, AREA, wish(every)).unwrap();
        model.drive(0);
        model.seats[0].pipe.room.set(0);
        let conflated = |model: &Model| model.seats[0].client.vitals.conflated();
        for gone in 10..16 {
            publish(&mut model, 0..6, INSIDE);
            publish(&mut model, [gone], OUTSIDE);
            model.fan_out();
            step(&mut model);
        }
        for _ in 0..8 {
            put(&mut model, 0..6, INSIDE);
            step(&mut model);
        }
        assert!(conflated(&model) > 0);
        model.seats[0].pipe.room.set(usize::MAX);
        model.drive(0);
        assert_eq!(model.seats[0].known.of(AREA), model.expected(AREA), "{every}");
    }
}

#[test]
fn an_area_in_the_place_of_another_brings_what_is_new_in_it() {
    let mut model = model();
    put(&mut model, [1], (0, 0));
    put(&mut model, [2], (2, 2));
    put(&mut model, [3], (3, 3));
    subscribe(&model, AREA).unwrap();
    assert_eq!(snapshot(&sent(&model)[0]), ["1", "2"]);
    let [subscribed] = &replace(&model, BESIDE)[..] else { panic!() };
    assert_eq!((&subscribed["topic"], &subscribed["replaces"]), (&json!(BESIDE), &json!(AREA)));
    assert_eq!((snapshot(subscribed), left(subscribed)), (vec!["3"], vec!["1"]));
    put(&mut model, [1, 2], (0, 0));
    assert_eq!(updates(&sent(&model)), [("left", "2")]);
    assert_eq!(model.metrics.subscriptions.get(), 1);
}

#[test]
fn an_area_in_the_place_of_another_brings_what_that_had_not_brought_yet() {
    for every in [0, 1000] {
        let mut model = model();
        put(&mut model, [1, 2, 3], INSIDE);
        subscribe_as(&model, 0, AREA, wish(every)).unwrap();
        sent(&model);
        // It is on its way: it waits for its time, or for its fan-out.
        publish(&mut model, [1], (2, 2));
        publish(&mut model, [2], OUTSIDE);
        if every > 0 {
            model.fan_out();
        }
        let [subscribed] = &replace(&model, BESIDE)[..] else { panic!() };
        assert_eq!((snapshot(subscribed), left(subscribed)), (vec!["1"], vec!["2"]), "{every}");
        model.fan_out();
        assert!(sent(&model).is_empty());
    }
}

#[test]
fn who_was_gone_before_the_area_was_subscribed_to_has_not_left_it() {
    let mut model = model();
    put(&mut model, [1], INSIDE);
    publish(&mut model, [1], OUTSIDE);
    subscribe(&model, AREA).unwrap();
    assert_eq!(snapshot(&sent(&model)[0]), [""; 0]);
    let [subscribed] = &replace(&model, BESIDE)[..] else { panic!() };
    assert_eq!(left(subscribed), [""; 0]);
}

#[test]
fn an_area_in_the_place_of_one_that_is_behind_is_sent_whole() {
    let mut model = model();
    put(&mut model, 1..6, INSIDE);
    // Its snapshot comes in pieces.
    subscribe(&model, AREA).unwrap();
    publish(&mut model, [1], OUTSIDE);
    let client = model.seats[0].client.clone();
    model.seats[0].outbox.flush();
    for _ in 0..2 {
        assert!(model.hub.catch_up(&client, Waker::noop()));
        model.seats[0].outbox.flush();
    }
    let messages = replace(&model, BESIDE);
    let [_, subscribed] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!((snapshot(subscribed), left(subscribed)), (vec!["2", "3", "4", "5"], vec!["1"]));
}

#[test]
fn where_an_area_ends_the_others_are_sent_anew_only_if_they_may_lack_something() {
    let mut model = model();
    let unsubscribe = |model: &Model, name| {
        model.hub.unsubscribe(&model.seats[0].client, &Topic::parse(name).unwrap());
    };
    put(&mut model, [1], INSIDE);
    subscribe(&model, AREA).unwrap();
    subscribe(&model, BESIDE).unwrap();
    sent(&model);
    unsubscribe(&model, BESIDE);
    assert!(sent(&model).is_empty());
    // Of this one a position may be on its way that is older than the snapshot of the other.
    subscribe(&model, BESIDE).unwrap();
    publish(&mut model, [1], INSIDE);
    subscribe(&model, AREA).unwrap();
    sent(&model);
    unsubscribe(&model, BESIDE);
    let [subscribed] = &sent(&model)[..] else { panic!() };
    assert_eq!((&subscribed["topic"], snapshot(subscribed)), (&json!(AREA), vec!["1"]));
}

/// An area brings a position that is older than the snapshot of another, and ends before it brings the next one of the device,
/// as its client reads only so many bytes. `first` is done before it ends.
fn end_an_area_early(read: usize, positions: usize, first: impl Fn(&Model, &Rc<Subscription>)) {
    let everywhere = Topic::parse("area:-180,-90,180,90").unwrap();
    let mut model = model();
    put(&mut model, 1..6, OUTSIDE);
    subscribe(&model, &everywhere.to_string()).unwrap();
    model.drive(0);
    publish(&mut model, [1], INSIDE);
    publish(&mut model, std::iter::repeat_n(1, positions), OUTSIDE);
    subscribe(&model, AREA).unwrap();
    model.drive(0);
    model.seats[0].pipe.room.set(read);
    model.fan_out();
    let client = model.seats[0].client.clone();
    let subscription = model.hub.subscribers.borrow()[&client.id()].held.borrow()[&everywhere].clone();
    first(&model, &subscription);
    model.hub.unsubscribe(&client, &everywhere);
    client.send(&Outgoing::Unsubscribed { topic: &everywhere.to_string(), id: None });
    model.seats[0].pipe.room.set(usize::MAX);
    model.drive(0);
    assert_eq!(model.seats[0].known.of(AREA), model.expected(AREA), "after {read} bytes");
}

#[test]
fn what_an_area_has_not_sent_when_it_ends_the_others_put_right() {
    for read in (0..1000).step_by(20) {
        end_an_area_early(read, 1, |_, ending| assert_ne!(ending.seen(), BEHIND));
        end_an_area_early(read, 60, |_, ending| assert_eq!(ending.seen(), BEHIND));
        end_an_area_early(read, 1, |model, ending| {
            model.hub.start_again(ending);
            assert!(ending.is_streaming());
        });
    }
}

#[test]
fn what_an_area_has_not_sent_when_it_ends_is_nothing_to_a_snapshot_before_it() {
    let everywhere = Topic::parse("area:-180,-90,180,90").unwrap();
    let mut model = model();
    put(&mut model, 1..5, OUTSIDE);
    subscribe(&model, AREA).unwrap();
    subscribe(&model, &everywhere.to_string()).unwrap();
    sent(&model);
    model.seats[0].pipe.room.set(0);
    put(&mut model, std::iter::repeat_n(1, 60), OUTSIDE);
    assert!(model.seats[0].client.vitals.conflated() > 0);
    model.hub.unsubscribe(&model.seats[0].client, &everywhere);
    model.seats[0].pipe.room.set(usize::MAX);
    assert!(sent(&model).is_empty());
}
