//! What was acknowledged is there after a restart, also after `kill -9`.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::harness::{PATIENCE, Server, eventually, folder, http, position, post, post_over, sql, time};

#[actix::test]
async fn a_restart_keeps_the_latest_positions() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let mut full = position("1", 2, 2.0);
    full["topics"] = json!(["event:e"]);
    full["attributes"] = json!({ "n": 1 });
    server.accept(&json!([position("1", 1, 1.0), full, position("2", 1, 1.0)])).await;
    let before = server.client().await.subscribe("event:e").await;
    server.stop();
    let server = Server::start(folder.path(), &[]);
    server.logged("store ready with 2 devices");
    let mut client = server.client().await;
    assert_eq!(client.subscribe("event:e").await, before);
    assert_eq!(client.subscribe("device:2").await["snapshot"][0]["timestamp"], time(1));
    // What was there before is neither sent again nor stored again.
    server.accept(&json!([position("1", 2, 9.0), position("1", 1, 9.0), position("2", 2, 2.0)])).await;
    assert_eq!(client.json().await["device_id"], "2");
    let again = server.client().await.subscribe("device:1").await;
    assert_eq!(again["snapshot"][0]["latitude"], 2.0);
}

#[actix::test]
async fn kill_9_loses_nothing_that_was_answered_200() {
    const POSTERS: u64 = 8;
    const ROUNDS: u64 = 50;
    let folder = folder();
    let mut acknowledged: HashMap<u64, u64> = HashMap::new();
    for round in 0..ROUNDS {
        let mut server = Server::start(folder.path(), &[]);
        let ops = server.ops;
        let count = Rc::new(Cell::new(0));
        let posters: Vec<_> = (0..POSTERS)
            .map(|poster| {
                let from = acknowledged.get(&poster).copied().unwrap_or(0);
                let count = count.clone();
                actix::spawn(async move {
                    let (client, url) = (http(), format!("http://{ops}/positions"));
                    let mut last = from;
                    loop {
                        let body = position(&poster.to_string(), last + 1, 1.0).to_string();
                        match post_over(&client, &url, &[], body).await {
                            Ok((200, _)) => {
                                last += 1;
                                count.set(count.get() + 1);
                            }
                            _ => return last,
                        }
                    }
                })
            })
            .collect();
        // In the middle of it, at another moment each time.
        eventually("some posts", async || count.get() > round).await;
        server.signal(Signal::SIGKILL);
        server.ended(PATIENCE);
        for (poster, last) in futures_util::future::join_all(posters).await.into_iter().enumerate() {
            acknowledged.insert(poster as u64, last.unwrap());
        }
    }
    assert!(acknowledged.values().sum::<u64>() > ROUNDS, "hardly anything was posted: {acknowledged:?}");
    // Every acknowledged position is there, once: read with another program than the one that wrote.
    let server = Server::start(folder.path(), &[]);
    for (poster, last) in &acknowledged {
        let snapshot = server.client().await.subscribe(&format!("device:{poster}")).await;
        let latest = snapshot["snapshot"][0]["timestamp"].as_str().unwrap_or_default().to_owned();
        // One more may have been stored whose response was lost with the process.
        assert!([time(*last), time(last + 1)].contains(&latest), "{poster}: {latest} is not {last}");
    }
    server.stop();
    let count = "select device_id, count(*), max(timestamp) - min(timestamp) + 1 from positions group by 1";
    let rows = sql(&folder.path().join("data/positions.db"), &[count]);
    assert_eq!(rows.lines().count(), POSTERS as usize, "{rows}");
    for row in rows.lines() {
        let numbers: Vec<u64> = row.split(' ').map(|part| part.parse().unwrap()).collect();
        let [poster, count, span] = numbers[..] else { panic!("{row}") };
        assert_eq!(count, span, "device {poster} has gaps");
        assert!(count >= acknowledged[&poster], "device {poster}: {count} of {}", acknowledged[&poster]);
    }
}

