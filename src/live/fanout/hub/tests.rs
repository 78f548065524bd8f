//! A model of hub, catching up and outbox: several clients over wires that take what they are told to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Context;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use proptest::collection::vec;
use proptest::prelude::*;

use self::acts::{Act, act};
use self::known::{Known, area};
use super::*;
use crate::domain::{Point, Position, Timestamp};
use crate::live::client::Standing;
use crate::live::fanout::publish::Hubs;
use crate::live::outbox::Outbox;
use crate::live::outbox::pipe::Pipe;
use crate::live::wire::close;
use crate::live::wire::deflate::{FLUSHED, Window};
use crate::live::wire::encoding::Encoding;
use crate::settings::Settings;

const LIMIT: usize = 4096;
/// More than are served together at a cadence, also without the one that takes compressed messages.
const SEATS: usize = 5;
/// Areas overlap, touch, hold all or nothing.
const TOPICS: [&str; 9] = [
    "event:a",
    "event:b",
    "device:0",
    "device:7",
    "area:0,0,2,2",
    "area:2,0,4,4",
    "area:1,1,3,3",
    "area:-180,-90,180,90",
    "area:-9,-9,-8,-8",
];
const AREAS: std::ops::Range<usize> = 4..9;
/// So many devices may be inside an area.
const MAX_DEVICES: usize = 12;

/// A client, what it was sent and what it knows from that.
struct Seat {
    client: Rc<Client>,
    outbox: Rc<Outbox<Rc<Pipe>>>,
    pipe: Rc<Pipe>,
    message: Vec<u8>,
    /// That is compressed.
    is_deflated: bool,
    known: Known,
}

