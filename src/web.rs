//! The web server of the map page: the files of `ui/dist/`, what the page is told of the settings, and a file of map tiles.
//! Nothing here knows positions or WebSockets.

mod accept_encoding;
mod conditions;
mod files;
mod host;
mod page_config;
mod policy;
mod range;
mod reply;
mod server;
mod tiles;
mod visitors;

pub use server::{Running, WebError, WebServer};
pub use tiles::{TilesError, check as check_tiles};
pub use visitors::Visitors;
