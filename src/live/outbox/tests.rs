//! Unit tests of `outbox`.

use super::pipe::Pipe;
use super::*;

fn taken(pipe: &Pipe) -> String {
    String::from_utf8(pipe.taken.take()).unwrap()
}

/// A burst of one topic; each update is a letter and its number, which in small letters is a position.
fn burst(updates: &[&str]) -> Rc<Burst> {
    let budget = Budget::new(usize::MAX);
    let update = |text: &&str| {
        let number = text[1..].parse().unwrap_or(1);
        let is_left = text.starts_with(char::is_uppercase);
        let carries = if is_left { Carries::Left } else { Carries::Position };
        let (head, tail) = text.as_bytes().split_at(1);
        let frame = Frame { head: Bytes::copy_from_slice(head), tail: Bytes::copy_from_slice(tail) };
        UpdateFrame::new(number, carries, frame, &budget)
    };
    Burst::new(updates.iter().map(update).collect(), false)
}

fn frame(head: &'static str, tail: &'static str) -> Frame {
    Frame { head: Bytes::from(head), tail: Bytes::from(tail) }
}

fn outbox(limit: usize) -> (Rc<Outbox<Rc<Pipe>>>, Rc<Pipe>) {
    let pipe = Rc::<Pipe>::default();
    (Outbox::new(pipe.clone(), limit, Budget::new(usize::MAX)), pipe)
}

fn positions(positions: usize) -> Count {
    Count { positions, ..Count::default() }
}

fn flushed(outbox: &Outbox<Rc<Pipe>>, pipe: &Pipe) -> String {
    pipe.room.set(usize::MAX);
    outbox.flush();
    assert!(outbox.is_empty());
    taken(pipe)
}

#[test]
fn an_empty_outbox_writes_a_burst_in_one_call() {
    let (outbox, pipe) = outbox(100);
    pipe.room.set(100);
    assert_eq!(outbox.deliver(0, &burst(&["a1", "b1", "a2"])), Delivery::Written);
    assert_eq!((taken(&pipe).as_str(), pipe.calls.take()), ("a1b1a2", 1));
}

#[test]
fn bursts_of_several_topics_leave_in_one_call() {
    let (outbox, pipe) = outbox(100);
    pipe.room.set(100);
    assert_eq!(outbox.cork(1, 0, &burst(&["a1"])), Some(true));
    assert_eq!(outbox.cork(1, 1, &burst(&["a1", "b1"])), Some(false));
    assert_eq!(outbox.uncork(), (Delivery::Written, positions(3)));
    assert_eq!((taken(&pipe).as_str(), pipe.calls.take()), ("a1a1b1", 1));
    pipe.room.set(3);
    // A batch that was never uncorked is not in the way of the next.
    assert_eq!(outbox.cork(2, 0, &burst(&["lost"])), Some(true));
    assert_eq!(outbox.cork(3, 0, &burst(&["a2"])), Some(true));
    outbox.cork(3, 1, &burst(&["a2", "b2"]));
    assert_eq!(outbox.uncork(), (Delivery::Waiting, positions(3)));
    assert_eq!(taken(&pipe) + &flushed(&outbox, &pipe), "a2a2b2");
}

#[test]
fn what_the_socket_refuses_follows_in_order() {
    let (outbox, pipe) = outbox(100);
    pipe.room.set(3);
    assert_eq!(outbox.deliver(0, &burst(&["a1", "b1", "a2"])), Delivery::Waiting);
    outbox.respond(Bytes::from_static(b"<response>"));
    outbox.deliver(0, &burst(&["a3"]));
    outbox.ping();
    assert_eq!(taken(&pipe), "a1b");
    pipe.room.set(usize::MAX);
    outbox.flush();
    let bytes = std::mem::take(&mut *pipe.taken.borrow_mut());
    assert_eq!(bytes, b"1\x89\x00a2<response>a3");
}

