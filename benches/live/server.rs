//! `Server`: a server under test, as a child process that never outlives the harness.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::system::{self, Memory};

/// How long a server may take to be ready.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How far what is started stands behind the generator where both have the same core. The generator stands for clients with machines
/// of their own: what it read late would count as the server's latency.
const NICE: i32 = 10;

const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers");

/// What is measured, and what it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// The server of this crate.
    Processor,
    /// Another build of it, for a comparison of before and after (`--beside`).
    #[value(skip)]
    Beside,
    /// A bare broadcaster: what the kernel allows.
    Limit,
    /// Node `ws`.
    Ws,
    /// `tokio-tungstenite`.
    Tungstenite,
}

impl Kind {
    /// All of them, in the order they take turns.
    pub(crate) const ALL: [Self; 4] = [Self::Processor, Self::Limit, Self::Ws, Self::Tungstenite];

    /// Its column in the tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Processor => "processor",
            Self::Beside => "beside",
            Self::Limit => "limit",
            Self::Ws => "ws",
            Self::Tungstenite => "tungstenite",
        }
    }

    /// True for a build of this crate's server: it is posted to over HTTP, stores, and answers.
    pub(crate) fn is_processor(self) -> bool {
        matches!(self, Self::Processor | Self::Beside)
    }
}

/// How a server is started.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) cores: Vec<usize>,
    pub(crate) workers: usize,
    /// Between two pings; `None` for so long that there is none.
    pub(crate) ping: Option<Duration>,
    /// Peers send back what they receive.
    pub(crate) echo: bool,
    /// More settings of the processor.
    pub(crate) settings: Vec<(&'static str, String)>,
    /// The program that [`Kind::Beside`] runs.
    pub(crate) beside: Option<PathBuf>,
}

impl Setup {
    /// With another setting of the processor.
    pub(crate) fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.settings.push((key, value.to_string()));
        self
    }
}

/// A child that is killed, by its own id, when this is dropped.
pub(crate) struct Guard(pub(crate) Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A server that runs.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    child: Guard,
    /// Where WebSocket clients connect.
    pub(crate) live: SocketAddr,
    /// Where positions are published.
    pub(crate) ops: SocketAddr,
    _folder: TempDir,
}

