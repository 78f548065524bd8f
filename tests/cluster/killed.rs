//! An instance that is killed under load: nothing acknowledged is lost, its clients go on elsewhere.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::harness::{eventually, eventually_within, time};
use crate::instances::Instances;
use crate::traffic::{EVENT, Traffic};
use crate::turn;
use crate::watcher::{State, Watcher, all_tell};

const ROUNDS: usize = 20;

/// A client that connects to one instance after the other until it has the last state.
async fn follow(
    addresses: Rc<RefCell<Vec<SocketAddr>>>,
    first: usize,
    last: Rc<RefCell<Option<State>>>,
) -> usize {
    let mut connections = 0;
    for turn in first.. {
        let address = addresses.borrow()[turn % addresses.borrow().len()];
        // It may be away.
        if tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        let topics = [EVENT.to_owned()];
        let connect = Watcher::connect(address, &topics);
        let Ok(mut watcher) = tokio::time::timeout(Duration::from_secs(10), connect).await else { continue };
        connections += 1;
        loop {
            if last.borrow().as_ref().is_some_and(|last| *last == watcher.state) {
                return connections;
            }
            let next = tokio::time::timeout(Duration::from_millis(100), watcher.next());
            if next.await == Ok(false) {
                break;
            }
        }
    }
    connections
}

/// Entries that a gateway writes in each round.
const ENTRIES: usize = 50;

fn write_entries(instances: &Instances, round: usize) {
    let entry = |n: usize| {
        format!("XADD in * device_id gateway-{n} timestamp {} latitude 1 longitude 2\n", time(round as u64))
    };
    instances.redis.feed(&(0..ENTRIES).map(entry).collect::<String>());
}

#[actix::test]
async fn nothing_acknowledged_is_lost_when_an_instance_is_killed() {
    let _turn = turn().await;
    let input = [("POSITIONS_INPUT_STREAM", "in"), ("POSITIONS_INPUT_CLAIM_AFTER_MS", "500")];
    let mut instances = Instances::start(3, &input);
    instances.ready().await;
    let posts = |instances: &Instances| instances.all().map(|server| server.ops).collect::<Vec<_>>();
    let lives = |instances: &Instances| instances.all().map(|server| server.live).collect::<Vec<_>>();
    let mut traffic = Traffic::start(posts(&instances), 20, Duration::from_millis(5));
    let addresses = Rc::new(RefCell::new(lives(&instances)));
    let last = Rc::<RefCell<Option<State>>>::default();
    let connections = Rc::new(Cell::new(0));
    let clients: Vec<_> = (0..30)
        .map(|client| {
            let follow = follow(addresses.clone(), client, last.clone());
            let connections = connections.clone();
            actix::spawn(async move {
                let made = follow.await;
                connections.set(connections.get() + made);
            })
        })
        .collect();
    for round in 0..ROUNDS {
        let before = traffic.count();
        eventually_within(Duration::from_secs(60), "posts", async || traffic.count() > before + 50).await;
        // A gateway writes as well; some of it is in the hands of the one that is killed.
        write_entries(&instances, round);
        instances.kill(round % 3);
        // The others go on meanwhile.
        let before = traffic.count();
        eventually_within(Duration::from_secs(60), "posts", async || traffic.count() > before + 50).await;
        instances.resume(round % 3);
        *traffic.targets.borrow_mut() = posts(&instances);
        *addresses.borrow_mut() = lives(&instances);
    }
    traffic.stop().await;
    let gateway = "SELECT count(*) FROM positions WHERE device_id LIKE 'gateway-%'";
    let written = (ROUNDS * ENTRIES).to_string();
    eventually("what the gateway wrote", async || instances.postgres.sql(gateway) == written).await;
    eventually("no entry that waits", async || {
        instances.redis.cli(&["XPENDING", "in", "processor"]).starts_with('0')
    })
    .await;
    assert_eq!(instances.redis.cli(&["EXISTS", "in:rejected"]), "0");
    instances.postgres.sql("DELETE FROM positions WHERE device_id LIKE 'gateway-%'");
    traffic.is_stored_in(&instances.postgres);
    all_tell(&lives(&instances), &[EVENT.to_owned()], &traffic.newest()).await;
    *last.borrow_mut() = Some(traffic.newest());
    for client in clients {
        crate::harness::soon("a client that has the last state", client).await.unwrap();
    }
    let (failed, connections) = (traffic.failed.get(), connections.get());
    assert!(
        failed > 0 && connections > 30 + ROUNDS,
        "nothing was killed under load: {failed}, {connections}"
    );
}
