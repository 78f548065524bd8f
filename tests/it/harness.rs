//! What all tests use: a server process, a live server in this process, clients that behave and clients that don't.

use std::collections::HashMap;
use std::future::Future;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use processor::live::registry::ListConnections;
use processor::live::{Hub, LiveServer, MessageHandler, Running};
use processor::metrics::Metrics;
use processor::settings::Settings;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// No event of these tests takes longer, unless the test says so, also on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for `future`, but not for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}

/// Asks again and again until `check` says yes.
pub(crate) async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    soon(what, async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// The binary, running in a folder of its own.
pub(crate) struct Server {
    child: Child,
    log: Arc<(Mutex<Vec<String>>, Condvar)>,
    /// Ends when nobody can write to the log any more.
    reader: Option<JoinHandle<()>>,
    pub(crate) live: SocketAddr,
    pub(crate) ops: SocketAddr,
}

/// A folder for a server's files, which may outlive it.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The binary, ready to be run in `folder` with nothing in its environment but `settings`.
pub(crate) fn command(folder: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_processor"));
    command.current_dir(folder).env_clear().envs([("LIVE_WS_PORT", "0"), ("OPS_PORT", "0")]);
    command.env("RUST_LOG", "info,processor=debug").envs(settings.iter().copied());
    command.stdin(Stdio::null());
    command
}

/// The address at the end of a line of the log, as a client on this machine reaches it.
fn address(line: &str) -> SocketAddr {
    let mut address: SocketAddr = line.rsplit(' ').next().unwrap().parse().unwrap();
    if address.ip().is_unspecified() {
        address.set_ip([127, 0, 0, 1].into());
    }
    address
}

impl Server {
    pub(crate) fn start(folder: &Path, settings: &[(&str, &str)]) -> Self {
        Self::spawn(command(folder, settings))
    }

    pub(crate) fn spawn(command: Command) -> Self {
        let mut server = Self::spawn_starting(command);
        server.live = address(&server.logged("live server ready on "));
        server
    }

    /// Does not wait until it is ready, only until its ops server answers.
    pub(crate) fn spawn_starting(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::<(Mutex<Vec<String>>, Condvar)>::default();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let shared = log.clone();
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                shared.0.lock().unwrap().push(line);
                shared.1.notify_all();
            }
        });
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { child, log, reader: Some(reader), live: unknown, ops: unknown };
        server.ops = address(&server.logged("ops server ready on "));
        server
    }

    /// Waits for a line of the log that holds `part`, and returns it.
    pub(crate) fn logged(&self, part: &str) -> String {
        let (lines, grown) = &*self.log;
        let lines = lines.lock().unwrap();
        let find = |lines: &Vec<String>| lines.iter().find(|line| line.contains(part)).cloned();
        let (lines, timeout) =
            grown.wait_timeout_while(lines, PATIENCE, |lines| find(lines).is_none()).unwrap();
        assert!(!timeout.timed_out(), "{part:?} is not in the log:\n{}", lines.join("\n"));
        find(&lines).unwrap()
    }

    /// Every line logged so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.0.lock().unwrap().clone()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for the process to end, at most `limit`. Afterwards the log is complete.
    pub(crate) fn ended(&mut self, limit: Duration) -> ExitStatus {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                if let Some(reader) = self.reader.take() {
                    reader.join().unwrap();
                }
                return status;
            }
            assert!(since.elapsed() < limit, "still there after {limit:?}:\n{}", self.log().join("\n"));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks it to stop, and expects it to do so in order.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        assert_eq!(self.ended(PATIENCE).code(), Some(0));
    }

    pub(crate) async fn post(&self, body: impl Into<String>) -> (u16, Value) {
        self.post_with(&[], body).await
    }

    pub(crate) async fn post_with(&self, headers: &[(&str, &str)], body: impl Into<String>) -> (u16, Value) {
        post(self.ops, headers, body).await
    }

    /// Posts and expects it to be accepted.
    pub(crate) async fn accept(&self, body: &Value) {
        let (status, answer) = self.post(body.to_string()).await;
        assert_eq!(status, 200, "{answer}");
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        get(self.ops, path).await
    }

    /// The sum of a metric over all of its series whose labels hold `label`.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> f64 {
        let (status, page) = self.get("/metrics").await;
        assert_eq!(status, 200);
        sum(&page, name, label)
    }

    /// The gauge, with everyone who has got 101 in it: a connection registers before that, but by a message. The
    /// question for the list of connections takes the same way.
    pub(crate) async fn connections(&self) -> f64 {
        assert_eq!(self.get("/connections?limit=1").await.0, 200);
        self.metric("processor_live_connections", "").await
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.live).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) async fn post(ops: SocketAddr, headers: &[(&str, &str)], body: impl Into<String>) -> (u16, Value) {
    let mut request = awc::Client::default().post(format!("http://{ops}/positions")).timeout(PATIENCE);
    for header in headers {
        request = request.insert_header(*header);
    }
    let mut response = request.send_body(body.into()).await.unwrap();
    let body = response.body().await.unwrap();
    (response.status().as_u16(), serde_json::from_slice(&body).unwrap())
}

