//! Revocations go through the log to all instances, or to this one alone while it is away.

use super::*;
use crate::domain::Revoked;

fn of_subject(name: &str) -> Revocation {
    let revoked_at = Timestamp::from_millis(1_767_323_045_000).unwrap();
    Revocation { revoked: Revoked::Subject(name.into()), revoked_at, until: None }
}

impl Instance {
    async fn is_told(&self, revocations: &[Revocation]) {
        let are_there = || self.seen.borrow().revocations == revocations;
        eventually(&format!("{revocations:?}"), are_there).await;
    }
}

#[actix::test]
async fn all_instances_are_told_in_order_beside_positions() {
    let redis = RedisServer::start();
    let settings = settings(&redis.url(), &[("POSITIONS_LOG_SHARDS", "3")]);
    let mut one = Instance::start(&settings, "one").await;
    let other = Instance::start(&settings, "other").await;
    let all = ["ann", "bob", "eve"].map(of_subject);
    let position = one.append(&["a"], 1);
    let revoke: Vec<_> = all.iter().map(|revocation| one.log.revoke(revocation.clone())).collect();
    in_time(async { drop(futures_util::future::join_all(revoke).await) }).await;
    in_time(position).await;
    for instance in [&one, &other] {
        instance.is_told(&all).await;
        instance.sees("a", 1).await;
        assert_eq!(instance.metrics.log.read_revocations.get(), 3);
    }
    // They are in the first stream, as entries that hold no position.
    let entries = redis.cli(&["XRANGE", "processor:log:{0}", "-", "+"]);
    assert!(entries.contains(r#""positions":[],"revocations":[{"kind":"subject","name":"ann""#), "{entries}");
    assert_eq!(one.metrics.log.skipped.with_label_values(&["broken"]).get(), 0);
}

#[actix::test]
async fn an_instance_is_told_of_its_own_while_the_log_is_away_and_nobody_waits() {
    let mut redis = RedisServer::start();
    let settings = settings(&redis.url(), &[]);
    let mut one = Instance::start(&settings, "one").await;
    let other = Instance::start(&settings, "other").await;
    redis.kill();
    let all = ["ann", "bob"].map(of_subject);
    for (number, revocation) in all.iter().enumerate() {
        in_time(one.log.revoke(revocation.clone())).await;
        one.is_told(&all[..=number]).await;
        assert_eq!(one.metrics.log.up.get(), 0);
    }
    redis.start_again();
    one.is_up(1).await;
    in_time(one.log.revoke(of_subject("eve"))).await;
    // The store has what it has missed.
    other.is_told(&[of_subject("eve")]).await;
}

#[actix::test]
async fn what_waits_at_a_close_is_appended() {
    let redis = RedisServer::start();
    let settings = settings(&redis.url(), &[]);
    let mut one = Instance::start(&settings, "one").await;
    let other = Instance::start(&settings, "other").await;
    let revoke = one.log.revoke(of_subject("ann"));
    in_time(one.log.close()).await;
    in_time(revoke).await;
    other.is_told(&[of_subject("ann")]).await;
    // What comes too late waits for nobody.
    in_time(one.log.revoke(of_subject("bob"))).await;
}
