//! Kinds of settings of the map page: URLs that a browser loads, origins in its policy, a file, units of length.

use std::path::PathBuf;

use super::kind::{Choice, Kind};
use super::network::{Item, Origin};
use super::secret::without_password;

/// A URL that the map page is given, or that this program asks, and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageUrl {
    /// Scheme, host and port, as browsers write them.
    origin: String,
    /// The rest: path and query.
    path: String,
}

impl PageUrl {
    /// Scheme, host and port (RFC 6454 section 6.1).
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The whole URL.
    pub fn text(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }

    /// Without its query, which may hold a key.
    pub fn without_query(&self) -> String {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        format!("{}{path}{}", self.origin, if query.is_empty() { "" } else { "?(hidden)" })
    }

    /// Reads a URL of one of these schemes. It names no user, as every visitor of the page is shown it, and no fragment.
    fn read(text: &str, schemes: [&str; 2]) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let is_url = |c: char| c.is_ascii_graphic() && !"\"#<>\\^`{|}".contains(c);
        if !schemes.contains(&scheme.to_ascii_lowercase().as_str()) || !path.chars().all(is_url) {
            return None;
        }
        let origin = Origin::read(&format!("{scheme}://{authority}"))?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Some(Self { origin, path })
    }
}

/// What differs between the kinds of [`PageUrl`].
macro_rules! page_url {
    ($(#[$about:meta])* $kind:ident, $schemes:expr, $show:path, $allowed:literal) => {
        $(#[$about])*
        pub(super) struct $kind;

        impl Kind for $kind {
            type Value = PageUrl;

            fn allowed() -> String {
                $allowed.into()
            }

            fn read(text: &str) -> Result<PageUrl, Vec<String>> {
                PageUrl::read(text, $schemes).ok_or_else(|| vec![without_password(text)])
            }

            fn show(value: &PageUrl) -> String {
                $show(value)
            }

            fn stand_in() -> PageUrl {
                PageUrl { origin: String::new(), path: String::new() }
            }
        }
    };
}

page_url!(
    /// Where a page connects to a live server.
    SocketUrl,
    ["ws", "wss"],
    PageUrl::text,
    "a URL that begins with ws:// or wss://, such as wss://live.example.org/live, without a user or a fragment"
);

page_url!(
    /// What this program asks. What is in its query is not shown.
    ServiceUrl,
    ["http", "https"],
    PageUrl::without_query,
    "a URL that begins with http:// or https://, such as https://id.example.org/keys, without a user or a fragment"
);

page_url!(
    /// Where a page loads something.
    HttpUrl,
    ["http", "https"],
    PageUrl::text,
    "a URL that begins with http:// or https://, such as https://tiles.example.org/style.json, without a user or a fragment"
);

/// The origin of tiles, sprites and glyphs. (An IPv6 address has no place in a Content-Security-Policy.)
pub(super) struct TileOrigin;

impl Item for TileOrigin {
    type Value = String;

    const ALLOWED: &str = "origins, such as https://tiles.example.org: http or https, a name or an IPv4 address, and \
        perhaps a port, without a path or wildcards";

    fn read(part: &str) -> Option<String> {
        Origin::read(part)
            .filter(|origin| origin.starts_with("http://") || origin.starts_with("https://"))
            .filter(|origin| !origin.contains('['))
    }
}

/// Who may show the page in a frame.
pub(super) struct Ancestor;

impl Item for Ancestor {
    type Value = String;

    const ALLOWED: &str = "origins, such as https://www.example.org: http or https, a name or an IPv4 address, and \
        perhaps a port, without a path; or * for everyone";

    fn read(part: &str) -> Option<String> {
        if part == "*" { Some(part.to_owned()) } else { TileOrigin::read(part) }
    }
}

/// The path of a file.
pub(super) struct FilePath;

impl Kind for FilePath {
    type Value = PathBuf;

    fn allowed() -> String {
        "the path of a file".into()
    }

    fn read(text: &str) -> Result<PathBuf, Vec<String>> {
        // What was no UTF-8 in the environment is no file that anyone named.
        let is_path = !text.is_empty() && !text.contains(['\0', '\u{FFFD}']);
        if is_path { Ok(PathBuf::from(text)) } else { Err(vec![text.to_owned()]) }
    }

    fn show(value: &PathBuf) -> String {
        value.display().to_string()
    }

    fn stand_in() -> PathBuf {
        PathBuf::new()
    }
}

/// In which units lengths and speeds are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Units {
    /// Metres, kilometres.
    Metric,
    /// Feet, miles.
    Imperial,
}

impl Choice for Units {
    const ALL: &'static [Self] = &[Self::Metric, Self::Imperial];
    const ALLOWED: &'static str = "metric or imperial";

    fn name(self) -> &'static str {
        self.name()
    }
}

impl Units {
    /// Its name in settings and for the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Metric => "metric",
            Self::Imperial => "imperial",
        }
    }
}
