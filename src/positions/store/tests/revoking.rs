//! What a store promises of revocations, run against each kind of store.

use super::*;
use crate::domain::{Revocation, Revoked, TopicPattern};

fn revocation(revoked: Revoked, revoked_at: i64, until: Option<i64>) -> Revocation {
    Revocation { revoked, revoked_at: second(revoked_at), until: until.map(second) }
}

fn of_subject(name: &str, revoked_at: i64, until: Option<i64>) -> Revocation {
    revocation(Revoked::Subject(name.into()), revoked_at, until)
}

fn topic(text: &str) -> Revoked {
    Revoked::Topic(TopicPattern::parse(text).unwrap())
}

impl Opened {
    /// Revokes at second 5.
    async fn revoke(&mut self, revocation: &Revocation) -> Option<Revocation> {
        self.store.revoke(revocation, second(5)).await.unwrap()
    }

    /// News at a second.
    async fn news(&mut self, at: i64) -> Option<Vec<Revocation>> {
        let mut found = self.store.revocations(second(at)).await.unwrap();
        if let Some(found) = &mut found {
            found.sort_by_key(|revocation| format!("{revocation:?}"));
        }
        found
    }
}

/// Whatever is revoked is read back, also after a restart, until it holds no more.
pub(super) async fn are_kept(url: &DatabaseUrl) {
    let mut store = Opened::at(url).await;
    assert_eq!(store.news(0).await, Some(vec![]));
    assert_eq!(store.news(0).await, None);
    let all = [
        of_subject("ann \"ä';--", 1, None),
        of_subject("bob", 1, Some(10)),
        // The same name is something else.
        revocation(Revoked::Token("bob".into()), 2, Some(20)),
        revocation(topic("area:1,2,3,4.5"), 3, None),
        revocation(topic("event:r*"), 4, Some(30)),
    ];
    for one in &all {
        assert_eq!(store.revoke(one).await.as_ref(), Some(one));
    }
    let expected = async |store: &mut Opened| {
        let mut sorted = all.clone();
        sorted.sort_by_key(|revocation| format!("{revocation:?}"));
        assert_eq!(store.news(9).await, Some(sorted.to_vec()));
        assert_eq!(store.news(9).await, None);
    };
    expected(&mut store).await;
    store.close().await;
    let mut store = Opened::at(url).await;
    expected(&mut store).await;
    // Positions are no news.
    store.commit(&[at("a", 1)]).await;
    assert_eq!(store.news(9).await, None);
    store.close().await;
    let mut store = Opened::at(url).await;
    let at_ten = store.news(10).await.unwrap();
    assert_eq!(at_ten.len(), 4);
    assert!(!at_ten.contains(&all[1]));
    store.store.check().await.unwrap();
    store.close().await;
}

/// In whatever order two of the same thing come, what is kept holds for what either holds for; and each is news.
pub(super) async fn of_the_same_thing_are_one(url: &DatabaseUrl) {
    let mut store = Opened::at(url).await;
    store.news(0).await;
    let mut told = async |revocation: &Revocation, expected: &Revocation| {
        assert_eq!(store.revoke(revocation).await.as_ref(), Some(expected));
        assert_eq!(store.news(6).await, Some(vec![expected.clone()]));
    };
    let first = of_subject("ann", 2, Some(20));
    told(&first, &first).await;
    told(&first, &first).await;
    let later = of_subject("ann", 3, Some(30));
    told(&later, &later).await;
    told(&first, &later).await;
    // Later, but until before: there may be tokens of between.
    told(&of_subject("ann", 4, Some(10)), &of_subject("ann", 4, Some(30))).await;
    told(&of_subject("ann", 1, None), &of_subject("ann", 4, None)).await;
    told(&of_subject("ann", 4, Some(40)), &of_subject("ann", 4, None)).await;
    store.close().await;
}

/// So many are kept, and no more, until some hold no more. `fill` puts in as many as there can be but one, until second 50.
pub(super) async fn are_bounded(url: &DatabaseUrl, fill: impl AsyncFnOnce(usize)) {
    let mut store = Opened::at(url).await;
    fill(MAX_REVOCATIONS - 1).await;
    let ann = of_subject("ann", 1, None);
    assert_eq!(store.revoke(&ann).await, Some(ann));
    assert_eq!(store.revoke(&of_subject("bob", 1, None)).await, None);
    // One that is there may take the place of itself.
    let again = of_subject("ann", 2, None);
    assert_eq!(store.revoke(&again).await.as_ref(), Some(&again));
    assert_eq!(store.news(49).await.unwrap().len(), MAX_REVOCATIONS);
    // Those that hold no more are gone.
    let bob = of_subject("bob", 1, None);
    assert_eq!(store.store.revoke(&bob, second(50)).await.unwrap().as_ref(), Some(&bob));
    assert_eq!(store.news(0).await, Some(vec![again, bob]));
    store.close().await;
}

/// Rows that this release cannot read are left out, the others are not.
pub(super) async fn of_another_release_are_left_out(url: &DatabaseUrl, add: impl AsyncFnOnce()) {
    let mut store = Opened::at(url).await;
    let ann = of_subject("ann", 1, None);
    store.revoke(&ann).await;
    add().await;
    store.close().await;
    assert_eq!(Opened::at(url).await.news(1).await, Some(vec![ann]));
}