#[actix::test]
async fn a_post_in_flight_when_it_is_told_to_stop_is_answered() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &[]);
    let ops = server.ops;
    let posts: Vec<_> = (0..50)
        .map(|number| {
            actix::spawn(
                async move { post(ops, &[], position(&number.to_string(), 1, 1.0).to_string()).await.0 },
            )
        })
        .collect();
    let first = posts.into_iter().collect::<futures_util::stream::FuturesUnordered<_>>();
    use futures_util::StreamExt as _;
    let mut responses = first;
    assert_eq!(responses.next().await.unwrap().unwrap(), 200);
    server.signal(Signal::SIGTERM);
    let mut stored = 1;
    while let Some(response) = responses.next().await {
        // One that came too late may find the door closed; none is left hanging.
        stored += usize::from(response.is_ok_and(|status| status == 200));
    }
    assert_eq!(server.ended(PATIENCE).code(), Some(0));
    let server = Server::start(folder.path(), &[]);
    let line = server.logged("store ready with ");
    let devices: usize = line.split("with ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(devices >= stored, "{devices} of {stored}");
}

/// Runs a command of the binary in `folder`; its exit code and all it printed.
fn run(folder: &std::path::Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = crate::harness::command(folder, &[]).args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[actix::test]
async fn a_backup_made_while_positions_come_in_is_whole_and_can_be_put_back() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let acknowledged = Cell::new(0);
    let posting = async {
        for millis in 1..=400 {
            server.accept(&position("1", millis, 1.0)).await;
            acknowledged.set(millis);
        }
    };
    let backup = async {
        eventually("some positions", async || acknowledged.get() > 50).await;
        let before = acknowledged.get();
        let folder = folder.path().to_owned();
        let made = actix::spawn(async move {
            tokio::task::spawn_blocking(move || run(&folder, &["backup", "copy.db"])).await.unwrap()
        });
        let (code, text) = made.await.unwrap();
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains("data/positions.db written to copy.db"), "{text}");
        before
    };
    let ((), before) = tokio::join!(posting, backup);
    let (code, text) = run(folder.path(), &["backup", "copy.db"]);
    assert!(code == Some(1) && text.contains("copy.db exists already"), "{text}");
    let copy = folder.path().join("copy.db");
    assert_eq!(sql(&copy, &["pragma integrity_check"]), "ok\n");
    let count: u64 = sql(&copy, &["select count(*) from positions"]).trim().parse().unwrap();
    assert!((before..=400).contains(&count), "{count} of {before}");
    // Not under a server's feet.
    let (code, text) = run(folder.path(), &["restore", "copy.db"]);
    assert!(code == Some(1) && text.contains("another process uses it"), "{text}");
    server.accept(&position("1", 1000, 1.0)).await;
    let mut server = server;
    server.signal(Signal::SIGKILL);
    server.ended(PATIENCE);
    // Beside the log that a kill leaves, which belongs to the old file.
    assert!(folder.path().join("data/positions.db-wal").exists());
    let (code, text) = run(folder.path(), &["restore", "copy.db"]);
    assert!(code == Some(0) && text.contains("what was there is now"), "{text}");
    let server = Server::start(folder.path(), &[]);
    let snapshot = server.client().await.subscribe("device:1").await;
    assert_eq!(snapshot["snapshot"][0]["timestamp"], time(count));
    server.accept(&position("1", 2000, 1.0)).await;
    server.stop();
    // The old one is whole under its new name.
    let kept = text.trim().rsplit(' ').next().unwrap();
    let (code, text) = run(folder.path(), &["restore", kept]);
    assert_eq!(code, Some(0), "{text}");
    let server = Server::start(folder.path(), &[]);
    let snapshot = server.client().await.subscribe("device:1").await;
    assert_eq!(snapshot["snapshot"][0]["timestamp"], time(1000));
}

#[actix::test]
async fn a_restore_takes_only_a_whole_store_and_leaves_what_there_is_otherwise() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    server.accept(&position("1", 1, 1.0)).await;
    server.stop();
    std::fs::write(folder.path().join("nonsense"), "x".repeat(10_000)).unwrap();
    std::fs::write(folder.path().join("empty"), "").unwrap();
    let store = std::fs::read(folder.path().join("data/positions.db")).unwrap();
    std::fs::write(folder.path().join("cut"), &store[..store.len() - 4096]).unwrap();
    for (source, why) in [
        ("nonsense", "is not a whole store"),
        ("empty", "is empty"),
        ("nowhere", "is gone"),
        ("cut", "is not a whole store"),
    ] {
        let (code, text) = run(folder.path(), &["restore", source]);
        assert!(code == Some(1) && text.contains(why), "{source}: {text}");
    }
    assert_eq!(std::fs::read(folder.path().join("data/positions.db")).unwrap(), store);
    let server = Server::start(folder.path(), &[]);
    let snapshot = server.client().await.subscribe("device:1").await;
    assert_eq!(snapshot["snapshot"][0]["timestamp"], time(1));
}
