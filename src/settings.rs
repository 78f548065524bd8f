//! Settings: read once from files and the environment, checked all together, handed on as typed values.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Config, Environment, File, FileFormat};
use ipnet::IpNet;

/// The settings that are compiled in; the file is also their documentation.
const DEFAULTS: &str = include_str!("../settings/default.toml");

/// Every key there is. In the environment: the same in capitals.
const KEYS: &[&str] = &[
    "instance_id",
    "database_url",
    "positions_max_waiting",
    "live_ws_host",
    "live_ws_port",
    "live_ws_workers",
    "live_ws_ping_interval_ms",
    "live_ws_pong_timeout_ms",
    "live_ws_handshake_timeout_ms",
    "live_ws_close_timeout_ms",
    "live_ws_drain_timeout_ms",
    "live_ws_max_message_bytes",
    "live_ws_outbox_bytes",
    "live_ws_worker_outbox_bytes",
    "live_ws_max_connections",
    "live_ws_max_connections_per_address",
    "live_ws_max_messages_per_second",
    "live_ws_max_subscriptions",
    "live_ws_max_topic_bytes",
    "live_ws_trusted_proxies",
    "live_ws_forwarded_header",
    "live_ws_allowed_origins",
    "ops_host",
    "ops_port",
    "ops_max_body_bytes",
    "ops_body_timeout_ms",
    "ops_max_connections",
    "ops_ingest_token",
    "ops_allowed_hosts",
];

/// A variable in the environment that starts like this and is no key is a typing error, not someone else's.
const OWN_PREFIXES: &[&str] = &["live_ws_", "ops_", "positions_"];

/// The longest interval a setting may name, in milliseconds (one day).
const MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Tells this process from others in metrics.
    pub instance_id: String,
    /// The live server.
    pub live: LiveSettings,
    /// The ops server.
    pub ops: OpsSettings,
    /// Source, consumer and store.
    pub positions: PositionsSettings,
}

/// Settings of the live server.
#[derive(Clone, Debug)]
pub struct LiveSettings {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 takes any free one.
    pub port: u16,
    /// Threads that serve connections, at least 1.
    pub workers: usize,
    /// Between two pings to one client.
    pub ping_interval: Duration,
    /// A client that sent nothing for this long is disconnected.
    pub pong_timeout: Duration,
    /// From accepting a connection to its finished handshake.
    pub handshake_timeout: Duration,
    /// From our close frame to the client's.
    pub close_timeout: Duration,
    /// From the first close frame of a shutdown to the last connection gone.
    pub drain_timeout: Duration,
    /// Longest message from a client, in bytes of payload, all its fragments together.
    pub max_message_bytes: usize,
    /// What may wait for one client, in bytes, before positions are conflated.
    pub outbox_bytes: usize,
    /// The same for all clients of one worker together; what several of them wait for counts once.
    pub worker_outbox_bytes: usize,
    /// Connections in all.
    pub max_connections: usize,
    /// Connections from one address.
    pub max_connections_per_address: usize,
    /// Messages a client may send per second, sustained.
    pub max_messages_per_second: u32,
    /// Topics one connection may be subscribed to.
    pub max_subscriptions: usize,
    /// Longest topic in an envelope, in bytes.
    pub max_topic_bytes: usize,
    /// Peers that are believed when they say for whom they speak.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which they say it.
    pub forwarded_header: ForwardedHeader,
    /// Origins that may connect; empty: any.
    pub allowed_origins: Vec<String>,
}

/// In which header trusted proxies name the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// The one that is there; none, if both are and do not agree.
    Either,
    /// `X-Forwarded-For` only.
    XForwardedFor,
    /// `Forwarded` (RFC 7239) only.
    Forwarded,
}

