//! Redis is away, frozen, full, read-only: nobody waits, own positions are seen, and the newest go on when it is back.

use super::*;

#[actix::test]
async fn redis_ends_and_comes_back_empty() {
    let mut redis = RedisServer::start();
    let settings = settings(&redis.url(), &[]);
    let mut one = Instance::start(&settings, "one").await;
    let mut other = Instance::start(&settings, "other").await;
    in_time(one.append(&["a", "b"], 1)).await;
    other.sees("a", 1).await;
    redis.kill();
    for latitude in 2..20 {
        in_time(one.append(&["a", "b"], latitude)).await;
        // Its own clients need no log.
        one.sees("b", latitude).await;
    }
    in_time(other.append(&["c"], 7)).await;
    other.sees("c", 7).await;
    assert_eq!((one.metrics.log.up.get(), other.metrics.log.up.get()), (0, 0));
    assert_eq!(one.metrics.log.waiting.get(), 2);
    redis.start_again();
    one.is_up(1).await;
    one.sees_all().await;
    other.sees_all().await;
    // Merged while it was away: not one of those in between.
    assert!(other.positions().iter().all(|(_, latitude)| [1., 7., 19.].contains(latitude)));
    // The streams were made anew: something may have been missed.
    one.catches_up(1).await;
    other.catches_up(1).await;
    assert_eq!(one.metrics.log.waiting.get(), 0);
    assert!(one.metrics.log.reconnects.get() >= 1 && one.metrics.log.failures.get() >= 1);
    in_time(one.append(&["a"], 20)).await;
    other.sees("a", 20).await;
}

#[actix::test]
async fn a_frozen_redis_is_noticed_in_time_and_used_again() {
    let redis = RedisServer::start();
    let settings = settings(&redis.url(), &[]);
    let mut one = Instance::start(&settings, "one").await;
    let other = Instance::start(&settings, "other").await;
    in_time(one.append(&["a"], 1)).await;
    other.sees("a", 1).await;
    redis.freeze();
    let waiting: Vec<_> = (2..6).map(|latitude| one.append(&["a"], latitude)).collect();
    in_time(async { drop(futures_util::future::join_all(waiting).await) }).await;
    assert_eq!(one.metrics.log.up.get(), 0);
    let began = Instant::now();
    in_time(one.append(&["a"], 6)).await;
    assert!(began.elapsed() < TIMEOUT, "it waits though it knows better");
    one.sees("a", 6).await;
    // The other has nothing to append, but notices too, and so do both readers.
    other.is_up(0).await;
    let unreadable = |number| {
        let logs = [&one, &other].map(|instance| instance.metrics.log.clone());
        let what = format!("{number} readers that cannot read");
        async move { eventually(&what, || logs.iter().all(|log| log.unreadable.get() == number)).await }
    };
    let frozen = Instant::now();
    unreadable(1).await;
    // A second for the next entry, the timeout, and room for a machine that does much else.
    assert!(frozen.elapsed() < Duration::from_secs(1) + TIMEOUT * 3, "{:?}", frozen.elapsed());
    redis.thaw();
    unreadable(0).await;
    other.sees("a", 6).await;
    one.is_up(1).await;
    other.is_up(1).await;
    // Of the writer and of the reader.
    assert!(other.metrics.log.reconnects.get() >= 2);
}

#[actix::test]
async fn a_redis_that_takes_nothing_is_as_good_as_away() {
    let redis = RedisServer::start();
    let settings = settings(&redis.url(), &[]);
    let mut one = Instance::start(&settings, "one").await;
    let other = Instance::start(&settings, "other").await;
    let mut latitude = 0;
    let full = ["CONFIG", "SET", "maxmemory", "1"];
    let free = ["CONFIG", "SET", "maxmemory", "0"];
    for (break_it, mend_it) in
        [(full, free), (["REPLICAOF", "127.0.0.1", "1", ""], ["REPLICAOF", "NO", "ONE", ""])]
    {
        let words =
            |words: [&'static str; 4]| words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>();
        redis.cli(&words(break_it));
        for _ in 0..3 {
            latitude += 1;
            in_time(one.append(&["a"], latitude)).await;
        }
        one.sees("a", latitude).await;
        assert_eq!(one.metrics.log.up.get(), 0, "{break_it:?}");
        redis.cli(&words(mend_it));
        other.sees("a", latitude).await;
        one.is_up(1).await;
    }
}

#[actix::test]
async fn redis_is_away_at_the_start() {
    let mut redis = RedisServer::start();
    redis.kill();
    let settings = settings(&redis.url(), &[]);
    let mut one = Instance::start(&settings, "one").await;
    in_time(one.append(&["a"], 1)).await;
    one.sees("a", 1).await;
    assert_eq!((one.metrics.log.up.get(), one.seen.borrow().catch_ups), (0, 0));
    redis.start_again();
    one.is_up(1).await;
    one.catches_up(1).await;
    assert_eq!(redis.cli(&["XLEN", "processor:log:{0}"]), "1");
}

#[actix::test]
async fn what_waits_is_appended_in_parts_and_at_a_close() {
    let mut redis = RedisServer::start();
    let settings = settings(&redis.url(), &[]);
    let mut one = Instance::start(&settings, "one").await;
    in_time(one.append(&["a"], 1)).await;
    redis.kill();
    for latitude in [2, 3] {
        let positions = (0..9_000).map(|device| at(&device.to_string(), latitude)).collect();
        // Not `in_time`: a program that is not optimised takes long for so many.
        one.append_all(positions).await;
    }
    assert_eq!(one.metrics.log.waiting.get(), 9_000);
    redis.start_again();
    one.is_up(1).await;
    let log = one.metrics.log.clone();
    eventually("all to be appended", || log.waiting.get() == 0 && log.appended_positions.get() == 9_001)
        .await;
    assert!(redis.cli(&["XLEN", "processor:log:{0}"]).parse::<usize>().unwrap() >= 2);
    // What is read of it, its own tail knows; the streams were made anew, so it has caught up too.
    one.sees_all().await;
    redis.kill();
    in_time(one.append(&["z"], 4)).await;
    redis.start_again();
    in_time(one.log.close()).await;
    let entries = redis.cli(&["XRANGE", "processor:log:{0}", "-", "+"]);
    assert!(entries.contains(r#""device_id":"z""#), "{entries}");
}

#[actix::test]
async fn a_close_ends_in_time_though_redis_is_frozen() {
    let redis = RedisServer::start();
    let mut one = Instance::start(&settings(&redis.url(), &[]), "one").await;
    in_time(one.append(&["a"], 1)).await;
    redis.freeze();
    let append = one.append(&["a"], 2);
    in_time(one.log.close()).await;
    in_time(append).await;
    redis.thaw();
}
