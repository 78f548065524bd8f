//! A rolling restart of all instances under load: clients come back when they are told to, and nothing is lost.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::harness::{Client, eventually_within};
use crate::instances::Instances;
use crate::traffic::{EVENT, Traffic};
use crate::turn;
use crate::watcher::all_tell;

const CLIENTS: usize = 2_000;
/// Of the closes, and again of the waits until clients come back.
const SPREAD_MS: usize = 3_000;
const DRAIN: [(&str, &str); 4] = [
    ("LIVE_WS_DRAIN_SPREAD_MS", "3000"),
    ("LIVE_WS_RECONNECT_SPREAD_MS", "3000"),
    ("LIVE_WS_DRAIN_TIMEOUT_MS", "10000"),
    ("LIVE_WS_MAX_CONNECTIONS_PER_ADDRESS", "10000"),
];

/// What the clients have in common.
#[derive(Default)]
struct Shared {
    /// Where they may connect: an instance that is stopped is not among them, as a proxy would see to.
    addresses: RefCell<Vec<SocketAddr>>,
    /// When they came back.
    arrivals: RefCell<Vec<Instant>>,
    /// How often one was closed without having been told when to come back.
    untold: Cell<usize>,
    connected: Cell<usize>,
    is_over: Cell<bool>,
}

/// A client that comes back when it is told to.
async fn follow(shared: Rc<Shared>, number: usize, opening: Rc<Semaphore>) {
    let mut is_first = true;
    for turn in number.. {
        let address = shared.addresses.borrow()[turn % shared.addresses.borrow().len()];
        let place = opening.acquire().await.unwrap();
        let mut client = Client::connect(address).await;
        client.text(format!(r#"{{"type":"subscribe","topic":"{EVENT}","every_ms":1000}}"#)).await;
        drop(place);
        if !std::mem::replace(&mut is_first, false) {
            shared.arrivals.borrow_mut().push(Instant::now());
        }
        shared.connected.set(shared.connected.get() + 1);
        let mut wait = None;
        while let Some(message) = client.idle().await {
            let text = message.into_text().unwrap_or_default();
            if text.contains(r#""draining""#) {
                let message: Value = serde_json::from_str(&text).unwrap();
                wait = message["reconnect_after_ms"].as_u64();
            }
        }
        shared.connected.set(shared.connected.get() - 1);
        if shared.is_over.get() {
            return;
        }
        if wait.is_none() {
            shared.untold.set(shared.untold.get() + 1);
        }
        tokio::time::sleep(Duration::from_millis(wait.unwrap_or(0))).await;
    }
}

#[actix::test]
async fn a_rolling_restart_loses_nothing_and_spreads_who_comes_back() {
    let _turn = turn().await;
    let mut instances = Instances::start(3, &DRAIN);
    instances.ready().await;
    let shared = Rc::<Shared>::default();
    let lives = |instances: &Instances| instances.all().map(|server| server.live).collect::<Vec<_>>();
    *shared.addresses.borrow_mut() = lives(&instances);
    let opening = Rc::new(Semaphore::new(50));
    let clients: Vec<_> =
        (0..CLIENTS).map(|number| actix::spawn(follow(shared.clone(), number, opening.clone()))).collect();
    let all = async |what: &str| {
        let long = Duration::from_secs(90);
        eventually_within(long, what, async || shared.connected.get() == CLIENTS).await;
    };
    all("all clients").await;
    let posts = instances.all().map(|server| server.ops).collect();
    let mut traffic = Traffic::start(posts, 5, Duration::from_millis(100));
    for index in 0..3 {
        shared.arrivals.borrow_mut().clear();
        let others = |instances: &Instances| {
            let others = (0..3).filter(|other| *other != index).map(|other| instances.get(other));
            others.map(|server| (server.live, server.ops)).unzip::<_, _, Vec<_>, Vec<_>>()
        };
        let before = instances.get(index).metric("processor_live_connections", "").await as usize;
        let (live, ops) = others(&instances);
        (*shared.addresses.borrow_mut(), *traffic.targets.borrow_mut()) = (live, ops);
        instances.stop(index).await;
        all("all clients again").await;
        let arrivals = std::mem::take(&mut *shared.arrivals.borrow_mut());
        assert!(arrivals.len() >= before, "{} of {before} came back", arrivals.len());
        is_spread(&arrivals);
        instances.resume(index);
        *traffic.targets.borrow_mut() = instances.all().map(|server| server.ops).collect();
        *shared.addresses.borrow_mut() = lives(&instances);
        instances.ready().await;
    }
    assert_eq!(shared.untold.get(), 0);
    traffic.stop().await;
    traffic.is_stored_in(&instances.postgres);
    all_tell(&lives(&instances), &[EVENT.to_owned()], &traffic.newest()).await;
    shared.is_over.set(true);
    clients.iter().for_each(|client| client.abort());
    assert!(traffic.count() > 100, "no load: {}", traffic.count());
}

/// They come back over both spreads together. As each client's wait is spread by itself, there are more in the middle: between the
/// first and the last tenth lie 3.3 s of the 6, and the busiest second has 1.8 times an even one. One of the spreads alone would have 2.4 s,
/// none would have one peak. A machine that is busy makes a second busier, but does not make all of it shorter.
fn is_spread(arrivals: &[Instant]) {
    let mut arrivals = arrivals.to_vec();
    arrivals.sort_unstable();
    let tenth = arrivals.len() / 10;
    let most = arrivals[arrivals.len() - 1 - tenth] - arrivals[tenth];
    assert!(most.as_millis() >= 2_700, "eight of ten came back within {most:?}");
    let mut seconds = [0_usize; 64];
    for arrival in &arrivals {
        seconds[(*arrival - arrivals[0]).as_secs().min(63) as usize] += 1;
    }
    let even = arrivals.len() * 1000 / (2 * SPREAD_MS);
    let busiest = *seconds.iter().max().unwrap();
    assert!(busiest <= 3 * even, "{busiest} in a second, {even} if all were even: {seconds:?}");
}