pub(crate) async fn get(ops: SocketAddr, path: &str) -> (u16, String) {
    let mut response = awc::Client::default().get(format!("http://{ops}{path}")).send().await.unwrap();
    let body = response.body().limit(16 << 20).await.unwrap();
    (response.status().as_u16(), String::from_utf8(body.to_vec()).unwrap())
}

/// The sum of a metric over all series on the page whose labels hold `label`. There must be one.
pub(crate) fn sum(page: &str, name: &str, label: &str) -> f64 {
    let series = page.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (found, labels) = series.split_once('{')?;
        (found == name && labels.contains(label)).then(|| value.parse::<f64>().unwrap())
    });
    let values: Vec<_> = series.collect();
    assert!(!values.is_empty(), "no series {name} with {label:?} in:\n{page}");
    values.iter().sum()
}

/// A position as a device posts it.
pub(crate) fn position(device: &str, millis: u64, latitude: f64) -> Value {
    json!({ "device_id": device, "timestamp": time(millis), "latitude": latitude, "longitude": 13.4 })
}

/// A time in 2026, so many milliseconds into the day.
pub(crate) fn time(millis: u64) -> String {
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    format!("2026-01-02T{:02}:{:02}:{seconds:02}.{millis:03}Z", minutes / 60, minutes % 60)
}

/// A live server in this process, with a handler of the test's own.
pub(crate) struct Live {
    pub(crate) running: Running,
    pub(crate) metrics: Metrics,
}

/// Settings of a live server on a free port of loopback, with `changes`.
pub(crate) fn settings(changes: &[(&str, &str)]) -> Settings {
    let mut environment = HashMap::from([
        ("LIVE_WS_PORT".to_owned(), "0".to_owned()),
        ("LIVE_WS_HOST".to_owned(), "127.0.0.1".to_owned()),
    ]);
    environment.extend(changes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    Settings::from(Path::new("/nonexistent"), environment).unwrap()
}

impl Live {
    pub(crate) fn start<H: MessageHandler>(
        changes: &[(&str, &str)],
        handler: impl Fn(std::rc::Rc<Hub>) -> H + Send + Sync + 'static,
    ) -> Self {
        let metrics = Metrics::new("test").unwrap();
        let running = LiveServer::new(settings(changes).live, handler, metrics.live.clone()).start().unwrap();
        Self { running, metrics }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// Waits until so many connections are counted, everyone who has got 101 among them.
    pub(crate) async fn gauge_is(&self, expected: i64) {
        let gauge = &self.metrics.live.connections;
        eventually(&format!("a gauge of {expected}"), async || {
            // See `Server::connections`.
            self.running.registry().send(ListConnections).await.unwrap();
            gauge.get() == expected
        })
        .await;
    }

    /// The sum of a metric over all of its series whose labels hold `label`.
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        sum(&self.metrics.page().unwrap(), name, label)
    }
}

/// A client that behaves: reads, answers pings and closes.
pub(crate) struct Client(tokio_tungstenite::WebSocketStream<TcpStream>);

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self::over(stream, address).await
    }

    /// Over a socket with a receive buffer of about `bytes`, so that it is soon full.
    pub(crate) async fn narrow(address: SocketAddr, bytes: u32) -> Self {
        Self::over(narrow(address, bytes).await, address).await
    }

    async fn over(stream: TcpStream, address: SocketAddr) -> Self {
        let url = format!("ws://{address}/any/path?at=all");
        Self(soon("the handshake", tokio_tungstenite::client_async(url, stream)).await.unwrap().0)
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    pub(crate) async fn text(&mut self, text: impl Into<String>) {
        self.send(Message::text(text.into())).await;
    }

    /// The next message, pings left out; `None` when the stream is over.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        soon("a message", async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(message)) => return Some(message),
                    Some(Err(_)) | None => return None,
                }
            }
        })
        .await
    }

    /// The next message as JSON.
    pub(crate) async fn json(&mut self) -> Value {
        match self.next().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("no text but {other:?}"),
        }
    }

    /// Subscribes and returns the answer.
    pub(crate) async fn subscribe(&mut self, topic: &str) -> Value {
        self.text(json!({ "type": "subscribe", "topic": topic }).to_string()).await;
        let answer = self.json().await;
        assert_eq!((&answer["type"], &answer["topic"]), (&json!("subscribed"), &json!(topic)), "{answer}");
        answer
    }

    /// Waits for the close frame.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Some(Message::Close(Some(CloseFrame { code, reason }))) => {
                    // The closing handshake ends when the server ends the stream.
                    while self.next().await.is_some() {}
                    return (code.into(), reason.to_string());
                }
                Some(Message::Text(_) | Message::Binary(_)) => {}
                other => panic!("no close frame but {other:?}"),
            }
        }
    }

    /// Closes with 1000 and waits for the end.
    pub(crate) async fn close(mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        self.0.close(Some(frame)).await.unwrap();
        while self.next().await.is_some() {}
    }

    /// What tungstenite gives next, pings included.
    pub(crate) async fn raw_next(&mut self) -> Message {
        soon("a frame", self.0.next()).await.unwrap().unwrap()
    }
}