#[test]
fn the_close_frame_drops_positions_and_is_the_last() {
    let (outbox, pipe) = outbox(100);
    pipe.room.set(1);
    outbox.deliver(0, &burst(&["a1", "a2"]));
    outbox.respond(Bytes::from_static(b"<why>"));
    outbox.close(Bytes::from_static(b"<close>"));
    outbox.respond(Bytes::from_static(b"<late>"));
    assert_eq!(outbox.deliver(0, &burst(&["a3"])), Delivery::Closed);
    assert_eq!(taken(&pipe) + &flushed(&outbox, &pipe), "a1<why><close>");
}

#[test]
fn responses_alone_jam_it() {
    let (outbox, pipe) = outbox(4);
    outbox.respond(Bytes::from_static(b"12345"));
    assert!(outbox.is_jammed());
    assert!(outbox.stalled_since().is_some());
    flushed(&outbox, &pipe);
    assert!(!outbox.is_jammed());
    assert!(outbox.stalled_since().is_none());
}

#[test]
fn many_topics_leave_in_as_few_calls_as_there_can_be() {
    let (outbox, pipe) = outbox(10);
    pipe.room.set(1000);
    for topic in 0..300 {
        outbox.cork(1, topic, &burst(&["a1"]));
    }
    assert_eq!(outbox.uncork(), (Delivery::Written, positions(300)));
    assert_eq!((taken(&pipe), pipe.calls.take()), ("a1".repeat(300), 3));
}

#[test]
fn what_does_not_fit_is_dropped_and_said() {
    let (outbox, pipe) = outbox(8);
    pipe.room.set(3);
    assert_eq!(outbox.deliver(0, &burst(&["a1", "b2"])), Delivery::Waiting);
    assert_eq!(outbox.deliver(1, &burst(&["a3"])), Delivery::Waiting);
    assert_eq!(outbox.deliver(0, &burst(&["a4", "B5", "a6"])), Delivery::Waiting);
    assert_eq!(outbox.deliver(0, &burst(&["a7"])), Delivery::Behind);
    let behind = |subscription, since, dropped| Behind { subscription, since, dropped };
    assert_eq!(outbox.take_behind(), [behind(0, 3, 3)]);
    assert_eq!(outbox.depth().conflated.load(Ordering::Relaxed), 3);
    // The rest of b2 cannot be taken back, and that somebody left is not lost.
    assert_eq!(taken(&pipe) + &flushed(&outbox, &pipe), "a1b2a3B5");
    // What the socket took of a burst that does not fit is sent.
    pipe.room.set(5);
    let long = ["a8", "b9", "c10", "d11", "e12", "f13"];
    assert_eq!(outbox.deliver(0, &burst(&long)), Delivery::Behind);
    assert_eq!(outbox.take_behind(), [behind(0, 10, 3)]);
    assert_eq!(taken(&pipe) + &flushed(&outbox, &pipe), "a8b9c10");
}

#[test]
fn when_the_worker_holds_too_much_nothing_more_waits() {
    let pipe = Rc::<Pipe>::default();
    let budget = Budget::new(10);
    let outbox = Outbox::new(pipe.clone(), 100, budget.clone());
    assert_eq!(outbox.deliver(0, &burst(&["a1"])), Delivery::Waiting);
    let held = budget.hold(vec![0; 10]);
    assert_eq!(outbox.deliver(0, &burst(&["a2"])), Delivery::Behind);
    assert_eq!(outbox.take_behind(), [Behind { subscription: 0, since: 0, dropped: 2 }]);
    drop(held);
    outbox.catch_up(0, burst(&["a3"]).updates.clone());
    assert_eq!(flushed(&outbox, &pipe), "a3");
}

#[test]
fn a_subscription_s_updates_can_be_forgotten() {
    let (outbox, pipe) = outbox(100);
    outbox.deliver(0, &burst(&["a1", "A2"]));
    outbox.deliver(1, &burst(&["a1", "b1"]));
    outbox.forget(0);
    assert_eq!(flushed(&outbox, &pipe), "a1b1");
}