struct Model {
    hub: Rc<Hub>,
    hubs: Hubs,
    metrics: Arc<LiveMetrics>,
    settings: Rc<crate::settings::LiveSettings>,
    seats: Vec<Seat>,
    /// For each device, the time of its newest position, its events and its place.
    truth: BTreeMap<String, (String, BTreeSet<String>, Point)>,
    step: u32,
    /// A fan-out that is under way.
    fan_out: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Model {
    fn new() -> Self {
        let environment = HashMap::from([("LIVE_WS_MAX_AREA_DEVICES".to_owned(), MAX_DEVICES.to_string())]);
        let settings = Settings::from("/nonexistent".as_ref(), environment).unwrap().live;
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
        model.seats = (0..SEATS).map(|number| model.seat(number)).collect();
        model
    }

    fn subscribe(&self, seat: usize, topic: usize, wish: Wish<'_>) {
        // A client whose snapshot is under way is not read. Its subscriptions may end all the same.
        let Seat { client, outbox, .. } = &self.seats[seat];
        if !outbox.is_jammed() {
            let topic = Topic::parse(TOPICS[topic]).unwrap();
            match self.hub.subscribe(client, &topic, wish) {
                Ok(()) => {}
                Err(NotSubscribed::TooManyDevices { inside, limit: MAX_DEVICES }) => {
                    assert!(inside > MAX_DEVICES)
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn holds(&self, client: &Client, topic: &str) -> bool {
        let subscribers = self.hub.subscribers.borrow();
        let held = subscribers.get(&client.id()).map(|subscriber| subscriber.held.borrow());
        held.is_some_and(|held| held.contains_key(&Topic::parse(topic).unwrap()))
    }

    fn seat(&self, number: usize) -> Seat {
        let pipe = Rc::<Pipe>::default();
        let outbox = Outbox::new(pipe.clone(), LIMIT, self.hub.means.budget.clone());
        let remote = SocketAddr::from(([127, 0, 0, 1], 1));
        let shared: Rc<Outbox> = outbox.clone();
        // The last one takes compressed messages.
        let encoding = if number == 2 { Encoding::Deflate(Window::FULL) } else { Encoding::Json };
        let client = Client::new(
            remote,
            &shared,
            self.settings.clone(),
            self.metrics.clone(),
            encoding,
            Standing::Anyone,
        );
        Seat { client, outbox, pipe, message: Vec::new(), is_deflated: false, known: Known::default() }
    }

    fn publish(&mut self, updates: &[(u8, u8, (u8, u8))]) {
        let position = |(device, bits, (longitude, latitude)): &(u8, u8, (u8, u8))| {
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
            let json = serde_json::json!({ "device_id": device.to_string(), "timestamp": time, "latitude": latitude, "longitude": longitude, "topics": events });
            let place = Point { longitude: (*longitude).into(), latitude: (*latitude).into() };
            self.truth.insert(device.to_string(), (time, events, place));
            (Position::from_json(&json.to_string(), Timestamp::now()).unwrap(), Instant::now())
        };
        let positions: Vec<_> = updates.iter().map(position).collect();
        self.hubs.publish(positions);
    }

    /// Lets the fan-out go on for one stride. False if there is nothing to deliver.
    fn stride(&mut self) -> bool {
        if self.fan_out.is_none() {
            if self.hub.staged.borrow().is_empty() {
                self.hub.stage();
            }
            if self.hub.staged.borrow().is_empty() {
                return false;
            }
            let hub = self.hub.clone();
            self.fan_out = Some(Box::pin(async move { hub.fan_out().map(drop).await }));
        }
        self.poll()
    }

    fn poll(&mut self) -> bool {
        let Some(fan_out) = &mut self.fan_out else { return false };
        if fan_out.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            self.fan_out = None;
        }
        true
    }

    /// Begins to serve what is due within so many milliseconds, once the fan-out that is under way is at its end.
    fn tick(&mut self, millis: u64) {
        while self.poll() {}
        let (hub, now) = (self.hub.clone(), Instant::now() + Duration::from_millis(millis));
        self.fan_out = Some(Box::pin(async move { hub.tick(now).map(drop).await }));
        self.poll();
    }

    fn fan_out(&mut self) {
        let strides = std::iter::repeat_with(|| self.stride()).take_while(|goes_on| *goes_on);
        assert!(strides.take(10_000).count() < 10_000, "it has no end");
    }

    /// What the connection's transport does when the socket is writable.
    fn drive(&mut self, seat: usize) {
        let Seat { client, outbox, .. } = &self.seats[seat];
        let goes_on = || {
            outbox.flush();
            outbox.is_empty() && self.hub.catch_up(client, Waker::noop())
        };
        let pieces = std::iter::repeat_with(goes_on).take_while(|goes_on| *goes_on);
        assert!(pieces.take(10_000).count() < 10_000, "it has no end");
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
            if first & 0x0F != 0 {
                seat.is_deflated = first & 0x40 != 0;
            }
            seat.message.extend_from_slice(payload);
            if first & 0x80 != 0 {
                let mut message = std::mem::take(&mut seat.message);
                if seat.is_deflated {
                    message = inflate(&message);
                }
                seat.known.apply(&serde_json::from_slice(&message).unwrap());
            }
        }
        let left = rest.to_vec();
        *taken = left;
    }

    /// What a subscriber of `topic` should know.
    fn expected(&self, topic: &str) -> BTreeMap<String, String> {
        let area = area(topic);
        let inside = self.truth.iter().filter(|(device, (_, events, place))| {
            events.contains(topic)
                || topic.strip_prefix("device:") == Some(device)
                || area.is_some_and(|area| area.contains(*place))
        });
        inside.map(|(device, (time, ..))| (device.clone(), time.clone())).collect()
    }
}

fn inflate(message: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(1 << 16);
    let message = [message, &FLUSHED].concat();
    flate2::Decompress::new(false)
        .decompress_vec(&message, &mut text, flate2::FlushDecompress::Sync)
        .unwrap();
    text
}

/// Lets it all happen. Each client gets whole messages, never an older position after a newer one, nothing twice, nothing of a
/// topic it is not subscribed to; little waits for it; and when it has read all, it knows what is true.
fn check(acts: Vec<Act>, quick: bool) {
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
            Act::Subscribe(seat, topic, every, batch) => {
                let cadence = Cadence::at_least(every);
                model.subscribe(seat, topic, Wish { cadence, batch, ..Wish::default() });
            }
            Act::Replace(seat, comes, goes, every) => {
                let (cadence, goes) = (Cadence::at_least(every), Topic::parse(TOPICS[goes]).unwrap());
                model.subscribe(seat, comes, Wish { cadence, replaces: Some(&goes), ..Wish::default() });
            }
            Act::Tick(millis) => model.tick(millis),
            Act::Unsubscribe(seat, topic) => {
                let Seat { client, outbox, .. } = &model.seats[seat];
                // While a client is not read, only what it has can end.
                if model.holds(client, TOPICS[topic]) || !outbox.is_jammed() {
                    model.hub.unsubscribe(client, &Topic::parse(TOPICS[topic]).unwrap());
                    client.send(&Outgoing::Unsubscribed { topic: TOPICS[topic], id: None });
                }
            }
            Act::Narrow(seat, topics) => {
                let may_read = |topic: &Topic| {
                    let name = topic.to_string();
                    TOPICS
                        .iter()
                        .position(|one| **one == *name)
                        .is_none_or(|bit| topics >> (bit % 16) & 1 == 1)
                };
                model.hub.narrow(&model.seats[seat].client, may_read);
            }
            Act::Room(seat, room) => {
                let pipe = &model.seats[seat].pipe;
                pipe.room.set(pipe.room.get().saturating_add(room));
                model.drive(seat);
            }
            Act::Leave(seat) => {
                model.hub.leave(&model.seats[seat].client);
                model.seats[seat] = model.seat(seat);
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
            assert!(waiting <= 3 * LIMIT, "{waiting} bytes wait");
        }
    }
    model.fan_out();
    while model.hub.ticks.borrow().next().is_some() {
        model.tick(60_000);
        model.fan_out();
    }
    for _ in 0..3 {
        // A turn for each, as one may have to wait until another has let go of what it holds.
        for seat in 0..model.seats.len() {
            model.seats[seat].pipe.room.set(usize::MAX);
            model.drive(seat);
        }
    }
    for seat in &model.seats {
        if !seat.client.is_open() {
            assert!(!seat.outbox.is_jammed(), "its close frame would not be read");
            continue;
        }
        let subscribers = model.hub.subscribers.borrow();
        let subscriber = subscribers.get(&seat.client.id());
        assert!(subscriber.is_none_or(|subscriber| subscriber.behind.borrow().is_empty()));
        let held = subscriber
            .into_iter()
            .flat_map(|subscriber| subscriber.held.borrow().keys().map(Topic::to_string).collect::<Vec<_>>());
        let topics: Vec<_> = held.collect();
        assert_eq!(topics.len(), seat.known.topics());
        for topic in topics {
            assert_eq!(seat.known.of(&topic), model.expected(&topic), "{}", topic);
        }
    }
    // Nothing is left behind when all have gone.
    model.seats.iter().for_each(|seat| model.hub.leave(&seat.client));
    assert!(model.hub.interest.borrow().is_empty());
    assert!(model.hub.subscribers.borrow().is_empty());
    assert!(model.hub.latest.borrow().remembers_nobody_who_left());
    assert!(model.hub.means.budget.is_unused());
    assert_eq!(model.metrics.subscriptions.get(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(400), ..ProptestConfig::default() })]
    #[test]
    fn every_client_ends_with_the_truth(acts in vec(act(), 1..80), quick in any::<bool>()) {
        check(acts, quick);
    }
}

mod acts;
mod areas;
mod catching_up;
mod delivering;
mod known;
mod served;
