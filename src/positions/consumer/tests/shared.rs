//! Revocations with several instances over the real Postgres and Redis: made at one, published by the other.

use super::revoking::of_subject;
use super::*;
use crate::positions::eventually::eventually;
use crate::positions::redis::server::RedisServer;
use crate::positions::store::server::Postgres;
use crate::positions::{Revoke, RevokeError};
use crate::settings::{LogSettings, Secret};

/// How often each instance asks the store, and as long again for a machine that does much else.
const SOON: Duration = Duration::from_secs(2);

/// Of the log and of the store in these tests.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Postgres and Redis, which the instances of a test share.
pub(super) struct Servers {
    pub(super) postgres: Postgres,
    redis: RedisServer,
}

/// One instance.
pub(super) struct Instance {
    pub(super) consumer: Addr<Consumer>,
    pub(super) published: Published,
    pub(super) metrics: Metrics,
    /// What it knew when it started.
    known: Vec<Revocation>,
}

impl Servers {
    pub(super) fn start() -> Self {
        Self { postgres: Postgres::start(), redis: RedisServer::start() }
    }

    fn log(&self) -> LogSettings {
        let values = [
            ("DATABASE_URL", "postgres://unused".to_owned()),
            ("REDIS_URL", self.redis.url()),
            ("POSITIONS_LOG_TIMEOUT_MS", TIMEOUT.as_millis().to_string()),
        ];
        let values = values.map(|(name, value)| (name.to_owned(), value)).into();
        Settings::from(Path::new("none"), values).unwrap().log
    }

    pub(super) async fn instance(&self, name: &str) -> Instance {
        self.instance_that_waits(name, 4 * TIMEOUT).await
    }

    /// One that waits for so long for Postgres.
    pub(super) async fn instance_that_waits(&self, name: &str, database_timeout: Duration) -> Instance {
        self.instance_at(&self.postgres.url(), name, database_timeout).await
    }

    /// One that connects in its own way.
    pub(super) async fn instance_at(&self, url: &str, name: &str, database_timeout: Duration) -> Instance {
        let database = DatabaseUrl::Postgres(Secret::new(url));
        let settings = PositionsSettings { database, database_timeout, max_waiting: 10_000 };
        let metrics = Metrics::new(name).unwrap();
        let opened = Opened::load(&settings, &self.log(), name, metrics.log.clone(), drop).await.unwrap();
        let (known, published) = (opened.revocations().to_vec(), Published::default());
        let consumer = Consumer::new(opened, &settings, metrics.positions.clone(), published.clone()).start();
        Instance { consumer, published, metrics, known }
    }
}

impl Instance {
    pub(super) async fn revoke(&self, name: &str) {
        self.consumer.send(Revoke(of_subject(name))).await.unwrap().unwrap();
    }

    fn is_told(&self, name: &str) -> bool {
        self.published.revocations().contains(&of_subject(name))
    }

    /// Waits until it has published the revocation of this subject. Returns how long that took.
    async fn publishes(&self, name: &str) -> Duration {
        let began = Instant::now();
        eventually(name, || self.is_told(name)).await;
        began.elapsed()
    }

    async fn log_is_up(&self, up: i64) {
        eventually("the log", || self.metrics.log.up.get() == up).await;
    }
}

#[actix::test]
async fn what_is_revoked_at_one_is_published_by_all_at_once_and_known_to_those_that_start() {
    let servers = Servers::start();
    let (one, other) = (servers.instance("one").await, servers.instance("other").await);
    assert_eq!((one.known.len(), other.known.len()), (0, 0));
    one.log_is_up(1).await;
    one.revoke("ann").await;
    assert!(other.publishes("ann").await < SOON);
    other.revoke("bob").await;
    one.publishes("bob").await;
    one.publishes("ann").await;
    // By the log, both: there is an entry each.
    assert_eq!(servers.redis.cli(&["XLEN", "processor:log:{0}"]), "2");
    eventually("both to be read", || one.metrics.log.read_revocations.get() == 2).await;
    let later = servers.instance("later").await;
    assert_eq!(later.known.len(), 2);
    // After a restart.
    one.consumer.send(Stop).await.unwrap();
    let mut known = servers.instance("one").await.known;
    known.sort_by_key(|revocation| format!("{revocation:?}"));
    assert_eq!(known, ["ann", "bob"].map(of_subject));
}