#[test]
fn a_long_snapshot_does_not_push_out_positions() {
    let (outbox, pipe) = outbox(4);
    outbox.respond(Bytes::from_static(b"<snapshot>"));
    assert_eq!(outbox.deliver(0, &burst(&["a1", "b1"])), Delivery::Waiting);
    pipe.room.set(3);
    outbox.flush();
    assert_eq!(outbox.depth().waiting.load(Ordering::Relaxed), 11);
    assert!(outbox.is_jammed());
    assert_eq!(taken(&pipe) + &flushed(&outbox, &pipe), "<snapshot>a1b1");
}

#[test]
fn nothing_comes_between_the_fragments_of_a_snapshot() {
    let (outbox, pipe) = outbox(100);
    pipe.room.set(usize::MAX);
    outbox.begin_stream();
    assert_eq!(outbox.deliver(0, &burst(&["a1"])), Delivery::Behind);
    outbox.fragment(frame("<1", "1>"), false);
    outbox.respond(Bytes::from_static(b"<later>"));
    outbox.ping();
    assert!(outbox.is_jammed());
    assert_eq!(std::mem::take(&mut *pipe.taken.borrow_mut()), b"<11>\x89\x00");
    outbox.fragment(frame("<2", "2>"), true);
    assert!(!outbox.is_jammed());
    assert_eq!(outbox.take_charge(), 8);
    assert_eq!(taken(&pipe), "<22><later>");
}

#[test]
fn nothing_comes_between_the_pieces_of_a_frame() {
    for room in 1..10 {
        let (outbox, pipe) = outbox(100);
        pipe.room.set(room);
        outbox.snapshot(frame("<head", "tail>"));
        outbox.ping();
        pipe.room.set(usize::MAX);
        outbox.flush();
        assert_eq!(std::mem::take(&mut *pipe.taken.borrow_mut()), b"<headtail>\x89\x00", "{room}");
    }
}

#[test]
fn what_waits_is_counted_whatever_goes() {
    let (outbox, pipe) = outbox(8);
    let depth = outbox.depth();
    let waiting = || depth.waiting.load(Ordering::Relaxed);
    (0..3).for_each(|_| outbox.respond(Bytes::from_static(b"<12345>")));
    outbox.deliver(0, &burst(&["a1", "b1"]));
    outbox.deliver(1, &burst(&["c1"]));
    assert_eq!((waiting(), outbox.is_jammed()), (27, true));
    outbox.forget(0);
    assert_eq!((waiting(), outbox.is_jammed()), (23, true));
    pipe.room.set(7);
    outbox.flush();
    assert_eq!((waiting(), outbox.is_jammed()), (16, true));
    pipe.room.set(7);
    outbox.flush();
    assert_eq!((waiting(), outbox.is_jammed()), (9, false));
    assert_eq!(taken(&pipe) + &flushed(&outbox, &pipe), "<12345><12345><12345>c1");
    assert_eq!(waiting(), 0);
}

#[test]
fn a_long_queue_may_leave_in_pieces() {
    let (outbox, pipe) = outbox(1000);
    let numbers: Vec<_> = (100..300).map(|number| format!("a{number}")).collect();
    outbox.deliver(0, &burst(&numbers.iter().map(String::as_str).collect::<Vec<_>>()));
    for room in [1, 2, 10, 301] {
        pipe.room.set(room);
        outbox.flush();
    }
    assert_eq!(taken(&pipe) + &flushed(&outbox, &pipe), numbers.concat());
}

#[test]
fn positions_and_leaves_are_counted_apart() {
    let mut count = burst(&["a1", "B2", "c3", "d4", "E5"]).count();
    assert_eq!((count, count.frames()), (Count { positions: 3, left: 2, ..Count::default() }, 5));
    count.add(Count { positions: 2, left: 4, batches: 1, batched: 7 });
    assert_eq!((count, count.frames()), (Count { positions: 5, left: 6, batches: 1, batched: 7 }, 12));
    assert_eq!(count.carried(), 12);
    let batch = Carries::Positions(3).count();
    assert_eq!((batch.batches, batch.frames(), batch.carried()), (1, 1, 3));
}

mod socket;
