//! `Engines`: PostgreSQL and Redis of this machine, started for a measurement, with data folders of their own.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;

use self::port::free_port;
use crate::server::{self, Guard, Setup};
use crate::system;

#[path = "../../tests/harness/port.rs"]
mod port;

/// How long one of them may take to start.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Both, which run until this is dropped.
pub(crate) struct Engines {
    postgres: Postgres,
    redis: Redis,
    /// Databases made so far.
    made: usize,
}

/// Processor time so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineTimes {
    pub(crate) postgres: Duration,
    pub(crate) redis: Duration,
}

impl Engines {
    /// What is not installed, if something is not.
    pub(crate) fn missing() -> Option<&'static str> {
        if programs().is_none() {
            return Some("postgresql");
        }
        let redis = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        redis.is_err().then_some("redis-server")
    }

    /// Starts both on these cores, as Debian's packages configure them but for addresses and files: what Postgres commits is
    /// on the disk, what Redis has is not.
    pub(crate) fn start(cores: &[usize]) -> Result<Self> {
        Ok(Self { postgres: Postgres::start(cores)?, redis: Redis::start(cores)?, made: 0 })
    }

    /// The URL of a new database, with nothing left to write of what was done before. What was in the last one, and in Redis,
    /// is gone.
    pub(crate) fn database(&mut self) -> Result<String> {
        self.redis.forget()?;
        let (last, next) = (format!("bench{}", self.made), format!("bench{}", self.made + 1));
        self.made += 1;
        self.postgres.execute(&[
            format!("DROP DATABASE IF EXISTS {last} WITH (FORCE)"),
            format!("CREATE DATABASE {next}"),
            "CHECKPOINT".to_owned(),
        ])?;
        Ok(self.postgres.url(&next))
    }

    /// What an instance is told to use both, with a new database.
    pub(crate) fn join(&mut self, setup: Setup) -> Result<Setup> {
        let redis = format!("redis://127.0.0.1:{}", self.redis.port);
        Ok(setup.with("DATABASE_URL", self.database()?).with("REDIS_URL", redis))
    }

    /// Their processor time so far, of the processes that run now.
    pub(crate) fn times(&self) -> Result<EngineTimes> {
        let pid = self.postgres.process.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        // One may have ended just now.
        let times = children.filter_map(|child| system::exact_cpu_time(child).ok());
        let postgres = times.sum::<Duration>() + system::exact_cpu_time(pid)?;
        Ok(EngineTimes { postgres, redis: system::exact_cpu_time(self.redis.process.0.id())? })
    }
}

struct Postgres {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Postgres {
    fn start(cores: &[usize]) -> Result<Self> {
        let folder = server::folder()?;
        let data = folder.path().join("data");
        if is_root() {
            output(Command::new("chown").arg("postgres").arg(folder.path()))?;
        }
        let mut init = as_its_user(cores, "initdb")?;
        init.args(["--no-sync", "--no-instructions", "-A", "trust", "-U", "processor"]);
        output(init.args(["--encoding", "UTF8", "--locale", "C", "-D"]).arg(&data))?;
        let port = free_port();
        let log = folder.path().join("log");
        let file = File::create(&log)?;
        let mut command = as_its_user(cores, "postgres")?;
        command.arg("-D").arg(&data).args(["-p", &port.to_string()]);
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        command.stdout(file.try_clone()?).stderr(file);
        let mut postgres = Self { process: command.spawn()?, port, _folder: folder };
        let since = Instant::now();
        loop {
            let text = fs::read_to_string(&log)?;
            if text.contains("ready to accept connections") {
                return Ok(postgres);
            }
            let ended = postgres.process.try_wait()?.is_some();
            ensure!(!ended && since.elapsed() < START_LIMIT, "postgres does not start:\n{text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://processor@127.0.0.1:{}/{database}", self.port)
    }

    fn execute(&self, statements: &[String]) -> Result<()> {
        let url = self.url("postgres");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut connection = PgConnection::connect(&url).await?;
            for statement in statements {
                let query = sqlx::raw_sql(AssertSqlSafe(statement.clone()));
                query.execute(&mut connection).await.with_context(|| statement.clone())?;
            }
            Ok(connection.close().await?)
        })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once, and with its children. Both fail only if it has ended already.
        kill(Pid::from_raw(self.process.id() as i32), Signal::SIGQUIT).ok();
        self.process.wait().ok();
    }
}

struct Redis {
    process: Guard,
    port: u16,
    _folder: TempDir,
}

impl Redis {
    fn start(cores: &[usize]) -> Result<Self> {
        let (folder, port) = (server::folder()?, free_port());
        let mut command = server::command(cores, "redis-server")?;
        command.args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        command.current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Guard(command.spawn()?);
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = process.0.try_wait()?.is_some();
            ensure!(!ended && since.elapsed() < START_LIMIT, "redis-server does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { process, port, _folder: folder })
    }

    /// Empties it.
    fn forget(&self) -> Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(START_LIMIT))?;
        stream.write_all(b"FLUSHALL\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        ensure!(&answer == b"+OK\r\n", "Redis answered {:?}", String::from_utf8_lossy(&answer));
        Ok(())
    }
}

/// Where Debian has the programs of the newest version of Postgres that is installed.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.flatten().map(|version| version.path().join("bin"));
    folders.filter(|folder| folder.join("postgres").exists()).max()
}

/// One of these programs. Postgres refuses to run as root; whoever is root has the user that Debian's package made. It ends with
/// the harness.
fn as_its_user(cores: &[usize], program: &str) -> Result<Command> {
    let programs = programs().context("PostgreSQL is not installed")?;
    let mut command = server::command(cores, "setpriv")?;
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.args(["--pdeathsig=QUIT", "--"]).arg(programs.join(program)).current_dir(Path::new("/"));
    Ok(command)
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

fn output(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
