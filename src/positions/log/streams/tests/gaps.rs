//! Entries that are gone before they were read: the newest positions come from the store.

use super::*;

/// So many entries make Redis trim a stream that keeps 100 (it does so by nodes of 100).
const MORE_THAN_KEPT: u32 = 400;

async fn append_many(instance: &mut Instance, from: u32) {
    let appends: Vec<_> =
        (from..from + MORE_THAN_KEPT).map(|n| instance.append(&[&format!("d{n}")], 1)).collect();
    futures_util::future::join_all(appends).await;
}

#[actix::test]
async fn entries_trimmed_before_the_reader_began_are_caught_up() {
    let redis = RedisServer::start();
    let settings = settings(&redis.url(), &[("POSITIONS_LOG_MAX_ENTRIES", "100")]);
    let mut one = Instance::start(&settings, "one").await;
    in_time(one.append(&["a"], 1)).await;
    let (mut late, metrics) = prepared(&settings, "late");
    late.note_ends().await;
    append_many(&mut one, 0).await;
    // It fails twice at first.
    let late = run(late, metrics, Seen { failures: 2, ..Seen::default() });
    late.catches_up(3).await;
    assert_eq!(late.metrics.log.catch_ups.get(), 1);
    in_time(one.append(&["a"], 2)).await;
    late.sees_all().await;
    // It went on from the end: of what was still there, it read nothing.
    assert_eq!(late.metrics.log.read_positions.get(), 1);
}

#[actix::test]
async fn entries_trimmed_while_the_tail_is_slow_are_caught_up() {
    let redis = RedisServer::start();
    let settings = settings(&redis.url(), &[("POSITIONS_LOG_MAX_ENTRIES", "100")]);
    let (mut slow, metrics) = prepared(&settings, "slow");
    slow.note_ends().await;
    let mut slow = run(slow, metrics, Seen { slow: Duration::from_millis(5), ..Seen::default() });
    // Its tail holds up the thread that appends too, so another program appends.
    let position = |n: u32| {
        format!(
            r#"{{"positions":[{{"device_id":"d{n}","timestamp":1767323045001,"latitude":1,"longitude":2,"arrival":1}}]}}"#
        )
    };
    let commands: String = (0..3000)
        .map(|n| format!("XADD processor:log:{{0}} MAXLEN ~ 100 * v 1 json '{}'\n", position(n)))
        .collect();
    let port = redis.port();
    let feed = std::thread::spawn(move || {
        let mut cli = std::process::Command::new("redis-cli")
            .args(["-p", &port.to_string()])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut cli.stdin.take().unwrap(), commands.as_bytes()).unwrap();
        assert!(cli.wait().unwrap().success());
    });
    slow.catches_up(1).await;
    feed.join().unwrap();
    in_time(slow.append(&["a"], 9)).await;
    slow.sees("a", 9).await;
    assert!(slow.positions().len() < 3000);
}

#[actix::test]
async fn a_reader_that_was_behind_but_missed_nothing_does_not_catch_up() {
    let redis = RedisServer::start();
    let settings = settings(&redis.url(), &[]);
    let mut one = Instance::start(&settings, "one").await;
    let (mut late, metrics) = prepared(&settings, "late");
    late.note_ends().await;
    append_many(&mut one, 0).await;
    let late = run(late, metrics, Seen::default());
    late.sees(&format!("d{}", MORE_THAN_KEPT - 1), 1).await;
    in_time(one.append(&["a"], 2)).await;
    late.sees("a", 2).await;
    assert_eq!((late.positions().len(), late.seen.borrow().catch_ups), (MORE_THAN_KEPT as usize + 1, 0));
}

#[actix::test]
async fn a_connection_that_is_cut_goes_on_where_it_was() {
    let redis = RedisServer::start();
    let settings = settings(&redis.url(), &[]);
    let mut one = Instance::start(&settings, "one").await;
    let other = Instance::start(&settings, "other").await;
    for latitude in 1..10 {
        redis.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        in_time(one.append(&["a"], latitude)).await;
    }
    other.sees("a", 9).await;
    assert!(other.positions().iter().map(|(_, latitude)| *latitude).eq((1..10).map(f64::from)));
    assert_eq!(other.seen.borrow().catch_ups, 0);
    // Connected again at once, without a word.
    assert_eq!(one.metrics.log.failures.get(), 0);
    assert!(other.metrics.log.reconnects.get() >= 1);
}

#[actix::test]
async fn a_stream_that_was_deleted_is_noticed_by_who_connects_again() {
    let redis = RedisServer::start();
    let settings = settings(&redis.url(), &[]);
    let mut one = Instance::start(&settings, "one").await;
    in_time(one.append(&["a"], 1)).await;
    one.sees("a", 1).await;
    redis.cli(&["DEL", "processor:log:{0}"]);
    redis.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    one.catches_up(1).await;
    in_time(one.append(&["a"], 2)).await;
    one.sees("a", 2).await;
}