/// A socket with a receive buffer of about `bytes`.
pub(crate) async fn narrow(address: SocketAddr, bytes: u32) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(bytes).unwrap();
    socket.connect(address).await.unwrap()
}

/// A way to `target` on which all bytes take `delay` longer, in both directions. Returns its near end.
pub(crate) async fn delayed(target: SocketAddr, delay: Duration) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let near = listener.local_addr().unwrap();
    actix::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(target).await.unwrap();
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            actix::spawn(delay_bytes(from_client, to_server, delay));
            actix::spawn(delay_bytes(from_server, to_client, delay));
        }
    });
    near
}

async fn delay_bytes(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    delay: Duration,
) {
    // So many reads are on their way at most, so that a slow reader is felt at the other end.
    let (queue, mut due) = tokio::sync::mpsc::channel::<(tokio::time::Instant, Vec<u8>)>(64);
    let write = async {
        while let Some((at, bytes)) = due.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
    };
    let read = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let at = tokio::time::Instant::now() + delay;
            if queue.send((at, buffer[..count].to_vec())).await.is_err() {
                break;
            }
        }
        drop(queue);
    };
    tokio::join!(read, write);
}

/// A client that does only what the test tells it to: no pong, no close by itself.
pub(crate) struct Raw(pub(crate) TcpStream);

/// A handshake that is right.
pub(crate) const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    pub(crate) async fn over(stream: TcpStream) -> Self {
        let mut raw = Self(stream);
        raw.write(HANDSHAKE.as_bytes()).await;
        let head = raw.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        raw
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Reads up to the end of a response's head.
    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon("a response's head", self.0.read_u8()).await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// Sends a frame with this first byte, masked with zeros.
    pub(crate) async fn frame(&mut self, first: u8, payload: &[u8]) {
        self.write(&frame(first, payload)).await;
    }

    /// Reads a frame: its first byte and its payload. `None` when the stream is over or reset.
    pub(crate) async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        soon("a frame", async {
            let first = self.0.read_u8().await.ok()?;
            let length = match self.0.read_u8().await.ok()? {
                126 => self.0.read_u16().await.ok()?.into(),
                127 => self.0.read_u64().await.ok()? as usize,
                length => length.into(),
            };
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.ok()?;
            Some((first, payload))
        })
        .await
    }

    /// Reads until the close frame and returns its code.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            match self.read().await {
                Some((0x88, payload)) => return u16::from_be_bytes([payload[0], payload[1]]),
                Some(_) => {}
                None => panic!("the stream ended without a close frame"),
            }
        }
    }

    /// Reads until the stream is over.
    pub(crate) async fn ended(&mut self) {
        while self.read().await.is_some() {}
    }

    /// Resets the connection.
    pub(crate) fn reset(self) {
        self.0.set_zero_linger().unwrap();
    }
}

/// A frame as a client sends it, masked with zeros.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xFFFF => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// The project's folder.
pub(crate) fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
