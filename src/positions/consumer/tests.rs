//! Unit tests of `consumer`, over the real store and a fake `Publish`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use actix::Addr;
use tempfile::TempDir;

use super::*;
use crate::domain::{Position, Revocation};
use crate::metrics::Metrics;
use crate::positions::group::Reply;
use crate::positions::store::backup;
use crate::settings::{DatabaseUrl, Settings};

mod revoking;
mod sessions;
mod shared;

/// The server's clock in these tests: 2026-01-02T03:04:05.678Z.
const NOW_MS: i64 = 1_767_323_045_678;

fn now() -> Timestamp {
    Timestamp::from_millis(NOW_MS).unwrap()
}

/// Where a device was, so many milliseconds before or after now.
fn position(device: &str, millis: i64) -> Position {
    let timestamp = Timestamp::from_millis(NOW_MS + millis).unwrap();
    let json = format!(r#"{{"device_id":"{device}","timestamp":"{timestamp}","latitude":1,"longitude":2}}"#);
    Position::from_json(&json, now()).unwrap()
}

/// Device and time, as in [`position`].
type Key = (String, i64);

fn key(position: &Position) -> Key {
    (position.device_id.to_string(), position.timestamp.as_millis() - NOW_MS)
}

fn keys(expected: &[(&str, i64)]) -> Vec<Key> {
    expected.iter().map(|(device, millis)| ((*device).to_owned(), *millis)).collect()
}

/// Remembers what was published.
#[derive(Clone, Default)]
struct Published(Arc<Mutex<Vec<Key>>>, Arc<Mutex<Vec<Revocation>>>);

impl Published {
    fn keys(&self) -> Vec<Key> {
        self.0.lock().unwrap().clone()
    }

    fn revocations(&self) -> Vec<Revocation> {
        self.1.lock().unwrap().clone()
    }
}

impl Publish for Published {
    fn publish(&self, positions: Vec<(Position, Instant)>) {
        self.0.lock().unwrap().extend(positions.iter().map(|(position, _)| key(position)));
    }

    fn revoked(&self, revocations: Vec<Revocation>) {
        self.1.lock().unwrap().extend(revocations);
    }
}

/// A consumer over a store in a folder of its own.
struct Fixture {
    folder: TempDir,
    consumer: Addr<Consumer>,
    metrics: Arc<PositionsMetrics>,
    published: Published,
}

fn file_in(folder: &TempDir) -> PathBuf {
    folder.path().join("positions.db")
}

fn settings(file: &Path, max_waiting: usize) -> PositionsSettings {
    let database = DatabaseUrl::Sqlite(file.to_owned());
    PositionsSettings { database, database_timeout: Duration::from_secs(5), max_waiting }
}

async fn opened(settings: &PositionsSettings, each: impl FnMut(Position)) -> Opened {
    let log = Settings::from(Path::new("none"), HashMap::new()).unwrap().log;
    let metrics = Metrics::new("test").unwrap().log;
    Opened::load(settings, &log, "test", metrics, each).await.unwrap()
}

async fn start(
    folder: &TempDir,
    max_waiting: usize,
    publish: impl Publish,
) -> (Addr<Consumer>, Arc<PositionsMetrics>) {
    let metrics = Metrics::new("test").unwrap().positions;
    let settings = settings(&file_in(folder), max_waiting);
    let opened = opened(&settings, drop).await;
    let consumer = Consumer::new(opened, &settings, metrics.clone(), publish).with_clock(now);
    (consumer.start(), metrics)
}

impl Fixture {
    async fn new(max_waiting: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let published = Published::default();
        let (consumer, metrics) = start(&folder, max_waiting, published.clone()).await;
        Self { folder, consumer, metrics, published }
    }

    /// Puts positions into the consumer's mailbox at once; the future is the reply.
    fn submit(&self, positions: &[(&str, i64)]) -> impl Future<Output = Result<Stored, SubmitError>> + use<> {
        let positions = positions.iter().map(|(device, millis)| position(device, *millis)).collect();
        let reply = self.consumer.send(Submit(positions));
        async { reply.await.unwrap() }
    }

    async fn stop(&self) {
        self.consumer.send(Stop).await.unwrap();
    }

    /// The newest position of each device, read from the file.
    async fn stored(&self) -> Vec<Key> {
        stored(&file_in(&self.folder)).await
    }
}

/// The same, read from a copy, as the file is in use.
async fn stored(file: &Path) -> Vec<Key> {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    backup(file, &copy).await.unwrap();
    let mut found = Vec::new();
    opened(&settings(&copy, 1), |position| found.push(key(&position))).await;
    found
}

const ALL_NEW: Stored = Stored { late: 0, repeated: 0 };

#[actix::test]
async fn what_comes_during_a_commit_is_committed_together() {
    let fixture = Fixture::new(100).await;
    let replies = ["a", "b", "c", "d", "e"].map(|device| fixture.submit(&[(device, 0)]));
    for reply in replies {
        assert_eq!(reply.await.unwrap(), ALL_NEW);
    }
    // The first alone, as the store was free, and the other four.
    let commits = &fixture.metrics.commit_positions;
    assert_eq!((commits.get_sample_count(), commits.get_sample_sum()), (2, 5.0));
    assert_eq!(fixture.metrics.accepted.get(), 5);
    assert_eq!(fixture.metrics.waiting.get(), 0);
    assert_eq!(fixture.metrics.devices.get(), 5);
    let expected = keys(&[("a", 0), ("b", 0), ("c", 0), ("d", 0), ("e", 0)]);
    assert_eq!(fixture.published.keys(), expected);
    assert_eq!(fixture.stored().await, expected);
}

#[actix::test]
async fn late_and_repeated_ones_are_told_to_whoever_submitted_them_and_not_published() {
    let fixture = Fixture::new(100).await;
    // Alone, so that the three others are one group.
    let first = fixture.submit(&[("a", -50)]);
    let late = fixture.submit(&[("a", -60), ("a", -70), ("b", -10)]);
    let repeated = fixture.submit(&[("a", -50), ("c", -10)]);
    let new = fixture.submit(&[("a", -40), ("b", -20)]);
    assert_eq!(first.await.unwrap(), ALL_NEW);
    assert_eq!(late.await.unwrap(), Stored { late: 2, repeated: 0 });
    assert_eq!(repeated.await.unwrap(), Stored { late: 0, repeated: 1 });
    assert_eq!(new.await.unwrap(), ALL_NEW);
    assert_eq!(fixture.metrics.commit_positions.get_sample_count(), 2);
    assert_eq!((fixture.metrics.late.get(), fixture.metrics.repeated.get()), (2, 1));
    // In the order in which they count, whoever submitted them.
    let expected = keys(&[("a", -50), ("a", -40), ("b", -20), ("b", -10), ("c", -10)]);
    assert_eq!(fixture.published.keys(), expected);
}

#[actix::test]
async fn a_position_from_the_future_hides_none_that_follow() {
    let fixture = Fixture::new(100).await;
    assert_eq!(fixture.submit(&[("a", 3_600_000)]).await.unwrap(), ALL_NEW);
    // The clock of these tests stands still, so this counts as of the same moment but has the smaller timestamp.
    assert_eq!(fixture.submit(&[("a", -1)]).await.unwrap(), Stored { late: 1, repeated: 0 });
    assert_eq!(fixture.submit(&[("a", 3_600_001)]).await.unwrap(), ALL_NEW);
    assert_eq!(fixture.published.keys(), keys(&[("a", 3_600_000), ("a", 3_600_001)]));
    let a_minute_later = || Timestamp::from_millis(NOW_MS + 60_000).unwrap();
    fixture.consumer.send(SetClock(a_minute_later)).await.unwrap();
    assert_eq!(fixture.submit(&[("a", 59_000)]).await.unwrap(), ALL_NEW);
}

#[derive(Message)]
#[rtype(result = "()")]
struct SetClock(fn() -> Timestamp);

impl Handler<SetClock> for Consumer {
    type Result = ();

    fn handle(&mut self, SetClock(clock): SetClock, _: &mut Self::Context) {
        self.clock = clock;
    }
}

/// A submission whose reply the test holds.
#[derive(Message)]
#[rtype(result = "()")]
struct SubmitWith(Vec<Position>, Reply);

impl Handler<SubmitWith> for Consumer {
    type Result = ();

    fn handle(&mut self, SubmitWith(positions, reply): SubmitWith, ctx: &mut Self::Context) {
        self.backlog.push(Submission { positions, received: Instant::now(), arrival: now(), reply });
        self.go_on(ctx);
    }
}

/// Looks, when it is given positions, what is in the file and whether they are acknowledged already.
struct Witness {
    file: PathBuf,
    reply: Mutex<oneshot::Receiver<Result<Stored, SubmitError>>>,
    saw: Arc<Mutex<Vec<Seen>>>,
}

/// What was in the file, and whether the positions were acknowledged.
type Seen = (Vec<Key>, bool);

impl Publish for Witness {
    fn publish(&self, _: Vec<(Position, Instant)>) {
        let is_acknowledged =
            self.reply.lock().unwrap().try_recv() != Err(oneshot::error::TryRecvError::Empty);
        let file = self.file.clone();
        // Another thread and connection, as another process would look.
        let read = || actix::System::new().block_on(async move { stored(&file).await });
        let in_file = std::thread::spawn(read).join().unwrap();
        self.saw.lock().unwrap().push((in_file, is_acknowledged));
    }

    fn revoked(&self, _: Vec<Revocation>) {}
}

/// For [`Witness`]: errors of the store cannot be compared.
impl PartialEq for SubmitError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

#[actix::test]
async fn positions_are_stored_then_published_then_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (reply, receiver) = oneshot::channel();
    let saw = Arc::<Mutex<Vec<Seen>>>::default();
    let witness = Witness { file: file_in(&folder), reply: Mutex::new(receiver), saw: saw.clone() };
    let (consumer, _) = start(&folder, 100, witness).await;
    consumer.send(SubmitWith(vec![position("a", 0)], reply)).await.unwrap();
    // Committed after it, so both are done with when it is answered.
    consumer.send(Submit(vec![position("b", -9)])).await.unwrap().unwrap();
    assert_eq!(saw.lock().unwrap()[0], (keys(&[("a", 0)]), false));
}

