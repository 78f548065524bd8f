//! A model of hub, catching up and outbox: several clients over wires that take what they are told to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Context;
use std::time::Instant;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::domain::{Position, Timestamp};
use crate::live::fanout::publish::Hubs;
use crate::live::outbox::Outbox;
use crate::live::outbox::pipe::Pipe;
use crate::live::wire::close;
use crate::settings::Settings;

const LIMIT: usize = 4096;
const TOPICS: [&str; 4] = ["event:a", "event:b", "device:0", "device:7"];

/// What happens. Devices are 0 to 15; a position goes to the events whose bits are set.
#[derive(Clone, Debug)]
enum Act {
    Publish(Vec<(u8, u8)>),
    Subscribe(usize, usize),
    Unsubscribe(usize, usize),
    Room(usize, usize),
    Leave(usize),
    /// The server closes it; the client is still there for a while.
    Close(usize),
    /// The fan-out goes on for so many strides.
    Strides(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => vec((0..16_u8, prop_oneof![3 => Just(1_u8), 1 => 0..4_u8]), 1..24).prop_map(Act::Publish),
        4 => (0..3_usize, 0..4_usize).prop_map(|(client, topic)| Act::Subscribe(client, topic)),
        1 => (0..3_usize, 0..4_usize).prop_map(|(client, topic)| Act::Unsubscribe(client, topic)),
        6 => (0..3_usize, 0..3000_usize).prop_map(|(client, room)| Act::Room(client, room)),
        1 => (0..3_usize).prop_map(Act::Leave),
        1 => (0..3_usize).prop_map(Act::Close),
        6 => (1..4_usize).prop_map(Act::Strides),
    ]
}

/// A client, what it was sent and what it knows from that.
struct Seat {
    client: Rc<Client>,
    outbox: Rc<Outbox<Rc<Pipe>>>,
    pipe: Rc<Pipe>,
    message: Vec<u8>,
    /// For each topic it is subscribed to, the time of each device's position.
    known: BTreeMap<String, BTreeMap<String, String>>,
}

struct Model {
    hub: Rc<Hub>,
    hubs: Hubs,
    metrics: Arc<LiveMetrics>,
    settings: Rc<crate::settings::LiveSettings>,
    seats: Vec<Seat>,
    /// For each device, the time of its newest position, and its events.
    truth: BTreeMap<String, (String, BTreeSet<String>)>,
    step: u32,
    /// A fan-out that is under way.
    fan_out: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Model {
    fn new() -> Self {
        let settings = Settings::from("/nonexistent".as_ref(), HashMap::new()).unwrap().live;
        let metrics = crate::metrics::Metrics::new("test").unwrap().live;
        let hubs = Hubs::new(1, metrics.clone());
        let hub = Hub::new(metrics.clone(), hubs.inbox(0), Budget::new(20_000), &[]);
        let mut model = Self {
            hub,
            hubs,
            metrics,
            settings: Rc::new(settings),
            seats: Vec::new(),
            truth: BTreeMap::new(),
            step: 0,
            fan_out: None,
        };
        model.seats = (0..3).map(|_| model.seat()).collect();
        model
    }

    fn seat(&self) -> Seat {
        let pipe = Rc::<Pipe>::default();
        let outbox = Outbox::new(pipe.clone(), LIMIT, self.hub.budget.clone());
        let remote = SocketAddr::from(([127, 0, 0, 1], 1));
        let shared: Rc<Outbox> = outbox.clone();
        let client = Client::new(remote, &shared, self.settings.clone(), self.metrics.clone());
        Seat { client, outbox, pipe, message: Vec::new(), known: BTreeMap::new() }
    }

    fn publish(&mut self, updates: &[(u8, u8)]) {
        let position = |(device, bits): &(u8, u8)| {
            self.step += 1;
            let time = format!(
                "2026-01-02T{:02}:{:02}:{:02}.000Z",
                self.step / 3600,
                self.step / 60 % 60,
                self.step % 60
            );
            let events: BTreeSet<String> = ["event:a", "event:b"]
                .iter()
                .enumerate()
                .filter(|(bit, _)| bits >> bit & 1 == 1)
                .map(|(_, e)| (*e).to_owned())
                .collect();
            let json = serde_json::json!({ "device_id": device.to_string(), "timestamp": time, "latitude": 1, "longitude": 2, "topics": events });
            self.truth.insert(device.to_string(), (time, events));
            (Position::from_json(&json.to_string(), Timestamp::now()).unwrap(), Instant::now())
        };
        let positions: Vec<_> = updates.iter().map(position).collect();
        self.hubs.publish(positions);
    }

    /// Lets the fan-out go on for one stride. False if there is nothing to deliver.
    fn stride(&mut self) -> bool {
        let fan_out = match &mut self.fan_out {
            Some(fan_out) => fan_out,
            None => {
                let Some(batch) = self.hub.next_batch() else { return false };
                let hub = self.hub.clone();
                self.fan_out.insert(Box::pin(async move { hub.fan_out(&batch).await }))
            }
        };
        if fan_out.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            self.fan_out = None;
        }
        true
    }

