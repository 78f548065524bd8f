//! `PageConfig`: what the page is told of the settings, `GET /config.json`.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde::Serialize;

use super::reply::NO_CACHE;
use super::tiles;
use crate::settings::{PageUrl, WebSettings};

/// The JSON that `ui/src/config.ts` reads.
#[derive(Debug, Serialize)]
pub(super) struct PageConfig {
    /// This program's.
    version: &'static str,
    /// Where to connect; `null`: the page's own host, at `live_port`.
    live_url: Option<String>,
    live_port: u16,
    style: Style,
    /// The path of a file of map tiles.
    pmtiles: Option<&'static str>,
    stale_after_ms: u64,
    lost_after_ms: u64,
    units: &'static str,
}

/// Styles of the base map; `null`: the one that the page has.
#[derive(Debug, Serialize)]
struct Style {
    light: Option<String>,
    dark: Option<String>,
}

impl PageConfig {
    /// What follows from the settings, with the port that the live server listens on.
    pub(super) fn new(settings: &WebSettings, live_port: u16) -> Self {
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let text = |url: &Option<PageUrl>| url.as_ref().map(PageUrl::text);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            live_url: text(&settings.live_url),
            live_port,
            style: Style { light: text(&settings.map_style_url), dark: text(&settings.map_style_dark_url) },
            pmtiles: settings.pmtiles_file.as_ref().map(|_| tiles::PATH),
            stale_after_ms: millis(settings.stale_after),
            lost_after_ms: millis(settings.lost_after),
            units: settings.units.name(),
        }
    }

    /// The response.
    pub(super) fn response(&self) -> HttpResponse {
        HttpResponse::Ok().insert_header((header::CACHE_CONTROL, NO_CACHE)).json(self)
    }
}
