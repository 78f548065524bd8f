//! `WebSettings`: what the web server of the map page is told, and how it is read.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::map::{PageUrl, Units};
use super::read::Reader;
use super::table;

/// Settings of the web server and of the map page that it serves.
#[derive(Clone, Debug)]
pub struct WebSettings {
    /// Whether there is one.
    pub enabled: bool,
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 takes any free one.
    pub port: u16,
    /// Connections in all; the limit of open files may cut it.
    pub max_connections: usize,
    /// Whether only those see the page who are known.
    pub auth: bool,
    /// Where pages connect; `None`: the host that they were loaded from, at the live port.
    pub live_url: Option<PageUrl>,
    /// The style of the base map by day; `None`: the one that is built in.
    pub map_style_url: Option<PageUrl>,
    /// The same in the dark.
    pub map_style_dark_url: Option<PageUrl>,
    /// A file of map tiles to serve.
    pub pmtiles_file: Option<PathBuf>,
    /// Further origins that styles load from.
    pub map_origins: Vec<String>,
    /// Origins whose pages may show the map in a frame, or `*`; empty: none.
    pub frame_ancestors: Vec<String>,
    /// From then on a device that is not heard of fades.
    pub stale_after: Duration,
    /// From then on it is grey; more than `stale_after`.
    pub lost_after: Duration,
    /// Units of lengths and speeds.
    pub units: Units,
}

impl WebSettings {
    pub(super) fn read(read: &mut Reader) -> Self {
        let stale_after = read.value(&table::WEB_STALE_AFTER_MS);
        Self {
            enabled: read.value(&table::WEB_ENABLED),
            host: read.value(&table::WEB_HOST),
            port: read.value(&table::WEB_PORT),
            max_connections: read.value(&table::WEB_MAX_CONNECTIONS),
            auth: read.value(&table::WEB_AUTH),
            live_url: read.optional(&table::WEB_LIVE_URL),
            map_style_url: read.optional(&table::WEB_MAP_STYLE_URL),
            map_style_dark_url: read.optional(&table::WEB_MAP_STYLE_DARK_URL),
            pmtiles_file: read.optional(&table::WEB_PMTILES_FILE),
            map_origins: read.value(&table::WEB_MAP_ORIGINS),
            frame_ancestors: read.value(&table::WEB_FRAME_ANCESTORS),
            stale_after,
            lost_after: lost_after(read, stale_after),
            units: read.value(&table::WEB_UNITS),
        }
    }
}

fn lost_after(read: &mut Reader, stale_after: Duration) -> Duration {
    let (stale, lost) = (&table::WEB_STALE_AFTER_MS, &table::WEB_LOST_AFTER_MS);
    let lost_after = read.value(lost);
    if lost_after <= stale_after && read.is_sound(stale) && read.is_sound(lost) {
        let allowed = format!("more than {}, which is {}", stale.variable, stale_after.as_millis());
        read.fault(lost, &lost_after, allowed);
    }
    lost_after
}
