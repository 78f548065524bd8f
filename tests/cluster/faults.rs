//! Postgres and Redis stopped, frozen, slow, restarted, both at once: live clients stay, nothing acknowledged is lost, all
//! goes on by itself.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{delayed, eventually, eventually_within, time};
use crate::instances::Instances;
use crate::postgres::Postgres;
use crate::redis::RedisServer;
use crate::traffic::{EVENT, Traffic};
use crate::turn;
use crate::watcher::{State, Watcher, all_tell};

/// Long enough for every time-out that the instances have.
const LONG: Duration = Duration::from_secs(60);

/// Three instances under load with a client at each, which must stay connected.
struct Scene {
    instances: Instances,
    traffic: Traffic,
    watchers: Vec<Watcher>,
}

impl Scene {
    async fn new() -> Self {
        Self::of(Instances::start(3, &[])).await
    }

    async fn of(instances: Instances) -> Self {
        instances.ready().await;
        let mut watchers = Vec::new();
        for server in instances.all() {
            watchers.push(Watcher::connect(server.live, &[EVENT.to_owned()]).await);
        }
        let posts = instances.all().map(|server| server.ops).collect();
        let scene =
            Self { instances, traffic: Traffic::start(posts, 10, Duration::from_millis(10)), watchers };
        scene.posts_go_on().await;
        scene
    }

    /// Waits until many more posts were acknowledged.
    async fn posts_go_on(&self) {
        let before = self.traffic.count();
        eventually_within(LONG, "posts", async || self.traffic.count() > before + 100).await;
    }

    /// Waits until posts are refused.
    async fn posts_are_refused(&self) {
        let before = self.traffic.failed.get();
        eventually_within(LONG, "posts that are refused", async || self.traffic.failed.get() > before + 5)
            .await;
    }

    /// Waits until all instances say so of their readiness.
    async fn all_say(&self, status: u16, text: &str) {
        for server in self.instances.all() {
            eventually(&format!("{status} {text}"), async || {
                let (found, body) = server.get("/readyz").await;
                found == status && body.contains(text)
            })
            .await;
        }
    }

