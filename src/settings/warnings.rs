//! `Settings::warnings`: what is allowed, but will not do what was meant.

use super::Settings;
use super::setting::{Default, Entry};
use super::table;

/// A token of the operator's should have as many bytes: those that `openssl rand -hex` makes of 64 random bits.
const TOKEN_BYTES: usize = 16;

impl Settings {
    /// What `processor check` and the log of a start warn of, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.short_tokens();
        if cfg!(feature = "ui") {
            warnings.extend(self.page_that_may_not_connect());
        } else {
            warnings.extend(self.page_that_is_not_there());
        }
        warnings
    }

    /// Tokens that can be guessed.
    fn short_tokens(&self) -> Vec<String> {
        let ops = &self.ops;
        let tokens = [
            (&ops.ingest_token, "OPS_INGEST_TOKEN"),
            (&ops.revoke_token, "OPS_REVOKE_TOKEN"),
            (&ops.connections_token, "OPS_CONNECTIONS_TOKEN"),
            (&ops.metrics_token, "OPS_METRICS_TOKEN"),
        ];
        let short = tokens.into_iter().filter_map(|(token, setting)| {
            let bytes = token.as_ref()?.reveal().len();
            (bytes < TOKEN_BYTES).then(|| {
                format!("{setting} has {bytes} bytes, which can be guessed: openssl rand -hex 32 makes a better one")
            })
        });
        short.collect()
    }

    /// The page is loaded from the web server itself, whose origin the live server refuses. (Where `WEB_LIVE_URL` is set a
    /// proxy stands before both, and what the page's origin is there is not known here.)
    fn page_that_may_not_connect(&self) -> Option<String> {
        let allowed = &self.live.allowed_origins;
        let port = match self.web.port {
            0 => return None,
            80 => String::new(),
            port => format!(":{port}"),
        };
        let is_own = |origin: &String| {
            let rest = origin.strip_prefix("http://").and_then(|rest| rest.strip_suffix(port.as_str()));
            rest.is_some_and(|host| !host.is_empty() && (host.ends_with(']') || !host.contains(':')))
        };
        let is_refused = self.web.enabled
            && self.web.live_url.is_none()
            && !allowed.is_empty()
            && !allowed.iter().any(is_own);
        is_refused.then(|| {
            format!(
                "LIVE_WS_ALLOWED_ORIGINS names no origin of the map page, such as http://localhost{port}: the page will \
                 not be let in to the live server. Add the origin that it is opened at, or set WEB_ENABLED=false"
            )
        })
    }

    /// Something is set for the map page, which this program does not have.
    fn page_that_is_not_there(&self) -> Option<String> {
        let is_set = |setting: &&dyn Entry| {
            let line = |default: &str| format!("{}={default}", setting.variable());
            let is_default =
                matches!(setting.default(), Default::Text(text) if self.lines.contains(&line(text)));
            setting.key().starts_with("web_") && !is_default
        };
        let set: Vec<_> = table::all().filter(is_set).map(|setting| setting.variable()).collect();
        let is_only_off = set.is_empty() || set == ["WEB_ENABLED"];
        (!is_only_off).then(|| {
            format!("{} set, but this program was built without the map page (feature ui)", set.join(", "))
        })
    }
}
