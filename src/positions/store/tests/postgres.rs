//! What a store promises, held against Debian's PostgreSQL; and what only that store can do wrong.

use std::sync::Arc;

use super::*;
use crate::domain::Revoked;
use crate::positions::store::Another;
use crate::positions::store::postgres::server::Postgres;
use crate::settings::Secret;

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

fn url(server: &Postgres) -> DatabaseUrl {
    DatabaseUrl::Postgres(Secret::new(&server.url()))
}

#[actix::test]
async fn positions_are_kept_once() {
    let server = Postgres::start();
    keeps_positions_once(&url(&server)).await;
    assert_eq!(server.sql("SELECT count(*), count(DISTINCT device_id) FROM positions"), "206|204");
    assert_eq!(server.sql("SELECT count(*) FROM devices"), "204");
    let row = server.sql("SELECT timestamp AT TIME ZONE 'UTC', topics, attributes FROM positions WHERE device_id = 'a' AND topics IS NOT NULL");
    assert_eq!(row, r#"2026-01-02 03:04:03|{"event:r 1",event:ß}|{ "a" : [1, "\u0000"]}"#);
}

#[actix::test]
async fn storing_again_changes_nothing() {
    is_idempotent(&url(&Postgres::start())).await;
}

#[actix::test]
async fn devices_ahead() {
    devices_that_are_ahead_are_known_as_such(&url(&Postgres::start())).await;
}

#[actix::test]
async fn all_or_none() {
    let server = Postgres::start();
    let refuse = async || {
        server.sql(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN IF NEW.device_id = 'bad' THEN RAISE 'bad device'; END IF; RETURN NEW; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON positions FOR EACH ROW EXECUTE FUNCTION refuse()",
        );
    };
    one_that_cannot_be_stored_takes_the_others_with_it(&url(&server), refuse).await;
}

/// Instances that start together on an empty database: one makes the tables, the others wait for it.
#[actix::test]
async fn instances_start_together() {
    let server = Postgres::start();
    let url = url(&server);
    let starts = (0..4).map(|_| Opened::at(&url));
    for store in futures_util::future::join_all(starts).await {
        store.close().await;
    }
    assert_eq!(server.sql("SELECT version, success FROM _sqlx_migrations ORDER BY 1"), "1|t\n2|t");
}

#[actix::test]
async fn a_database_of_a_newer_version_is_refused() {
    let server = Postgres::start();
    Opened::at(&url(&server)).await.close().await;
    server.sql(
        "INSERT INTO _sqlx_migrations SELECT 7, 'later', now(), true, checksum, 0 FROM _sqlx_migrations
            WHERE version = 1",
    );
    let error = open(&url(&server), TIMEOUT, true).await.err().unwrap();
    assert!(matches!(error, StoreError::Newer { found: 7, known: 2 }), "{error}");
}

/// Who hears of no other must be alone; those that hear of each other may be many.
#[actix::test]
async fn instances_that_do_not_hear_of_each_other_are_refused() {
    let server = Postgres::start();
    let url = url(&server);
    let alone = open(&url, TIMEOUT, false).await.unwrap();
    for is_shared in [false, true] {
        let error = open(&url, TIMEOUT, is_shared).await.err().unwrap();
        assert!(matches!(error, StoreError::Alone { .. }), "{error}");
    }
    alone.close().await.unwrap();
    // The server notices that a connection has ended a moment later.
    let began = Instant::now();
    let shared = loop {
        match open(&url, TIMEOUT, true).await {
            Ok(store) => break store,
            Err(error) => {
                assert!(matches!(error, StoreError::Alone { .. }) && began.elapsed() < PATIENCE, "{error}");
            }
        }
    };
    let other = open(&url, TIMEOUT, true).await.unwrap();
    let error = open(&url, TIMEOUT, false).await.err().unwrap();
    assert!(matches!(error, StoreError::Alone { is_shared: false }), "{error}");
    shared.close().await.unwrap();
    other.close().await.unwrap();
}

#[actix::test]
async fn a_database_that_would_lose_positions_or_takes_none_is_refused() {
    let server = Postgres::start();
    server.sql("ALTER DATABASE postgres SET default_transaction_read_only = on");
    let error = open(&url(&server), TIMEOUT, true).await.err().unwrap();
    assert!(matches!(error, StoreError::ReadOnly), "{error}");
    server.sql("SET TRANSACTION READ WRITE; ALTER DATABASE postgres RESET default_transaction_read_only");
    server.sql("ALTER DATABASE postgres SET synchronous_commit = off");
    Opened::at(&url(&server)).await.close().await;
    server.sql("ALTER SYSTEM SET fsync = off");
    server.sql("SELECT pg_reload_conf()");
    let began = Instant::now();
    let error = loop {
        // The setting comes a moment later.
        assert!(began.elapsed() < PATIENCE, "it is not refused");
        match open(&url(&server), TIMEOUT, true).await {
            Ok(store) => store.close().await.unwrap(),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("fsync is off"), "{error}");
}

/// Two instances store for the same devices at the same time, in any order: none waits for the other for ever, and each position
/// is stored once.
#[actix::test]
async fn instances_store_beside_each_other() {
    let server = Postgres::start();
    let url = url(&server);
    let (mut one, mut other) = (Opened::at(&url).await, Opened::at(&url).await);
    for round in 0..20 {
        let group: Vec<_> = (0..50).map(|n| at(&format!("d{n:02}"), round)).collect();
        let mut backwards = group.clone();
        backwards.reverse();
        let (first, second) = tokio::join!(one.store.commit(&group), other.store.commit(&backwards));
        let (first, mut second) = (first.unwrap().verdicts, second.unwrap().verdicts);
        second.reverse();
        let stored_once = |(one, other): (&Verdict, &Verdict)| (*one == New) != (*other == New);
        assert!(first.iter().zip(&second).all(stored_once), "{first:?} {second:?}");
    }
    assert_eq!(server.sql("SELECT count(*) FROM positions"), "1000");
    one.close().await;
    other.close().await;
}

/// A database that stands still is given up in time; when it goes on, so does the store, and nothing is there twice.
#[actix::test]
async fn a_frozen_database_is_given_up_and_taken_up_again() {
    let mut server = Postgres::start();
    let mut store = open(&url(&server), Duration::from_millis(500), true).await.unwrap();
    assert_eq!(store.commit(&[at("a", 1)]).await.unwrap().verdicts, [New]);
    server.freeze();
    for _ in 0..2 {
        let error = store.commit(&[at("a", 2)]).await.map(drop).unwrap_err();
        assert!(matches!(error, StoreError::TimedOut(_)), "{error}");
    }
    assert!(store.check().await.is_err());
    server.thaw();
    let began = Instant::now();
    while let Err(error) = store.commit(&[at("a", 2), at("a", 3)]).await {
        assert!(matches!(error, StoreError::TimedOut(_)) && began.elapsed() < PATIENCE, "{error}");
    }
    server.stop();
    let error = store.commit(&[at("a", 4)]).await.map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Database(_) | StoreError::NotConnected(_)), "{error}");
    server.resume();
    assert_eq!(store.commit(&[at("a", 4)]).await.unwrap().verdicts, [New]);
    store.check().await.unwrap();
    assert_eq!(server.sql("SELECT count(*), count(DISTINCT timestamp) FROM positions"), "4|4");
    store.close().await.unwrap();
}

