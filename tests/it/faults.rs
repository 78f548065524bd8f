//! Faults of the server's own parts: the store, the descriptors.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::harness::header::{FIN, PING, PONG};
use crate::harness::{
    Lock, PATIENCE, Raw, Server, command, eventually, folder, http, limited, position, post_over, sql,
};

#[actix::test]
async fn a_locked_store_refuses_posts_keeps_clients_and_recovers_by_itself() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let mut client = server.client().await;
    client.subscribe("device:1").await;
    server.accept(&position("1", 1, 1.0)).await;
    client.json().await;
    let lock = Lock::take(&folder.path().join("data/positions.db"));
    let (status, response) = server.post(position("1", 2, 1.0).to_string()).await;
    assert_eq!((status, &response["error"]), (503, &json!("not-stored")));
    assert_eq!(server.get("/readyz").await, (503, r#"{"status":"store failed"}"#.into()));
    assert_eq!(server.get("/healthz").await.0, 200);
    // The reason is the operator's.
    assert!(!response.to_string().contains("locked"), "{response}");
    assert!(server.logged("the store failed").contains("locked"));
    assert_eq!(server.connections().await, 1.0);
    assert!(server.log().iter().all(|line| !line.contains("store works again")), "{:?}", server.log());
    drop(lock);
    eventually("readiness", async || server.get("/readyz").await.0 == 200).await;
    server.logged("store works again");
    server.accept(&position("1", 3, 1.0)).await;
    // What was not acknowledged was not sent either.
    assert_eq!(client.json().await["timestamp"], crate::harness::time(3));
    assert_eq!(server.metric("processor_store_errors_total", "").await, 1.0);
}

#[actix::test]
async fn a_full_disk_refuses_posts_and_recovers_by_itself() {
    let folder = folder();
    // A limit on the size of files is to the store what a full disk is: a write fails.
    let limits = ["--fsize=200000:unlimited"];
    let server = Server::spawn(limited(&command(folder.path(), &[]), &limits));
    let mut client = server.client().await;
    client.subscribe("device:1").await;
    let mut stored = 0;
    let refused = loop {
        let mut large = position("1", stored + 1, 1.0);
        large["attributes"] = json!({ "ballast": "x".repeat(3000) });
        let (status, response) = server.post(large.to_string()).await;
        if status != 200 {
            break (status, response);
        }
        stored += 1;
        assert!(stored < 1000, "the limit does not bite");
        client.json().await;
    };
    assert_eq!((refused.0, &refused.1["error"]), (503, &json!("not-stored")), "{}", refused.1);
    assert_eq!(server.get("/readyz").await.0, 503);
    assert_eq!(server.connections().await, 1.0);
    // There is room again.
    let unlimit = format!("--pid={}", server.pid());
    let status =
        std::process::Command::new("prlimit").args([&unlimit, "--fsize=unlimited"]).status().unwrap();
    assert!(status.success());
    eventually("readiness", async || server.get("/readyz").await.0 == 200).await;
    server.accept(&position("1", stored + 10, 1.0)).await;
    assert_eq!(client.json().await["timestamp"], crate::harness::time(stored + 10));
    server.stop();
    let server = Server::start(folder.path(), &[]);
    let snapshot = server.client().await.subscribe("device:1").await;
    assert_eq!(snapshot["snapshot"][0]["timestamp"], crate::harness::time(stored + 10));
}

#[actix::test]
async fn when_descriptors_run_out_it_serves_those_it_has_says_so_once_and_accepts_again() {
    let folder = folder();
    let settings = [("LIVE_WS_HANDSHAKE_TIMEOUT_MS", "60000")];
    let server = Server::spawn(limited(&command(folder.path(), &settings), &["--nofile=256"]));
    let mut client = server.client().await;
    client.subscribe("device:1").await;
    // Kept alive, so that it can still post when no new connection is accepted.
    let http = http();
    let post = async |millis| {
        let body = position("1", millis, 1.0).to_string();
        post_over(&http, &format!("http://{}/positions", server.ops), &[], body).await.unwrap().0
    };
    assert_eq!(post(1).await, 200);
    client.json().await;
    let mut crowd = Vec::new();
    for _ in 0..300 {
        crowd.push(tokio::net::TcpStream::connect(server.live).await.unwrap());
    }
    server.logged("cannot accept connections");
    // A second's worth, as each worker pauses 50 ms after one.
    let failed = async || server.metric("processor_live_accept_errors_total", "").await;
    eventually("many failures", async || failed().await >= 20.0).await;
    assert_eq!(post(2).await, 200);
    assert_eq!(client.json().await["timestamp"], crate::harness::time(2));
    let complaints = server.log().iter().filter(|line| line.contains("cannot accept")).count();
    let workers = std::thread::available_parallelism().unwrap().get();
    assert!((1..=workers).contains(&complaints), "{complaints} times in the log");
    // Some descriptors are kept back for those who look after the server.
    assert_eq!(server.get("/healthz").await.0, 200);
    drop(crowd);
    let mut late = Raw::connect(server.live).await;
    late.frame(FIN | PING, b"").await;
    assert_eq!(late.read().await.unwrap().0, FIN | PONG);
    server.signal(Signal::SIGTERM);
    let mut server = server;
    drop(late);
    assert_eq!(server.ended(PATIENCE).code(), Some(0));
}

/// Posts, and counts those that were accepted.
async fn accepted(server: &Server, from: u64) -> u64 {
    let mut accepted = 0;
    for millis in from..from + 20 {
        let (status, response) = server.post(position("1", millis, 1.0).to_string()).await;
        assert!([200, 503].contains(&status), "{response}");
        accepted += u64::from(status == 200);
    }
    accepted
}

#[actix::test]
async fn nothing_is_acknowledged_while_the_file_is_not_where_it_was_and_it_goes_on_when_that_is_mended() {
    let path = |folder: &std::path::Path, ending: &str| folder.join(format!("data/positions.db{ending}"));
    type Act = fn(&std::path::Path);
    // What happens to the files, how it is mended, and what the log says.
    let cases: [(Act, Act, &str); 6] = [
        (
            |file| std::fs::rename(file, file.with_extension("away")).unwrap(),
            |file| std::fs::rename(file.with_extension("away"), file).unwrap(),
            "was removed",
        ),
        (
            |file| {
                std::fs::copy(file, file.with_extension("copy")).unwrap();
                std::fs::remove_file(file).unwrap();
            },
            |file| std::fs::rename(file.with_extension("copy"), file).unwrap(),
            "was removed",
        ),
        (
            |file| {
                std::fs::copy(file, file.with_extension("copy")).unwrap();
                std::fs::File::options().write(true).open(file).unwrap().set_len(0).unwrap();
            },
            |file| std::fs::rename(file.with_extension("copy"), file).unwrap(),
            "was truncated",
        ),
        (
            |file| {
                std::fs::rename(file, file.with_extension("copy")).unwrap();
                std::fs::write(file, "").unwrap();
            },
            |file| std::fs::rename(file.with_extension("copy"), file).unwrap(),
            "was replaced",
        ),
        (|file| std::fs::remove_file(file.with_extension("db-wal")).unwrap(), |_| (), "was removed"),
        (
            |file| drop(sql(file, &["alter table positions rename to gone"])),
            |file| drop(sql(file, &["alter table gone rename to positions"])),
            "no table of positions",
        ),
    ];
    for (number, (break_it, mend, said)) in cases.into_iter().enumerate() {
        let folder = folder();
        // A restart first, so that all there is stands in the file.
        let server = Server::start(folder.path(), &[]);
        assert_eq!(accepted(&server, 0).await, 20);
        server.stop();
        let server = Server::start(folder.path(), &[]);
        let file = path(folder.path(), "");
        break_it(&file);
        // Also without posts.
        let unready = async || server.get("/readyz").await.0 == 503 || said == "was removed" && number == 4;
        eventually("the loss to be noticed", unready).await;
        let meanwhile = accepted(&server, 100).await;
        assert!(number == 4 || meanwhile == 0, "{number}: {meanwhile} were acknowledged");
        server.logged(said);
        mend(&file);
        eventually("readiness", async || server.get("/readyz").await.0 == 200).await;
        assert_eq!(accepted(&server, 200).await, 20, "{number}");
        server.stop();
        let stored: u64 = sql(&file, &["select count(*) from positions"]).trim().parse().unwrap();
        assert!(stored >= 40 + meanwhile, "{number}: {stored} of {}", 40 + meanwhile);
        let server = Server::start(folder.path(), &[]);
        let snapshot = server.client().await.subscribe("device:1").await;
        assert_eq!(snapshot["snapshot"][0]["timestamp"], crate::harness::time(219), "{number}");
    }
}

#[actix::test]
async fn a_second_process_on_the_same_file_is_refused_until_the_first_has_ended_however_it_did() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &[]);
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(folder.path().join("data/positions.db"), &link).unwrap();
    for url in ["sqlite://data/positions.db", "sqlite://./data/../data/positions.db", "sqlite://link.db"] {
        let output = command(folder.path(), &[("DATABASE_URL", url)]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let errors = String::from_utf8(output.stderr).unwrap();
        let last = errors.lines().last().unwrap();
        for part in ["DATABASE_URL", url, "another process uses it (pid "] {
            assert!(last.contains(part), "{part}: {errors}");
        }
    }
    server.accept(&position("1", 1, 1.0)).await;
    server.signal(Signal::SIGKILL);
    server.ended(PATIENCE);
    Server::start(folder.path(), &[]).stop();
}

#[actix::test]
async fn at_the_start_nothing_is_made_where_something_was() {
    let folder = folder();
    let file = folder.path().join("data/positions.db");
    Server::start(folder.path(), &[]).stop();
    let refused = |part: &str| {
        let output = command(folder.path(), &[]).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(part) && errors.contains("DATABASE_URL"), "{errors}");
    };
    std::fs::write(&file, "").unwrap();
    refused("is empty");
    std::fs::remove_file(&file).unwrap();
    std::fs::write(folder.path().join("data/positions.db-wal"), "x").unwrap();
    refused("is gone, but its log");
    std::fs::remove_file(folder.path().join("data/positions.db-wal")).unwrap();
    let server = Server::start(folder.path(), &[]);
    server.logged("new store made");
}
