//! Unit tests of `store`.

use std::time::Instant;

use sqlx::Connection as _;

use super::connect::connect;
use super::file::wal_of;
use super::schema::{AHEAD, POSITIONS};
use super::*;
use crate::domain::{Position, Revoked, Topic};
use crate::positions::order::Verdict;

fn at(device: &str, second: u32, latitude: f64, extra: &str) -> Arrived {
    let json = format!(
        r#"{{"device_id":"{device}","timestamp":"2026-01-02T03:04:{second:02}Z","latitude":{latitude},"longitude":1{extra}}}"#
    );
    let now = Timestamp::now();
    Arrived { position: Position::from_json(&json, now).unwrap(), arrival: now, received: Instant::now() }
}

async fn put(store: &mut Database, order: &mut Order, positions: &[Arrived]) -> Vec<Verdict> {
    let committed = store.commit(positions, order).await.unwrap();
    order.apply(committed.changed);
    committed.verdicts
}

async fn seen(store: &mut Database) -> Vec<Position> {
    let mut latest = Vec::new();
    store.load(|position| latest.push(position)).await.unwrap();
    latest
}

#[actix::test]
async fn keeps_each_device_s_positions_once_and_reads_the_latest_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("positions.db");
    let mut store = Database::open(&file).await.unwrap();
    let mut order = Order::default();
    assert!(seen(&mut store).await.is_empty());
    let full = r#","altitude":1.5,"accuracy":2,"heading":3,"speed":4,"topics":["event:r 1","event:s"],"attributes":{"a":[1]}"#;
    let many: Vec<_> = (0..200).map(|n| at(&format!("d{n:03}"), 7, 1.0, "")).collect();
    use Verdict::{Late, New, Repeated};
    let first = [at("b", 2, 2.0, ""), at("a", 1, 1.0, ""), at("a", 3, 3.0, full)];
    assert_eq!(put(&mut store, &mut order, &first).await, [New, New, New]);
    let again = [
        at("a", 3, 9.0, ""),
        at("b", 1, 1.0, ""),
        at("b", 1, 1.5, ""),
        at("c", 1, 1.0, ""),
        at("c", 1, 2.0, ""),
    ];
    assert_eq!(put(&mut store, &mut order, &again).await, [Repeated, Late, Repeated, New, Repeated]);
    assert!(put(&mut store, &mut order, &many).await.iter().all(|verdict| *verdict == New));
    store.close().await.unwrap();
    let mut store = Database::open(&file).await.unwrap();
    let latest = seen(&mut store).await;
    assert_eq!(latest.len(), 203);
    assert_eq!(latest[0].topics, [Topic::Event("r 1".into()), Topic::Event("s".into())]);
    let texts: Vec<_> = latest.iter().map(|position| serde_json::to_string(position).unwrap()).collect();
    assert!(texts[0].contains(r#""latitude":3.0,"longitude":1.0,"altitude":1.5"#), "{}", texts[0]);
    assert!(texts[0].ends_with(r#""speed":4.0,"attributes":{"a":[1]}}"#), "{}", texts[0]);
    assert!(texts[1].starts_with(r#"{"device_id":"b","timestamp":"2026-01-02T03:04:02.000Z""#));
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM positions").fetch_one(&mut store.connection).await.unwrap();
    assert_eq!(count, 205);
}

#[actix::test]
async fn a_device_that_is_ahead_is_known_as_such_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("positions.db");
    let mut store = Database::open(&file).await.unwrap();
    let mut order = Order::default();
    let moment = |second: i64| Timestamp::from_millis(1_767_323_040_000 + second * 1000).unwrap();
    let arrived = |second, arrival| Arrived { arrival: moment(arrival), ..at("a", second, 1.0, "") };
    assert_eq!(put(&mut store, &mut order, &[arrived(50, 10)]).await, [Verdict::New]);
    assert_eq!(put(&mut store, &mut order, &[arrived(11, 12)]).await, [Verdict::New]);
    let mut order = store.load(|position| assert_eq!(position.timestamp, moment(11))).await.unwrap();
    assert_eq!(order.devices(), 1);
    assert_eq!(put(&mut store, &mut order, &[arrived(10, 13)]).await, [Verdict::Late]);
    assert_eq!(put(&mut store, &mut order, &[arrived(55, 56)]).await, [Verdict::New]);
    let rows = sqlx::query_scalar("SELECT count(*) FROM ahead").fetch_one(&mut store.connection);
    let rows: i64 = rows.await.unwrap();
    assert_eq!(rows, 0);
}

#[actix::test]
async fn stores_of_earlier_versions_are_taken_over() {
    for (version, tables) in
        [("PRAGMA user_version = 1", &[POSITIONS][..]), ("PRAGMA user_version = 2", &[POSITIONS, AHEAD][..])]
    {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("positions.db");
        let mut old = connect(&file, true).await.unwrap();
        let row = "INSERT INTO positions (device_id, timestamp, latitude, longitude) VALUES ('a', 1, 2, 3)";
        for statement in tables.iter().copied().chain([version, row]) {
            sqlx::query(statement).execute(&mut old).await.unwrap();
        }
        old.close().await.unwrap();
        let mut store = Database::open(&file).await.unwrap();
        assert_eq!(seen(&mut store).await.len(), 1, "{version}");
        put(&mut store, &mut Order::default(), &[at("b", 1, 1.0, "")]).await;
        let now = Timestamp::now();
        let revocation = Revocation { revoked: Revoked::Token("t".into()), revoked_at: now, until: None };
        assert!(store.revoke(&revocation, now).await.unwrap().is_some());
        store.check().await.unwrap();
        store.close().await.unwrap();
        let mut store = Database::open(&file).await.unwrap();
        assert_eq!(seen(&mut store).await.len(), 2);
        assert_eq!(store.revocations(now).await.unwrap(), [revocation]);
    }
}

#[actix::test]
async fn says_why_it_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "this is no database, and long enough for SQLite to look at it".repeat(20))
        .unwrap();
    assert!(matches!(Database::open(&file).await.unwrap_err(), StoreError::Database(_)));
    assert!(matches!(StoreLock::take(&file.join("positions.db")).unwrap_err(), StoreError::File { .. }));
    let newer = folder.path().join("newer.db");
    let mut store = Database::open(&newer).await.unwrap();
    sqlx::query("PRAGMA user_version = 7").execute(&mut store.connection).await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(Database::open(&newer).await.unwrap_err(), StoreError::Newer { found: 7, known: 3 }));
    // Nothing is made where something was.
    let empty = folder.path().join("empty.db");
    std::fs::write(&empty, "").unwrap();
    assert!(matches!(Database::open(&empty).await.unwrap_err(), StoreError::Lost { .. }));
    let other = folder.path().join("other.db");
    let mut database = connect(&other, true).await.unwrap();
    sqlx::query("CREATE TABLE x (y)").execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    assert!(matches!(Database::open(&other).await.unwrap_err(), StoreError::Lost { .. }));
    let gone = folder.path().join("gone.db");
    std::fs::write(wal_of(&gone), "x").unwrap();
    assert!(matches!(Database::open(&gone).await.unwrap_err(), StoreError::Lost { .. }));
}

#[test]
fn two_names_of_one_store_have_one_lock() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("positions.db");
    std::fs::write(&file, "x").unwrap();
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let lock = StoreLock::take(&file).unwrap();
    let error = StoreLock::take(&link).unwrap_err().to_string();
    assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
    drop(lock);
    // A program that another test starts has a copy of all descriptors until it runs, also that of this lock.
    let began = Instant::now();
    while let Err(error) = StoreLock::take(&link) {
        assert!(matches!(error, StoreError::Locked { .. }) && began.elapsed().as_secs() < 10, "{error}");
    }
}

