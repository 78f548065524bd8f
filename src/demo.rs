//! `Demo`: `processor demo`: a whole server with a store that is thrown away, and devices that drive through a made-up city.

use std::fs::DirBuilder;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use prometheus::IntCounter;
use uuid::Uuid;

use crate::app::App;
use crate::settings::{self, Settings};
use crate::simulate::{self, Names, Simulation};

/// The middle of the city: Berlin's. The streets are not.
const CENTRE: (f64, f64) = (52.52, 13.405);

/// The event of those that deliver parcels.
const COURIERS: &str = "couriers";

/// How long clients have to close at the end, in milliseconds: nobody waits for a demo to end.
const DRAIN_MS: &str = "500";

/// What to show.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many devices.
    pub devices: usize,
    /// Positions a second of each.
    pub rate: f64,
    /// The event that all of them take part in.
    pub event: String,
    /// The port of the map page; `None`: the setting's.
    pub port: Option<u16>,
}

/// A demo that runs.
pub struct Demo {
    app: App,
    web: SocketAddr,
    simulation: Simulation,
    /// Removed when dropped.
    _folder: TemporaryFolder,
}

impl Demo {
    /// Starts a server with the settings that there are, but a store of its own. Must be called in an actix system. If it is
    /// dropped, the store is gone, and the server ends with the process.
    ///
    /// # Errors
    /// As [`App::start`]; or if there is no map page to look at.
    pub async fn start(options: Options, dropped_lines: Option<IntCounter>) -> anyhow::Result<Self> {
        let folder = TemporaryFolder::new().context("no folder can be made for the store")?;
        let settings = settings(&options, &folder)?;
        if !settings.web.enabled {
            bail!("WEB_ENABLED is false, and the demo is there to look at the map page");
        }
        let token = settings.ops.ingest_token.as_ref().map(|token| token.reveal().to_owned());
        let app = App::start(settings, dropped_lines).await?;
        let web = app.web_address().context("there is no map page")?;
        let simulation = Simulation {
            devices: options.devices,
            names: Names::Kinds,
            // Whoever looks at a demo looks at its map.
            progress: log::Level::Debug,
            rate: options.rate,
            url: format!("http://{}/positions", from_here(app.ops_address())),
            event: Some(options.event),
            courier_event: Some(COURIERS.to_owned()),
            token,
            duration: None,
            centre: CENTRE,
        };
        Ok(Self { app, web, simulation, _folder: folder })
    }

    /// Where to look at it.
    pub fn url(&self) -> String {
        format!("http://{}/", from_here(self.web))
    }

    /// Lets the devices drive, until this is dropped.
    ///
    /// # Errors
    /// If they cannot post.
    pub async fn drive(&self) -> anyhow::Result<()> {
        Ok(simulate::run(self.simulation.clone()).await?)
    }

    /// Stops the server and removes its store.
    pub async fn stop(self) {
        let Self { app, _folder, .. } = self;
        app.stop().await;
    }
}

/// The settings of a demo. Posts need a token where the ops server is open to others.
fn settings(options: &Options, folder: &TemporaryFolder) -> anyhow::Result<Settings> {
    let database = format!("sqlite://{}", folder.0.join("positions.db").display());
    let mut variables = vec![("DATABASE_URL", database), ("LIVE_WS_DRAIN_TIMEOUT_MS", DRAIN_MS.to_owned())];
    // A demo is of one process, whatever else the environment is for.
    variables.extend([("REDIS_URL", String::new()), ("POSITIONS_INPUT_STREAM", String::new())]);
    variables.extend(options.port.map(|port| ("WEB_PORT", port.to_string())));
    let settings = Settings::load_with(variables.clone())?;
    if settings.ops.ingest_token.is_some() || settings.ops.host.is_loopback() {
        return Ok(settings);
    }
    variables.push(("OPS_INGEST_TOKEN", Uuid::new_v4().to_string()));
    Ok(Settings::load_with(variables)?)
}

/// How this machine reaches what listens at `address`.
fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// A folder that only this user can look into, with a name that nobody can guess; removed with all that is in it.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new() -> io::Result<Self> {
        let path = settings::temporary_files().join(format!("processor-demo-{}", Uuid::new_v4()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            log::warn!("{} is left over: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_to_all_is_reached_over_loopback() {
        for (listens, reached) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:2", "[::1]:2"),
            ("127.0.0.2:3", "127.0.0.2:3"),
            ("[fe80::1]:4", "[fe80::1]:4"),
        ] {
            assert_eq!(from_here(listens.parse().unwrap()).to_string(), reached);
        }
    }
}