/// A folder on the disk the crate is built on: a database in memory would not show what durability costs.
pub(crate) fn folder() -> Result<TempDir> {
    std::fs::create_dir_all(env!("CARGO_TARGET_TMPDIR"))?;
    Ok(tempfile::Builder::new().prefix("live-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

/// A command that runs `program` on these cores and ends with the harness, whatever ends that.
pub(crate) fn command(cores: &[usize], program: impl AsRef<std::ffi::OsStr>) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    let cores: Vec<String> = cores.iter().map(ToString::to_string).collect();
    command.arg("launch").arg(cores.join(",")).arg(program).stdin(Stdio::null());
    Ok(command)
}

/// Is what [`command`] starts: sets this process up and becomes the program.
pub(crate) fn launch(arguments: &[String]) -> Result<()> {
    let [cores, program, rest @ ..] = arguments else { bail!("launch CORES PROGRAM ARGUMENTS") };
    let cores = cores.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    system::pin(&cores)?;
    rustix::process::nice(NICE)?;
    set_pdeathsig(Signal::SIGKILL)?;
    Err(Command::new(program).args(rest).exec().into())
}

impl Server {
    /// Starts a server and waits until it is ready.
    pub(crate) fn start(kind: Kind, setup: &Setup) -> Result<Self> {
        let folder = folder()?;
        let mut command = match kind {
            Kind::Processor => processor(env!("CARGO_BIN_EXE_processor").as_ref(), setup, folder.path())?,
            Kind::Beside => {
                let program = setup.beside.as_deref().context("--beside PROGRAM is missing")?;
                processor(program, setup, folder.path())?
            }
            Kind::Limit => own("peer-limit", setup)?,
            Kind::Tungstenite => own("peer-tungstenite", setup)?,
            Kind::Ws => {
                install_peers()?;
                let mut command = command(&setup.cores, "node")?;
                command.arg(format!("{PEERS}/broadcast.mjs"));
                peer_options(&mut command, setup);
                command
            }
        };
        let log = folder.path().join("log");
        command.current_dir(folder.path()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let mut child = Guard(command.spawn().with_context(|| format!("cannot start {}", kind.name()))?);
        let (ops, live) = wait_until_ready(&mut child.0, &log)?;
        Ok(Self { kind, child, live, ops, _folder: folder })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Its processor time so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        system::cpu_time(self.pid())
    }

    /// Its memory now.
    pub(crate) fn memory(&self) -> Result<Memory> {
        system::memory(self.pid())
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) -> Result<()> {
        Ok(kill(Pid::from_raw(self.pid() as i32), Signal::SIGTERM)?)
    }

    /// Its exit status, once it has ended.
    pub(crate) fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.0.try_wait()?)
    }
}

fn processor(program: &Path, setup: &Setup, folder: &Path) -> Result<Command> {
    let mut command = command(&setup.cores, program)?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let ping = setup.ping.unwrap_or(Duration::from_secs(3600)).as_millis();
    command
        .env_clear()
        .env("PATH", path)
        .env("DATABASE_URL", format!("sqlite://{}", folder.join("positions.db").display()))
        .env("LIVE_WS_HOST", "127.0.0.1")
        .env("LIVE_WS_PORT", "0")
        .env("OPS_PORT", "0")
        .env("WEB_ENABLED", "false")
        .env("OPS_MAX_BODY_BYTES", (16 << 20).to_string())
        .env("LIVE_WS_WORKERS", setup.workers.to_string())
        .env("LIVE_WS_PING_INTERVAL_MS", ping.to_string())
        .env("LIVE_WS_MAX_CONNECTIONS_PER_ADDRESS", "100000000")
        .env("LIVE_WS_MAX_MESSAGES_PER_SECOND", "100000000")
        .envs(setup.settings.iter().map(|(key, value)| (key, value)));
    Ok(command)
}

fn own(name: &str, setup: &Setup) -> Result<Command> {
    let mut command = command(&setup.cores, std::env::current_exe()?)?;
    command.arg(name);
    peer_options(&mut command, setup);
    Ok(command)
}

fn peer_options(command: &mut Command, setup: &Setup) {
    if setup.echo {
        command.arg("--echo");
    }
    if let Some(ping) = setup.ping {
        command.args(["--ping-ms", &ping.as_millis().to_string()]);
    }
}

/// Fetches the peers written in JavaScript, in the versions of the lock file, if they are not there.
pub(crate) fn install_peers() -> Result<PathBuf> {
    let modules = Path::new(PEERS).join("node_modules");
    if !modules.join(".package-lock.json").exists() {
        eprintln!("npm ci in benches/peers");
        let status = Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--silent"])
            .current_dir(PEERS)
            .stdout(Stdio::null())
            .status()
            .context("npm is needed for the peer ws; --only leaves it out")?;
        anyhow::ensure!(status.success(), "npm ci failed");
    }
    Ok(modules)
}

/// Reads the addresses from its log.
fn wait_until_ready(child: &mut Child, log: &Path) -> Result<(SocketAddr, SocketAddr)> {
    let since = Instant::now();
    loop {
        let text = std::fs::read_to_string(log)?;
        let address = |name: &str| {
            let (_, rest) = text.split_once(name)?;
            let (address, _) = rest.split_once('\n')?;
            address.trim().parse().ok()
        };
        if let (Some(ops), Some(live)) = (address("ops server ready on "), address("live server ready on ")) {
            return Ok((ops, live));
        }
        if let Some(status) = child.try_wait()? {
            bail!("it ended with {status}:\n{text}");
        }
        anyhow::ensure!(since.elapsed() < START_LIMIT, "not ready after {START_LIMIT:?}:\n{text}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