#[actix::test]
async fn one_submission_is_taken_however_large_and_no_more_than_may_wait() {
    let fixture = Fixture::new(2).await;
    let large = fixture.submit(&[("a", 0), ("b", 0), ("c", 0)]);
    let refused = fixture.submit(&[("d", 0)]);
    let nothing = fixture.submit(&[]);
    assert!(matches!(refused.await, Err(SubmitError::Full)));
    assert_eq!(nothing.await.unwrap(), ALL_NEW);
    assert_eq!(large.await.unwrap(), ALL_NEW);
    // It is gone, so there is room for two again.
    let (one, other, refused) =
        (fixture.submit(&[("d", 0)]), fixture.submit(&[("e", 0)]), fixture.submit(&[("f", 0)]));
    assert!(matches!(refused.await, Err(SubmitError::Full)));
    assert_eq!((one.await.unwrap(), other.await.unwrap()), (ALL_NEW, ALL_NEW));
    assert_eq!(fixture.stored().await.len(), 5);
}

#[actix::test]
async fn a_stop_ends_what_was_submitted_and_takes_nothing_more() {
    let fixture = Fixture::new(100).await;
    let (one, other) = (fixture.submit(&[("a", 0)]), fixture.submit(&[("b", 0)]));
    let stop = fixture.consumer.send(Stop);
    let late = fixture.submit(&[("c", 0)]);
    assert!(matches!(late.await, Err(SubmitError::Stopping)));
    stop.await.unwrap();
    assert_eq!((one.await.unwrap(), other.await.unwrap()), (ALL_NEW, ALL_NEW));
    // Closed: the log was moved into the file.
    let log = fixture.folder.path().join("positions.db-wal");
    assert!(!log.exists());
    assert!(matches!(fixture.submit(&[("d", 0)]).await, Err(SubmitError::Stopping)));
    fixture.stop().await;
    assert_eq!(fixture.stored().await, keys(&[("a", 0), ("b", 0)]));
    assert_eq!(fixture.published.keys(), keys(&[("a", 0), ("b", 0)]));
}

