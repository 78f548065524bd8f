//! The real `wscat`, from npm, as a person would use it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use nix::sys::signal::Signal;

use serde_json::json;

use crate::harness::{JWT, PATIENCE, Server, eventually_within, folder, node_modules, position, token};

struct Wscat {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Wscat {
    fn connect(server: &Server) -> Self {
        Self::connect_with("", server)
    }

    fn connect_with(options: &str, server: &Server) -> Self {
        // Only on a terminal does it show all; `script` gives it one.
        let line = format!(
            "{}/.bin/wscat --no-color {options} --connect ws://{}/",
            node_modules("tests/clients").display(),
            server.live
        );
        let mut command = Command::new("script");
        command.args(["--quiet", "--flush", "--command", &line, "/dev/null"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (send, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let input = child.stdin.take();
        Self { child, input, lines }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for a line that holds `part`, for long: many of them start at once.
    fn shows(&self, part: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE * 2) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("{part:?} is not in:\n{}", seen.join("\n")),
            }
        }
    }
}

impl Drop for Wscat {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[actix::test]
async fn a_person_connects_errs_subscribes_and_sees_a_position_that_curl_posted() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let mut wscat = Wscat::connect(&server);
    wscat.shows("Connected");
    wscat.say("{\"type\":");
    assert!(wscat.shows("error").contains("protocol-violation"));
    wscat.say(r#"{"type":"subscribe","topic":"foo"}"#);
    assert!(wscat.shows("error").contains("not-implemented"));
    wscat.say(r#"{"type":"subscribe","topic":"device:42"}"#);
    wscat.shows("subscribed");
    let curl = Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--data", &position("42", 1, 52.5).to_string()])
        .arg(format!("http://{}/positions", server.ops))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(curl.stdout).unwrap(), r#"{"accepted":1}"#);
    assert!(wscat.shows(r#""type":"position""#).contains(r#""latitude":52.5"#));
    // It compresses, though not messages as short as these.
    assert_eq!(server.metric("processor_live_deflate_negotiated_total", "").await, 1.0);
}

#[actix::test]
async fn fifty_of_them_through_a_sigterm() {
    let folder = folder();
    // Fifty Node processes wake up at once to answer the close.
    let settings = [("LIVE_WS_DRAIN_TIMEOUT_MS", "30000"), ("LIVE_WS_CLOSE_TIMEOUT_MS", "30000")];
    let mut server = Server::start(folder.path(), &settings);
    let clients: Vec<_> = (0..50).map(|_| Wscat::connect(&server)).collect();
    let connected = async || server.connections().await == 50.0;
    eventually_within(PATIENCE * 2, "50 of them, each a Node process", connected).await;
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended(PATIENCE * 2).code(), Some(0));
    let stopped = server.logged("live server stopped");
    assert!(stopped.contains("50 closed, 0 terminated"), "{stopped}");
    for client in &clients {
        assert!(client.shows("Disconnected").contains("1001"));
    }
}

#[actix::test]
async fn with_a_token_in_a_header_or_a_subprotocol_each_reads_its_topic() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    let of = |subject: &str| token(subject, json!({ "topics": [format!("device:{subject}")] }));
    let (header, protocols) =
        (format!("-H 'Authorization: Bearer {}'", of("1")), format!("-s bearer -s {}", of("2")));
    for (options, own, other) in [(header, "1", "2"), (protocols, "2", "1")] {
        let mut wscat = Wscat::connect_with(&options, &server);
        wscat.shows("Connected");
        wscat.say(&json!({ "type": "subscribe", "topic": format!("device:{other}") }).to_string());
        assert!(wscat.shows("error").contains("forbidden"));
        wscat.say(&json!({ "type": "subscribe", "topic": format!("device:{own}") }).to_string());
        wscat.shows("subscribed");
        server.accept(&position(own, 1, 52.5)).await;
        let shown = wscat.shows(r#""type":"position""#);
        assert!(shown.contains(&format!(r#""device_id":"{own}""#)), "{shown}");
    }
}

#[actix::test]
async fn without_a_token_it_is_told_so_as_soon_as_it_asks() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    let mut wscat = Wscat::connect(&server);
    wscat.shows("Connected");
    wscat.say(r#"{"type":"subscribe","topic":"device:1"}"#);
    let shown = wscat.shows("Disconnected");
    assert!(shown.contains("4401") && shown.contains("unauthorized: no token came"), "{shown}");
}

#[actix::test]
async fn one_that_insists_on_a_subprotocol_gives_up_by_itself() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    // docs/wire.md says so; RFC 6455 would let it go on.
    Wscat::connect_with("--subprotocol chat", &server).shows("Server sent no subprotocol");
    server.logged("connection closed");
    assert_eq!(server.metric("processor_live_refused_total", "").await, 0.0);
}
