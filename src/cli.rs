//! The program: arguments, logging and exit codes.
//!
//! In the library, as a program compiles again what it calls of one: so it calls only [`main`].

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::app::App;
use crate::auth::{self, Authenticator};
#[cfg(all(feature = "simulate", feature = "ui"))]
use crate::demo::{self, Demo};
use crate::domain::Timestamp;
use crate::logging::Logging;
use crate::metrics::Metrics;
use crate::settings::{DatabaseUrl, Settings};
use crate::shutdown::{Cause, Shutdown};
#[cfg(feature = "simulate")]
use crate::simulate::{self, Names, Simulation};
use crate::{health, positions};
use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use uuid::Uuid;

/// How long the process waits at its end for the last lines of the log to be written: whoever reads them may be stuck.
const LAST_LINES: Duration = Duration::from_millis(200);

/// A live-position server: takes positions over HTTP, stores them, and sends them over WebSockets. Without a command, it
/// serves.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM, SIGINT, SIGQUIT or SIGHUP (the default).
    Serve,
    /// Check the settings and print the effective ones.
    Check,
    /// Ask the server that runs with these settings whether it is alive; exit code 0 if so.
    Health,
    /// Copy the store to a new file, also while the server runs.
    Backup {
        /// The file to make.
        file: PathBuf,
    },
    /// Put a copy of the store back, while no server runs. What was there is kept under another name.
    Restore {
        /// The copy, as `backup` made it.
        file: PathBuf,
    },
    /// See it work: serve the map page with devices that drive through a made-up city. What they post is thrown away.
    Demo(DemoArguments),
    /// Make a token that says who someone is, or read one and say why it would be refused. The settings say how tokens are signed.
    Token(TokenArguments),
    /// Move devices through the streets of a made-up city and post where they are.
    #[cfg(feature = "simulate")]
    Simulate(SimulateArguments),
}

#[derive(clap::Args)]
#[cfg_attr(not(all(feature = "simulate", feature = "ui")), allow(dead_code, reason = "there is no demo"))]
struct DemoArguments {
    /// How many devices.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    devices: u32,
    /// Positions a second of each device, 0.001 to 1000.
    #[arg(long, default_value_t = 1.0, value_parser = rate)]
    rate: f64,
    /// The event that all take part in; couriers are in the event `couriers` too.
    #[arg(long, default_value = "demo")]
    event: String,
    /// The port of the map page, instead of WEB_PORT.
    #[arg(long)]
    port: Option<u16>,
}

#[derive(clap::Args)]
struct TokenArguments {
    /// Read this token (- reads it from the standard input) and say why it would be refused; exit code 0 if it would not be, unless it was
    /// revoked, which only the server knows.
    #[arg(long, value_name = "TOKEN", exclusive = true)]
    inspect: Option<String>,
    /// Who it is of.
    #[arg(long, required_unless_present = "inspect")]
    sub: Option<String>,
    /// What its bearer may read: topics, beginnings of topics with a *, boxes (area:west,south,east,north).
    #[arg(long, num_args = 1.., value_name = "TOPIC")]
    topics: Vec<String>,
    /// Which devices its bearer may report for: ids, or beginnings of ids with a *.
    #[arg(long, num_args = 1.., value_name = "DEVICE")]
    devices: Vec<String>,
    /// How long it holds: a number with s, m, h or d behind it.
    #[arg(long, default_value = "1h", value_parser = time_to_live)]
    ttl: Duration,
    /// The file of the private key, in PEM format (PKCS #8), where tokens are not signed with AUTH_JWT_SECRET.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

fn time_to_live(text: &str) -> Result<Duration, String> {
    let unit = text.chars().last().and_then(|unit| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(60 * 60),
        'd' => Some(24 * 60 * 60),
        _ => None,
    });
    let number = unit.and_then(|_| text[..text.len() - 1].parse::<u32>().ok()).filter(|number| *number > 0);
    let time = number.zip(unit).map(|(number, unit)| Duration::from_secs(u64::from(number) * unit));
    time.ok_or_else(|| "a whole number with s, m, h or d behind it, such as 90m".to_owned())
}

