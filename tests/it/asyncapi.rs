//! `docs/asyncapi.yaml` is valid, and says what the server takes and sends: `tests/asyncapi/check.js` holds it against
//! a record of messages of the real server, which has each message, field and error at least once.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::docs::{play_page, read};
use crate::harness::{
    Answer, Answers, Client, Server, folder, jwt_and, node_modules, position, project, signed, time, token,
};

/// The steps of a cadence, in milliseconds.
const STEPS: [u16; 8] = [100, 250, 500, 1000, 2000, 5000, 10_000, 30_000];

/// Requests, some of which break a rule. The server decides which, and the description must decide the same.
const REQUESTS: &[&str] = &[
    r#"{"type":"hello"}"#,
    r#"{"type":"hello","id":""}"#,
    r#"{"type":"hello","id":7}"#,
    r#"{"type":"hello","topic":7,"unknown":{}}"#,
    r#"{"type":"auth"}"#,
    r#"{"type":"auth","token":""}"#,
    r#"{"type":"auth","token":7}"#,
    r#"{"type":"auth","token":"a","id":7}"#,
    r#"{"type":"auth","token":"a","id":"a","unknown":[]}"#,
    r#"{"type":"subscribe","id":"a"}"#,
    r#"{"type":"subscribe","topic":42}"#,
    r#"{"type":"subscribe","topic":"event:Zürich","id":"a","unknown":[1]}"#,
    r#"{"type":"subscribe","topic":"device:a:b"}"#,
    r#"{"type":"subscribe","topic":"device:a\nb"}"#,
    r#"{"type":"subscribe","topic":"event:"}"#,
    r#"{"type":"subscribe","topic":"event:a\u007fb"}"#,
    r#"{"type":"subscribe","topic":"Device:1"}"#,
    r#"{"type":"subscribe","topic":"area"}"#,
    r#"{"type":"subscribe","topic":"area:1,2,3"}"#,
    r#"{"type":"subscribe","topic":"area:1,2,3,4,5"}"#,
    r#"{"type":"subscribe","topic":"area:+1,2,3,4"}"#,
    r#"{"type":"subscribe","topic":"area:01,2,3,4"}"#,
    r#"{"type":"subscribe","topic":"area:-1.50,2e0,3,4E+0"}"#,
    r#"{"type":"subscribe","topic":"area:177,-20,-178,-16"}"#,
    r#"{"type":"subscribe","topic":"device:1","topics":["device:2"]}"#,
    r#"{"type":"subscribe","topics":"device:1"}"#,
    r#"{"type":"subscribe","topics":[]}"#,
    r#"{"type":"subscribe","topics":["device:1",2]}"#,
    r#"{"type":"subscribe","topics":["device:1","event:e","area:0,0,1,1"],"every_ms":1000,"batch":true}"#,
    r#"{"type":"subscribe","topics":["area:0,0,1,1"],"replaces":"area:0,0,2,2"}"#,
    r#"{"type":"subscribe","topic":"area:0,0,1,1","replaces":"area:0,0,2,2"}"#,
    r#"{"type":"subscribe","topic":"area:0,0,1,1","replaces":"device:1"}"#,
    r#"{"type":"subscribe","topic":"area:0,0,1,1","replaces":7}"#,
    r#"{"type":"subscribe","topic":"device:1","replaces":"area:0,0,2,2"}"#,
    r#"{"type":"subscribe","topic":"device:1","every_ms":0,"batch":false}"#,
    r#"{"type":"subscribe","topic":"device:1","every_ms":30000}"#,
    r#"{"type":"subscribe","topic":"device:1","every_ms":30001}"#,
    r#"{"type":"subscribe","topic":"device:1","every_ms":-1}"#,
    r#"{"type":"subscribe","topic":"device:1","every_ms":0.5}"#,
    r#"{"type":"subscribe","topic":"device:1","every_ms":"100"}"#,
    r#"{"type":"subscribe","topic":"device:1","batch":1}"#,
    r#"{"type":"unsubscribe"}"#,
    r#"{"type":"unsubscribe","topic":42}"#,
    r#"{"type":"unsubscribe","topic":"event:e","id":"a"}"#,
    r#"{"type":"unsubscribe","topic":"event:"}"#,
    r#"{"type":"unsubscribe","topic":"device:1","topics":["device:2"]}"#,
    r#"{"type":"unsubscribe","topics":"device:1"}"#,
    r#"{"type":"unsubscribe","topics":[]}"#,
    r#"{"type":"unsubscribe","topics":[2]}"#,
    r#"{"type":"unsubscribe","topics":["device:1","event:e","area:0,0,1,1"]}"#,
];

