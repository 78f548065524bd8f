//! Unit tests of `hub`: how a client gets long snapshots, and what it missed.

use super::served::{model, sent};
use super::*;
use crate::live::outbox::woken::Woken;

/// A model with two events of so many devices that a snapshot comes in three pieces.
fn model_of_long_snapshots() -> Model {
    let mut model = Model::new();
    let positions: Vec<_> = (0..9).map(|device| (device, 3, (1, 1))).collect();
    model.publish(&positions);
    model.fan_out();
    model
}

/// Subscribes the first client, also while a snapshot is on its way to it.
fn subscribe(model: &Model, name: &str) {
    model.hub.subscribe(&model.seats[0].client, &Topic::parse(name).unwrap(), Wish::default()).unwrap();
}

fn unsubscribe(model: &Model, name: &str) {
    let client = &model.seats[0].client;
    model.hub.unsubscribe(client, &Topic::parse(name).unwrap());
    client.send(&Outgoing::Unsubscribed { topic: name, id: None });
}

/// Sends the first client the next piece, if there is one.
fn piece(model: &Model) -> bool {
    let sent = model.hub.catch_up(&model.seats[0].client, Waker::noop());
    model.seats[0].outbox.flush();
    sent
}

#[test]
fn a_snapshot_that_ends_before_it_begins_is_not_sent_and_lets_others_through() {
    let model = model_of_long_snapshots();
    model.seats[0].pipe.room.set(usize::MAX);
    subscribe(&model, "event:a");
    assert!(model.seats[0].outbox.is_jammed());
    unsubscribe(&model, "event:a");
    assert!(!model.seats[0].outbox.is_jammed());
    let [message] = &sent(&model)[..] else { panic!() };
    assert_eq!(message["type"], "unsubscribed");
}

#[test]
fn a_snapshot_that_ends_before_it_begins_does_not_touch_one_that_is_half_sent() {
    let mut model = model_of_long_snapshots();
    subscribe(&model, "event:a");
    model.seats[0].pipe.room.set(200);
    model.drive(0);
    // A response waits for the end of what is half sent.
    unsubscribe(&model, "device:0");
    subscribe(&model, "event:b");
    unsubscribe(&model, "event:b");
    assert!(model.seats[0].outbox.is_jammed());
    model.seats[0].pipe.room.set(usize::MAX);
    model.drive(0);
    assert_eq!(model.seats[0].known.topics(), 1);
    assert_eq!(model.seats[0].known.of("event:a"), model.expected("event:a"));
}

#[test]
fn a_client_is_not_read_until_the_last_of_its_long_snapshots_is_sent() {
    let model = model_of_long_snapshots();
    model.seats[0].pipe.room.set(usize::MAX);
    subscribe(&model, "event:a");
    subscribe(&model, "event:b");
    for pieces in 0..6 {
        assert!(model.seats[0].outbox.is_jammed(), "after {pieces} pieces");
        assert!(piece(&model));
    }
    assert!(!model.seats[0].outbox.is_jammed());
    assert_eq!(sent(&model).len(), 2);
}

#[test]
fn without_memory_nobody_is_caught_up_until_there_is_some() {
    let model = model_of_long_snapshots();
    let memory = model.hub.means.budget.hold(vec![0; 20_000]);
    subscribe(&model, "event:a");
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let client = &model.seats[0].client;
    assert!(!model.hub.catch_up(client, &waker));
    assert_eq!(woken.count(), 0);
    drop(memory);
    assert_eq!(woken.count(), 1);
    assert!(model.hub.catch_up(client, &waker));
}

#[test]
fn who_is_behind_in_an_event_gets_what_is_staged_and_not_again() {
    let mut model = Model::new();
    subscribe(&model, "event:a");
    while model.seats[0].client.vitals.conflated() == 0 {
        let positions: Vec<_> = (0..9).map(|device| (device, 1, (1, 1))).collect();
        model.publish(&positions);
        model.fan_out();
    }
    model.publish(&[(7, 1, (2, 2)), (10, 1, (2, 2))]);
    model.subscribe(1, 0, Wish::default());
    model.seats[0].pipe.room.set(usize::MAX);
    model.drive(0);
    assert_eq!(model.seats[0].known.of("event:a"), model.expected("event:a"));
    model.fan_out();
    assert!(sent(&model).is_empty());
    model.publish(&[(7, 1, (1, 1))]);
    model.fan_out();
    assert_eq!(sent(&model).len(), 1);
}

#[test]
fn after_the_snapshot_of_an_area_comes_what_is_dispatched_and_no_sooner() {
    let mut model = model();
    let area = "area:0,0,2,2";
    let inside: Vec<_> = (0..5).map(|device| (device, 0, (1, 1))).collect();
    model.publish(&inside);
    model.fan_out();
    subscribe(&model, area);
    assert!(piece(&model));
    // The second piece shows what is not dispatched yet; the first did not.
    model.publish(&[(0, 0, (2, 2)), (1, 0, (4, 4)), (4, 0, (2, 2))]);
    model.subscribe(1, 0, Wish::default());
    assert!(piece(&model));
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let client = model.seats[0].client.clone();
    assert!(!model.hub.catch_up(&client, &waker) && !model.hub.catch_up(&client, &waker));
    assert_eq!(woken.count(), 0);
    model.fan_out();
    assert_eq!(woken.count(), 1);
    model.read(0);
    let updates: Vec<_> =
        sent(&model).iter().map(|one| (one["type"].clone(), one["device_id"].clone())).collect();
    assert_eq!(updates, [("left".into(), "1".into()), ("position".into(), "0".into())]);
    let subscribers = model.hub.subscribers.borrow();
    assert!(subscribers[&client.id()].behind.borrow().is_empty());
}