#[actix::test]
async fn a_failed_commit_is_told_to_its_whole_group_and_the_next_one_works() {
    let fixture = Fixture::new(100).await;
    fixture.submit(&[("a", -90)]).await.unwrap();
    let file = file_in(&fixture.folder);
    let away = fixture.folder.path().join("away.db");
    std::fs::rename(&file, &away).unwrap();
    let replies = [("a", -80), ("b", -80), ("c", -80)].map(|one| fixture.submit(&[one]));
    for reply in replies {
        let error = reply.await.unwrap_err();
        let SubmitError::Store(reason) = &error else { panic!("{error}") };
        // Whoever posts is not told where it is.
        assert!(reason.to_string().contains("positions.db"), "{reason}");
        assert!(!error.to_string().contains("positions.db"), "{error}");
    }
    // One error of the first, alone, and one of the two others.
    assert_eq!(fixture.metrics.store_errors.get(), 2);
    assert_eq!((fixture.metrics.store_up.get(), fixture.metrics.waiting.get()), (0, 0));
    assert_eq!(fixture.published.keys(), keys(&[("a", -90)]));
    std::fs::rename(&away, &file).unwrap();
    // New, not late or repeated: the order of the devices is as if the failed ones had never come.
    assert_eq!(fixture.submit(&[("a", -80), ("b", -85)]).await.unwrap(), ALL_NEW);
    assert_eq!((fixture.metrics.store_up.get(), fixture.metrics.accepted.get()), (1, 3));
    assert_eq!(fixture.published.keys(), keys(&[("a", -90), ("b", -85), ("a", -80)]));
    fixture.stop().await;
    assert_eq!(fixture.stored().await, keys(&[("a", -80), ("b", -85)]));
}