/// A session that cannot be had while an instance starts is one that has to be opened, not a reason not to start.
#[actix::test]
async fn another_session_may_be_opened_later() {
    let server = Postgres::start();
    let store = open(&url(&server), PATIENCE, true).await.unwrap();
    server.let_connect(false);
    let Another { store: mut other, fault } = store.another().await.unwrap();
    let fault = fault.unwrap();
    assert!(matches!(fault, StoreError::NotConnected(_)), "{fault}");
    assert!(other.check().await.is_err());
    server.let_connect(true);
    assert_eq!(other.commit(&[at("a", 1)]).await.unwrap().verdicts, [New]);
    store.close().await.unwrap();
    other.close().await.unwrap();
}

/// An instance that stores may end before it tells the others; who posts again, as nobody answered, has them told: of what is stored, as
/// of when it came.
#[actix::test]
async fn what_is_posted_again_may_be_news() {
    let server = Postgres::start();
    let url = url(&server);
    let (mut one, mut other) = (Opened::at(&url).await, Opened::at(&url).await);
    // From the future: it counts as of second 10.
    assert_eq!(one.commit_untold(&[at("a", 5), at_arrived("f", 15, 10, "")]).await, [New, New]);
    let again = [at("a", 5), at_arrived("f", 15, 40, r#","speed":7"#)];
    assert_eq!(other.commit(&again).await, [Repeated, Repeated]);
    assert_eq!(*other.published.0.borrow(), keys(&[("a", 5), ("f", 15)]));
    assert_eq!(other.commit(&[at_arrived("f", 18, 13, "")]).await, [New]);
    // That it comes again does not make it newer.
    assert_eq!(
        other.commit(&[at_arrived("f", 15, 41, ""), at("a", 6), at("a", 5)]).await,
        [Repeated, New, Repeated]
    );
    assert_eq!(*other.published.0.borrow(), keys(&[("a", 5), ("f", 15), ("f", 18), ("a", 6)]));
    assert_eq!(other.newest().await, keys(&[("a", 6), ("f", 18)]));
    one.close().await;
    other.close().await;
}

/// The log brings things twice and in any order: nobody goes back.
#[actix::test]
async fn what_the_log_brings_in_another_order_goes_nowhere_back() {
    let server = Postgres::start();
    let mut store = Opened::at(&url(&server)).await;
    // Each arrives when it was; so those before have arrived before the newest one's time.
    let now = |second| at_arrived("a", second, second, "");
    for batch in [vec![now(10)], vec![now(9), now(11)], vec![now(10)], vec![now(12), now(11)]] {
        store.tail.read(batch);
    }
    assert_eq!(*store.published.0.borrow(), keys(&[("a", 10), ("a", 11), ("a", 12)]));
    store.close().await;
}

/// Another database has taken the place of the one before, without what was committed there last.
#[actix::test]
async fn devices_that_the_database_has_lost_are_named_again() {
    let mut server = Postgres::start();
    let url = url(&server);
    let mut store = Opened::at(&url).await;
    store.commit(&[at("a", 1), at("b", 1)]).await;
    server.sql("DELETE FROM devices; DELETE FROM positions");
    server.stop();
    assert!(store.store.commit(&[at("a", 2)]).await.is_err());
    server.resume();
    assert_eq!(store.commit(&[at("a", 3)]).await, [New]);
    assert_eq!(store.commit(&[at("a", 4), at("b", 4)]).await, [New, New]);
    assert_eq!(Opened::at(&url).await.newest().await, keys(&[("a", 4), ("b", 4)]));
    store.close().await;
}

/// After a gap in the log everything newer is published, and nothing older.
#[actix::test]
async fn a_gap_is_filled_from_the_store() {
    let server = Postgres::start();
    let url = url(&server);
    let (mut one, mut other) = (Opened::at(&url).await, Opened::at(&url).await);
    one.commit(&[at("a", 5), at("b", 5), at_arrived("f", 99, 20, "")]).await;
    // Hears of nothing of it.
    other.commit(&[at("a", 4), at("b", 6)]).await;
    other.catch_up().await;
    assert_eq!(*other.published.0.borrow(), keys(&[("a", 4), ("b", 6), ("a", 5), ("f", 99)]));
    other.catch_up().await;
    assert_eq!(other.published.0.borrow().len(), 4);
    assert_eq!(other.store.devices(), 3);
    one.close().await;
    other.close().await;
}

#[actix::test]
async fn revocations_are_kept() {
    let server = Postgres::start();
    revoking::are_kept(&url(&server)).await;
    let row = server
        .sql("SELECT kind, revoked_at AT TIME ZONE 'UTC', until FROM revocations WHERE name LIKE 'ann%'");
    assert_eq!(row, "subject|2026-01-02 03:04:01|");
}

#[actix::test]
async fn revocations_of_the_same_thing_are_one() {
    revoking::of_the_same_thing_are_one(&url(&Postgres::start())).await;
}

#[actix::test]
async fn revocations_are_bounded() {
    let server = Postgres::start();
    let fill = async |count| {
        server.sql(&format!(
            "INSERT INTO revocations SELECT 'token', 't' || n, 'epoch', '2026-01-02T03:04:50Z' FROM generate_series(1, {count}) AS n"
        ));
    };
    revoking::are_bounded(&url(&server), fill).await;
}

#[actix::test]
async fn revocations_of_another_release_are_left_out() {
    let server = Postgres::start();
    let add = async || {
        server.sql(
            "INSERT INTO revocations VALUES ('device', 'a', 'epoch', NULL), ('topic', 'r', 'epoch', NULL)",
        );
    };
    revoking::of_another_release_are_left_out(&url(&server), add).await;
}

/// What one instance keeps is news to all, whichever commits when; and what is in the database that has taken the place of another.
#[actix::test]
async fn revocations_of_others_are_news() {
    let mut server = Postgres::start();
    let url = url(&server);
    let (mut one, mut other) = (Opened::at(&url).await, Opened::at(&url).await);
    let revocation =
        |name: String| Revocation { revoked: Revoked::Subject(name), revoked_at: second(1), until: None };
    let news =
        async |store: &mut Opened| store.store.revocations(second(2)).await.unwrap().map(|all| all.len());
    assert_eq!((news(&mut one).await, news(&mut other).await), (Some(0), Some(0)));
    // At the same time.
    for round in 0..20 {
        let (ann, bob) = (revocation(format!("a{round}")), revocation(format!("b{round}")));
        let (first, kept) =
            tokio::join!(one.store.revoke(&ann, second(2)), other.store.revoke(&bob, second(2)),);
        assert!(first.unwrap().is_some() && kept.unwrap().is_some());
        for store in [&mut one, &mut other] {
            assert_eq!((news(store).await, news(store).await), (Some(2 * round + 2), None));
        }
    }
    server.stop();
    assert!(one.store.revocations(second(2)).await.is_err());
    server.resume();
    assert_eq!((news(&mut one).await, news(&mut one).await), (Some(40), None));
    one.close().await;
    // Its connection was cut with the server.
    drop(other);
}

/// One that commits later than another, but began before, is news all the same.
#[actix::test]
async fn a_revocation_that_takes_long_to_commit_is_not_overlooked() {
    let server = Arc::new(Postgres::start());
    let url = url(&server);
    let (mut one, mut other) = (Opened::at(&url).await, Opened::at(&url).await);
    let slow = std::thread::spawn({
        let server = server.clone();
        move || {
            server.sql(
                "BEGIN; INSERT INTO revocations (kind, name, revoked_at) VALUES ('subject', 'slow', now());
                SELECT pg_sleep(1); COMMIT",
            )
        }
    });
    let began = Instant::now();
    while server.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") != "1" {
        assert!(began.elapsed() < PATIENCE, "nobody sleeps");
    }
    let revocation = Revocation { revoked: Revoked::Subject("b".into()), revoked_at: second(1), until: None };
    one.store.revoke(&revocation, second(2)).await.unwrap().unwrap();
    let mut known = other.store.revocations(second(2)).await.unwrap().unwrap().len();
    slow.join().unwrap();
    if let Some(news) = other.store.revocations(second(2)).await.unwrap() {
        known = news.len();
    }
    assert_eq!(known, 2);
    one.close().await;
    other.close().await;
}
