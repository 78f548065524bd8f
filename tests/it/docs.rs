//! The documents tell the truth: their examples, their links, the systemd unit.

mod internet;

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use processor::domain::Timestamp;
use serde_json::{Value, json};

use crate::harness::{JWT, Server, command, folder, position, project, token};

/// A fenced block of a document.
struct Block {
    /// What stands behind the fence, such as `json client`.
    info: String,
    text: String,
}

/// A file of the project.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(project().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let inside: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(Block { info: info.to_owned(), text: inside.join("\n") });
        }
    }
    blocks
}

/// The text of the one block of a document that has this behind its fence and holds `part`.
fn block(text: &str, info: &str, part: &str) -> String {
    let mut found = blocks(text).into_iter().filter(|block| block.info == info && block.text.contains(part));
    match (found.next(), found.next()) {
        (Some(block), None) => block.text,
        (None, _) => panic!("no block {info} with {part}"),
        (Some(_), Some(_)) => panic!("several blocks {info} with {part}"),
    }
}

/// What the server says must be what the page says, but for times that depend on when it says it.
fn assert_said(said: &Value, line: &str) {
    let mut expected: Value = serde_json::from_str(line).unwrap();
    // The clock of this machine, and when the tokens of the harness end.
    for (field, seconds) in [("server_time", 0), ("expires_at", 600)] {
        let Some(time) = said.get(field).and_then(Value::as_str) else { continue };
        let ahead = Timestamp::parse(time).unwrap().as_millis() - Timestamp::now().as_millis();
        assert!((ahead - seconds * 1000).abs() < 60_000, "{field} is {time}");
        assert!(expected[field].is_string(), "{said}");
        expected[field] = time.into();
    }
    assert_eq!(*said, expected);
}

/// A message of a client with a real token, where the page has the place of one.
fn with_token(line: &str) -> String {
    let tokens = [
        ("<token>", json!({ "topics": ["event:rally-*", "device:42"] })),
        ("<newer token>", json!({ "topics": ["event:rally-*"] })),
    ];
    let mut line = line.to_owned();
    for (place, claims) in tokens {
        if line.contains(place) {
            line = line.replace(place, &token("ann", claims));
        }
    }
    line
}

/// What was said while examples were played.
#[derive(Default)]
pub(crate) struct Played {
    /// By clients.
    pub(crate) sent: Vec<String>,
    /// By the server.
    pub(crate) received: Vec<Value>,
}

/// Plays the examples of a section with a client of its own.
async fn play(server: &Server, section: &str, played: &mut Played) {
    let mut client = server.client().await;
    for Block { info, text } in blocks(section) {
        for line in text.lines() {
            match info.as_str() {
                "json post" => server.accept(&serde_json::from_str(line).unwrap()).await,
                "json client" => {
                    client.text(with_token(line)).await;
                    played.sent.push(line.to_owned());
                }
                "json server" => {
                    let said = client.json().await;
                    assert_said(&said, line);
                    played.received.push(said);
                }
                "json server too-fast" => {
                    let mut answer = Value::Null;
                    for _ in 0..100 {
                        client.text("{}").await;
                        answer = client.json().await;
                        if answer["code"] == "rate-limited" {
                            break;
                        }
                    }
                    assert_said(&answer, line);
                    played.received.push(answer);
                }
                "json server stopping" => {
                    server.signal(Signal::SIGTERM);
                    let said = client.json().await;
                    assert_said(&said, line);
                    played.received.push(said);
                }
                other => panic!("docs/wire.md has a block {other}"),
            }
        }
    }
}

/// Plays all examples of the wire contract; what the server says must be there word for word.
pub(crate) async fn play_page() -> Played {
    let (folder, strict, stopping, asking) = (folder(), folder(), folder(), folder());
    let server = Server::start(folder.path(), &[]);
    let asking = Server::start(asking.path(), &JWT);
    let stopping = Server::start(stopping.path(), &[("LIVE_WS_RECONNECT_SPREAD_MS", "10000")]);
    // The first as the section about errors says; the second so that its last example needs few messages.
    let settings = [("LIVE_WS_MAX_SUBSCRIPTIONS", "2"), ("LIVE_WS_MAX_MESSAGES_PER_SECOND", "2")];
    let strict = Server::start(strict.path(), &settings);
    let mut played = Played::default();
    for section in read("docs/wire.md").split("\n## ") {
        let server = match section.lines().next() {
            Some("Errors") => &strict,
            Some("Who you are") => &asking,
            Some("When the server stops") => &stopping,
            _ => &server,
        };
        play(server, section, &mut played).await;
    }
    played
}

#[actix::test]
async fn the_examples_of_the_wire_contract_are_true_word_for_word() {
    let Played { sent, received } = play_page().await;
    assert!(sent.len() >= 16 && received.len() >= 26, "{} sent, {} received", sent.len(), received.len());
}