/// The same, of texts and lists that are as long as may be, and longer.
fn long_requests() -> Vec<String> {
    let mut requests = Vec::new();
    for kind in ["hello", "auth", "subscribe", "unsubscribe"] {
        let with = |id: Value| json!({ "type": kind, "topic": "event:e", "token": "a", "id": id });
        requests.extend([128, 129].map(|bytes| with("x".repeat(bytes).into())));
        requests.push(with(7.into()));
    }
    requests.extend([8192, 8193].map(|bytes| json!({ "type": "auth", "token": "x".repeat(bytes) })));
    for kind in ["subscribe", "unsubscribe"] {
        for topic in ["device:", "event:"] {
            let named = |bytes| json!({ "type": kind, "topic": topic.to_owned() + &"x".repeat(bytes) });
            requests.extend([128, 129].map(named));
        }
        let many = |topics| json!({ "type": kind, "topics": vec!["device:1"; topics] });
        requests.extend([1000, 1001].map(many));
    }
    requests.iter().map(Value::to_string).collect()
}

/// What was said, each message with who said it.
#[derive(Default)]
struct Record(Vec<Value>);

impl Record {
    /// The server has sent this.
    fn sent(&mut self, message: Value) {
        self.0.push(json!({ "server": message }));
    }

    /// Sends a request and reads all that comes for it. True if the server did not say that it breaks a rule.
    async fn ask(&mut self, client: &mut Client, request: &str) -> bool {
        client.text(request).await;
        // Requests are answered in their order.
        client.text(r#"{"type":"hello","id":"the end of the answers"}"#).await;
        let mut accepted = true;
        loop {
            let message = client.json().await;
            let last = message["id"] == "the end of the answers";
            let code = &message["code"];
            accepted &= code != "protocol-violation" && code != "not-implemented";
            self.sent(message);
            if last {
                break;
            }
        }
        self.0
            .push(json!({ "client": serde_json::from_str::<Value>(request).unwrap(), "accepted": accepted }));
        accepted
    }

    /// Sends a request that is right.
    async fn request(&mut self, client: &mut Client, request: Value) {
        assert!(self.ask(client, &request.to_string()).await, "{request}");
    }

    /// Reads a message that answers no request.
    async fn update(&mut self, client: &mut Client, kind: &str) {
        let message = client.json().await;
        assert_eq!(message["type"], kind, "{message}");
        self.sent(message);
    }

    /// The values of one field of those messages of one side that were in order.
    fn values(&self, side: &str, field: &str) -> BTreeSet<&str> {
        let said = self.0.iter().filter(|line| line["accepted"] != false);
        said.filter_map(|line| line[side][field].as_str()).collect()
    }
}

/// A position with every field there is, each at the lower or the upper end of its range.
fn full(device: &str, time: &str, upper: bool) -> Value {
    let end = |from: f64, to: f64| if upper { to } else { from };
    json!({
        "device_id": device, "timestamp": time,
        "latitude": end(-90.0, 90.0), "longitude": end(-180.0, 180.0), "altitude": end(-1e5, 1e9),
        "accuracy": end(0.0, 1e9), "heading": end(0.0, 360.0), "speed": end(0.0, 1e6),
        "topics": ["event:full"], "attributes": { "battery": 0.5, "more": [{ "a": null }] },
    })
}

/// Topics of each kind: what they send when a device moves.
async fn play_topics(record: &mut Record, server: &Server) {
    let odd = [
        full("\u{a0}ü\"\\", "0000-01-01T00:00:00Z", false),
        full(&"x".repeat(128), "2016-12-31T23:59:60.9999Z", true),
        json!({ "device_id": "1", "timestamp": "2026-01-02T05:04:05+02:00", "latitude": 1e-300, "longitude": -0.0 }),
    ];
    server.accept(&json!(odd)).await;
    let mut millis = 0;
    for topic in ["device:full", "event:full", "area:-180,-90,180,90"] {
        for (batch, kind) in [(false, "position"), (true, "positions")] {
            let mut client = server.client().await;
            let request = json!({ "type": "subscribe", "topic": topic, "batch": batch, "id": "a" });
            record.request(&mut client, request).await;
            for upper in [false, true] {
                server.accept(&full("full", &time(millis), upper)).await;
                record.update(&mut client, kind).await;
                millis += 1;
            }
            record.request(&mut client, json!({ "type": "unsubscribe", "topic": topic, "id": "b" })).await;
        }
    }
    for step in STEPS {
        let request = json!({ "type": "subscribe", "topic": "device:none", "every_ms": step });
        record.request(&mut server.client().await, request).await;
    }
}

/// A device leaves an event, then the view moves away from it, then it leaves the view.
async fn play_leaving(record: &mut Record, server: &Server) {
    let post = async |millis, latitude, topics: Value| {
        let mut position = position("leaving", millis, latitude);
        position["topics"] = topics;
        server.accept(&position).await;
    };
    post(1, 1.5, json!(["event:left"])).await;
    let (mut event, mut area) = (server.client().await, server.client().await);
    record.request(&mut event, json!({ "type": "subscribe", "topic": "event:left" })).await;
    record.request(&mut area, json!({ "type": "subscribe", "topic": "area:13,1,14,2" })).await;
    post(2, 1.5, json!([])).await;
    record.update(&mut event, "left").await;
    record.update(&mut area, "position").await;
    let moved = json!({ "type": "subscribe", "topic": "area:13,2,14,3", "replaces": "area:13,1,14,2" });
    record.request(&mut area, moved).await;
    post(3, 2.5, json!([])).await;
    record.update(&mut area, "position").await;
    post(4, 3.5, json!([])).await;
    record.update(&mut area, "left").await;
}

/// What `welcome` says, and errors of areas, under settings at both ends of their ranges.
async fn play_settings(record: &mut Record) {
    let limits = [
        ("LIVE_WS_MAX_TOPIC_BYTES", "1", "65536"),
        ("LIVE_WS_MAX_SUBSCRIPTIONS", "1", "100000000"),
        ("LIVE_WS_MAX_MESSAGES_PER_SECOND", "1", "100000000"),
        ("LIVE_WS_MAX_AREA_DEVICES", "1", "100000000"),
        ("LIVE_WS_MAX_MESSAGE_BYTES", "125", "67108864"),
        // Its range goes further, but it must be less than LIVE_WS_PONG_TIMEOUT_MS.
        ("LIVE_WS_PING_INTERVAL_MS", "10", "86399999"),
    ];
    for least in [0].into_iter().chain(STEPS) {
        let folder = folder();
        let end = |(name, from, to): &(&'static str, _, _)| (*name, if least == 0 { *from } else { *to });
        let least = least.to_string();
        let mut settings: Vec<(&str, &str)> = limits.iter().map(end).collect();
        settings.extend([("LIVE_WS_MIN_EVERY_MS", &*least), ("LIVE_WS_PONG_TIMEOUT_MS", "86400000")]);
        let server = Server::start(folder.path(), &settings);
        record.request(&mut server.client().await, json!({ "type": "hello", "id": "settings" })).await;
    }
}

/// An area with more devices than may be, when it is subscribed to, and later.
async fn play_crowds(record: &mut Record) {
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_MAX_AREA_DEVICES", "1")]);
    let mut client = server.client().await;
    let request = json!({ "type": "subscribe", "topic": "area:13,1,14,2", "id": "a" });
    server.accept(&position("1", 1, 1.5)).await;
    record.request(&mut client, request.clone()).await;
    server.accept(&position("2", 1, 1.5)).await;
    loop {
        let message = client.json().await;
        let ended = message["type"] == "error";
        record.sent(message);
        if ended {
            break;
        }
    }
    record.request(&mut client, request).await;
}

/// Who a client is, in all that tells it.
async fn play_tokens(record: &mut Record) {
    let folder = folder();
    let server = Server::start(folder.path(), &jwt_and(&[("AUTH_REQUIRE_EXPIRY", "false")]));
    let topics = ["*", "device:42", "device:a*", "event:*", "area:*", "area:9,-53.5,1e1,54"];
    let endless = json!({ "sub": "ann", "topics": [] });
    for token in [token(&"x".repeat(128), json!({ "topics": topics })), signed(&endless)] {
        let mut client = Client::bearer(server.live, &token).await;
        record.request(&mut client, json!({ "type": "hello" })).await;
        record.request(&mut client, json!({ "type": "auth", "token": token })).await;
        record.request(&mut client, json!({ "type": "subscribe", "topic": "event:e" })).await;
    }
}

/// A token that cannot be checked.
async fn play_away(record: &mut Record) {
    let claims = json!({ "sub": "ann", "topics": ["*"] }).to_string();
    let answers = Answers::start(move |_| Answer::Is(200, String::new(), claims.clone())).await;
    let folder = folder();
    let url = format!("http://{}/", answers.address);
    let server = Server::start(folder.path(), &[("AUTH", "http"), ("AUTH_HTTP_URL", &url)]);
    let mut client = Client::bearer(server.live, "a").await;
    record.request(&mut client, json!({ "type": "hello" })).await;
    answers.change(|_| Answer::Is(500, String::new(), String::new()));
    record.request(&mut client, json!({ "type": "auth", "token": "b", "id": "renewed" })).await;
}

/// The server stops.
async fn play_stop(record: &mut Record) {
    let folder = folder();
    // The only client of this server comes back in the middle of it, in whole milliseconds.
    let server = Server::start(folder.path(), &[("LIVE_WS_RECONNECT_SPREAD_MS", "1")]);
    let mut client = server.client().await;
    server.signal(Signal::SIGTERM);
    record.update(&mut client, "draining").await;
}

/// All that can be said.
async fn record() -> Record {
    let mut record = Record::default();
    let page = play_page().await;
    page.received.into_iter().for_each(|message| record.sent(message));
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_MAX_MESSAGES_PER_SECOND", "100000")]);
    let requests = page.sent.into_iter().chain(REQUESTS.iter().map(|&text| text.to_owned()));
    for request in requests.chain(long_requests()) {
        record.ask(&mut server.client().await, &request).await;
    }
    play_topics(&mut record, &server).await;
    play_leaving(&mut record, &server).await;
    play_settings(&mut record).await;
    play_crowds(&mut record).await;
    play_tokens(&mut record).await;
    play_away(&mut record).await;
    play_stop(&mut record).await;
    assert_complete(&record, &server).await;
    record
}

/// The record has every type of message that the server counts, and every error code of the page.
async fn assert_complete(record: &Record, server: &Server) {
    let metrics = server.get("/metrics").await.1;
    let counted = |name: &str| -> BTreeSet<String> {
        let series = metrics.lines().filter(|line| line.starts_with(name));
        let kinds =
            series.filter_map(|line| Some(line.split_once("type=\"")?.1.split_once('"')?.0.to_owned()));
        kinds.filter(|kind| kind != "invalid").collect()
    };
    let said = |side| record.values(side, "type").into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(said("server"), counted("processor_live_messages_outbound_total{"));
    assert_eq!(said("client"), counted("processor_live_messages_inbound_total{"));
    let page = read("docs/wire.md");
    let errors = page.split("\n## ").find(|section| section.starts_with("Errors\n")).unwrap();
    let codes = errors.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(record.values("server", "code"), codes.collect());
}

/// What the checker finds wrong with a description.
fn faults(description: &str, record: &Record) -> Result<(), String> {
    let folder = folder();
    let (yaml, lines) = (folder.path().join("asyncapi.yaml"), folder.path().join("record.ndjson"));
    fs::write(&yaml, description).unwrap();
    fs::write(&lines, record.0.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let mut command = Command::new("node");
    command.arg(project().join("tests/asyncapi/check.js")).args([&yaml, &lines]);
    let output = command.output().expect("this test needs node");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[actix::test]
async fn the_description_is_valid_and_says_what_the_server_takes_and_sends() {
    node_modules("tests/asyncapi");
    let record = record().await;
    let description = read("docs/asyncapi.yaml");
    let version = format!("\n  version: {}\n", env!("CARGO_PKG_VERSION"));
    assert!(description.contains(&version), "the description is not of this version");
    faults(&description, &record).unwrap_or_else(|faults| panic!("{faults}"));
    // The checker sees what is wrong.
    for (right, wrong, fault) in [
        ("action: send", "action: say", "asyncapi"),
        ("        ping_interval_ms:", "        ping_ms:", "welcome must NOT have additional properties"),
        ("maximum: 30000", "maximum: 60000", "subscribe: the server refused it"),
        ("- too-many-devices\n", "- too-many\n", "error/code must be equal to one of"),
        ("minLength: 1\n", "minLength: 0\n", "auth: the server refused it"),
        ("          may_read:\n", "          may:\n", "must NOT have additional properties"),
    ] {
        assert!(description.contains(right), "{right}");
        let found = faults(&description.replace(right, wrong), &record).expect_err(wrong);
        assert!(found.contains(fault), "{wrong}: {found}");
    }
}