impl ForwardedHeader {
    fn name(self) -> &'static str {
        match self {
            Self::Either => "",
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

/// Settings of the ops server.
#[derive(Clone, Debug)]
pub struct OpsSettings {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 takes any free one.
    pub port: u16,
    /// Longest body of a post, in bytes.
    pub max_body_bytes: usize,
    /// What a post's body may take to come, all of it.
    pub body_timeout: Duration,
    /// Connections in all; the limit of open files may cut it.
    pub max_connections: usize,
    /// Bearer token that a post must carry.
    pub ingest_token: Option<Secret>,
    /// Hosts, in lower case, that requests may name besides loopback ones while `host` is a loopback address.
    pub allowed_hosts: Vec<String>,
}

/// Settings of source, consumer and store.
#[derive(Clone, Debug)]
pub struct PositionsSettings {
    /// The SQLite file.
    pub database: PathBuf,
    /// Positions that may wait for the store.
    pub max_waiting: usize,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, to compare with.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(set)")
    }
}

/// One thing that is wrong: the key, its value, what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    key: String,
    value: String,
    allowed: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setting {}: {:?} is not allowed: {}", self.key.to_uppercase(), self.value, self.allowed)
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file is there but cannot be read, or is not there though it was named.
    #[error("settings file {}: cannot be read: {source}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file is not TOML.
    #[error("settings file {}: {source}", .file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Where and what.
        source: Box<config::ConfigError>,
    },
    /// Files and environment do not go together.
    #[error("settings: {0}")]
    Read(#[from] config::ConfigError),
    /// Every fault that was found, one a line.
    #[error("{}", .0.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n"))]
    Faults(Vec<Fault>),
}

impl Settings {
    /// Reads `settings/default.toml` and `settings/<PROCESSOR_ENV>.toml` below the current folder, and the
    /// process environment.
    ///
    /// # Errors
    /// [`SettingsError`] with all that is wrong.
    pub fn load() -> Result<Self, SettingsError> {
        // `vars` would panic at a variable that is not UTF-8; no key of ours is such a one.
        let environment = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.to_string_lossy().into_owned())))
            .collect();
        Self::from(Path::new("settings"), environment)
    }

    /// Reads the files in `folder` and the given environment.
    ///
    /// # Errors
    /// [`SettingsError`] with all that is wrong.
    pub fn from(folder: &Path, environment: HashMap<String, String>) -> Result<Self, SettingsError> {
        let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
        let mut files = Vec::new();
        let default = folder.join("default.toml");
        // Only one that is not there at all is left out: without one that cannot be read, what it forbids would be allowed.
        if !default.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            files.push(default);
        }
        if let Some(name) = environment.get("PROCESSOR_ENV").filter(|name| !name.is_empty()) {
            files.push(folder.join(format!("{name}.toml")));
        }
        for file in files {
            let text = std::fs::read_to_string(&file)
                .map_err(|source| SettingsError::File { file: file.clone(), source })?;
            // Each is looked at by itself, so that an error names its file.
            let source = || File::from_str(&text, FileFormat::Toml);
            Config::builder()
                .add_source(source())
                .build()
                .map_err(|source| SettingsError::Syntax { file, source: Box::new(source) })?;
            builder = builder.add_source(source());
        }
        let own = environment.into_iter().filter(|(key, _)| {
            let key = key.to_lowercase();
            KEYS.contains(&key.as_str()) || OWN_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
        });
        let config = builder.add_source(Environment::default().source(Some(own.collect()))).build()?;
        let mut reader = Reader { config, faults: Vec::new() };
        reader.unknown_keys();
        let settings = reader.settings();
        if reader.faults.is_empty() { Ok(settings) } else { Err(SettingsError::Faults(reader.faults)) }
    }

    /// The effective settings, a line `KEY=value` each, as `processor check` prints them.
    pub fn lines(&self) -> Vec<String> {
        let Self { instance_id, live, ops, positions } = self;
        let ms = |duration: Duration| duration.as_millis().to_string();
        let networks: Vec<String> = live.trusted_proxies.iter().map(ToString::to_string).collect();
        let values = [
            instance_id.clone(),
            format!("sqlite://{}", positions.database.display()),
            positions.max_waiting.to_string(),
            live.host.to_string(),
            live.port.to_string(),
            live.workers.to_string(),
            ms(live.ping_interval),
            ms(live.pong_timeout),
            ms(live.handshake_timeout),
            ms(live.close_timeout),
            ms(live.drain_timeout),
            live.max_message_bytes.to_string(),
            live.outbox_bytes.to_string(),
            live.worker_outbox_bytes.to_string(),
            live.max_connections.to_string(),
            live.max_connections_per_address.to_string(),
            live.max_messages_per_second.to_string(),
            live.max_subscriptions.to_string(),
            live.max_topic_bytes.to_string(),
            networks.join(","),
            live.forwarded_header.name().to_owned(),
            live.allowed_origins.join(","),
            ops.host.to_string(),
            ops.port.to_string(),
            ops.max_body_bytes.to_string(),
            ms(ops.body_timeout),
            ops.max_connections.to_string(),
            ops.ingest_token.as_ref().map(|secret| format!("{secret:?}")).unwrap_or_default(),
            ops.allowed_hosts.join(","),
        ];
        KEYS.iter().zip(values).map(|(key, value)| format!("{}={value}", key.to_uppercase())).collect()
    }
}

