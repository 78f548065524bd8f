//! Revocations in a single instance: stored, then published, then acknowledged; there after a restart.

use std::cell::RefCell;

use futures_util::future::{join, join_all};

use super::*;
use crate::domain::Revoked;
use crate::positions::store::tests::sqlite;
use crate::positions::{Revoke, RevokeError};

pub(super) fn of_subject(name: &str) -> Revocation {
    Revocation { revoked: Revoked::Subject(name.into()), revoked_at: now(), until: None }
}

impl Fixture {
    /// Puts a revocation into the consumer's mailbox at once; the future is the reply.
    fn revoke(&self, revocation: Revocation) -> impl Future<Output = Result<(), RevokeError>> + use<> {
        let reply = self.consumer.send(Revoke(revocation));
        async { reply.await.unwrap() }
    }
}

/// What a server that is started now knows.
async fn known(file: &Path) -> Vec<Revocation> {
    opened(&settings(file, 1), drop).await.revocations().to_vec()
}

#[actix::test]
async fn a_revocation_is_published_at_once_and_known_after_a_restart() {
    let fixture = Fixture::new(100).await;
    let [ann, mut bob] = ["ann", "bob"].map(of_subject);
    bob.until = Timestamp::from_millis(i64::from(i32::MAX) * 1000);
    let replies = [&ann, &bob, &ann].map(|one| fixture.revoke(one.clone()));
    for reply in replies {
        reply.await.unwrap();
    }
    let published = fixture.published.revocations();
    assert!(published.starts_with(&[ann.clone(), bob.clone(), ann.clone()]), "{published:?}");
    assert_eq!(fixture.metrics.revocations.get(), 3);
    fixture.stop().await;
    assert!(matches!(fixture.revoke(of_subject("eve")).await, Err(RevokeError::Stopping)));
    assert_eq!(known(&file_in(&fixture.folder)).await, [ann, bob]);
}

/// Looks, when it is given a revocation, whether it is in the file and acknowledged already.
struct RevocationWitness {
    file: PathBuf,
    is_acknowledged: Arc<Mutex<bool>>,
    saw: Arc<Mutex<Vec<(usize, bool)>>>,
}

impl Publish for RevocationWitness {
    fn publish(&self, _: Vec<(Position, Instant)>) {}

    fn revoked(&self, _: Vec<Revocation>) {
        let file = self.file.clone();
        // Another thread and connection, as another process would look; at a copy, as the file is in use.
        let read = || {
            actix::System::new().block_on(async move {
                let folder = tempfile::tempdir().unwrap();
                let copy = file_in(&folder);
                backup(&file, &copy).await.unwrap();
                known(&copy).await.len()
            })
        };
        let in_file = std::thread::spawn(read).join().unwrap();
        self.saw.lock().unwrap().push((in_file, *self.is_acknowledged.lock().unwrap()));
    }
}

#[actix::test]
async fn a_revocation_is_stored_then_published_then_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let is_acknowledged = Arc::<Mutex<bool>>::default();
    let saw = Arc::<Mutex<Vec<_>>>::default();
    let witness = RevocationWitness {
        file: file_in(&folder),
        is_acknowledged: is_acknowledged.clone(),
        saw: saw.clone(),
    };
    let (consumer, _) = start(&folder, 100, witness).await;
    consumer.send(Revoke(of_subject("ann"))).await.unwrap().unwrap();
    *is_acknowledged.lock().unwrap() = true;
    assert_eq!(saw.lock().unwrap()[0], (1, false));
}

#[actix::test]
async fn revocations_and_groups_of_positions_have_the_store_in_turn() {
    let fixture = Fixture::new(1_000_000).await;
    let order = RefCell::new(Vec::new());
    // Each as large as a commit may be. The first is under way when the rest comes.
    let posts: Vec<_> = (0..4)
        .map(|number| {
            let positions = (0..8192).map(|n| position(&format!("{number}-{n}"), 0)).collect();
            let reply = fixture.consumer.send(Submit(positions));
            let order = &order;
            async move {
                reply.await.unwrap().unwrap();
                order.borrow_mut().push("post");
            }
        })
        .collect();
    let revocations = ["ann", "bob"].map(|name| {
        let reply = fixture.revoke(of_subject(name));
        let order = &order;
        async move {
            reply.await.unwrap();
            order.borrow_mut().push("revocation");
        }
    });
    join(join_all(posts), join_all(revocations)).await;
    assert_eq!(*order.borrow(), ["post", "revocation", "post", "revocation", "post", "post"]);
}

#[actix::test]
async fn what_cannot_be_kept_or_holds_no_more_is_not_stored() {
    let fixture = Fixture::new(100).await;
    let mut past = of_subject("ann");
    past.until = Some(now());
    fixture.revoke(past).await.unwrap();
    let error = fixture.revoke(of_subject("")).await.unwrap_err();
    assert!(matches!(error, RevokeError::Name(_)), "{error}");
    let many: Vec<_> = (0..1100).map(|n| fixture.revoke(of_subject(&n.to_string()))).collect();
    let results = join_all(many).await;
    // One is under way, and so many wait.
    assert!(results[..=1024].iter().all(Result::is_ok));
    assert!(results[1025..].iter().all(|result| matches!(result, Err(RevokeError::Busy))));
    fixture.stop().await;
    assert_eq!(known(&file_in(&fixture.folder)).await.len(), 1025);
}

#[actix::test]
async fn more_than_can_be_kept_are_refused_and_positions_are_not() {
    let folder = tempfile::tempdir().unwrap();
    drop(opened(&settings(&file_in(&folder), 1), drop).await);
    let rows = "INSERT INTO revocations
        WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 100000) SELECT 'subject', n, 0, NULL FROM n";
    sqlite::run(&DatabaseUrl::Sqlite(file_in(&folder)), rows).await;
    let (consumer, metrics) = start(&folder, 100, Published::default()).await;
    let error = consumer.send(Revoke(of_subject("ann"))).await.unwrap().unwrap_err();
    assert!(matches!(error, RevokeError::Full) && error.to_string().contains("100000"), "{error}");
    assert_eq!((metrics.store_up.get(), metrics.store_errors.get(), metrics.revocations.get()), (1, 0, 0));
    // The same again is no more.
    consumer.send(Revoke(of_subject("7"))).await.unwrap().unwrap();
    consumer.send(Submit(vec![position("a", 0)])).await.unwrap().unwrap();
}

#[actix::test]
async fn a_store_that_is_away_is_told_and_the_next_revocation_works() {
    let fixture = Fixture::new(100).await;
    let (file, away) = (file_in(&fixture.folder), fixture.folder.path().join("away.db"));
    std::fs::rename(&file, &away).unwrap();
    let error = fixture.revoke(of_subject("ann")).await.unwrap_err();
    assert!(matches!(&error, RevokeError::Store(_)) && error.to_string().contains("positions.db"), "{error}");
    assert_eq!((fixture.metrics.store_up.get(), fixture.metrics.store_errors.get()), (0, 1));
    assert_eq!(fixture.published.revocations(), []);
    std::fs::rename(&away, &file).unwrap();
    fixture.revoke(of_subject("bob")).await.unwrap();
    assert_eq!((fixture.metrics.store_up.get(), fixture.metrics.revocations.get()), (1, 1));
    fixture.stop().await;
    assert_eq!(known(&file).await, [of_subject("bob")]);
}
