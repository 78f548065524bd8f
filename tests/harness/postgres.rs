//! A PostgreSQL server of a test's own: Debian's, on a free port, in a folder of its own. Used by unit tests as well.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use tempfile::TempDir;

use self::port::free_port;

#[allow(clippy::duplicate_mod, reason = "this file is in unit tests by itself")]
#[path = "port.rs"]
mod port;

/// How long a server may take to start or stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server; ends when dropped.
pub(crate) struct Postgres {
    folder: TempDir,
    port: u16,
    /// `None` while it is stopped.
    process: Option<Child>,
}

impl Postgres {
    /// A new server with an empty database.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        run(Command::new("cp").arg("-a").arg(template()).arg(folder.path().join("data")));
        give_away(folder.path());
        let port = free_port();
        let mut server = Self { folder, port, process: None };
        server.resume();
        server
    }

    /// Its database, for settings and `psql`.
    pub(crate) fn url(&self) -> String {
        self.url_through(self.port)
    }

    /// The same through a proxy that listens on `port`.
    pub(crate) fn url_through(&self, port: u16) -> String {
        url(port, "postgres")
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Starts it, or starts it again.
    pub(crate) fn resume(&mut self) {
        let log = self.folder.path().join("log");
        let out = fs::File::create(&log).unwrap();
        let mut server = as_its_user("postgres");
        server.arg("-D").arg(self.folder.path().join("data"));
        server.args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        server.arg("-k").arg(self.folder.path());
        server.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        self.process = Some(server.spawn().unwrap());
        let began = Instant::now();
        while !fs::read_to_string(&log).unwrap().contains("ready to accept connections") {
            let text = || fs::read_to_string(&log).unwrap();
            let ended = self.process.as_mut().is_some_and(|process| process.try_wait().unwrap().is_some());
            assert!(!ended && began.elapsed() < PATIENCE, "postgres did not start: {}", text());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops it at once, as a crash would; what was committed stays.
    pub(crate) fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        self.signal_all(&process, "CONT");
        signal(process.id(), "QUIT");
        process.wait().unwrap();
    }

    /// Lets all of its processes stand still: connections stay, nothing is answered.
    pub(crate) fn freeze(&self) {
        self.signal_all(self.process.as_ref().unwrap(), "STOP");
    }

    /// Lets them go on.
    pub(crate) fn thaw(&self) {
        self.signal_all(self.process.as_ref().unwrap(), "CONT");
    }

    fn signal_all(&self, process: &Child, name: &str) {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", process.id()));
        for child in children.unwrap_or_default().split_whitespace() {
            signal(child.parse().unwrap(), name);
        }
        signal(process.id(), name);
    }

    /// Runs SQL with `psql`: the rows it gives, each a line with a `|` between two values.
    pub(crate) fn sql(&self, statement: &str) -> String {
        sql(&self.url(), statement)
    }

    /// The same through another database: what is about this one may not be possible through it.
    pub(crate) fn sql_elsewhere(&self, statement: &str) -> String {
        sql(&url(self.port, "template1"), statement)
    }

    /// Whether anybody may connect who is not connected yet.
    pub(crate) fn let_connect(&self, may: bool) {
        self.sql_elsewhere(&format!("ALTER DATABASE postgres ALLOW_CONNECTIONS {may}"));
    }

    /// Runs SQL in a transaction that is open until what this returns is let go; then it is as if nothing had been done.
    pub(crate) fn hold(&self, statement: &str) -> Held {
        let mut psql = psql(&self.url(), "");
        let mut psql = psql.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = psql.stdin.take().unwrap();
        writeln!(input, "BEGIN;\n{statement};\n\\echo held").unwrap();
        let mut line = String::new();
        BufReader::new(psql.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n", "{statement}");
        Held { psql, input: Some(input) }
    }
}

fn url(port: u16, database: &str) -> String {
    format!("postgres://processor:s3cret@127.0.0.1:{port}/{database}")
}

/// What [`Postgres::sql`] does.
fn sql(url: &str, statement: &str) -> String {
    let output = psql(url, statement).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{statement}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// The command that it runs.
fn psql(url: &str, statement: &str) -> Command {
    let mut psql = Command::new("psql");
    psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement, url]);
    psql
}

/// A transaction that is open; see [`Postgres::hold`].
pub(crate) struct Held {
    psql: Child,
    input: Option<ChildStdin>,
}

impl Drop for Held {
    fn drop(&mut self) {
        // It ends where its input does.
        drop(self.input.take());
        self.psql.wait().unwrap();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A data folder as `initdb` makes it, made once for all tests: it takes more than a second.
fn template() -> PathBuf {
    // target/debug/deps/it-… -> target/debug
    let target = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    let template =
        target.join(format!("postgres-{}", programs().parent().unwrap().file_name().unwrap().display()));
    if !template.exists() {
        let folder = tempfile::tempdir().unwrap();
        give_away(folder.path());
        let mut init = as_its_user("initdb");
        init.args([
            "--no-sync",
            "--no-instructions",
            "-A",
            "trust",
            "-U",
            "processor",
            "--encoding",
            "UTF8",
            "--locale",
            "C",
        ]);
        run(init.arg("-D").arg(folder.path().join("data")));
        // Copied to a place of its own first, so that what has the name is whole. Another test may be quicker.
        let beside = tempfile::Builder::new().prefix("postgres-new-").tempdir_in(&target).unwrap();
        let copy = beside.path().join("data");
        run(Command::new("cp").arg("-a").arg(folder.path().join("data")).arg(&copy));
        let renamed = fs::rename(&copy, &template);
        assert!(renamed.is_ok() || template.exists(), "{} cannot be made: {renamed:?}", template.display());
    }
    template
}

/// Where Debian has the server's programs, of the newest version that is installed.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = versions.map(|version| version.unwrap().path().join("bin")).max();
    newest.expect("PostgreSQL is not installed: apt-get install postgresql, or tests/run")
}

/// One of the server's programs. It refuses to run as root; whoever is root has the user that Debian's package made. It ends
/// with the thread that started it.
fn as_its_user(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    if rustix::process::getuid().is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.args(["--pdeathsig=QUIT", "--"]).arg(programs().join(program)).current_dir("/");
    command
}

/// Lets the server's user have a folder.
fn give_away(folder: &Path) {
    if rustix::process::getuid().is_root() {
        run(Command::new("chown").arg("postgres").arg(folder));
    }
}

fn signal(process: u32, name: &str) {
    // It may have ended just now.
    Command::new("kill")
        .args([&format!("-{name}"), &process.to_string()])
        .stderr(Stdio::null())
        .status()
        .unwrap();
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
