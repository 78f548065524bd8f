//! Two sessions with the real Postgres: what waits for one is not held up by the other. A row that another client is about to store holds up
//! whoever stores the same.

use actix::spawn;
use tokio::task::JoinHandle;

use super::shared::{Instance, Servers};
use super::*;
use crate::positions::eventually::{PATIENCE, eventually};
use crate::positions::store::server::Held;

type Submitted = JoinHandle<Result<Stored, SubmitError>>;

impl Servers {
    fn hold(&self, device: &str) -> Held {
        self.postgres.hold(&format!(
            "INSERT INTO positions (device_id, timestamp, latitude, longitude)
            VALUES ('{device}', '2026-01-02T03:04:05.678Z', 1, 2)"
        ))
    }

    /// Ends a session.
    fn end(&self, session: &str) {
        self.postgres.sql_elsewhere(&format!("SELECT pg_terminate_backend({session})"));
    }

    /// Waits until so many commits are held up.
    async fn held_up(&self, commits: usize) {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        eventually("held up", || self.postgres.sql(waiting) == commits.to_string()).await;
    }

    /// The processes of the instance's sessions, the first one's first.
    fn sessions(&self) -> Vec<String> {
        let sessions =
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'processor' ORDER BY backend_start";
        self.postgres.sql(sessions).lines().map(str::to_owned).collect()
    }
}

impl Instance {
    fn submit(&self, positions: Vec<Position>) -> Submitted {
        let reply = self.consumer.send(Submit(positions));
        spawn(async { reply.await.unwrap() })
    }

    /// So many positions of as many devices, and one more.
    fn submit_many(&self, count: usize, more: Position) -> Submitted {
        let many = (0..count).map(|number| position(&format!("b{number}"), 0));
        self.submit(many.chain([more]).collect())
    }
}

#[actix::test]
async fn much_that_waits_is_committed_beside_a_commit_that_waits() {
    let servers = Servers::start();
    let one = servers.instance_that_waits("one", PATIENCE).await;
    let held = servers.hold("slow");
    let first = one.submit(vec![position("slow", 0), position("moves", 0)]);
    servers.held_up(1).await;
    // That of a device that is in both is the newer one.
    let many = one.submit_many(1000, position("moves", 10));
    assert_eq!(many.await.unwrap().unwrap(), Stored::default());
    eventually("to be published", || one.published.keys().len() == 1001).await;
    // Few go beside it when they have waited for long.
    let few = one.submit(vec![position("a", 0)]);
    assert_eq!(few.await.unwrap().unwrap(), Stored::default());
    assert!(!first.is_finished());
    drop(held);
    assert_eq!(first.await.unwrap().unwrap(), Stored { late: 1, repeated: 0 });
    eventually("to be published", || one.published.keys().len() == 1003).await;
    let published = one.published.keys();
    let moves: Vec<_> = published.iter().filter(|(device, _)| device == "moves").collect();
    assert_eq!(moves, [&("moves".to_owned(), 10)]);
    assert_eq!(servers.postgres.sql("SELECT count(*) FROM positions"), "1004");
}

#[actix::test]
async fn a_stop_waits_for_both() {
    let servers = Servers::start();
    let one = servers.instance_that_waits("one", PATIENCE).await;
    let held = ["slow", "slower"].map(|device| servers.hold(device));
    let first = one.submit(vec![position("slow", 0)]);
    servers.held_up(1).await;
    let many = one.submit_many(1000, position("slower", 0));
    servers.held_up(2).await;
    let [slow, slower] = held;
    drop(slow);
    first.await.unwrap().unwrap();
    // The first one is idle.
    let stop = one.consumer.send(Stop);
    let stopped = spawn(stop);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!stopped.is_finished());
    drop(slower);
    assert_eq!(many.await.unwrap().unwrap(), Stored::default());
    stopped.await.unwrap().unwrap();
    assert_eq!(servers.postgres.sql("SELECT count(*) FROM positions"), "1002");
    eventually("both to have ended", || servers.sessions().is_empty()).await;
}

