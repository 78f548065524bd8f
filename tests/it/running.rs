//! The program as an operator meets it: settings, faults at start, commands, metrics, log.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use serde_json::json;

use crate::harness::{Server, command, folder};

fn run(folder: &std::path::Path, settings: &[(&str, &str)], arguments: &[&str]) -> (Output, String) {
    let output = command(folder, settings).args(arguments).output().unwrap();
    let errors = String::from_utf8(output.stderr.clone()).unwrap();
    (output, errors)
}

#[test]
fn every_bad_setting_is_named_and_nothing_is_started() {
    let folder = folder();
    let bad = [("LIVE_WS_PORT", "99999"), ("OPS_PORTS", "1"), ("LIVE_WS_PING_INTERVAL_MS", "1")];
    for arguments in [&[][..], &["check"]] {
        let (output, errors) = run(folder.path(), &bad, arguments);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        for part in [
            "setting LIVE_WS_PORT: \"99999\" is not allowed: a whole number from 0 to 65535",
            "OPS_PORTS",
            "setting LIVE_WS_PING_INTERVAL_MS",
        ] {
            assert!(errors.contains(part), "{part}: {errors}");
        }
        assert_eq!(errors.lines().count(), 3, "{errors}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_settings_file_without_permission_is_an_error() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("settings")).unwrap();
    let file = folder.path().join("settings/default.toml");
    std::fs::write(&file, "live_ws_allowed_origins = \"https://a.example\"\n").unwrap();
    for path in [folder.path(), &folder.path().join("settings")] {
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    std::fs::set_permissions(&file, Permissions::from_mode(0o000)).unwrap();
    // A copy that everyone may run, wherever the build is.
    let binary = folder.path().join("processor");
    // Made by another process: a test that starts one meanwhile would hand our descriptor of it on, and what is open for
    // writing cannot be run.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_processor")).arg(&binary).status().unwrap();
    assert!(copied.success());
    // Root may read everything, and whoever runs the tests may be root.
    let mut check = Command::new("setpriv");
    if rustix::process::geteuid().is_root() {
        check.args(["--reuid=65534", "--clear-groups"]);
    }
    check.arg(&binary).arg("check").current_dir(folder.path()).env_clear();
    let output = check.output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("settings file settings/default.toml: cannot be read: Permission denied"),
        "{errors}"
    );
}

#[test]
fn a_port_that_is_taken_and_a_store_that_cannot_be_opened_are_named() {
    let folder = folder();
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for setting in ["LIVE_WS_PORT", "OPS_PORT"] {
        let (output, errors) = run(folder.path(), &[(setting, &port)], &[]);
        assert_eq!(output.status.code(), Some(1));
        let last = errors.lines().last().unwrap();
        assert!(last.contains(setting) && last.contains(&port) && last.contains("in use"), "{errors}");
    }
    std::fs::write(folder.path().join("file"), "").unwrap();
    let (output, errors) = run(folder.path(), &[("DATABASE_URL", "sqlite://file/x.db")], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("setting DATABASE_URL: \"sqlite://file/x.db\" cannot be used"), "{errors}");
}

#[test]
fn check_prints_the_effective_settings_and_no_secret() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("settings")).unwrap();
    std::fs::write(folder.path().join("settings/race.toml"), "live_ws_ping_interval_ms = 5000\n").unwrap();
    let settings =
        [("PROCESSOR_ENV", "race"), ("OPS_INGEST_TOKEN", "s3cret-0123456789"), ("INSTANCE_ID", "a-1")];
    let (output, errors) = run(folder.path(), &settings, &["check"]);
    assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""));
    let page = String::from_utf8(output.stdout).unwrap();
    for line in [
        "LIVE_WS_PING_INTERVAL_MS=5000",
        "LIVE_WS_PONG_TIMEOUT_MS=10000",
        "INSTANCE_ID=a-1",
        "OPS_INGEST_TOKEN=(set)",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}: {page}");
    }
    assert!(!page.contains("s3cret"));
}

#[test]
fn the_kernel_has_room_for_all_connections_from_the_start_and_keeps_to_small_pages() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_MAX_CONNECTIONS", "600")]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
    assert!(size.trim().parse::<usize>().unwrap() >= 600, "{status}");
    assert!(!status.contains("THP_enabled:\t1"), "{status}");
    server.stop();
}