#[cfg(feature = "simulate")]
#[derive(clap::Args)]
struct SimulateArguments {
    /// How many devices; their ids are 1 to this number.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    devices: u32,
    /// Positions a second of each device, 0.001 to 1000.
    #[arg(long, default_value_t = 1.0, value_parser = rate)]
    rate: f64,
    /// Where to post; to the server that runs with these settings if not given.
    #[arg(long)]
    url: Option<String>,
    /// The event they take part in; its topic is `event:` and this.
    #[arg(long)]
    event: Option<String>,
    /// Bearer token of the ingest.
    #[arg(long)]
    token: Option<String>,
    /// Seconds to run; for ever if not given.
    #[arg(long)]
    seconds: Option<u64>,
    /// Latitude of the middle, -80 to 80.
    #[arg(long, default_value_t = 52.52, allow_negative_numbers = true)]
    latitude: f64,
    /// Longitude of the middle, -180 to 180.
    #[arg(long, default_value_t = 13.405, allow_negative_numbers = true)]
    longitude: f64,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.001..=1000.0).contains(rate));
    rate.ok_or_else(|| "a number from 0.001 to 1000".to_owned())
}

/// Does what the arguments say, and returns the exit code of the process if it does not end that itself.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let logging = match Logging::start() {
        Ok(logging) => logging,
        Err(error) => {
            // There is no log to write this to.
            drop(writeln!(std::io::stderr(), "cannot log: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let system = actix::System::new();
    let result = system.block_on(async {
        match arguments.command.unwrap_or(Command::Serve) {
            Command::Serve => serve(&logging).await,
            Command::Check => check(),
            Command::Health => check_health().await,
            Command::Backup { file } => backup(&file).await,
            Command::Restore { file } => restore(&file).await,
            Command::Demo(arguments) => demo(arguments, &logging).await,
            Command::Token(arguments) => token(arguments).await,
            #[cfg(feature = "simulate")]
            Command::Simulate(arguments) => simulate(arguments).await,
        }
    });
    let code = match result {
        Ok(()) => 0,
        Err(error) => {
            // One line for each fault, with all of its causes.
            for line in format!("{error:#}").lines() {
                log::log!(target: "processor", log::Level::Error, "{line}");
            }
            1
        }
    };
    logging.flush(LAST_LINES);
    // Not by dropping the system: it would wait for threads that look up a name, which may take half a minute.
    std::process::exit(code)
}

async fn serve(logging: &Logging) -> anyhow::Result<()> {
    // First, so that no signal is missed.
    let mut shutdown = Shutdown::listen().context("cannot listen for signals")?;
    let settings = Settings::load()?;
    let app = tokio::select! {
        biased;
        cause = shutdown.signalled() => {
            log::info!("{} received while starting: nothing was taken yet, ending", cause.name());
            return Ok(());
        }
        app = App::start(settings, Some(logging.dropped())) => app?,
    };
    let cause = shutdown.signalled().await;
    log::info!("{} received", cause.name());
    tokio::select! {
        _ = app.stop() => Ok(()),
        again = shutdown.signalled() => end_at_once(again, logging),
    }
}

/// A signal came while the program was stopping for another one.
fn end_at_once(cause: Cause, logging: &Logging) -> ! {
    log::warn!("{} received while stopping: ending at once", cause.name());
    logging.flush(LAST_LINES);
    std::process::exit(i32::from(cause.exit_code()))
}

#[cfg(all(feature = "simulate", feature = "ui"))]
async fn demo(arguments: DemoArguments, logging: &Logging) -> anyhow::Result<()> {
    let mut shutdown = Shutdown::listen().context("cannot listen for signals")?;
    let DemoArguments { devices, rate, event, port } = arguments;
    let options = demo::Options { devices: devices as usize, rate, event, port };
    let demo = tokio::select! {
        biased;
        _ = shutdown.signalled() => return Ok(()),
        demo = Demo::start(options, Some(logging.dropped())) => demo?,
    };
    say(&format!("open {}", demo.url()))?;
    let result = tokio::select! {
        cause = shutdown.signalled() => {
            log::info!("{} received", cause.name());
            Ok(())
        }
        result = demo.drive() => result,
    };
    tokio::select! {
        () = demo.stop() => result,
        again = shutdown.signalled() => end_at_once(again, logging),
    }
}

#[cfg(not(all(feature = "simulate", feature = "ui")))]
async fn demo(_: DemoArguments, _: &Logging) -> anyhow::Result<()> {
    anyhow::bail!("this program was built without what a demo needs: the features simulate and ui")
}

fn check() -> anyhow::Result<()> {
    let settings = Settings::load()?;
    settings.warnings().iter().for_each(|warning| log::warn!("{warning}"));
    // Whether its keys can be used.
    Authenticator::new(&settings.auth, Metrics::new(&settings.instance_id)?.auth)?;
    #[cfg(feature = "ui")]
    if let (true, Some(file)) = (settings.web.enabled, &settings.web.pmtiles_file) {
        let unusable = || format!("setting WEB_PMTILES_FILE: {file:?} cannot be used");
        crate::web::check_tiles(file).with_context(unusable)?;
    }
    let mut page = settings.lines().join("\n");
    page.push('\n');
    std::io::stdout().write_all(page.as_bytes()).context("cannot print")
}

async fn token(arguments: TokenArguments) -> anyhow::Result<()> {
    let settings = Settings::load()?.auth;
    if let Some(token) = arguments.inspect {
        let token = if token == "-" {
            std::io::read_to_string(std::io::stdin()).context("cannot read")?
        } else {
            token
        };
        let inspection = auth::inspect(&settings, token.trim()).await?;
        say(&inspection.to_string())?;
        return match inspection.refused {
            None => Ok(()),
            Some(refused) => bail!("the token would be refused: {refused}"),
        };
    }
    if arguments.topics.is_empty() && arguments.devices.is_empty() {
        log::warn!("without --topics and --devices its bearer may read nothing and report for no device");
    }
    // To the millisecond: a revocation holds for tokens that were issued before.
    let now = Timestamp::now().as_millis() as f64 / 1000.0;
    let claims = auth::Claims {
        sub: arguments.sub,
        jti: Some(Uuid::new_v4().to_string()),
        topics: arguments.topics,
        devices: arguments.devices,
        iat: Some(now),
        exp: Some(now + arguments.ttl.as_secs_f64()),
        ..auth::Claims::default()
    };
    say(&auth::make(&settings, claims, arguments.key.as_deref())?)
}

async fn backup(target: &Path) -> anyhow::Result<()> {
    let store = sqlite_file()?;
    let bytes = positions::backup(&store, target).await;
    let bytes = bytes.with_context(|| format!("no backup made of {}", store.display()))?;
    say(&format!("{} bytes of {} written to {}", bytes, store.display(), target.display()))
}

/// The store's file. Postgres has programs of its own for what is done with it.
fn sqlite_file() -> anyhow::Result<PathBuf> {
    match Settings::load()?.positions.database {
        DatabaseUrl::Sqlite(file) => Ok(file),
        url @ DatabaseUrl::Postgres(_) => {
            bail!("DATABASE_URL is {url}: this is for SQLite files only; use pg_dump and pg_restore")
        }
    }
}

async fn restore(source: &Path) -> anyhow::Result<()> {
    let store = sqlite_file()?;
    let kept = positions::restore(&store, source).await;
    let kept = kept.with_context(|| format!("{} was not restored", store.display()))?;
    let kept = kept.map(|kept| format!("; what was there is now {}", kept.display())).unwrap_or_default();
    say(&format!("{} restored from {}{kept}", store.display(), source.display()))
}

/// Prints one line.
fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("cannot print")
}

async fn check_health() -> anyhow::Result<()> {
    Ok(health::check(ops_address()?).await?)
}

/// Where the ops server with these settings is reached from this machine.
fn ops_address() -> anyhow::Result<SocketAddr> {
    let ops = Settings::load()?.ops;
    let host = match ops.host {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    Ok(SocketAddr::new(host, ops.port))
}

#[cfg(feature = "simulate")]
async fn simulate(arguments: SimulateArguments) -> anyhow::Result<()> {
    let url = match arguments.url {
        Some(url) => url,
        None => format!("http://{}/positions", ops_address()?),
    };
    let simulation = Simulation {
        devices: arguments.devices as usize,
        names: Names::Numbers,
        progress: log::Level::Info,
        rate: arguments.rate,
        url,
        event: arguments.event,
        courier_event: None,
        token: arguments.token,
        duration: arguments.seconds.map(Duration::from_secs),
        centre: (arguments.latitude.clamp(-80.0, 80.0), arguments.longitude.clamp(-180.0, 180.0)),
    };
    let mut shutdown = Shutdown::listen().context("cannot listen for signals")?;
    tokio::select! {
        result = simulate::run(simulation) => Ok(result?),
        _ = shutdown.signalled() => Ok(()),
    }
}