#[actix::test]
async fn one_that_takes_too_long_holds_up_no_other() {
    let servers = Servers::start();
    let one = servers.instance_that_waits("one", Duration::from_secs(6)).await;
    let held = servers.hold("slow");
    let first = one.submit(vec![position("slow", 0)]);
    servers.held_up(1).await;
    one.submit_many(1000, position("c", 0)).await.unwrap().unwrap();
    // It waits for neither when the first one is given up.
    let mut few = Vec::new();
    for number in 0.. {
        few.push(one.submit(vec![position(&format!("a{number}"), 0)]));
        if first.is_finished() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(matches!(first.await.unwrap(), Err(SubmitError::Store(_))));
    for one in few {
        assert_eq!(one.await.unwrap().unwrap(), Stored::default());
    }
    assert_eq!((one.metrics.positions.store_up.get(), one.metrics.positions.store_errors.get()), (1, 1));
    drop(held);
    one.submit(vec![position("slow", 0)]).await.unwrap().unwrap();
}

#[actix::test]
async fn a_connection_that_has_ended_is_found_before_it_is_needed() {
    let servers = Servers::start();
    let one = servers.instance_that_waits("one", PATIENCE).await;
    // Those that it has only while it starts have ended then.
    eventually("two sessions", || servers.sessions().len() == 2).await;
    servers.postgres.sql(&format!("SELECT pg_terminate_backend({})", servers.sessions()[1]));
    let metrics = &one.metrics.positions;
    eventually("a check", || {
        assert_eq!(metrics.store_up.get(), 1);
        metrics.store_errors.get() == 1
    })
    .await;
    // It rests until the next check, and is used then.
    let held = servers.hold("slow");
    let first = one.submit(vec![position("slow", 0)]);
    servers.held_up(1).await;
    one.submit_many(1000, position("c", 0)).await.unwrap().unwrap();
    assert_eq!((metrics.store_up.get(), metrics.store_errors.get()), (1, 1));
    drop(held);
    first.await.unwrap().unwrap();
}

#[actix::test]
async fn a_commit_that_fails_beside_the_first_refuses_what_it_had_and_nothing_else() {
    let servers = Servers::start();
    let one = servers.instance_that_waits("one", PATIENCE).await;
    eventually("two sessions", || servers.sessions().len() == 2).await;
    let second = servers.sessions().remove(1);
    let [slow, slower] = ["slow", "slower"].map(|device| servers.hold(device));
    let first = one.submit(vec![position("slow", 0)]);
    servers.held_up(1).await;
    let many = one.submit_many(1000, position("slower", 0));
    servers.held_up(2).await;
    servers.postgres.sql(&format!("SELECT pg_terminate_backend({second})"));
    assert!(matches!(many.await.unwrap(), Err(SubmitError::Store(_))));
    assert_eq!(one.published.keys(), []);
    assert!(!first.is_finished());
    drop(slower);
    // It works again at the next check, while the first one is still held up.
    one.submit_many(1000, position("slower", 0)).await.unwrap().unwrap();
    let metrics = &one.metrics.positions;
    assert_eq!((metrics.store_up.get(), metrics.store_errors.get()), (1, 1));
    drop(slow);
    first.await.unwrap().unwrap();
    assert_eq!(servers.postgres.sql("SELECT count(*) FROM positions"), "1002");
}

/// Another session takes the place of a first that has ended and cannot connect again.
async fn takes_its_place(servers: &Servers, one: &Instance, let_connect: impl Fn(bool)) {
    eventually("two sessions", || servers.sessions().len() == 2).await;
    let (first, metrics) = (servers.sessions().remove(0), &one.metrics.positions);
    let_connect(false);
    servers.end(&first);
    eventually("a check", || {
        assert_eq!(metrics.store_up.get(), 1);
        metrics.store_errors.get() == 1
    })
    .await;
    // Few go to the first one only, and so do revocations.
    for number in 0..100 {
        one.submit(vec![position(&format!("a{number}"), 0)]).await.unwrap().unwrap();
    }
    one.revoke("ann").await;
    tokio::time::sleep(2 * CHECK_EVERY).await;
    one.submit(vec![position("b", 0)]).await.unwrap().unwrap();
    assert_eq!((metrics.store_up.get(), metrics.store_errors.get()), (1, 1));
    let_connect(true);
    eventually("two sessions again", || servers.sessions().len() == 2).await;
}

#[actix::test]
async fn another_takes_the_place_of_a_first_that_cannot_connect_again() {
    let servers = Servers::start();
    let one = servers.instance("one").await;
    takes_its_place(&servers, &one, |may| servers.postgres.let_connect(may)).await;
}

#[actix::test]
async fn another_takes_the_place_of_a_first_where_there_are_too_many_connections() {
    let servers = Servers::start();
    servers.postgres.sql("CREATE ROLE app LOGIN; ALTER DATABASE postgres OWNER TO app");
    let url = servers.postgres.url().replace("processor:", "app:");
    let one = servers.instance_at(&url, "one", PATIENCE).await;
    takes_its_place(&servers, &one, |may| {
        let limit = if may { -1 } else { 1 };
        servers.postgres.sql(&format!("ALTER ROLE app CONNECTION LIMIT {limit}"));
    })
    .await;
}

#[actix::test]
async fn a_first_that_cannot_connect_again_refuses_nothing_while_the_other_is_busy() {
    let servers = Servers::start();
    let one = servers.instance_that_waits("one", PATIENCE).await;
    eventually("two sessions", || servers.sessions().len() == 2).await;
    let (session, metrics) = (servers.sessions().remove(0), &one.metrics.positions);
    let [slow, slower] = ["slow", "slower"].map(|device| servers.hold(device));
    let first = one.submit(vec![position("slow", 0)]);
    servers.held_up(1).await;
    let many = one.submit_many(1000, position("slower", 0));
    servers.held_up(2).await;
    drop(slow);
    first.await.unwrap().unwrap();
    servers.postgres.let_connect(false);
    servers.end(&session);
    eventually("a check", || metrics.store_errors.get() == 1).await;
    let few = one.submit(vec![position("a", 0)]);
    tokio::time::sleep(2 * CHECK_EVERY).await;
    assert!(!few.is_finished());
    drop(slower);
    many.await.unwrap().unwrap();
    few.await.unwrap().unwrap();
    eventually("the store to work", || metrics.store_up.get() == 1).await;
    servers.postgres.let_connect(true);
}

#[actix::test]
async fn one_that_could_not_store_works_again_when_it_has_stored() {
    let servers = Servers::start();
    let one = servers.instance("one").await;
    let metrics = &one.metrics.positions;
    servers.postgres.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'no space left on device' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON positions FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    for number in 0..3 {
        let refused = one.submit(vec![position(&format!("a{number}"), 0)]).await.unwrap();
        assert!(matches!(refused, Err(SubmitError::Store(_))));
        assert_eq!(metrics.store_up.get(), 0);
    }
    // Checks succeed, as they store nothing.
    let began = Instant::now();
    while began.elapsed() < 3 * CHECK_EVERY {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(metrics.store_up.get(), 0);
    }
    servers.postgres.sql("DROP TRIGGER refuse ON positions");
    one.submit(vec![position("b", 0)]).await.unwrap().unwrap();
    assert_eq!((metrics.store_up.get(), metrics.store_errors.get()), (1, 3));
}

#[actix::test]
async fn where_postgres_is_away_for_both_that_is_told_and_a_stop_ends() {
    let servers = Servers::start();
    let one = servers.instance("one").await;
    one.submit_many(1000, position("c", 0)).await.unwrap().unwrap();
    servers.postgres.freeze();
    let first = one.submit(vec![position("a", 0)]);
    eventually("the store to be down", || one.metrics.positions.store_up.get() == 0).await;
    assert!(matches!(first.await.unwrap(), Err(SubmitError::Store(_))));
    let waits = one.submit_many(1000, position("d", 0));
    let stopped = tokio::time::timeout(PATIENCE, one.consumer.send(Stop)).await;
    stopped.unwrap().unwrap();
    assert!(waits.await.unwrap().is_err());
    servers.postgres.thaw();
}
