//! `Server`: the binary, running in a folder of its own; its log, its signals, and what its ops port says.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use super::client::Client;
use super::http::{get, http, post, post_over};
use super::metrics::sum;
use super::raw::Raw;
use super::{PATIENCE, eventually};

/// What of its log is shown when a test fails.
const LAST_LINES: usize = 20;

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
    command.current_dir(folder).env_clear();
    command.envs([("LIVE_WS_PORT", "0"), ("OPS_PORT", "0"), ("WEB_PORT", "0")]);
    command.env("RUST_LOG", "info,processor=debug").envs(settings.iter().copied());
    command.stdin(Stdio::null());
    command
}

/// The same command under limits of the kernel's, as `prlimit` takes them (`--nofile=256`). They are hard
/// limits. Where a file would become too long, a write fails; no signal ends the process.
pub(crate) fn limited(command: &Command, limits: &[&str]) -> Command {
    let mut limited = Command::new("env");
    limited.args(["--ignore-signal=XFSZ", "prlimit"]).args(limits).arg(command.get_program());
    limited.args(command.get_args()).env_clear().stdin(Stdio::null());
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited.current_dir(command.get_current_dir().unwrap());
    limited
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
        let (found, text) = (find(&lines), lines.join("\n"));
        // Whoever fails shows the log once more, and must not find it locked.
        drop(lines);
        assert!(!timeout.timed_out(), "{part:?} is not in the log:\n{text}");
        found.unwrap()
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
            // The system tells of a child's end without a deadline, or when asked.
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

    /// Revokes something, and expects that to be done.
    pub(crate) async fn revoke(&self, what: &Value) -> Value {
        let url = format!("http://{}/revoke", self.ops);
        let (status, body) = post_over(&http(), &url, &[], what.to_string()).await.unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        get(self.ops, path).await
    }

    /// The sum of a metric over all of its series with `label`, see [`sum`].
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

    /// So many clients without a library, all of them registered; nobody else is connected.
    pub(crate) async fn raw_clients(&self, count: usize) -> Vec<Raw> {
        let clients = join_all((0..count).map(|_| Raw::connect(self.live))).await;
        eventually(&format!("{count} connections"), async || self.connections().await == count as f64).await;
        clients
    }

    /// Where its map page is.
    #[allow(dead_code, reason = "not all tests look at the page")]
    pub(crate) fn web(&self) -> SocketAddr {
        let line = self.logged("map on http://");
        let rest = line.split_once("http://").unwrap().1;
        address(rest.split('/').next().unwrap())
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.live).await
    }
}

impl Drop for Server {
    #[allow(clippy::print_stderr, reason = "it is shown with the test that failed")]
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            let log = self.log();
            eprintln!(
                "the end of the server's log:\n{}",
                log[log.len().saturating_sub(LAST_LINES)..].join("\n")
            );
        }
    }
}