    fn fan_out(&mut self) {
        while self.stride() {}
    }

    /// What the connection's transport does when the socket is writable.
    fn drive(&mut self, seat: usize) {
        let Seat { client, outbox, .. } = &self.seats[seat];
        loop {
            outbox.flush();
            if !outbox.is_empty() || !self.hub.catch_up(client, Waker::noop()) {
                break;
            }
        }
        self.read(seat);
    }

    /// Reads what the client got, and holds it against what it knows.
    fn read(&mut self, seat: usize) {
        let seat = &mut self.seats[seat];
        let mut taken = seat.pipe.taken.borrow_mut();
        let mut rest = &taken[..];
        while let [first, second, ..] = *rest {
            let (length, at) = match second {
                126 if rest.len() >= 4 => (usize::from(u16::from_be_bytes([rest[2], rest[3]])), 4),
                126 => break,
                short => (usize::from(short), 2),
            };
            let Some(payload) = rest.get(at..at + length) else { break };
            rest = &rest[at + length..];
            if first & 0x0F == 0x8 {
                // Nothing follows the close frame, and a message under way is not completed.
                assert!(rest.is_empty() && !seat.client.is_open(), "something behind the close frame");
                seat.message.clear();
                break;
            }
            assert_eq!(first & 0x0F == 0, !seat.message.is_empty(), "a message within a message");
            seat.message.extend_from_slice(payload);
            if first & 0x80 != 0 {
                let message = std::mem::take(&mut seat.message);
                apply(&mut seat.known, &serde_json::from_slice(&message).unwrap());
            }
        }
        let left = rest.to_vec();
        *taken = left;
    }

    /// What a subscriber of `topic` should know.
    fn expected(&self, topic: &str) -> BTreeMap<String, String> {
        let inside = self.truth.iter().filter(|(device, (_, events))| {
            events.contains(topic) || topic.strip_prefix("device:") == Some(device)
        });
        inside.map(|(device, (time, _))| (device.clone(), time.clone())).collect()
    }
}

