//! Unit tests of the map page's settings, and of warnings.

use std::time::Duration;

use super::read;
use crate::settings::Units;

#[test]
fn urls_of_the_page_are_written_as_browsers_do_or_refused() {
    let settings = read(&[
        ("WEB_LIVE_URL", "WSS://Live.Example.org:443/Live?x=1"),
        ("WEB_MAP_STYLE_URL", "http://tiles.example.org:8000"),
        ("WEB_MAP_STYLE_DARK_URL", "https://tiles.example.org?key=a"),
    ]);
    let web = settings.unwrap().web;
    let live = web.live_url.unwrap();
    assert_eq!(
        (live.origin(), live.text().as_str()),
        ("wss://live.example.org", "wss://live.example.org/Live?x=1")
    );
    assert_eq!(web.map_style_url.unwrap().text(), "http://tiles.example.org:8000/");
    assert_eq!(web.map_style_dark_url.unwrap().text(), "https://tiles.example.org/?key=a");
    for (setting, bad) in [
        ("WEB_LIVE_URL", "https://live.example.org/"),
        ("WEB_LIVE_URL", "wss://"),
        ("WEB_LIVE_URL", "live.example.org"),
        ("WEB_LIVE_URL", "wss://a.example/x#y"),
        ("WEB_LIVE_URL", "wss://a.example;script-src *"),
        ("WEB_LIVE_URL", "wss://a.example/a b"),
        ("WEB_MAP_STYLE_URL", "ws://a.example/"),
        ("WEB_MAP_STYLE_URL", "mapbox://styles/a/b"),
        ("WEB_MAP_STYLE_DARK_URL", "https://a.example/\u{e4}"),
    ] {
        let error = read(&[(setting, bad)]).unwrap_err().to_string();
        assert!(
            error.contains(setting) && error.contains("is not allowed: a URL that begins with"),
            "{error}"
        );
    }
    let error = read(&[("WEB_MAP_STYLE_URL", "https://me:s3cret@a.example/")]).unwrap_err().to_string();
    assert!(error.contains("WEB_MAP_STYLE_URL") && !error.contains("s3cret"), "{error}");
}

#[test]
fn who_is_named_in_the_page_s_policy_is_an_origin() {
    let settings = read(&[
        ("WEB_MAP_ORIGINS", "https://A.example:443/, http://b:81"),
        ("WEB_FRAME_ANCESTORS", "*, https://c"),
    ]);
    let web = settings.unwrap().web;
    assert_eq!(web.map_origins, ["https://a.example", "http://b:81"]);
    assert_eq!(web.frame_ancestors, ["*", "https://c"]);
    for (setting, bad) in [
        ("WEB_MAP_ORIGINS", "*"),
        ("WEB_MAP_ORIGINS", "https://*.example"),
        ("WEB_MAP_ORIGINS", "ws://a.example"),
        ("WEB_MAP_ORIGINS", "http://[::1]"),
        ("WEB_FRAME_ANCESTORS", "'self'"),
        ("WEB_FRAME_ANCESTORS", "https://a.example; script-src *"),
    ] {
        let error = read(&[(setting, bad)]).unwrap_err().to_string();
        assert!(
            error.contains(setting) && error.contains("is not allowed: origins, such as"),
            "{bad}: {error}"
        );
    }
}

#[test]
fn what_check_prints_reads_back_to_the_same() {
    let set = [
        ("WEB_LIVE_URL", "wss://live.example.org/live?x=1"),
        ("WEB_MAP_STYLE_URL", "https://tiles.example.org/style.json"),
        ("WEB_PMTILES_FILE", "tiles/map.pmtiles"),
        ("WEB_MAP_ORIGINS", "https://a.example,http://b:81"),
        ("WEB_FRAME_ANCESTORS", "*"),
        ("WEB_UNITS", "imperial"),
    ];
    let lines = read(&set).unwrap().lines();
    for (name, value) in set {
        assert!(lines.contains(&format!("{name}={value}")), "{lines:?}");
    }
    let pairs: Vec<_> = lines.iter().map(|line| line.split_once('=').unwrap()).collect();
    assert_eq!(read(&pairs).unwrap().lines(), lines);
}

#[test]
fn a_device_is_stale_before_it_is_lost() {
    let error = read(&[("WEB_STALE_AFTER_MS", "600000")]).unwrap_err().to_string();
    let expected =
        "setting WEB_LOST_AFTER_MS: \"600000\" is not allowed: more than WEB_STALE_AFTER_MS, which is 600000";
    assert!(error.contains(expected), "{error}");
    let error = read(&[("WEB_STALE_AFTER_MS", "x"), ("WEB_UNITS", "feet")]).unwrap_err().to_string();
    assert!(error.lines().count() == 2 && error.contains("metric or imperial"), "{error}");
    let web = read(&[("WEB_LOST_AFTER_MS", "60001"), ("WEB_UNITS", "Imperial")]).unwrap().web;
    assert_eq!((web.lost_after, web.units), (Duration::from_millis(60_001), Units::Imperial));
}

#[cfg(feature = "ui")]
#[test]
fn a_page_that_the_live_server_will_refuse_is_warned_of() {
    let origins = |text| ("LIVE_WS_ALLOWED_ORIGINS", text);
    let warnings = |environment: &[_]| read(environment).unwrap().warnings();
    assert!(warnings(&[]).is_empty());
    for refused in
        ["https://www.example.org", "http://localhost", "http://localhost:18080", "https://localhost:8080"]
    {
        let warned = warnings(&[origins(refused)]);
        assert!(
            warned.len() == 1 && warned[0].contains("such as http://localhost:8080: "),
            "{refused}: {warned:?}"
        );
    }
    for fine in ["http://127.0.0.1:8080", "https://www.example.org,http://map:8080", "http://[::1]:8080"] {
        assert_eq!(warnings(&[origins(fine)]), [""; 0], "{fine}");
    }
    let proxied = ("WEB_LIVE_URL", "wss://live.example.org/");
    for more in [proxied, ("WEB_ENABLED", "false"), ("WEB_PORT", "0")] {
        assert_eq!(warnings(&[origins("https://www.example.org"), more]), [""; 0], "{more:?}");
    }
    assert_eq!(warnings(&[origins("http://localhost"), ("WEB_PORT", "80")]), [""; 0]);
}

#[cfg(not(feature = "ui"))]
#[test]
fn settings_of_a_page_that_is_not_there_are_warned_of() {
    assert!(read(&[("WEB_ENABLED", "false"), ("WEB_PORT", "8080")]).unwrap().warnings().is_empty());
    let warned = read(&[("WEB_PORT", "80"), ("WEB_UNITS", "imperial")]).unwrap().warnings();
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(
        warned[0].starts_with("WEB_PORT, WEB_UNITS set, but") && warned[0].contains("feature ui"),
        "{warned:?}"
    );
}
