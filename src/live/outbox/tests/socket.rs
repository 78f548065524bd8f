//! Unit tests of `outbox`: what goes to the socket at once, who is woken when something waits, a socket that fails.

use super::*;
use crate::live::outbox::woken::Woken;

/// Registers a new waker at an outbox.
fn woken_by<W: Wire>(outbox: &Outbox<W>) -> Arc<Woken> {
    let woken = Arc::<Woken>::default();
    outbox.register(&Waker::from(woken.clone()));
    woken
}

/// A wire whose every write fails in the same way.
struct Failing(io::ErrorKind);

impl Wire for Failing {
    fn try_write(&self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn try_write_vectored(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(self.0.into())
    }
}

fn failing(kind: io::ErrorKind) -> Rc<Outbox<Failing>> {
    Outbox::new(Failing(kind), 100, Budget::new(usize::MAX))
}

fn bytes_taken(pipe: &Pipe) -> Vec<u8> {
    pipe.taken.take()
}

#[test]
fn what_the_socket_takes_whole_never_waits() {
    let (outbox, pipe) = outbox(100);
    let woken = woken_by(&outbox);
    pipe.room.set(100);
    outbox.respond(Bytes::from_static(b"<response>"));
    outbox.ping();
    outbox.pong(b"p");
    assert_eq!(bytes_taken(&pipe), b"<response>\x89\x00\x8A\x01p");
    assert_eq!((pipe.calls.get(), outbox.progress(), woken.take()), (3, None, 0));
    outbox.snapshot(frame("<snap", "shot>"));
    assert_eq!(taken(&pipe), "<snapshot>");
    assert_eq!((pipe.calls.get(), woken.take()), (4, 0));
}

#[test]
fn nothing_is_written_where_nothing_waits() {
    let (outbox, pipe) = outbox(100);
    outbox.flush();
    assert_eq!(pipe.calls.get(), 0);
}

#[test]
fn the_rest_of_a_response_waits() {
    let (outbox, pipe) = outbox(100);
    let woken = woken_by(&outbox);
    pipe.room.set(4);
    outbox.respond(Bytes::from_static(b"<response>"));
    assert!(!outbox.is_empty() && outbox.progress().is_some() && outbox.stalled_since().is_some());
    assert_eq!((outbox.depth().waiting.load(Ordering::Relaxed), woken.take()), (6, 1));
    assert_eq!(taken(&pipe) + &flushed(&outbox, &pipe), "<response>");
    assert!(outbox.progress().is_some() && outbox.stalled_since().is_none());
}

#[test]
fn the_newest_pong_waits_before_all_the_rest() {
    let (outbox, pipe) = outbox(100);
    outbox.respond(Bytes::from_static(b"<response>"));
    outbox.pong(b"old");
    outbox.pong(b"new");
    outbox.ping();
    pipe.room.set(usize::MAX);
    outbox.flush();
    assert_eq!(bytes_taken(&pipe), b"\x8A\x03new\x89\x00<response>");
}

#[test]
fn who_waits_for_the_socket_is_woken_when_something_begins_to_wait() {
    let (outbox, pipe) = outbox(100);
    let (first, second) = (woken_by(&outbox), woken_by(&outbox));
    outbox.snapshot(frame("<snap", "shot>"));
    // Only who registered last, and once, as it then waits for the socket.
    assert_eq!((first.take(), second.take()), (0, 1));
    outbox.respond(Bytes::from_static(b"<response>"));
    outbox.deliver(0, &burst(&["a1"]));
    assert_eq!(second.take(), 0);
    flushed(&outbox, &pipe);
    pipe.room.set(0);
    outbox.deliver(0, &burst(&["a2"]));
    assert_eq!(second.take(), 1);
}

#[test]
fn the_end_of_a_stream_lets_the_client_be_read_again() {
    let (outbox, pipe) = outbox(100);
    let woken = woken_by(&outbox);
    pipe.room.set(usize::MAX);
    outbox.begin_stream();
    outbox.fragment(frame("<1", "1>"), false);
    outbox.respond(Bytes::from_static(b"<later>"));
    assert!(outbox.is_jammed());
    outbox.end_stream(Some(frame("<", "end>")));
    assert!(!outbox.is_jammed());
    assert_eq!((taken(&pipe).as_str(), woken.take()), ("<11><end><later>", 1));
}

#[test]
fn a_client_is_charged_for_all_of_its_snapshots() {
    let (outbox, _) = outbox(100);
    outbox.snapshot(frame("<1", "1>"));
    outbox.snapshot(frame("<2", "22>"));
    outbox.respond(Bytes::from_static(b"<response>"));
    assert_eq!((outbox.take_charge(), outbox.take_charge()), (9, 0));
    outbox.charge(5);
    outbox.snapshot(frame("<3", "3>"));
    outbox.charge(7);
    assert_eq!(outbox.take_charge(), 16);
}

#[test]
fn what_is_held_leaves_in_one_write() {
    let (outbox, pipe) = outbox(100);
    let woken = woken_by(&outbox);
    pipe.room.set(100);
    outbox.hold(true);
    outbox.respond(Bytes::from_static(b"<response>"));
    outbox.snapshot(frame("<snap", "shot>"));
    outbox.hold(true);
    assert_eq!((pipe.calls.get(), woken.take()), (0, 0));
    outbox.hold(false);
    assert_eq!((taken(&pipe).as_str(), pipe.calls.take(), woken.take()), ("<response><snapshot>", 1, 0));
    outbox.hold(false);
    assert_eq!((pipe.calls.get(), woken.take()), (0, 0));
    outbox.hold(true);
    outbox.respond(Bytes::from_static(b"<response>"));
    pipe.room.set(4);
    outbox.hold(false);
    assert_eq!((taken(&pipe).as_str(), woken.take()), ("<res", 1));
    assert_eq!(flushed(&outbox, &pipe), "ponse>");
}

#[test]
fn as_many_bytes_of_responses_as_the_limit_do_not_jam_it() {
    let (outbox, _) = outbox(4);
    outbox.respond(Bytes::from_static(b"1234"));
    assert!(!outbox.is_jammed());
    outbox.respond(Bytes::from_static(b"5"));
    assert!(outbox.is_jammed());
}

#[test]
fn a_forgotten_subscription_is_neither_sent_nor_behind() {
    let (outbox, pipe) = outbox(100);
    pipe.room.set(100);
    outbox.cork(1, 0, &burst(&["a1"]));
    outbox.cork(1, 1, &burst(&["b1"]));
    outbox.forget(0);
    assert_eq!(outbox.uncork(), (Delivery::Written, positions(1)));
    assert_eq!(taken(&pipe), "b1");
    outbox.begin_stream();
    outbox.deliver(0, &burst(&["a2"]));
    outbox.deliver(1, &burst(&["b2"]));
    outbox.forget(0);
    assert_eq!(outbox.take_behind(), [Behind { subscription: 1, since: 1, dropped: 1 }]);
}

#[test]
fn all_updates_can_be_forgotten() {
    let (outbox, pipe) = outbox(4);
    outbox.respond(Bytes::from_static(b"<response>"));
    outbox.deliver(0, &burst(&["a1", "A2"]));
    assert_eq!(outbox.deliver(1, &burst(&["b1"])), Delivery::Behind);
    outbox.cork(1, 2, &burst(&["c1"]));
    outbox.forget_all();
    assert_eq!((outbox.take_behind(), outbox.uncork().1), (Vec::new(), positions(0)));
    assert_eq!(flushed(&outbox, &pipe), "<response>");
}

#[test]
fn a_socket_that_fails_is_remembered_and_takes_nothing_more() {
    let sends: [fn(&Outbox<Failing>); 4] = [
        |outbox| outbox.respond(Bytes::from_static(b"<response>")),
        |outbox| outbox.snapshot(frame("<snap", "shot>")),
        |outbox| assert_eq!(outbox.deliver(0, &burst(&["a1"])), Delivery::Closed),
        |outbox| {
            outbox.cork(1, 0, &burst(&["a1"]));
            outbox.cork(1, 1, &burst(&["a1"]));
            assert_eq!(outbox.uncork(), (Delivery::Closed, positions(2)));
        },
    ];
    for send in sends {
        let outbox = failing(io::ErrorKind::ConnectionReset);
        let woken = woken_by(&outbox);
        assert_eq!(outbox.failed(), None);
        send(&outbox);
        assert_eq!(outbox.failed(), Some(io::ErrorKind::ConnectionReset));
        assert!(woken.take() > 0);
        assert_eq!(outbox.deliver(0, &burst(&["a2"])), Delivery::Closed);
        assert_eq!(outbox.cork(2, 0, &burst(&["a2"])), None);
    }
}

#[test]
fn a_write_that_a_signal_interrupts_is_tried_again_later() {
    let outbox = failing(io::ErrorKind::Interrupted);
    outbox.respond(Bytes::from_static(b"<response>"));
    outbox.cork(1, 0, &burst(&["a1"]));
    outbox.cork(1, 1, &burst(&["b1"]));
    assert_eq!(outbox.uncork(), (Delivery::Waiting, positions(2)));
    assert_eq!((outbox.failed(), outbox.is_empty()), (None, false));
}

/// A wire that takes so many bytes of each write, as a socket does whose queue is emptied meanwhile.
struct Sips(usize, RefCell<Vec<u8>>);

impl Wire for Sips {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write_vectored(&[IoSlice::new(bytes)])
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let taken = all.len().min(self.0);
        self.1.borrow_mut().extend_from_slice(&all[..taken]);
        Ok(taken)
    }
}

/// Sends bursts of as many topics at once.
fn uncork<W: Wire>(outbox: &Outbox<W>, bursts: &[Rc<Burst>]) -> (Delivery, Count) {
    for (topic, burst) in (0..).zip(bursts) {
        outbox.cork(1, topic, burst);
    }
    outbox.uncork()
}

#[test]
fn many_topics_keep_their_order_when_the_socket_is_slow() {
    let bursts: Vec<_> = (100..400).map(|number| burst(&[&*format!("a{number}")])).collect();
    let expected: String = (100..400).map(|number| format!("a{number}")).collect();
    let slow = Outbox::new(Sips(100, RefCell::default()), 10_000, Budget::new(usize::MAX));
    assert_eq!(uncork(&slow, &bursts), (Delivery::Waiting, positions(300)));
    slow.flush();
    assert_eq!(slow.wire().1.take(), expected.as_bytes());
    // As much as the first write offers, and nothing of the second.
    let (outbox, pipe) = outbox(10_000);
    pipe.room.set(4 * MAX_SLICES);
    assert_eq!(uncork(&outbox, &bursts), (Delivery::Waiting, positions(300)));
    assert_eq!(taken(&pipe) + &flushed(&outbox, &pipe), expected);
}
