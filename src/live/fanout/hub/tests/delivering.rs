//! Unit tests of `hub`: what is delivered, and when.

use std::pin::pin;
use std::task::Poll;

use serde_json::Value;

use super::served::{model, sent};
use super::*;

/// What a future gives that waits for nothing but its next turn.
fn done<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

/// Lets the hub run until the first client has been sent so many messages.
async fn run_until(model: &Model, mut run: Pin<&mut impl Future<Output = ()>>, count: usize) -> Vec<Value> {
    let mut messages = Vec::new();
    let received = async {
        while messages.len() < count {
            tokio::task::yield_now().await;
            messages.extend(sent(model));
        }
    };
    tokio::select! {
        () = &mut run => panic!("it has ended"),
        () = received => messages,
        () = tokio::time::sleep(Duration::from_secs(10)) => panic!("not so many"),
    }
}

fn ids(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|one| one["device_id"].as_str().unwrap()).collect()
}

#[test]
fn it_delivers_for_ever_what_is_staged_what_comes_and_what_is_due() {
    let mut model = model();
    model.subscribe(0, 0, Wish::default());
    model.subscribe(0, 1, Wish { cadence: Cadence::at_least(100), ..Wish::default() });
    sent(&model);
    // A batch is staged by each who subscribes.
    for (device, topic) in [(1, 2), (2, 3), (3, 4)] {
        model.publish(&[(device, 1, (1, 1))]);
        model.subscribe(1, topic, Wish::default());
    }
    let hub = model.hub.clone();
    let mut run = pin!(hub.run());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        assert_eq!(ids(&run_until(&model, run.as_mut(), 3).await), ["1", "2", "3"]);
        for (device, event) in [(4, 1), (5, 1), (6, 2), (7, 2)] {
            model.publish(&[(device, event, (1, 1))]);
            assert_eq!(ids(&run_until(&model, run.as_mut(), 1).await), [device.to_string()]);
        }
        // With nothing to do it waits, instead of having the thread to itself.
        for _ in 0..3 {
            assert!(run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
    });
}

#[test]
fn it_says_whether_there_was_something_to_deliver() {
    let mut model = model();
    let later = Instant::now() + Duration::from_secs(120);
    model.subscribe(0, 0, Wish { cadence: Cadence::at_least(60_000), ..Wish::default() });
    assert!(!done(model.hub.fan_out()) && !done(model.hub.tick(later)));
    model.publish(&[(1, 1, (1, 1))]);
    assert!(!done(model.hub.tick(later)));
    assert!(done(model.hub.fan_out()));
    assert!(!done(model.hub.fan_out()) && !done(model.hub.tick(Instant::now())));
    assert!(done(model.hub.tick(later)));
    assert!(!done(model.hub.fan_out()) && !done(model.hub.tick(later)));
}

#[test]
fn what_is_due_is_served_in_turns_so_that_others_have_theirs() {
    let mut model = model();
    for topic in 0..3 {
        model.subscribe(0, topic, Wish { cadence: Cadence::at_least(1000), ..Wish::default() });
    }
    sent(&model);
    model.publish(&[(0, 3, (1, 1))]);
    model.fan_out();
    // In tests a turn is over at once.
    let later = Instant::now() + Duration::from_secs(60);
    for _ in 0..3 {
        assert!(done(model.hub.tick(later)));
        assert_eq!(sent(&model).len(), 1);
    }
    assert!(!done(model.hub.tick(later)));
}

#[test]
fn a_fan_out_that_was_cut_off_holds_up_nothing() {
    for strides in 0..30 {
        let mut model = model();
        (0..3).for_each(|topic| model.subscribe(0, topic, Wish::default()));
        sent(&model);
        model.publish(&[(0, 3, (1, 1))]);
        (0..strides).for_each(|_| {
            model.stride();
        });
        // As when something panics.
        model.fan_out = None;
        model.fan_out();
        sent(&model);
        model.publish(&[(0, 3, (2, 2))]);
        model.fan_out();
        let mut topics: Vec<_> = sent(&model).iter().map(|one| one["topic"].clone()).collect();
        topics.sort_unstable_by_key(Value::to_string);
        assert_eq!(topics, ["device:0", "event:a", "event:b"], "after {strides} strides");
    }
}
