//! What docs/operating.md says of "Putting it on the open internet" works as it is typed.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{block, read};
use crate::harness::{Client, Server, command, eventually, folder, free_port, position};

/// A page's commands for a shell, which finds the program and these settings. Returns what it printed.
fn typed(folder: &Path, settings: &[(&str, &str)], script: &str) -> String {
    let environment = command(folder, settings);
    let program = Path::new(env!("CARGO_BIN_EXE_processor")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut typed = Command::new("sh");
    typed.args(["-e", "-c", script]).current_dir(folder).env("PATH", path);
    typed.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = typed.output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[actix::test]
async fn the_steps_to_the_open_internet_work_as_typed() {
    let (page, folder) = (read("docs/operating.md"), folder());
    let step = |part: &str| block(&page, "sh", part);
    let named = step("export AUTH=jwt");
    let lines = [step("openssl rand -base64"), named.clone(), step("processor token --sub ann")].join("\n");
    let shown = typed(folder.path(), &[], &lines);
    assert!(shown.contains("\nAUTH=jwt\n") && shown.ends_with("accepted\n"), "{shown}");

    let exported = named.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    let server = Server::start(folder.path(), &exported.collect::<Vec<_>>());
    let sent = |part: &str| {
        let line = step(part).replace("127.0.0.1:9090", &server.ops.to_string());
        typed(folder.path(), &[], &line)
    };
    assert_eq!(sent("cat secrets/truck-1.token"), r#"{"accepted":1}"#);
    assert!(step("wscat").contains(r#"-H "Authorization: Bearer $(cat secrets/ann.token)""#));
    let ann = fs::read_to_string(folder.path().join("secrets/ann.token")).unwrap();
    let mut ann = Client::bearer(server.live, ann.trim()).await;
    assert_eq!(ann.subscribe("device:truck-1").await["snapshot"].as_array().unwrap().len(), 1);
    assert_eq!(server.get("/metrics").await.0, 401);
    let revoked: Value = serde_json::from_str(&sent("9090/revoke")).unwrap();
    assert!(revoked["subject"] == "ann" && revoked["until"].is_string(), "{revoked}");
    assert_eq!(ann.closed().await.0, 4403);
}

#[actix::test]
async fn the_service_that_says_who_someone_is_works_as_written() {
    let (page, folder) = (read("docs/operating.md"), folder());
    let port = free_port().to_string();
    fs::write(folder.path().join("who.mjs"), block(&page, "js", "createServer").replace("7000", &port))
        .unwrap();
    let mut node = Command::new("node").arg("who.mjs").current_dir(folder.path()).spawn().unwrap();
    let line = block(&page, "sh", "node who.mjs").replace("7000", &port);
    let settings: Vec<_> = line.split(' ').filter_map(|word| word.split_once('=')).collect();
    assert_eq!(settings.len(), 2, "{line}");
    let server = Server::start(folder.path(), &settings);
    eventually("the service", async || std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok())
        .await;
    let mut ann = Client::bearer(server.live, "a-long-random-text").await;
    ann.subscribe("event:rally-42").await;
    let truck = [("Authorization", "Bearer another-long-random-text")];
    assert_eq!(server.post_with(&truck, position("truck-1", 1, 52.5).to_string()).await.0, 200);
    assert_eq!(Client::bearer(server.live, "wrong").await.closed().await.0, 4401);
    node.kill().unwrap();
    node.wait().unwrap();
}

#[test]
fn the_settings_of_an_identity_provider_are_allowed() {
    // Without TLS, which this program may have been built without.
    let lines = block(&read("docs/operating.md"), "sh", "AUTH_JWKS_URL").replace("https://", "http://");
    let settings: Vec<_> = lines.lines().map(|line| line.split_once('=').unwrap()).collect();
    let shown = typed(folder().path(), &settings, "processor check");
    assert!(lines.lines().all(|set| shown.lines().any(|line| line == set)), "{shown}");
    assert!(shown.contains("\nAUTH_JWT_ALGORITHM=RS256\n"), "{shown}");
}

#[test]
fn prometheus_takes_the_configuration_of_the_page() {
    let folder = folder();
    let (file, token) = (folder.path().join("prometheus.yml"), folder.path().join("token"));
    let page = read("docs/operating.md");
    let example = block(&page, "yaml", "credentials_file");
    fs::write(&token, "secret").unwrap();
    let named = "/etc/prometheus/processor-metrics-token";
    assert!(example.contains(named));
    fs::write(&file, example.replace(named, token.to_str().unwrap())).unwrap();
    let output = Command::new("promtool").args(["check", "config"]).arg(&file).output();
    let output = output.expect("this test needs promtool, of the package prometheus");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
