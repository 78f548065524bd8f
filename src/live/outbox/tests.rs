//! Unit tests of `outbox`.

use super::*;
use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use proptest::collection::vec;
use proptest::prelude::*;

/// A wire that takes as many bytes as it was given room for.
#[derive(Default)]
struct Pipe {
    room: Cell<usize>,
    taken: RefCell<Vec<u8>>,
    calls: Cell<usize>,
}

impl Pipe {
    fn room(&self, bytes: usize) {
        self.room.set(bytes);
    }
    fn taken(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.taken.borrow_mut())).unwrap()
    }
    fn calls(&self) -> usize {
        self.calls.take()
    }
}

impl Wire for Rc<Pipe> {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write_vectored(&[IoSlice::new(bytes)])
    }
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.calls.set(self.calls.get() + 1);
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let taken = all.len().min(self.room.get());
        if taken == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.room.set(self.room.get() - taken);
        self.taken.borrow_mut().extend_from_slice(&all[..taken]);
        Ok(taken)
    }
}

/// A burst of one topic; each step is a device's letter and a number.
fn burst(steps: &[&str]) -> Rc<Burst> {
    let step = |text: &&str| Step::new(text[..1].into(), Bytes::copy_from_slice(text.as_bytes()));
    Burst::new(steps.iter().map(step).collect())
}

fn outbox(limit: usize) -> (Rc<Outbox<Rc<Pipe>>>, Rc<Pipe>) {
    let pipe = Rc::<Pipe>::default();
    (Outbox::new(pipe.clone(), limit), pipe)
}

fn flushed(outbox: &Outbox<Rc<Pipe>>, pipe: &Pipe) -> String {
    pipe.room(usize::MAX);
    outbox.flush();
    assert!(outbox.is_empty());
    pipe.taken()
}

#[test]
fn an_empty_outbox_writes_a_burst_in_one_call() {
    let (outbox, pipe) = outbox(100);
    pipe.room(100);
    assert_eq!(outbox.deliver(0, &burst(&["a1", "b1", "a2"])), Delivery::Written);
    assert_eq!((pipe.taken().as_str(), pipe.calls()), ("a1b1a2", 1));
}

#[test]
fn bursts_of_several_topics_leave_in_one_call() {
    let (outbox, pipe) = outbox(100);
    pipe.room(100);
    assert!(outbox.cork(1, 0, &burst(&["a1"])));
    assert!(!outbox.cork(1, 1, &burst(&["a1", "b1"])));
    assert_eq!(outbox.uncork(), (Delivery::Written, 3));
    assert_eq!((pipe.taken().as_str(), pipe.calls()), ("a1a1b1", 1));
    pipe.room(3);
    // A batch that was never uncorked is not in the way of the next.
    assert!(outbox.cork(2, 0, &burst(&["lost"])));
    assert!(outbox.cork(3, 0, &burst(&["a2"])));
    outbox.cork(3, 1, &burst(&["a2", "b2"]));
    assert_eq!(outbox.uncork(), (Delivery::Waiting { conflated: 0 }, 3));
    assert_eq!(pipe.taken() + &flushed(&outbox, &pipe), "a2a2b2");
}

#[test]
fn what_the_socket_refuses_follows_in_order() {
    let (outbox, pipe) = outbox(100);
    pipe.room(3);
    assert_eq!(outbox.deliver(0, &burst(&["a1", "b1", "a2"])), Delivery::Waiting { conflated: 0 });
    outbox.answer(Bytes::from_static(b"<answer>"));
    outbox.deliver(0, &burst(&["a3"]));
    outbox.ping();
    assert_eq!(pipe.taken(), "a1b");
    pipe.room(usize::MAX);
    outbox.flush();
    let bytes = std::mem::take(&mut *pipe.taken.borrow_mut());
    assert_eq!(bytes, b"1\x89\x00a2<answer>a3");
}