#[actix::test]
async fn health_asks_the_running_server() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let port = server.ops.port().to_string();
    let health =
        |host| run(folder.path(), &[("OPS_PORT", &port), ("OPS_HOST", host)], &["health"]).0.status.code();
    assert_eq!(health("127.0.0.1"), Some(0));
    assert_eq!(health("0.0.0.0"), Some(0));
    server.stop();
    assert_eq!(health("127.0.0.1"), Some(1));
}

#[cfg(feature = "simulate")]
#[actix::test]
async fn simulated_devices_reach_a_subscriber() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let mut client = server.client().await;
    client.subscribe("event:rally-42").await;
    let url = format!("http://{}/positions", server.ops);
    let arguments = [
        "simulate",
        "--devices",
        "3",
        "--rate",
        "10",
        "--event",
        "rally-42",
        "--seconds",
        "1",
        "--url",
        &url,
    ];
    let mut simulation = command(folder.path(), &[]).args(arguments).spawn().unwrap();
    let mut devices = std::collections::HashSet::new();
    // It posts until its second is over, and does not catch up: how often is the machine's matter.
    while devices.len() < 3 {
        let position = client.json().await;
        assert_eq!((&position["type"], &position["topic"]), (&json!("position"), &json!("event:rally-42")));
        assert!((position["latitude"].as_f64().unwrap() - 52.52).abs() < 0.2);
        devices.insert(position["device_id"].to_string());
    }
    assert!(simulation.wait().unwrap().success());
}

#[cfg(feature = "simulate")]
#[test]
fn simulate_says_when_nobody_listens() {
    let folder = folder();
    let (output, errors) = run(folder.path(), &[], &["simulate", "--url", "http://127.0.0.1:1/positions"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("cannot post to http://127.0.0.1:1/positions"), "{errors}");
}

#[actix::test]
async fn the_log_tells_the_life_of_the_server_and_of_a_connection() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &[]);
    server.client().await.close().await;
    crate::harness::eventually("its end", async || server.connections().await == 0.0).await;
    server.signal(nix::sys::signal::Signal::SIGTERM);
    server.ended(crate::harness::PATIENCE);
    let lines = server.log();
    let expected = [
        ("INFO", "live server starting on :0"),
        ("INFO", "live server ready"),
        ("DEBUG", "connection opened id="),
        ("DEBUG", "connection closed id="),
        ("INFO", "live server stopping"),
        ("INFO", "live server stopped"),
    ];
    let mut rest = lines.iter();
    for (level, part) in expected {
        assert!(rest.any(|line| line.contains(level) && line.contains(part)), "{part}: {}", lines.join("\n"));
    }
    let closed = lines.iter().find(|line| line.contains("connection closed")).unwrap();
    assert!(closed.contains(" code=1000 reason=closed by client"), "{closed}");
}

#[actix::test]
async fn metrics_carry_the_instance_and_the_type() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("INSTANCE_ID", "a-1")]);
    let (_, page) = server.get("/metrics").await;
    for series in [
        "processor_live_connections{instance_id=\"a-1\"} 0",
        "processor_live_subscriptions{instance_id=\"a-1\"} 0",
        "processor_live_messages_inbound_total{instance_id=\"a-1\",type=\"invalid\"} 0",
        "processor_live_messages_outbound_total{instance_id=\"a-1\",type=\"position\"} 0",
        "processor_store_up{instance_id=\"a-1\"} 1",
    ] {
        assert!(page.lines().any(|line| line == series), "{series}:\n{page}");
    }
}

#[actix::test]
async fn each_signal_that_ends_a_process_drains() {
    use nix::sys::signal::Signal;
    for signal in [Signal::SIGHUP, Signal::SIGQUIT] {
        let folder = folder();
        let mut server = Server::start(folder.path(), &[]);
        let mut client = server.client().await;
        server.signal(signal);
        assert_eq!(client.closed().await, (1001, "server shutting down".into()));
        assert_eq!(server.ended(crate::harness::PATIENCE).code(), Some(0), "{signal}");
    }
}