#[actix::test]
async fn the_examples_of_posts_are_true() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let page = read("docs/posting.md");
    let example: Value = serde_json::from_str(&block(&page, "json post", "device_id")).unwrap();
    assert_eq!(server.post(example.to_string()).await, (200, json!({ "accepted": 1 })));
    let snapshot = server.client().await.subscribe("event:rally-42").await;
    let mut expected = example;
    // Subscribers of one event are not told of the others.
    expected.as_object_mut().unwrap().remove("topics");
    assert_eq!(snapshot["snapshot"], json!([expected]));
    let problem: Value = serde_json::from_str(&block(&page, "json response 422", "latitude")).unwrap();
    let posts = json!([position("1", 1, 52.5), position("1", 2, 95.2)]);
    assert_eq!(server.post(posts.to_string()).await, (422, problem));
}

#[actix::test]
async fn the_refusals_of_posts_are_true() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    let page = read("docs/posting.md");
    let truck = format!("Bearer {}", token("truck-1", json!({ "devices": ["truck-1"] })));
    for (status, authorization) in [(401, "Bearer nonsense"), (403, &*truck)] {
        let problem = block(&page, &format!("json response {status}"), "error");
        let problem: Value = serde_json::from_str(&problem).unwrap();
        let posts = json!([position("truck-1", 1, 52.5), position("truck-2", 1, 52.5)]);
        let answer = server.post_with(&[("Authorization", authorization)], posts.to_string()).await;
        assert_eq!(answer, (status, problem));
    }
}

#[actix::test]
async fn the_post_of_the_readme_works_as_typed() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let typed = block(&read("README.md"), "sh", "curl --data");
    let line = typed.replace("127.0.0.1:9090", &server.ops.to_string());
    assert_ne!(line, typed);
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), r#"{"accepted":1}"#);
}

#[test]
fn the_pages_for_embedding_are_those_in_the_examples() {
    let page = read("docs/embedding.md");
    for (name, map) in [("maplibre", "a MapLibre map"), ("leaflet", "a Leaflet map")] {
        let example = read(&format!("examples/{name}.html"));
        assert_eq!(block(&page, "html", map), example.trim_end());
        assert!(example.lines().count() <= 30, "{name}");
    }
}

#[test]
fn the_settings_of_a_stop_without_a_stampede_are_allowed() {
    let lines = block(&read("docs/operating.md"), "sh", "LIVE_WS_RECONNECT_SPREAD_MS");
    let settings: Vec<_> = lines.lines().map(|line| line.split_once('=').unwrap()).collect();
    let folder = folder();
    let output = command(folder.path(), &settings).arg("check").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(lines.lines().all(|set| page.lines().any(|line| line == set)), "{page}");
}

/// The documents whose links are followed.
fn pages() -> Vec<String> {
    let mut pages: Vec<_> = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "benches/README.md",
        "clients/js/README.md",
        "clients/js/API.md",
        "fuzz/README.md",
    ]
    .map(str::to_owned)
    .into();
    for entry in fs::read_dir(project().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            pages.push(format!("docs/{name}"));
        }
    }
    pages
}

/// The targets of a page's links.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut followed = 0;
    let mut broken = Vec::new();
    for page in pages() {
        let text = read(&page);
        for link in links(&text).filter(|link| !link.starts_with("https://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => project().join(&page),
                path => project().join(&page).parent().unwrap().join(path),
            };
            let leads = |target: &Path| {
                let text = fs::read_to_string(target).unwrap_or_default();
                target.exists() && (anchor.is_empty() || anchors(&text).iter().any(|one| one == anchor))
            };
            if !leads(&target) {
                broken.push(format!("{page}: {link}"));
            }
            followed += 1;
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(followed > 30, "{followed}");
}

#[test]
fn the_tests_that_a_page_names_are_there() {
    let page = read("docs/security.md");
    let mut named = 0;
    for (file, test) in page.split('`').filter_map(|text| text.split_once("::")) {
        assert!(read(&format!("{file}.rs")).contains(&format!("fn {test}(")), "{file}::{test}");
        named += 1;
    }
    assert!(named > 50, "{named}");
}

#[test]
fn systemd_takes_the_unit() {
    let folder = folder();
    let unit = read("deploy/systemd/processor.service");
    // The program must be there for the unit to be right.
    let start = "ExecStart=/usr/local/bin/processor\n";
    assert!(unit.contains(start));
    let unit = unit.replace(start, &format!("ExecStart={}\n", env!("CARGO_BIN_EXE_processor")));
    let path = folder.path().join("processor.service");
    let verify = |unit: &str| {
        fs::write(&path, unit).unwrap();
        let mut command = Command::new("systemd-analyze");
        // With warnings as errors, but not for units of the system that it refers to.
        command.args(["verify", "--man=no", "--recursive-errors=no"]).arg(&path);
        let output = command.output().expect("this test needs systemd-analyze, of the package systemd");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (fits, said) = verify(&unit);
    assert!(fits && !said.contains("processor.service"), "{said}");
    let (fits, said) = verify(&unit.replace("NoNewPrivileges=", "NoNewPrivilege="));
    assert!(!fits, "a typing error goes unnoticed: {said}");
}