/// Through the connection that commits: these are per connection, not kept in the file.
#[actix::test]
async fn a_commit_is_durable_by_the_settings_of_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Database::open(&folder.path().join("positions.db")).await.unwrap();
    let journal: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut store.connection).await.unwrap();
    assert_eq!(journal, "wal");
    for (pragma, expected) in [
        // FULL: the log is synced in every commit; NORMAL (1) would do so only at checkpoints.
        ("PRAGMA synchronous", 2_i64),
        ("PRAGMA busy_timeout", connect::BUSY_TIMEOUT.as_millis() as i64),
        ("PRAGMA user_version", schema::VERSION),
        // The log must not grow for ever: moved into the file each thousand pages.
        ("PRAGMA wal_autocheckpoint", 1000),
    ] {
        let value: i64 = sqlx::query_scalar(pragma).fetch_one(&mut store.connection).await.unwrap();
        assert_eq!(value, expected, "{pragma}");
    }
}

/// `BEGIN IMMEDIATE` to `COMMIT` is one transaction: a row that fails takes those before it with it.
#[actix::test]
async fn a_commit_stores_all_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("positions.db");
    let mut store = Database::open(&file).await.unwrap();
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON positions WHEN NEW.device_id = 'bad'
        BEGIN SELECT RAISE(ABORT, 'bad device'); END";
    sqlx::query(trigger).execute(&mut store.connection).await.unwrap();
    let order = Order::default();
    // More than one INSERT, the last of which fails.
    let mut positions: Vec<_> = (0..100).map(|n| at(&format!("d{n:03}"), 7, 1.0, "")).collect();
    positions.push(at("bad", 7, 1.0, ""));
    let error = store.commit(&positions, &order).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("bad device"), "{error}");
    drop(store);
    assert!(seen(&mut Database::open(&file).await.unwrap()).await.is_empty());
}
