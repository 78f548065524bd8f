//! `Policy`: the page's Content-Security-Policy: it may load its own files, connect to the live server, and load what the
//! settings name; who may show it in a frame.

use super::host::Host;
use crate::settings::WebSettings;

/// What of the policy is the same for every request.
pub(super) struct Policy {
    /// Where images and glyphs may come from besides: each with a space before it.
    map_origins: String,
    /// What may be connected to besides, the same way: the styles, and what they load.
    connect: String,
    /// The live server, where the settings name it.
    live: Option<String>,
    frame_ancestors: String,
}

impl Policy {
    /// The policy that follows from these settings.
    pub(super) fn new(settings: &WebSettings) -> Self {
        let styles = [&settings.map_style_url, &settings.map_style_dark_url];
        let mut connect: Vec<String> = styles.into_iter().flatten().map(|url| source(url.origin())).collect();
        connect.extend(settings.map_origins.iter().cloned());
        connect.sort();
        connect.dedup();
        let ancestors = &settings.frame_ancestors;
        Self {
            map_origins: spaced(&settings.map_origins),
            connect: spaced(&connect),
            live: settings.live_url.as_ref().map(|url| source(url.origin())),
            frame_ancestors: if ancestors.is_empty() { "'none'".to_owned() } else { ancestors.join(" ") },
        }
    }

    /// The header's value for a page that was asked for at `host`, where the live server listens on `live_port`.
    pub(super) fn of_page(&self, host: &Host, live_port: u16) -> String {
        // A proxy may have taken TLS away, so what the page will connect with is not known.
        let at_host =
            || ["ws", "wss"].map(|scheme| source(&format!("{scheme}://{}:{live_port}", host.as_str())));
        let live = self.live.clone().unwrap_or_else(|| at_host().join(" "));
        let Self { map_origins, connect, frame_ancestors, .. } = self;
        format!(
            "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; \
             img-src 'self' data: blob:{map_origins}; font-src 'self'{map_origins}; \
             connect-src 'self' {live}{connect}; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
             frame-ancestors {frame_ancestors}"
        )
    }
}

/// An origin as the policy may name it. It has no way to write an IPv6 address (CSP level 3, `host-char`), so there the
/// scheme must do.
fn source(origin: &str) -> String {
    match origin.split_once("://[") {
        Some((scheme, _)) => format!("{scheme}:"),
        None => origin.to_owned(),
    }
}

/// Each with a space before it.
fn spaced(sources: &[String]) -> String {
    sources.iter().map(|source| format!(" {source}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::settings::Settings;

    fn policy(environment: &[(&str, &str)]) -> Policy {
        let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let settings = Settings::from(Path::new("/nonexistent"), environment.collect::<HashMap<_, _>>());
        Policy::new(&settings.unwrap().web)
    }

    #[test]
    fn the_live_server_is_the_page_s_host_or_what_is_set() {
        let expected = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; \
            img-src 'self' data: blob:; font-src 'self'; connect-src 'self' ws://map.example:81 wss://map.example:81; \
            manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        assert_eq!(policy(&[]).of_page(&Host::new("Map.example:8080"), 81), expected);
        let set = policy(&[("WEB_LIVE_URL", "wss://live.example/x")]).of_page(&Host::new("a"), 81);
        assert_eq!(set, expected.replace("ws://map.example:81 wss://map.example:81", "wss://live.example"));
        let ipv6 = policy(&[]).of_page(&Host::new("[::1]:8080"), 81);
        assert_eq!(ipv6, expected.replace("ws://map.example:81 wss://map.example:81", "ws: wss:"));
    }

    proptest! {
        #[test]
        fn no_host_adds_a_source_or_a_directive(
            authority in r"[a-z0-9._-]{0,5}([^a-z]{0,2}|\PC)[a-z0-9._-]{0,5}(:[0-9]{1,3})?",
        ) {
            let Some(host) = Host::parse(&authority) else { return Ok(()) };
            let of_page = |host| policy(&[]).of_page(host, 81);
            let (at_host, at_name) = (of_page(&host), of_page(&Host::new("a")));
            let words = |policy: &str| policy.split([' ', ';']).count();
            prop_assert_eq!(words(&at_host), words(&at_name), "{}", at_host);
            let is_header = at_host.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
            prop_assert!(is_header && !at_host.contains([',', '*']), "{}", at_host);
        }
    }

    #[test]
    fn what_the_styles_load_and_who_may_embed_is_named() {
        let policy = policy(&[
            ("WEB_MAP_STYLE_URL", "https://a.example/style.json"),
            ("WEB_MAP_STYLE_DARK_URL", "https://a.example/dark.json"),
            ("WEB_MAP_ORIGINS", "https://tiles.example,https://a.example"),
            ("WEB_FRAME_ANCESTORS", "https://b.example,http://c.example:81"),
        ]);
        let policy = policy.of_page(&Host::new("h"), 1);
        for part in [
            "; img-src 'self' data: blob: https://tiles.example https://a.example; ",
            "; font-src 'self' https://tiles.example https://a.example; ",
            "; connect-src 'self' ws://h:1 wss://h:1 https://a.example https://tiles.example; ",
            "; frame-ancestors https://b.example http://c.example:81",
        ] {
            assert!(policy.contains(part), "{part} is not in {policy}");
        }
    }
}