fn apply(known: &mut BTreeMap<String, BTreeMap<String, String>>, message: &Value) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let topic = text(&message["topic"]);
    let place = |position: &Value| (text(&position["device_id"]), text(&position["timestamp"]));
    match message["type"].as_str().unwrap() {
        "subscribed" => {
            let devices: BTreeMap<_, _> = message["snapshot"].as_array().unwrap().iter().map(place).collect();
            for (device, before) in known.get(&topic).into_iter().flatten() {
                assert!(devices.get(device).is_none_or(|now| now >= before), "the snapshot went back");
            }
            known.insert(topic, devices);
        }
        "position" => {
            let (device, now) = place(message);
            let before = known.get_mut(&topic).expect("subscribed").insert(device, now.clone());
            assert!(before.is_none_or(|before| before < now), "{message} is not new");
        }
        "left" => drop(known.get_mut(&topic).expect("subscribed").remove(&text(&message["device_id"]))),
        "unsubscribed" => drop(known.remove(&topic)),
        other => panic!("{other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    /// Each client gets whole messages, never an older position after a newer one, nothing twice, nothing of a topic it is
    /// not subscribed to; little waits for it; and when it has read all, it knows what is true.
    #[test]
    fn every_client_ends_with_the_truth(acts in vec(act(), 1..80), quick in any::<bool>()) {
        let mut model = Model::new();
        if quick {
            model.seats[0].pipe.room.set(usize::MAX);
        }
        for act in acts {
            match act {
                Act::Publish(updates) => {
                    model.publish(&updates);
                    if updates.len() % 3 > 0 {
                        model.fan_out();
                    }
                }
                Act::Subscribe(seat, topic) => {
                    // A client whose snapshot is under way is not read. Its subscriptions may end all the same.
                    let Seat { client, outbox, .. } = &model.seats[seat];
                    if !outbox.is_jammed() {
                        model.hub.subscribe(client, &Topic::parse(TOPICS[topic]).unwrap(), None).unwrap();
                    }
                }
                Act::Unsubscribe(seat, topic) => {
                    let client = &model.seats[seat].client;
                    model.hub.unsubscribe(client, &Topic::parse(TOPICS[topic]).unwrap());
                    client.send(&Outgoing::Unsubscribed { topic: TOPICS[topic], id: None });
                }
                Act::Room(seat, room) => {
                    let pipe = &model.seats[seat].pipe;
                    pipe.room.set(pipe.room.get().saturating_add(room));
                    model.drive(seat);
                }
                Act::Leave(seat) => {
                    model.hub.leave(&model.seats[seat].client);
                    model.seats[seat] = model.seat();
                }
                Act::Close(seat) => model.seats[seat].client.close(close::GOING_AWAY),
                Act::Strides(strides) => {
                    (0..strides).for_each(|_| {
                        model.stride();
                    });
                }
            }
            for seat in &model.seats {
                let waiting = seat.client.vitals.waiting() as usize;
                // Besides the limit for positions: responses, up to the limit and one more, and a piece of catching up.
                prop_assert!(waiting <= 3 * LIMIT, "{waiting} bytes wait");
            }
        }
        model.fan_out();
        for _ in 0..3 {
            // A turn for each, as one may have to wait until another has let go of what it holds.
            for seat in 0..model.seats.len() {
                model.seats[seat].pipe.room.set(usize::MAX);
                model.drive(seat);
            }
        }
        for seat in &model.seats {
            if !seat.client.is_open() {
                prop_assert!(!seat.outbox.is_jammed(), "its close frame would not be read");
                continue;
            }
            let subscribers = model.hub.subscribers.borrow();
            let subscriber = subscribers.get(&seat.client.id());
            prop_assert!(subscriber.is_none_or(|subscriber| subscriber.behind.borrow().is_empty()));
            let held = subscriber.into_iter().flat_map(|subscriber| {
                subscriber.held.borrow().keys().map(Topic::to_string).collect::<Vec<_>>()
            });
            let topics: Vec<_> = held.collect();
            prop_assert_eq!(topics.len(), seat.known.len());
            for topic in topics {
                prop_assert_eq!(&seat.known[&topic], &model.expected(&topic), "{}", topic);
            }
        }
        // Nothing is left behind when all have gone.
        model.seats.iter().for_each(|seat| model.hub.leave(&seat.client));
        prop_assert!(model.hub.interest.borrow().is_empty());
        prop_assert!(model.hub.subscribers.borrow().is_empty());
        prop_assert!(model.hub.latest.borrow().remembers_nobody_who_left());
        prop_assert!(model.hub.budget.is_unused());
        prop_assert_eq!(model.metrics.subscriptions.get(), 0);
    }
}