#[test]
fn a_full_outbox_keeps_the_newest_of_each_device_at_the_place_of_its_oldest() {
    let (outbox, pipe) = outbox(8);
    outbox.deliver(0, &burst(&["a1", "b1", "a2", "b2"]));
    assert_eq!(outbox.deliver(0, &burst(&["c1"])), Delivery::Waiting { conflated: 2 });
    assert_eq!(outbox.deliver(0, &burst(&["a3", "a4"])), Delivery::Waiting { conflated: 2 });
    assert_eq!(outbox.depth().conflated.load(Ordering::Relaxed), 4);
    pipe.room(2);
    outbox.flush();
    assert_eq!(outbox.deliver(0, &burst(&["a5", "b3"])), Delivery::Waiting { conflated: 1 });
    assert_eq!(pipe.taken() + &flushed(&outbox, &pipe), "a4b3c1a5");
    // Empty again, it keeps every step.
    pipe.room(0);
    outbox.deliver(0, &burst(&["a6", "a7"]));
    assert_eq!(flushed(&outbox, &pipe), "a6a7");
}

#[test]
fn the_same_device_in_two_topics_is_kept_twice() {
    let (outbox, pipe) = outbox(6);
    outbox.deliver(0, &burst(&["a1"]));
    outbox.deliver(1, &burst(&["a1"]));
    outbox.deliver(0, &burst(&["a2"]));
    outbox.deliver(1, &burst(&["a2"]));
    assert_eq!(flushed(&outbox, &pipe), "a2a2");
}

#[test]
fn more_devices_than_fit_is_an_overflow() {
    let (outbox, _pipe) = outbox(4);
    assert_eq!(outbox.deliver(0, &burst(&["a1", "b1"])), Delivery::Waiting { conflated: 0 });
    assert_eq!(outbox.deliver(0, &burst(&["c1"])), Delivery::Overflow);
}

#[test]
fn a_subscription_s_positions_can_be_forgotten_also_while_conflating() {
    let (outbox, pipe) = outbox(8);
    outbox.deliver(0, &burst(&["a1", "a2"]));
    outbox.deliver(1, &burst(&["a1", "b1"]));
    outbox.deliver(1, &burst(&["b2"]));
    outbox.forget(0);
    outbox.deliver(1, &burst(&["b3", "c1"]));
    assert_eq!(flushed(&outbox, &pipe), "a1b3c1");
}

#[test]
fn the_close_frame_drops_positions_and_is_the_last() {
    let (outbox, pipe) = outbox(100);
    pipe.room(1);
    outbox.deliver(0, &burst(&["a1", "a2"]));
    outbox.answer(Bytes::from_static(b"<why>"));
    outbox.close(Bytes::from_static(b"<close>"));
    outbox.answer(Bytes::from_static(b"<late>"));
    assert_eq!(outbox.deliver(0, &burst(&["a3"])), Delivery::Closed);
    assert_eq!(pipe.taken() + &flushed(&outbox, &pipe), "a1<why><close>");
}

#[test]
fn answers_alone_jam_it() {
    let (outbox, pipe) = outbox(4);
    outbox.answer(Bytes::from_static(b"12345"));
    assert!(outbox.is_jammed());
    assert!(outbox.stalled_since().is_some());
    flushed(&outbox, &pipe);
    assert!(!outbox.is_jammed());
    assert!(outbox.stalled_since().is_none());
}

#[test]
fn many_topics_leave_in_as_few_calls_as_there_can_be() {
    let (outbox, pipe) = outbox(10);
    pipe.room(1000);
    for topic in 0..150 {
        outbox.cork(1, topic, &burst(&["a1"]));
    }
    assert_eq!(outbox.uncork(), (Delivery::Written, 150));
    assert_eq!((pipe.taken(), pipe.calls()), ("a1".repeat(150), 3));
}