    /// Expects that everything goes on by itself, and that nothing was lost.
    async fn recovers(mut self) {
        self.all_say(200, r#"{"status":"ready"}"#).await;
        self.posts_go_on().await;
        self.traffic.stop().await;
        self.traffic.is_stored_in(&self.instances.postgres);
        let newest = self.traffic.newest();
        let addresses: Vec<_> = self.instances.all().map(|server| server.live).collect();
        all_tell(&addresses, &[EVENT.to_owned()], &newest).await;
        // The same connections as before.
        for watcher in &mut self.watchers {
            watcher.until(&newest).await;
            assert_eq!(watcher.state, newest);
        }
    }
}

#[actix::test]
async fn redis_is_stopped_and_comes_back_empty() {
    let _turn = turn().await;
    let mut scene = Scene::new().await;
    scene.instances.redis.kill();
    scene.all_say(200, r#""log":"away""#).await;
    // Posts go on, and each instance's own clients are told.
    scene.posts_go_on().await;
    scene.instances.redis.start_again();
    scene.recovers().await;
}

#[actix::test]
async fn redis_is_frozen() {
    let _turn = turn().await;
    let scene = Scene::new().await;
    scene.instances.redis.freeze();
    scene.all_say(200, r#""log":"away""#).await;
    scene.posts_go_on().await;
    scene.instances.redis.thaw();
    scene.recovers().await;
}

/// An instance acknowledges while Redis is away, and is killed before it could hand on what it took.
#[actix::test]
async fn what_waited_at_an_instance_that_died_reaches_the_others() {
    let _turn = turn().await;
    let mut instances = Instances::start(2, &[]);
    instances.ready().await;
    instances.redis.freeze();
    // From then on it sends nothing to Redis that would be read there later.
    for server in instances.all() {
        eventually("a log that is away", async || server.get("/readyz").await.1.contains(r#""log":"away""#))
            .await;
    }
    let position = json!({
        "device_id": "silent", "timestamp": time(7), "latitude": 1, "longitude": 2, "topics": [EVENT]
    });
    eventually("a post that does not wait for the log", async || {
        let began = Instant::now();
        instances.get(0).accept(&position).await;
        began.elapsed() < Duration::from_millis(250)
    })
    .await;
    instances.kill(0);
    instances.redis.thaw();
    let expected = State::from([("silent".to_owned(), 7)]);
    all_tell(&[instances.get(1).live], &[EVENT.to_owned()], &expected).await;
    assert!(instances.get(1).metric("processor_positions_log_catch_ups_total", "").await >= 1.0);
}

#[actix::test]
async fn postgres_is_stopped() {
    let _turn = turn().await;
    let mut scene = Scene::new().await;
    scene.instances.postgres.stop();
    scene.posts_are_refused().await;
    scene.all_say(503, "store failed").await;
    let before = scene.traffic.count();
    scene.posts_are_refused().await;
    assert_eq!(scene.traffic.count(), before, "acknowledged without a store");
    scene.instances.postgres.resume();
    scene.recovers().await;
}

#[actix::test]
async fn postgres_is_frozen() {
    let _turn = turn().await;
    let scene = Scene::new().await;
    scene.instances.postgres.freeze();
    scene.all_say(503, "store failed").await;
    scene.posts_are_refused().await;
    // Nobody waits for much longer than DATABASE_TIMEOUT_MS, here a second: who has waited for half a second behind one session is
    // taken by the other when the store is next checked, within a second, and has that time anew. (The rest is for the machine.)
    let server = scene.instances.get(0);
    for step in 0..5 {
        let began = Instant::now();
        let position = json!({ "device_id": "late", "timestamp": time(step), "latitude": 1, "longitude": 2 });
        assert_eq!(server.post(position.to_string()).await.0, 503);
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    }
    scene.instances.postgres.thaw();
    eventually("posts that are taken", async || {
        let position = json!({ "device_id": "late", "timestamp": time(9), "latitude": 1, "longitude": 2 });
        server.post(position.to_string()).await.0 == 200
    })
    .await;
    scene.instances.postgres.sql("DELETE FROM positions WHERE device_id = 'late'");
    scene.recovers().await;
}

#[actix::test]
async fn both_are_stopped_at_once() {
    let _turn = turn().await;
    let mut scene = Scene::new().await;
    scene.instances.redis.kill();
    scene.instances.postgres.stop();
    scene.all_say(503, "store failed").await;
    scene.posts_are_refused().await;
    scene.instances.postgres.resume();
    // The store alone is enough to go on.
    scene.all_say(200, r#""log":"away""#).await;
    scene.posts_go_on().await;
    scene.instances.redis.start_again();
    scene.recovers().await;
}

#[actix::test]
async fn both_are_frozen_at_once() {
    let _turn = turn().await;
    let scene = Scene::new().await;
    scene.instances.redis.freeze();
    scene.instances.postgres.freeze();
    scene.all_say(503, "store failed").await;
    scene.instances.redis.thaw();
    scene.instances.postgres.thaw();
    scene.recovers().await;
}

/// Slower than usual, but not away: nothing fails, and no queue grows.
#[actix::test]
async fn both_are_slow() {
    let _turn = turn().await;
    let (postgres, redis) = (Postgres::start(), RedisServer::start());
    let far = Duration::from_millis(40);
    let slow_postgres = delayed(([127, 0, 0, 1], postgres.port()).into(), far).await;
    let slow_redis = delayed(([127, 0, 0, 1], redis.port()).into(), far).await;
    let joined = [
        ("DATABASE_URL", postgres.url_through(slow_postgres.port())),
        ("REDIS_URL", format!("redis://{slow_redis}")),
        ("DATABASE_TIMEOUT_MS", "10000".to_owned()),
        ("POSITIONS_LOG_TIMEOUT_MS", "10000".to_owned()),
    ];
    let instances =
        tokio::task::spawn_blocking(move || Instances::over(postgres, redis, 3, joined.into_iter(), &[]));
    let scene = Scene::of(instances.await.unwrap()).await;
    for _ in 0..3 {
        scene.posts_go_on().await;
        for server in scene.instances.all() {
            // Ten devices that wait for their answers.
            assert!(server.metric("processor_positions_waiting", "").await <= 10.0);
            assert!(server.metric("processor_positions_log_waiting_positions", "").await <= 10.0);
            assert_eq!(server.metric("processor_store_errors_total", "").await, 0.0);
        }
    }
    assert_eq!(scene.traffic.failed.get(), 0);
    scene.recovers().await;
}
