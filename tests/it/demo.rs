//! `processor demo`: it shows devices that move, says where, and leaves nothing behind.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{PATIENCE, Server, command, eventually, folder, free_port, get};

/// A demo that is not yet started, and the folder in which it may leave something behind.
fn demo(settings: &[(&str, &str)], arguments: &[&str]) -> (Command, TempDir) {
    let folder = folder();
    let mut command = command(folder.path(), settings);
    fs::create_dir(folder.path().join("tmp")).unwrap();
    command.env("TMPDIR", folder.path().join("tmp")).arg("demo").args(arguments);
    (command, folder)
}

/// What it left behind.
fn left_over(folder: &TempDir) -> Vec<String> {
    let names = |folder: &str, path: std::path::PathBuf| {
        let entries = fs::read_dir(path).unwrap();
        entries.map(|entry| format!("{folder}{}", entry.unwrap().file_name().display())).collect::<Vec<_>>()
    };
    let mut found = names("", folder.path().to_owned());
    found.retain(|name| name != "tmp");
    found.extend(names("tmp/", folder.path().join("tmp")));
    found
}

#[actix::test]
async fn devices_move_through_the_city_and_nothing_is_left() {
    let (command, folder) = demo(&[], &["--devices", "40", "--rate", "10"]);
    let mut server = Server::spawn(command);
    let folders = fs::read_dir(folder.path().join("tmp")).unwrap();
    assert_eq!(folders.count(), 1, "a store, in a folder of its own");
    let mut client = server.client().await;
    // All of the city, and no more.
    let snapshot = client.subscribe("area:13.33,52.475,13.48,52.565").await["snapshot"].clone();
    let mut places: HashMap<String, HashSet<String>> = HashMap::new();
    let mut kinds = HashSet::new();
    let mut see = |position: &Value| {
        let device = position["device_id"].as_str().unwrap();
        let kind = position["attributes"]["kind"].as_str().unwrap();
        assert!(device.starts_with(&format!("{kind}-")), "{position}");
        kinds.insert(kind.to_owned());
        let place = format!("{} {}", position["latitude"], position["longitude"]);
        places.entry(device.to_owned()).or_default().insert(place);
        (places.len(), places.values().filter(|places| places.len() > 5).count())
    };
    for position in snapshot.as_array().unwrap() {
        see(position);
    }
    let began = Instant::now();
    loop {
        let position = client.json().await;
        assert_eq!(position["type"], "position");
        // Some wait at a crossing.
        if see(&position) >= (40, 20) && began.elapsed() < PATIENCE {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{} devices", places.len());
    }
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    let mut couriers = server.client().await;
    let snapshot = couriers.subscribe("event:couriers").await["snapshot"].clone();
    let snapshot = snapshot.as_array().unwrap();
    assert_eq!(snapshot.len(), 8);
    assert!(snapshot.iter().all(|position| position["attributes"]["parcels"].is_u64()), "{snapshot:?}");
    let all = server.client().await.subscribe("event:demo").await["snapshot"].clone();
    assert_eq!(all.as_array().unwrap().len(), 40);
    assert_eq!(get(server.web(), "/").await.0, 200);

    server.signal(Signal::SIGTERM);
    assert_eq!(client_closed(client).await, 1001);
    assert_eq!(server.ended(PATIENCE).code(), Some(0));
    assert!(
        server.log().iter().all(|line| !line.contains("WARN") && !line.contains("ERROR")),
        "{:?}",
        server.log()
    );
    assert_eq!(left_over(&folder), [""; 0]);
}

async fn client_closed(mut client: crate::harness::Client) -> u16 {
    client.closed().await.0
}

#[test]
fn it_says_where_to_look_in_one_line_and_ends_at_once() {
    let port = free_port().to_string();
    let (mut command, folder) = demo(&[("WEB_PORT", "1")], &["--port", &port]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), format!("open http://127.0.0.1:{port}/"));
    let began = Instant::now();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    assert!(child.wait().unwrap().success());
    // A second on a machine that does nothing else.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(lines.next().is_none());
    assert_eq!(left_over(&folder), [""; 0]);
}

#[test]
fn what_stands_in_its_way_is_named_and_nothing_is_left() {
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (setting, expected) in [
        ("LIVE_WS_PORT", "setting LIVE_WS_HOST, LIVE_WS_PORT: cannot listen"),
        ("OPS_PORT", "setting OPS_HOST, OPS_PORT: cannot listen"),
        ("WEB_PORT", "setting WEB_HOST, WEB_PORT: cannot listen"),
    ] {
        let (mut command, folder) = demo(&[(setting, &port)], &[]);
        let output = command.output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.lines().last().unwrap().contains(expected), "{errors}");
        assert_eq!(left_over(&folder), [""; 0]);
    }
    let (mut command, _folder) = demo(&[("WEB_ENABLED", "false")], &[]);
    let output = command.output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && errors.contains("WEB_ENABLED is false"), "{errors}");
}

#[actix::test]
async fn its_devices_may_post_where_the_ops_server_is_open_to_others() {
    for token in ["", "a-token"] {
        let (command, _folder) = demo(
            &[("OPS_HOST", "0.0.0.0"), ("OPS_INGEST_TOKEN", token)],
            &["--devices", "3", "--event", "e"],
        );
        let server = Server::spawn(command);
        eventually("the devices", async || {
            server.client().await.subscribe("event:e").await["snapshot"].as_array().unwrap().len() == 3
        })
        .await;
        let refused = server.post(json!([]).to_string()).await;
        assert_eq!(refused.0, 401, "{}", refused.1);
        server.stop();
    }
}