impl Fixture {
    /// Waits until the store works, or does not. The consumer's time is paused, so it passes at once.
    async fn store_is(&self, works: bool) {
        let began = Instant::now();
        while self.metrics.store_up.get() != i64::from(works) {
            assert!(began.elapsed() < Duration::from_secs(30), "waited for {works}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[actix::test]
async fn a_store_that_goes_away_is_noticed_and_opened_again_though_nobody_submits() {
    let fixture = Fixture::new(100).await;
    let (file, away) = (file_in(&fixture.folder), fixture.folder.path().join("away.db"));
    tokio::time::pause();
    for errors in [1, 2] {
        std::fs::rename(&file, &away).unwrap();
        fixture.store_is(false).await;
        assert_eq!(fixture.metrics.store_errors.get(), errors);
        std::fs::rename(&away, &file).unwrap();
        fixture.store_is(true).await;
    }
    assert_eq!(fixture.submit(&[("a", 0)]).await.unwrap(), ALL_NEW);
}

#[actix::test]
async fn a_file_in_the_place_of_the_store_is_not_taken_for_it() {
    let fixture = Fixture::new(100).await;
    fixture.submit(&[("a", 0)]).await.unwrap();
    let (file, copy) = (file_in(&fixture.folder), fixture.folder.path().join("copy.db"));
    std::fs::copy(&file, &copy).unwrap();
    std::fs::rename(&copy, &file).unwrap();
    assert!(matches!(fixture.submit(&[("b", 0)]).await, Err(SubmitError::Store(_))));
    assert_eq!((fixture.metrics.store_errors.get(), fixture.metrics.store_up.get()), (1, 0));
}