/// Takes values out of the raw configuration and notes what is wrong with them.
struct Reader {
    config: Config,
    faults: Vec<Fault>,
}

impl Reader {
    fn unknown_keys(&mut self) {
        let Ok(table) = self.config.clone().try_deserialize::<HashMap<String, config::Value>>() else {
            return;
        };
        let mut unknown: Vec<_> =
            table.into_iter().filter(|(key, _)| !KEYS.contains(&key.as_str())).collect();
        unknown.sort_by(|a, b| a.0.cmp(&b.0));
        for (key, value) in unknown {
            // Perhaps a secret, under a name with a typing error.
            let secret = ["token", "secret", "password"].iter().any(|word| key.contains(word));
            let value = if secret { "(hidden)".to_owned() } else { value.to_string() };
            self.fault(&key, value, format!("there is no such setting; there are: {}", KEYS.join(", ")));
        }
    }

    fn settings(&mut self) -> Settings {
        let ping_interval = self.duration("live_ws_ping_interval_ms", 10);
        let pong_timeout = match self.text("live_ws_pong_timeout_ms") {
            None => ping_interval * 2,
            Some(_) => self.duration("live_ws_pong_timeout_ms", 10),
        };
        if pong_timeout <= ping_interval && self.faults.is_empty() {
            let allowed =
                format!("more than LIVE_WS_PING_INTERVAL_MS, which is {}", ping_interval.as_millis());
            self.fault("live_ws_pong_timeout_ms", pong_timeout.as_millis().to_string(), allowed);
        }
        let workers = match self.number("live_ws_workers", 0..=1024) {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        Settings {
            instance_id: self.instance_id(),
            live: LiveSettings {
                host: self.host("live_ws_host"),
                port: self.number("live_ws_port", 0..=65535),
                workers,
                ping_interval,
                pong_timeout,
                handshake_timeout: self.duration("live_ws_handshake_timeout_ms", 10),
                close_timeout: self.duration("live_ws_close_timeout_ms", 10),
                drain_timeout: self.duration("live_ws_drain_timeout_ms", 0),
                max_message_bytes: self.number("live_ws_max_message_bytes", 125..=64 << 20),
                outbox_bytes: self.number("live_ws_outbox_bytes", 4096..=1 << 30),
                worker_outbox_bytes: self.number("live_ws_worker_outbox_bytes", 1 << 20..=1 << 40),
                max_connections: self.number("live_ws_max_connections", 1..=100_000_000),
                max_connections_per_address: self
                    .number("live_ws_max_connections_per_address", 1..=100_000_000),
                max_messages_per_second: self.number("live_ws_max_messages_per_second", 1..=100_000_000),
                max_subscriptions: self.number("live_ws_max_subscriptions", 1..=100_000_000),
                max_topic_bytes: self.number("live_ws_max_topic_bytes", 1..=65536),
                trusted_proxies: self.networks("live_ws_trusted_proxies"),
                allowed_origins: self.origins("live_ws_allowed_origins"),
                forwarded_header: self.forwarded_header(),
            },
            ops: OpsSettings {
                host: self.host("ops_host"),
                port: self.number("ops_port", 0..=65535),
                max_body_bytes: self.number("ops_max_body_bytes", 1024..=1 << 30),
                body_timeout: self.duration("ops_body_timeout_ms", 10),
                max_connections: self.number("ops_max_connections", 8..=65536),
                ingest_token: self.text("ops_ingest_token").map(Secret),
                allowed_hosts: self.hosts("ops_allowed_hosts"),
            },
            positions: PositionsSettings {
                database: self.database(),
                max_waiting: self.number("positions_max_waiting", 1..=100_000_000),
            },
        }
    }

    fn fault(&mut self, key: &str, value: impl Into<String>, allowed: impl Into<String>) {
        self.faults.push(Fault { key: key.into(), value: value.into(), allowed: allowed.into() });
    }

    /// The value as text; an empty one counts as absent, as orchestrators write "unset" so.
    fn text(&mut self, key: &str) -> Option<String> {
        match self.config.get_string(key) {
            Ok(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Err(config::ConfigError::NotFound(_)) => None,
            Err(_) => {
                self.fault(
                    key,
                    "(a list or table)",
                    "one text or number; several go into one text, with commas",
                );
                None
            }
        }
    }

    fn number<T: TryFrom<u64> + Default>(&mut self, key: &str, allowed: RangeInclusive<u64>) -> T {
        let text = self.text(key).unwrap_or_default();
        let number = text.parse().ok().filter(|number| allowed.contains(number));
        number.and_then(|number| T::try_from(number).ok()).unwrap_or_else(|| {
            self.fault(key, text, format!("a whole number from {} to {}", allowed.start(), allowed.end()));
            T::default()
        })
    }

    fn duration(&mut self, key: &str, at_least_ms: u64) -> Duration {
        Duration::from_millis(self.number(key, at_least_ms..=MAX_MS))
    }

    fn host(&mut self, key: &str) -> IpAddr {
        let text = self.text(key).unwrap_or_default();
        text.parse().unwrap_or_else(|_| {
            self.fault(key, text, "an IP address, such as 0.0.0.0, 127.0.0.1 or ::");
            IpAddr::from([127, 0, 0, 1])
        })
    }

    fn list(&mut self, key: &str) -> Vec<String> {
        let text = self.text(key).unwrap_or_default();
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    fn networks(&mut self, key: &str) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for part in self.list(key) {
            match part.parse().or_else(|_| part.parse::<IpAddr>().map(IpNet::from)) {
                Ok(network) => networks.push(network),
                Err(_) => self.fault(key, part, "addresses or networks, such as 10.0.0.7 or 10.0.0.0/8"),
            }
        }
        networks
    }

    fn hosts(&mut self, key: &str) -> Vec<String> {
        let mut hosts = Vec::new();
        for part in self.list(key) {
            let is_name = part.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
            if is_name || part.parse::<IpAddr>().is_ok() {
                hosts.push(part.to_ascii_lowercase());
            } else {
                self.fault(key, part, "names or addresses without ports, such as ops.example.org");
            }
        }
        hosts
    }

    /// Origins as browsers write them (RFC 6454 section 6.1): in lower case, without a default port.
    fn origins(&mut self, key: &str) -> Vec<String> {
        let mut origins = Vec::new();
        for part in self.list(key) {
            match origin(&part) {
                Some(origin) => origins.push(origin),
                None => self.fault(
                    key,
                    part,
                    "origins, such as https://example.org or http://localhost:3000: a scheme, a host (in ASCII) and \
                     perhaps a port, without a path or wildcards",
                ),
            }
        }
        origins
    }

    fn forwarded_header(&mut self) -> ForwardedHeader {
        let text = self.text("live_ws_forwarded_header").unwrap_or_default();
        let all = [ForwardedHeader::Either, ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded];
        all.into_iter().find(|header| header.name().eq_ignore_ascii_case(&text)).unwrap_or_else(|| {
            self.fault("live_ws_forwarded_header", text, "x-forwarded-for, forwarded, or empty for either");
            ForwardedHeader::Either
        })
    }

    fn instance_id(&mut self) -> String {
        let id = self.text("instance_id");
        let id = id.unwrap_or_else(|| gethostname::gethostname().to_string_lossy().into_owned());
        if id.len() > 128 || id.chars().any(char::is_control) {
            self.fault("instance_id", id.clone(), "at most 128 bytes without control characters");
        }
        id
    }

    fn database(&mut self) -> PathBuf {
        let url = self.text("database_url").unwrap_or_default();
        let path = url.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
        // In memory nothing would be durable; the options after `?` are ours to set; and what was no UTF-8 in the
        // environment is no file that anyone named.
        let is_file = |path: &&str| !path.is_empty() && !path.contains(['?', '\0', '\u{FFFD}']);
        if let Some(path) = path.filter(is_file).filter(|path| !path.contains(":memory:")) {
            return path.into();
        }
        // Another database's URL may hold a password.
        let shown = match (url.find("://"), url.rfind('@')) {
            (Some(from), Some(to)) if from < to => format!("{}(hidden){}", &url[..from + 3], &url[to..]),
            _ => url,
        };
        self.fault("database_url", shown, "sqlite://<file>, such as sqlite://data/positions.db");
        PathBuf::new()
    }
}

/// An origin as a browser would write it; `None` if none could be meant.
fn origin(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (scheme, rest) = text.split_once("://")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse::<u16>().ok()?)),
        _ => (rest, None),
    };
    let of = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    let is_host = match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().is_ok(),
        None => of(host, "-._"),
    };
    if !is_host || !of(scheme, "+-.") {
        return None;
    }
    let default = match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    };
    let port = port.filter(|port| Some(*port) != default).map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{scheme}://{host}{port}"))
}

#[cfg(test)]
mod tests;