#[test]
fn a_long_answer_does_not_push_out_positions() {
    let (outbox, pipe) = outbox(4);
    outbox.answer(Bytes::from_static(b"<snapshot>"));
    assert_eq!(outbox.deliver(0, &burst(&["a1", "b1"])), Delivery::Waiting { conflated: 0 });
    assert_eq!(outbox.deliver(0, &burst(&["a2"])), Delivery::Waiting { conflated: 1 });
    pipe.room(3);
    outbox.flush();
    assert_eq!(outbox.depth().waiting.load(Ordering::Relaxed), 11);
    assert!(outbox.is_jammed());
    assert_eq!(pipe.taken() + &flushed(&outbox, &pipe), "<snapshot>a2b1");
}

#[test]
fn nothing_comes_between_the_pieces_of_an_answer() {
    for room in 1..10 {
        let (outbox, pipe) = outbox(100);
        pipe.room(room);
        outbox.answer_in_two(Bytes::from_static(b"<head"), Bytes::from_static(b"tail>"));
        outbox.ping();
        pipe.room(usize::MAX);
        outbox.flush();
        assert_eq!(std::mem::take(&mut *pipe.taken.borrow_mut()), b"<headtail>\x89\x00", "{room}");
    }
}

/// What happens to an outbox. Devices are `a` to `f`, subscriptions 0 to 2.
#[derive(Clone, Debug)]
enum Act {
    Deliver(SubscriptionId, Vec<char>),
    Answer,
    Forget(SubscriptionId),
    /// The socket takes so many bytes more.
    Flush(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..3_u32, vec(proptest::char::range('a', 'f'), 1..6)).prop_map(|(of, devices)| Act::Deliver(of, devices)),
        1 => Just(Act::Answer),
        1 => (0..3_u32).prop_map(Act::Forget),
        3 => (0..60_usize).prop_map(Act::Flush),
    ]
}

proptest! {
    /// Frames leave whole, those of a device in their order, and the newest of each comes through.
    #[test]
    fn a_slow_client_gets_fewer_steps_and_never_old_ones(acts in vec(act(), 1..120)) {
        // Six bytes for each frame: room for one of each device and subscription, so that it never overflows.
        let (outbox, pipe) = outbox(3 * 6 * 6);
        let mut number = 0;
        let mut newest = HashMap::new();
        let mut output = String::new();
        for act in acts {
            match act {
                Act::Deliver(of, devices) => {
                    let frames: Vec<String> = devices.iter().map(|device| {
                        number += 1;
                        newest.insert((*device, of), number);
                        format!("{device}{of}{number:04}")
                    }).collect();
                    let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
                    let delivery = outbox.deliver(of, &burst(&frames));
                    prop_assert!(matches!(delivery, Delivery::Written | Delivery::Waiting { .. }), "{delivery:?}");
                }
                Act::Answer => outbox.answer_in_two(Bytes::from_static(b"ans"), Bytes::from_static(b"wer")),
                Act::Forget(of) => {
                    outbox.forget(of);
                    newest.retain(|(_, subscription), _| *subscription != of);
                }
                Act::Flush(room) => {
                    pipe.room(room);
                    outbox.flush();
                }
            }
            output += &pipe.taken();
        }
        output += &flushed(&outbox, &pipe);
        let mut seen = HashMap::new();
        prop_assert_eq!(output.len() % 6, 0, "{}", output);
        for frame in output.as_bytes().chunks(6).filter(|frame| frame != b"answer") {
            let frame = std::str::from_utf8(frame).unwrap();
            let (device, of) = (frame.chars().next().unwrap(), frame[1..2].parse().unwrap());
            let number: i32 = frame[2..].parse().unwrap();
            let before = seen.insert((device, of), number);
            prop_assert!(before.is_none_or(|before| before < number), "{output}");
        }
        for (key, number) in newest {
            prop_assert_eq!(seen.get(&key), Some(&number), "{:?} in {}", key, output);
        }
    }
}