#[actix::test]
async fn without_redis_revocations_come_by_the_store() {
    let mut servers = Servers::start();
    let (one, other) = (servers.instance("one").await, servers.instance("other").await);
    one.revoke("ann").await;
    other.publishes("ann").await;
    // Frozen, so that nobody knows yet that it is away.
    servers.redis.freeze();
    one.revoke("bob").await;
    let took = other.publishes("bob").await;
    assert!(took < SOON, "{took:?}");
    assert!(one.is_told("bob"));
    servers.redis.thaw();
    servers.redis.kill();
    one.log_is_up(0).await;
    one.revoke("eve").await;
    assert!(one.publishes("eve").await < SOON);
    let took = other.publishes("eve").await;
    assert!(took < SOON, "{took:?}");
    // It comes back empty, and is used again.
    servers.redis.start_again();
    one.log_is_up(1).await;
    one.revoke("joe").await;
    other.publishes("joe").await;
    assert_eq!(servers.redis.cli(&["XLEN", "processor:log:{0}"]), "1");
}

/// An entry of the log may be lost: trimmed, or with a Redis that took it and ended.
#[actix::test]
async fn what_the_log_has_lost_comes_by_the_store() {
    let servers = Servers::start();
    let other = servers.instance("other").await;
    // As one does that has stored it, and ends before it has handed it on.
    servers.postgres.sql(
        "INSERT INTO revocations (kind, name, revoked_at) VALUES ('subject', 'ann', '2026-01-02T03:04:05.678Z')",
    );
    let took = other.publishes("ann").await;
    assert!(took < SOON, "{took:?}");
    assert_eq!(other.metrics.log.read_revocations.get(), 0);
}

/// The store is never idle when it is to be checked.
#[actix::test]
async fn revocations_come_by_the_store_under_load() {
    let servers = Servers::start();
    let other = servers.instance("other").await;
    let consumer = other.consumer.clone();
    let load = async |number: i64| {
        for turn in 0.. {
            let device = format!("{number}-{turn}");
            consumer.send(Submit(vec![position(&device, 0)])).await.unwrap().unwrap();
        }
    };
    let told = async {
        for name in ["ann", "bob"] {
            let row = format!("('subject', '{name}', '2026-01-02T03:04:05.678Z')");
            servers.postgres.sql(&format!("INSERT INTO revocations (kind, name, revoked_at) VALUES {row}"));
            let took = other.publishes(name).await;
            assert!(took < 2 * SOON, "{took:?}");
        }
    };
    tokio::select! {
        () = told => {}
        _ = futures_util::future::join(load(1), load(2)) => unreachable!("it has no end"),
    }
}

#[actix::test]
async fn without_postgres_nothing_is_revoked_and_that_is_told() {
    let mut servers = Servers::start();
    let (one, other) = (servers.instance("one").await, servers.instance("other").await);
    servers.postgres.freeze();
    let began = Instant::now();
    let replies = ["ann", "bob"].map(|name| one.consumer.send(Revoke(of_subject(name))));
    for reply in replies {
        let error = reply.await.unwrap().unwrap_err();
        assert!(matches!(&error, RevokeError::Store(_)) && error.to_string().contains("2000 ms"), "{error}");
    }
    // Both together, and a check that was under way before.
    assert!(began.elapsed() < 3 * 4 * TIMEOUT, "{:?}", began.elapsed());
    servers.postgres.thaw();
    servers.postgres.stop();
    let error = one.consumer.send(Revoke(of_subject("eve"))).await.unwrap().unwrap_err();
    assert!(matches!(error, RevokeError::Store(_)), "{error}");
    assert!(!one.is_told("eve") && !other.is_told("eve"));
    servers.postgres.resume();
    one.revoke("joe").await;
    other.publishes("joe").await;
}
