//! What is appended at one instance is read at all, in order.

use super::*;

#[actix::test]
async fn every_instance_reads_what_any_appends_in_the_order_of_each_device() {
    let redis = RedisServer::start();
    let settings = settings(&redis.url(), &[("POSITIONS_LOG_SHARDS", "3")]);
    let mut one = Instance::start(&settings, "one").await;
    let mut other = Instance::start(&settings, "other").await;
    let devices = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for latitude in 0..40 {
        let appender = if latitude % 2 == 0 { &mut one } else { &mut other };
        in_time(appender.append(&devices, latitude)).await;
    }
    for instance in [&one, &other] {
        for device in devices {
            instance.sees(device, 39).await;
            let seen = instance.positions();
            let latitudes = seen.iter().filter(|(one, _)| one == device).map(|(_, latitude)| *latitude);
            assert!(latitudes.eq((0..40).map(f64::from)), "{device}: {seen:?}");
        }
        assert_eq!(instance.seen.borrow().catch_ups, 0);
    }
    let [mine, its] = [&one, &other].map(|instance| &instance.metrics.log);
    assert_eq!((mine.appended_positions.get(), mine.read_positions.get()), (160, 320));
    assert_eq!(mine.appended_entries.get() + its.appended_entries.get(), mine.read_entries.get());
    // One entry for each group and stream that has some of it.
    assert!(mine.appended_entries.get() <= 60);
    assert_eq!(
        (mine.lag.get_sample_count(), mine.waiting.get(), mine.up.get()),
        (mine.read_entries.get(), 0, 1)
    );
    assert_eq!(redis.cli(&["EXISTS", "processor:log:{0}", "processor:log:{1}", "processor:log:{2}"]), "3");
}

#[actix::test]
async fn groups_that_wait_go_out_together_and_in_order() {
    let redis = RedisServer::start();
    let mut one = Instance::start(&settings(&redis.url(), &[]), "one").await;
    let appends: Vec<_> = (0..50).map(|latitude| one.append(&["a"], latitude)).collect();
    in_time(async { drop(futures_util::future::join_all(appends).await) }).await;
    one.sees("a", 49).await;
    assert!(one.positions().iter().map(|(_, latitude)| *latitude).eq((0..50).map(f64::from)));
    assert_eq!(redis.cli(&["XLEN", "processor:log:{0}"]), "50");
}

#[actix::test]
async fn what_was_appended_after_the_ends_were_noted_is_read_at_the_start() {
    let redis = RedisServer::start();
    let settings = settings(&redis.url(), &[]);
    let mut one = Instance::start(&settings, "one").await;
    in_time(one.append(&["a"], 1)).await;
    let (mut later, metrics) = prepared(&settings, "later");
    later.note_ends().await;
    in_time(one.append(&["a"], 2)).await;
    let later = run(later, metrics, Seen::default());
    later.sees("a", 2).await;
    assert_eq!(later.positions(), [("a".to_owned(), 2.0)]);
    assert_eq!(later.seen.borrow().catch_ups, 0);
}

#[actix::test]
async fn entries_of_another_version_and_broken_ones_are_skipped_and_counted() {
    let redis = RedisServer::start();
    let settings = settings(&redis.url(), &[]);
    let mut one = Instance::start(&settings, "one").await;
    let add = |fields: &[&str]| redis.cli(&[&["XADD", "processor:log:{0}", "*"], fields].concat());
    add(&["v", "2", "cbor", "whatever"]);
    add(&["v", "1", "json", "{"]);
    add(&["nonsense\u{ff}", "\u{ff}"]);
    let position = r#"{"device_id":"a","timestamp":1767323045001,"latitude":1,"longitude":2,"arrival":1767323045001,"later":1}"#;
    add(&["v", "1", "later", "1", "json", &format!(r#"{{"later":1,"positions":[{position}]}}"#)]);
    one.sees("a", 1).await;
    in_time(one.append(&["a"], 2)).await;
    one.sees("a", 2).await;
    let skipped = |reason| one.metrics.log.skipped.with_label_values(&[reason]).get();
    assert_eq!((skipped("version"), skipped("broken")), (1, 2));
    assert_eq!(one.metrics.log.read_entries.get(), 2);
}

#[actix::test]
async fn a_close_appends_what_waits() {
    let redis = RedisServer::start();
    let mut one = Instance::start(&settings(&redis.url(), &[]), "one").await;
    let appends: Vec<_> = (0..9).map(|latitude| one.append(&["a"], latitude)).collect();
    in_time(one.log.close()).await;
    assert_eq!(redis.cli(&["XLEN", "processor:log:{0}"]), "9");
    in_time(async { drop(futures_util::future::join_all(appends).await) }).await;
    // What comes too late waits for nobody.
    in_time(one.append(&["a"], 10)).await;
}

#[actix::test]
async fn a_user_with_few_rights_and_another_database_will_do() {
    let redis = RedisServer::start();
    let rights = ["+xadd", "+xread", "+xinfo|stream", "+exists", "+select"];
    redis.cli(&[&["ACL", "SETUSER", "log", "on", ">pw", "~processor:log:*"], &rights[..]].concat());
    let settings = settings(&format!("redis://log:pw@127.0.0.1:{}/3", redis.port()), &[]);
    let mut one = Instance::start(&settings, "one").await;
    in_time(one.append(&["a"], 1)).await;
    one.sees("a", 1).await;
    assert_eq!((one.metrics.log.up.get(), one.metrics.log.read_entries.get()), (1, 1));
    assert_eq!(redis.cli(&["-n", "3", "EXISTS", "processor:log:{0}"]), "1");
}

#[actix::test]
async fn passwords_are_needed_and_not_told() {
    let redis = RedisServer::start_with(&["--requirepass", "p@ss,word"]);
    let url = |password: &str| format!("redis://:{password}@127.0.0.1:{}", redis.port());
    let right = settings(&url("p%40ss%2Cword"), &[]);
    let mut one = Instance::start(&right, "one").await;
    in_time(one.append(&["a"], 1)).await;
    one.sees("a", 1).await;
    let wrong = settings(&url("wr%40ng"), &[]);
    let servers = wrong.redis.unwrap();
    let redis = crate::positions::redis::Redis::new(&servers, TIMEOUT).unwrap();
    let error = redis.connect().await.map(drop).unwrap_err();
    let told = format!("{redis} {redis:?} {error} {error:?} {servers} {servers:?}");
    assert!(
        matches!(error, RedisError::Redis(_)) && !told.contains("wr@ng") && !told.contains("wr%40ng"),
        "{told}"
    );
}
