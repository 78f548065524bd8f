//! `RedisServer`: Debian's `redis-server`, on a port of its own, which keeps nothing. Used by unit tests as well.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

pub(crate) use self::port::free_port;

#[allow(clippy::duplicate_mod, reason = "this file is in unit tests by itself")]
#[path = "port.rs"]
mod port;

/// A Redis server. Dropped, it ends, whatever state it is in.
pub(crate) struct RedisServer {
    child: Child,
    port: u16,
    args: Vec<String>,
    folder: TempDir,
}

impl RedisServer {
    /// Starts one, and waits until it takes connections.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further arguments, such as `["--requirepass", "secret"]`.
    pub(crate) fn start_with(args: &[&str]) -> Self {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let folder = tempfile::tempdir().unwrap();
        // Another process may take the free port before Redis does.
        for _ in 0..10 {
            let port = free_port();
            if let Some(child) = spawn(port, &args, &folder) {
                return Self { child, port, args, folder };
            }
        }
        panic!("redis-server does not start; tests/run installs it");
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// For `REDIS_URL`.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it at once; what it held is lost.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port, empty, after [`RedisServer::kill`].
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(self.port, &self.args, &self.folder).unwrap();
    }

    /// It goes on listening, and does nothing.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Ends [`RedisServer::freeze`].
    pub(crate) fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Has `redis-cli` send these commands, a line each.
    pub(crate) fn feed(&self, commands: &str) {
        let mut cli = Command::new("redis-cli");
        cli.args(["-p", &self.port.to_string()]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut cli = cli.spawn().unwrap();
        cli.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
        assert!(cli.wait().unwrap().success());
    }

    /// What `redis-cli` prints for these arguments.
    pub(crate) fn cli(&self, args: &[&str]) -> String {
        let output =
            Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }
}

impl Drop for RedisServer {
    #[allow(clippy::print_stderr, reason = "it is shown with the test that failed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("redis-server on port {} has ended: {:?}", self.port, self.child.try_wait());
        }
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// `None` if it ended before it was ready.
#[allow(clippy::zombie_processes, reason = "it is waited for when it ends, and where it does not start")]
fn spawn(port: u16, args: &[String], folder: &TempDir) -> Option<Child> {
    // It ends with the thread that started it, also where the whole test is killed.
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "redis-server"])
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(args)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let is_ready =
        lines.by_ref().map_while(Result::ok).any(|line| line.contains("Ready to accept connections"));
    if !is_ready {
        child.wait().ok();
        return None;
    }
    // It must not wait for someone who reads its log.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Some(child)
}
