//! Tests of what a store promises, run against each kind of store.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;

use super::*;
use crate::domain::{Position, Revocation, Timestamp};
use crate::positions::arrived::Arrived;
use crate::positions::log::Tail;
use crate::positions::order::Verdict;
use crate::positions::order::Verdict::{Late, New, Repeated};
use crate::positions::publish::Publish;
use crate::settings::DatabaseUrl;

mod postgres;
mod revoking;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Milliseconds since 1970 of 2026-01-02T03:04:00Z.
const START_MS: i64 = 1_767_323_040_000;

fn second(second: i64) -> Timestamp {
    Timestamp::from_millis(START_MS + second * 1000).unwrap()
}

/// Where a device was at a second, and when that arrived.
fn at_arrived(device: &str, at: i64, arrived: i64, extra: &str) -> Arrived {
    let (time, arrival) = (second(at), second(arrived));
    let json =
        format!(r#"{{"device_id":"{device}","timestamp":"{time}","latitude":2,"longitude":1{extra}}}"#);
    Arrived { position: Position::from_json(&json, arrival).unwrap(), arrival, received: Instant::now() }
}

/// The same of one that arrives a minute after the start.
fn at(device: &str, at: i64) -> Arrived {
    at_arrived(device, at, 60, "")
}

/// A store and what comes back from its log.
struct Opened {
    store: Box<dyn Store>,
    tail: Box<dyn Tail>,
    published: Published,
}

/// Device and second of what was published.
#[derive(Clone, Default)]
struct Published(Rc<RefCell<Vec<(String, i64)>>>);

impl Publish for Published {
    fn publish(&self, positions: Vec<(Position, Instant)>) {
        self.0.borrow_mut().extend(positions.iter().map(|(position, _)| key(position)));
    }

    fn revoked(&self, _: Vec<Revocation>) {}
}

impl Opened {
    async fn at(url: &DatabaseUrl) -> Self {
        // A program that another test starts has a copy of all descriptors until it runs, also that of a lock that was given back.
        let began = Instant::now();
        let store = loop {
            match open(url, TIMEOUT, true).await {
                Err(StoreError::Locked { .. }) if began.elapsed() < TIMEOUT => tokio::task::yield_now().await,
                opened => break opened.unwrap(),
            }
        };
        let published = Published::default();
        Self { tail: store.tail(Rc::new(published.clone())), store, published }
    }

    /// Commits, and hands on what is new.
    async fn commit(&mut self, positions: &[Arrived]) -> Vec<Verdict> {
        let Committed { verdicts, untold } = self.store.commit(positions).await.unwrap();
        let new = positions.iter().zip(&verdicts).filter(|(_, verdict)| **verdict == New);
        self.tail.read(new.map(|(arrived, _)| arrived.clone()).chain(untold).collect());
        verdicts
    }

    /// Reads what is stored, as after a gap in the log.
    async fn catch_up(&mut self) {
        let mut stored = self.tail.stored();
        while let Some(part) = stored.next().await {
            self.tail.read(part.unwrap());
        }
    }

    /// Commits, and ends before it could hand on anything.
    async fn commit_untold(&mut self, positions: &[Arrived]) -> Vec<Verdict> {
        self.store.commit(positions).await.unwrap().verdicts
    }

    async fn load(&mut self) -> Vec<Position> {
        let mut newest = Vec::new();
        self.store.load(&mut |position| newest.push(position)).await.unwrap();
        newest.sort_by(|one, other| one.device_id.cmp(&other.device_id));
        newest
    }

    /// The newest position of each device.
    async fn newest(&mut self) -> Vec<(String, i64)> {
        self.load().await.iter().map(key).collect()
    }

    async fn close(self) {
        self.store.close().await.unwrap();
    }
}

fn key(position: &Position) -> (String, i64) {
    (position.device_id.to_string(), (position.timestamp.as_millis() - START_MS) / 1000)
}

fn keys(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(device, second)| ((*device).to_owned(), *second)).collect()
}

/// Each device's positions are kept once, and the newest is read back as it came.
async fn keeps_positions_once(url: &DatabaseUrl) {
    let mut store = Opened::at(url).await;
    assert!(store.load().await.is_empty());
    let full = r#","altitude":1.5,"accuracy":2,"heading":3,"speed":0.1,"topics":["event:r 1","event:ß"],"attributes":{ "a" : [1, "\u0000"]}"#;
    let first = [at("b", 2), at("a", 1), at_arrived("a", 3, 3, full)];
    assert_eq!(store.commit(&first).await, [New, New, New]);
    let long: String = "é".repeat(20);
    let next = [at("b", 1), at("b", 1), at("c", 1), at("c", 1), at(&long, 1)];
    let [first, second, .., other] = store.commit(&next).await.try_into().unwrap_or([New; 5]);
    assert_eq!((first, second, other), (Late, Repeated, New));
    let many: Vec<_> = (0..200).map(|n| at(&format!("d{n:03}"), 7)).collect();
    assert!(store.commit(&many).await.iter().all(|verdict| *verdict == New));
    store.close().await;
    let mut store = Opened::at(url).await;
    let found = store.load().await;
    assert_eq!((found.len(), store.store.devices()), (204, 204));
    let texts: Vec<_> = found.iter().map(|position| serde_json::to_string(position).unwrap()).collect();
    assert_eq!(
        texts[0],
        r#"{"device_id":"a","timestamp":"2026-01-02T03:04:03.000Z","latitude":2.0,"longitude":1.0,"altitude":1.5,"accuracy":2.0,"heading":3.0,"speed":0.1,"attributes":{ "a" : [1, "\u0000"]}}"#
    );
    assert_eq!(found[0].topics.iter().map(ToString::to_string).collect::<Vec<_>>(), ["event:r 1", "event:ß"]);
    assert_eq!(&*found[203].device_id, long);
    store.store.check().await.unwrap();
    assert!(store.store.bytes() > 0);
    store.close().await;
}

