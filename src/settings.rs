//! Settings: read once from files and the environment, checked all together, handed on as typed values.
//!
//! `settings/table.rs` names each of them once. What was set (`source`) is read by `read`, whose values are of the kinds
//! in `kind`, `network`, `map`, `redis` and `token`, into the structs of the rooms (`auth`, `live`, `ops`, `positions`, `log`, `input`, `web`).

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

mod auth;
mod database;
mod error;
mod input;
mod kind;
mod live;
mod log;
mod map;
mod network;
mod ops;
mod pages;
mod positions;
mod read;
mod redis;
mod secret;
mod secret_file;
mod setting;
mod small_file;
mod source;
mod table;
mod token;
mod warnings;
mod web;

pub use auth::{AuthSettings, Authority, JwtKeys, JwtSettings};
pub use database::DatabaseUrl;
pub use error::{Fault, SettingsError};
pub use input::InputSettings;
use kind::Port;
pub use live::LiveSettings;
pub use log::LogSettings;
pub use map::{PageUrl, Units};
pub use network::ForwardedHeader;
pub use ops::OpsSettings;
pub use pages::{default_file, reference};
pub use positions::PositionsSettings;
use read::Reader;
pub use redis::{RedisNode, RedisServers};
pub use secret::Secret;
use setting::Setting;
pub(crate) use small_file::{read_bounded, read_small_file};
pub use token::Algorithm;
pub use web::WebSettings;

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Tells this process from others in metrics.
    pub instance_id: String,
    /// Who says who someone is.
    pub auth: AuthSettings,
    /// The live server.
    pub live: LiveSettings,
    /// The ops server.
    pub ops: OpsSettings,
    /// Consumer and store.
    pub positions: PositionsSettings,
    /// The log between instances.
    pub log: LogSettings,
    /// The stream that positions are taken from.
    pub input: InputSettings,
    /// The web server of the map page.
    pub web: WebSettings,
    lines: Vec<String>,
}

impl Settings {
    /// Reads `settings/default.toml` and `settings/<PROCESSOR_ENV>.toml` below the current folder, and the
    /// process environment.
    ///
    /// # Errors
    /// [`SettingsError`] with all that is wrong.
    pub fn load() -> Result<Self, SettingsError> {
        Self::load_with([])
    }

    /// The same, where `variables` win over all else.
    ///
    /// # Errors
    /// [`SettingsError`] with all that is wrong.
    pub fn load_with(
        variables: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Self, SettingsError> {
        // `vars` would panic at a variable that is not UTF-8; no key of ours is such a one.
        let environment = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.to_string_lossy().into_owned())));
        let variables = variables.into_iter().map(|(key, value)| (key.to_owned(), value));
        Self::from(Path::new("settings"), environment.chain(variables).collect())
    }

    /// Reads the files in `folder` and the given environment.
    ///
    /// # Errors
    /// [`SettingsError`] with all that is wrong.
    pub fn from(folder: &Path, environment: HashMap<String, String>) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(source::values(folder, environment)?);
        let read = &mut reader;
        let instance_id = read.value_or(&table::INSTANCE_ID, host_name);
        let positions = PositionsSettings::read(read);
        let log = LogSettings::read(read);
        shared_store(read, &positions, &log);
        let input = InputSettings::read(read, &log);
        let live = LiveSettings::read(read);
        let auth = AuthSettings::read(read, &live);
        let ops = OpsSettings::read(read);
        let web = WebSettings::read(read);
        if web.auth && auth.is_off(read) {
            let allowed = "false while AUTH is none: nobody is asked who he is";
            read.fault(&table::WEB_AUTH, &web.auth, allowed.to_owned());
        }
        let mut ports =
            vec![(&table::LIVE_WS_PORT, live.host, live.port), (&table::OPS_PORT, ops.host, ops.port)];
        if web.enabled {
            ports.push((&table::WEB_PORT, web.host, web.port));
        }
        ports_differ(read, &ports);
        Ok(Self { instance_id, auth, live, ops, positions, log, input, web, lines: reader.finish()? })
    }

    /// The effective settings as they were read, a line `NAME=value` each, as `processor check` prints them. A secret is
    /// only said to be set.
    pub fn lines(&self) -> Vec<String> {
        self.lines.clone()
    }
}

/// Several instances need a store that all of them can use.
fn shared_store(read: &mut Reader, positions: &PositionsSettings, log: &LogSettings) {
    if let (DatabaseUrl::Sqlite(_), Some(servers)) = (&positions.database, &log.redis)
        && read.is_sound(&table::REDIS_URL)
        && read.is_sound(&table::DATABASE_URL)
    {
        let allowed = "empty while DATABASE_URL is an SQLite file: instances that share a log share a PostgreSQL database";
        read.fault(&table::REDIS_URL, servers, allowed.to_owned());
    }
}

/// No two servers listen on one port of one address: the second could not start, and only one of the two settings would be
/// named then.
fn ports_differ(read: &mut Reader, ports: &[(&Setting<Port>, IpAddr, u16)]) {
    for (index, (setting, host, port)) in ports.iter().enumerate() {
        let meets = |other: &IpAddr| other == host || other.is_unspecified() || host.is_unspecified();
        let same = ports[..index].iter().find(|(_, other, one)| one == port && *port != 0 && meets(other));
        if let Some((other, ..)) = same {
            read.fault(*setting, port, format!("another port than {}", other.variable));
        }
    }
}

/// The folder for files that nobody needs for long: `TMPDIR`, or the system's.
pub fn temporary_files() -> PathBuf {
    std::env::temp_dir()
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