/// What another has stored meanwhile, or this one before it failed, is not stored twice.
async fn is_idempotent(url: &DatabaseUrl) {
    let mut store = Opened::at(url).await;
    let group: Vec<_> = (0..100).map(|n| at(&format!("d{n:02}"), 1)).collect();
    assert!(store.commit(&group).await.iter().all(|verdict| *verdict == New));
    for _ in 0..2 {
        let again = store.commit(&group).await;
        assert!(again.iter().all(|verdict| *verdict == Repeated), "{again:?}");
    }
    assert_eq!(store.published.0.borrow().len(), 100);
    assert_eq!(store.load().await.len(), 100);
    store.close().await;
}

/// A device whose clock is ahead moves on, also after a restart; what counts is when its positions arrived.
async fn devices_that_are_ahead_are_known_as_such(url: &DatabaseUrl) {
    let mut store = Opened::at(url).await;
    // `a` is wrong once, `b` always, `c` never.
    let mut group = vec![at_arrived("a", 5000, 10, "")];
    group.extend((11..20).map(|now| at_arrived("a", now, now, "")));
    group.extend((10..20).map(|now| at_arrived("b", now + 600, now, "")));
    group.extend((10..20).map(|now| at_arrived("c", now, now, "")));
    // By the order in which they count.
    group.sort_by_key(|arrived| arrived.arrival);
    assert!(store.commit(&group).await.iter().all(|verdict| *verdict == New));
    let expected = keys(&[("a", 19), ("b", 619), ("c", 19)]);
    assert_eq!(store.newest().await, expected);
    store.close().await;
    let mut store = Opened::at(url).await;
    assert_eq!(store.newest().await, expected);
    let next = [at_arrived("a", 18, 21, ""), at_arrived("b", 21, 22, ""), at_arrived("b", 20, 23, "")];
    assert_eq!(store.commit(&next).await[1..], [New, Late]);
    store.close().await;
}

/// All or none, also of more than fits into one statement.
async fn one_that_cannot_be_stored_takes_the_others_with_it(url: &DatabaseUrl, refuse: impl AsyncFnOnce()) {
    let mut store = Opened::at(url).await;
    refuse().await;
    let mut group: Vec<_> = (0..100).map(|n| at(&format!("d{n:03}"), 7)).collect();
    group.push(at("bad", 7));
    let error = store.store.commit(&group).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("bad device"), "{error}");
    assert!(store.load().await.is_empty());
    // It goes on.
    assert_eq!(store.commit(&[at("good", 1)]).await, [New]);
    store.close().await;
}

pub(in crate::positions) mod sqlite {
    use super::*;

    fn file() -> (tempfile::TempDir, DatabaseUrl) {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("positions.db"));
        (folder, url)
    }

    #[actix::test]
    async fn positions_are_kept_once() {
        keeps_positions_once(&file().1).await;
    }

    #[actix::test]
    async fn storing_again_changes_nothing() {
        is_idempotent(&file().1).await;
    }

    #[actix::test]
    async fn devices_ahead() {
        devices_that_are_ahead_are_known_as_such(&file().1).await;
    }

    /// As another program would.
    pub(in crate::positions) async fn run(url: &DatabaseUrl, statement: &'static str) {
        let DatabaseUrl::Sqlite(path) = url else { unreachable!() };
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
        sqlx::query(statement).execute(&mut other).await.unwrap();
        sqlx::Connection::close(other).await.unwrap();
    }

    #[actix::test]
    async fn all_or_none() {
        let (_folder, url) = file();
        let refuse = async || {
            let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON positions WHEN NEW.device_id = 'bad'
                BEGIN SELECT RAISE(ABORT, 'bad device'); END";
            run(&url, trigger).await;
        };
        one_that_cannot_be_stored_takes_the_others_with_it(&url, refuse).await;
    }

    #[actix::test]
    async fn revocations_are_kept() {
        revoking::are_kept(&file().1).await;
    }

    #[actix::test]
    async fn revocations_of_the_same_thing_are_one() {
        revoking::of_the_same_thing_are_one(&file().1).await;
    }

    #[actix::test]
    async fn revocations_are_bounded() {
        let (_folder, url) = file();
        let fill = async |count| {
            assert_eq!(count, 99_999);
            let rows = "INSERT INTO revocations
                WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 99999)
                SELECT 'token', 't' || n, 0, 1767323040000 + 50000 FROM n";
            run(&url, rows).await;
        };
        revoking::are_bounded(&url, fill).await;
    }

    #[actix::test]
    async fn revocations_of_another_release_are_left_out() {
        let (_folder, url) = file();
        let rows = "INSERT INTO revocations VALUES ('device', 'a', 1, NULL), ('topic', 'r', 1, NULL),
            ('token', 't', 9223372036854775807, NULL), ('token', 'u', 1, 9223372036854775807)";
        revoking::of_another_release_are_left_out(&url, async || run(&url, rows).await).await;
    }
}
