//! Unit tests of `settings`.

use std::time::Duration;

use super::*;

mod database;
mod log;
mod web;

fn read(environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Settings::from(Path::new("/nonexistent"), environment.collect())
}

#[test]
fn the_defaults_are_compiled_in() {
    let settings = read(&[("HOME", "/root"), ("PATH", "/bin")]).unwrap();
    assert_eq!((settings.live.port, settings.ops.port), (8081, 9090));
    assert_eq!(settings.live.pong_timeout, Duration::from_secs(60));
    assert_eq!(settings.positions.database, DatabaseUrl::Sqlite("data/positions.db".into()));
    assert!(!settings.instance_id.is_empty());
}

#[test]
fn the_environment_wins_and_the_pong_timeout_follows_the_interval() {
    let settings =
        read(&[("LIVE_WS_PING_INTERVAL_MS", "100"), ("LIVE_WS_TRUSTED_PROXIES", "10.0.0.0/8, ::1")]);
    let settings = settings.unwrap();
    assert_eq!(settings.live.pong_timeout, Duration::from_millis(200));
    assert_eq!(settings.live.trusted_proxies.len(), 2);
}

#[test]
fn a_switch_is_true_or_false() {
    assert!(read(&[]).unwrap().live.deflate);
    assert!(!read(&[("LIVE_WS_DEFLATE", "false")]).unwrap().live.deflate);
    let error = read(&[("LIVE_WS_DEFLATE", "off")]).unwrap_err().to_string();
    assert!(error.contains("\"off\" is not allowed: true or false"), "{error}");
}

#[test]
fn every_fault_is_reported() {
    let error = read(&[
        ("LIVE_WS_PORT", "70000"),
        ("OPS_PRT", "1"),
        ("LIVE_WS_PING_INTERVAL_MS", "soon"),
        ("DATABASE_URL", "mysql://x"),
        ("LIVE_WS_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("OPS_HOST", "localhost"),
    ])
    .unwrap_err()
    .to_string();
    for part in [
        "setting LIVE_WS_PORT: \"70000\" is not allowed: a whole number from 0 to 65535",
        "setting OPS_PRT: \"(hidden)\" is not allowed: there is no such setting",
        "setting LIVE_WS_PING_INTERVAL_MS: \"soon\"",
        "setting DATABASE_URL: \"mysql://x\"",
        "setting LIVE_WS_TRUSTED_PROXIES: \"10.0.0.0/33\"",
        "setting OPS_HOST: \"localhost\"",
    ] {
        assert!(error.contains(part), "{part} not in:\n{error}");
    }
    assert_eq!(error.lines().count(), 6);
    // Of all settings those that may be meant.
    assert!(error.contains("ops_port") && !error.contains("web_port"), "{error}");
}

#[test]
fn the_named_environment_s_file_is_layered_over_the_default_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("default.toml"), "ops_port = 1000\nlive_ws_port = 1001\n").unwrap();
    std::fs::write(folder.path().join("staging.toml"), "live_ws_port = 2001\n").unwrap();
    let environment = HashMap::from([("PROCESSOR_ENV".to_owned(), "staging".to_owned())]);
    let settings = Settings::from(folder.path(), environment.clone()).unwrap();
    assert_eq!((settings.ops.port, settings.live.port), (1000, 2001));
    std::fs::write(folder.path().join("staging.toml"), "live_port = 2001\n").unwrap();
    let error = Settings::from(folder.path(), environment).unwrap_err().to_string();
    assert!(error.contains("setting LIVE_PORT"), "{error}");
    let environment = HashMap::from([("PROCESSOR_ENV".to_owned(), "nowhere".to_owned())]);
    assert!(Settings::from(folder.path(), environment).is_err());
}

#[test]
fn each_line_of_check_reads_back_to_the_same() {
    let token = ("OPS_INGEST_TOKEN", "s3cret");
    let lines = read(&[token]).unwrap().lines();
    assert!(!lines.concat().contains("s3cret"));
    let pairs: Vec<_> = lines.iter().map(|line| line.split_once('=').unwrap()).collect();
    assert_eq!(read(&pairs).unwrap().lines(), lines);
}

#[test]
fn a_list_is_not_taken_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = "live_ws_allowed_origins = [\"https://a.example\"]\n";
    std::fs::write(folder.path().join("default.toml"), file).unwrap();
    let error = Settings::from(folder.path(), HashMap::new()).unwrap_err().to_string();
    assert!(
        error.contains("setting LIVE_WS_ALLOWED_ORIGINS: \"(a list or table)\" is not allowed"),
        "{error}"
    );
}

#[test]
fn no_fault_shows_a_secret() {
    let faults = [("OPS_INGEST_TOKENS", "s3cret"), ("DATABASE_URL", "mysql://user:s3cret@host/db")];
    let error = read(&faults).unwrap_err().to_string();
    assert!(error.contains("OPS_INGEST_TOKENS") && !error.contains("s3cret"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
}

#[test]
fn a_file_that_is_there_but_cannot_be_read_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let default = folder.path().join("default.toml");
    let fault = || Settings::from(folder.path(), HashMap::new()).unwrap_err().to_string();
    std::fs::create_dir(&default).unwrap();
    assert!(fault().contains("default.toml: cannot be read"), "{}", fault());
    std::fs::remove_dir(&default).unwrap();
    std::os::unix::fs::symlink("nowhere", &default).unwrap();
    assert!(fault().contains("default.toml: cannot be read"), "{}", fault());
    std::fs::remove_file(&default).unwrap();
    std::fs::write(&default, b"live_ws_port = \xFF").unwrap();
    assert!(fault().contains("default.toml: cannot be read"), "{}", fault());
    std::fs::write(&default, "live_ws_port = = 1").unwrap();
    assert!(fault().contains("default.toml: "), "{}", fault());
    std::fs::remove_file(&default).unwrap();
    assert!(Settings::from(folder.path(), HashMap::new()).is_ok());
    let named = HashMap::from([("PROCESSOR_ENV".to_owned(), "race".to_owned())]);
    let fault = Settings::from(folder.path(), named).unwrap_err().to_string();
    assert!(fault.contains("race.toml: cannot be read"), "{fault}");
}

#[test]
fn origins_are_written_as_browsers_do_or_refused() {
    let origins = "HTTPS://A.example/, https://b.example:443, http://c.example:8080, http://[::1]:3000, app://localhost";
    let settings = read(&[("LIVE_WS_ALLOWED_ORIGINS", origins)]).unwrap();
    let expected = [
        "https://a.example",
        "https://b.example",
        "http://c.example:8080",
        "http://[::1]:3000",
        "app://localhost",
    ];
    assert_eq!(settings.live.allowed_origins, expected);
    for bad in [
        "a.example",
        "null",
        "*",
        "https://*.example",
        "https://a.example/path",
        "https://",
        "https://a:b",
        "https://ä.example",
    ] {
        let error = read(&[("LIVE_WS_ALLOWED_ORIGINS", bad)]).unwrap_err().to_string();
        assert!(error.contains(&format!("{bad:?} is not allowed: origins, such as")), "{bad}: {error}");
    }
}

#[test]
fn allowed_hosts_are_names_without_ports() {
    let hosts = |text| read(&[("OPS_ALLOWED_HOSTS", text)]).map(|settings| settings.ops.allowed_hosts);
    assert_eq!(
        hosts("Ops.Example.org, 10.0.0.1,fe80::1").unwrap(),
        ["ops.example.org", "10.0.0.1", "fe80::1"]
    );
    assert_eq!(hosts("").unwrap(), [""; 0]);
    for bad in ["a.example:80", "http://a.example", "*", "[::1]"] {
        assert!(hosts(bad).unwrap_err().to_string().contains("OPS_ALLOWED_HOSTS"), "{bad}");
    }
}

/// Settings from a `default.toml` that holds this.
fn read_file(text: &str) -> Result<Settings, SettingsError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("default.toml"), text).unwrap();
    Settings::from(folder.path(), HashMap::new())
}

#[test]
fn each_setting_of_the_table_is_read_and_shown_once_in_its_order() {
    let lines = read(&[]).unwrap().lines();
    let shown: Vec<_> = lines.iter().map(|line| line.split_once('=').unwrap().0).collect();
    let table: Vec<_> = table::all().map(|setting| setting.variable()).collect();
    assert_eq!(shown, table);
}

#[test]
fn each_setting_says_what_it_is_for_in_sentences() {
    for setting in table::all() {
        let help = setting.help();
        assert!(
            help.ends_with('.') && help.starts_with(char::is_uppercase),
            "{}: {help}",
            setting.variable()
        );
        assert!(!help.contains('|') && !help.contains("  "), "{}: {help}", setting.variable());
    }
}

#[test]
fn a_variable_that_begins_like_a_group_s_and_is_no_setting_is_a_fault() {
    for group in table::GROUPS {
        let Some(prefix) = group.prefix else { continue };
        assert!(group.settings.iter().any(|setting| setting.key().starts_with(prefix)), "{prefix}");
    }
    let error =
        read(&[("POSITIONS_MAX", "1"), ("LIVE_WS_X", "1"), ("OPS_X", "1"), ("DATABASE_X", "1")]).unwrap_err();
    assert_eq!(error.to_string().lines().count(), 3, "{error}");
}

#[test]
fn the_file_of_defaults_says_what_is_compiled_in_and_its_examples_are_allowed() {
    let lines = |text: &str| read_file(text).unwrap().lines();
    assert_eq!(lines(&default_file()), read(&[]).unwrap().lines());
    let examples = default_file()
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .fold(String::new(), |all, line| if line.contains(" = ") { format!("{all}{line}\n") } else { all });
    assert_eq!(examples.lines().count(), 8, "{examples}");
    // It says how tokens are signed, and so wants to be told with what.
    let examples = examples.replace(
        "auth_jwt_algorithm",
        "auth = \"jwt\"\nauth_jwks_url = \"http://[::1]/\"\nauth_jwt_algorithm",
    );
    let examples = examples.replace("HS256", "RS256");
    assert!(lines(&examples).contains(&"INSTANCE_ID=processor-1".to_owned()), "{examples}");
}

#[test]
fn a_pong_timeout_is_longer_than_the_interval_whatever_else_is_wrong() {
    let error = read(&[("LIVE_WS_PONG_TIMEOUT_MS", "30000"), ("OPS_PORT", "x")]).unwrap_err().to_string();
    let expected = "setting LIVE_WS_PONG_TIMEOUT_MS: \"30000\" is not allowed: more than LIVE_WS_PING_INTERVAL_MS, \
        which is 30000";
    assert!(error.contains(expected) && error.contains("setting OPS_PORT"), "{error}");
    // Where either is wrong by itself, only that is said.
    for faulty in [("LIVE_WS_PING_INTERVAL_MS", "x"), ("LIVE_WS_PONG_TIMEOUT_MS", "1")] {
        let error = read(&[("LIVE_WS_PONG_TIMEOUT_MS", "30000"), faulty]).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn numbers_may_be_written_in_each_way_of_toml() {
    let settings =
        read_file("ops_port = 1_000\nlive_ws_port = \"2000\"\nops_max_connections = 0x10\n").unwrap();
    assert_eq!((settings.ops.port, settings.live.port, settings.ops.max_connections), (1000, 2000, 16));
}

#[test]
fn a_list_for_a_number_is_one_fault() {
    let error = read_file("ops_port = [9090]\n").unwrap_err().to_string();
    assert!(error.contains("setting OPS_PORT: \"(a list or table)\" is not allowed"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn a_file_that_is_no_toml_is_told_by_line_without_its_content() {
    let error =
        read_file("ops_port = 9090\n# ä\nops_ingest_token = \"s3cret\nops_host = \"::1\"\n").unwrap_err();
    let error = error.to_string();
    assert!(error.contains("default.toml: line 3, column 27: ") && !error.contains("s3cret"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn no_way_to_misspell_a_file_shows_what_stands_in_it() {
    let lines = [
        "s3cret",
        "\"s3cret",
        "'s3cret",
        "\"\"\"s3cret",
        "[\"s3cret\"",
        "{ a = \"s3cret\"",
        "\"s3cret\" \"s3cret\"",
        "\"s3cret\\q\"",
    ];
    for line in lines {
        let error = read_file(&format!("ops_ingest_token = {line}\n")).unwrap_err().to_string();
        assert!(error.contains("default.toml: line "), "{line}: {error}");
        assert!(!error.contains("s3cret") && error.lines().count() == 1, "{line}: {error}");
    }
    // A token of digits, for which quotes were forgotten, is read as it stands.
    let settings = read_file("ops_ingest_token = 99999999999999999999\n").unwrap();
    assert_eq!(settings.ops.ingest_token.unwrap().reveal(), "99999999999999999999");
    let error = read_file("ops_port = 99999999999999999999\n").unwrap_err().to_string();
    assert!(error.contains("setting OPS_PORT: \"99999999999999999999\" is not allowed"), "{error}");
}

#[test]
fn no_value_of_an_unknown_key_shows_a_secret() {
    let error = read_file("[ops]\ningest_token = \"s3cret\"\n").unwrap_err().to_string();
    assert!(error.contains("setting OPS: \"(a list or table)\""), "{error}");
    for (key, value) in [
        ("OPS_DATABASE", "postgres://user:s3cret@host/db"),
        ("OPS_API_KEY", "s3cret"),
        ("OPS_INGEST_TOKN", "s3cret"),
        ("DATABASE_URL", "sqlite://user:s3cret@host/db"),
        ("DATABASE_URL", "postgres:user:s3cret@host/db"),
    ] {
        let error = read(&[(key, value)]).unwrap_err().to_string();
        assert!(error.contains(key) && !error.contains("s3cret"), "{error}");
    }
}

#[test]
fn a_key_that_is_no_name_is_told_as_it_is_written_and_changes_nothing() {
    let file = "ops_ingest_token = \"good\"\n\"ops_ingest_token.x\" = \"s3cret\"\n\"a[1000000000]\" = 1\n\"b\\nc\" = 2\n";
    for _ in 0..20 {
        let error = read_file(file).unwrap_err().to_string();
        let keys = ["setting OPS_INGEST_TOKEN.X: ", "setting A[1000000000]: ", "setting B\\nC: "];
        assert!(keys.iter().all(|key| error.contains(key)) && !error.contains("s3cret"), "{error}");
        assert_eq!(error.lines().count(), 3, "{error}");
    }
    let error = read(&[("OPS_X[1000000000]", "1")]).unwrap_err().to_string();
    assert!(error.contains("setting OPS_X[1000000000]: "), "{error}");
}

#[test]
fn delay_and_spread_of_a_drain_leave_time_for_the_last_close_within_its_timeout() {
    let drain = |delay, spread, timeout, close| {
        read(&[
            ("LIVE_WS_DRAIN_DELAY_MS", delay),
            ("LIVE_WS_DRAIN_SPREAD_MS", spread),
            ("LIVE_WS_DRAIN_TIMEOUT_MS", timeout),
            ("LIVE_WS_CLOSE_TIMEOUT_MS", close),
        ])
    };
    let fits = drain("5000", "15000", "25000", "5000").unwrap().live;
    assert_eq!((fits.drain_delay, fits.drain_spread), (Duration::from_secs(5), Duration::from_secs(15)));
    // Where there is neither, the timeout may be as short as one likes.
    assert!(drain("0", "0", "0", "5000").is_ok());
    for (settings, expected) in [
        (
            ("5000", "15001", "25000", "5000"),
            "LIVE_WS_DRAIN_SPREAD_MS: \"15001\" is not allowed: at most 15000, as it, LIVE_WS_DRAIN_DELAY_MS (5000) and \
             LIVE_WS_CLOSE_TIMEOUT_MS (5000) must fit within LIVE_WS_DRAIN_TIMEOUT_MS (25000)",
        ),
        (
            ("0", "1", "4000", "5000"),
            "LIVE_WS_DRAIN_SPREAD_MS: \"1\" is not allowed: at most 0, as it, LIVE_WS_DRAIN_DELAY_MS (0) and \
             LIVE_WS_CLOSE_TIMEOUT_MS (5000) must fit within LIVE_WS_DRAIN_TIMEOUT_MS (4000)",
        ),
        (
            ("3000", "9000", "7000", "5000"),
            "LIVE_WS_DRAIN_DELAY_MS: \"3000\" is not allowed: at most 2000, as it and LIVE_WS_CLOSE_TIMEOUT_MS (5000) must \
             fit within LIVE_WS_DRAIN_TIMEOUT_MS (7000)",
        ),
    ] {
        let (delay, spread, timeout, close) = settings;
        let error = drain(delay, spread, timeout, close).unwrap_err().to_string();
        assert_eq!(error, format!("setting {expected}"));
    }
    // Where one is wrong by itself, only that is said.
    let error = drain("0", "1000", "x", "5000").unwrap_err().to_string();
    assert!(error.contains("LIVE_WS_DRAIN_TIMEOUT_MS") && error.lines().count() == 1, "{error}");
}

#[test]
fn no_two_servers_listen_on_one_port_of_one_address() {
    let ports = |live: &str, ops: &str, web: &str| {
        read(&[("LIVE_WS_PORT", live), ("OPS_PORT", ops), ("WEB_PORT", web)])
    };
    let error = ports("8081", "9090", "8081").unwrap_err().to_string();
    assert_eq!(error, "setting WEB_PORT: \"8081\" is not allowed: another port than LIVE_WS_PORT");
    let error = ports("7000", "7000", "7000").unwrap_err().to_string();
    assert!(error.contains("OPS_PORT: \"7000\"") && error.contains("WEB_PORT: \"7000\""), "{error}");
    // Any free one is another each time.
    assert!(ports("0", "0", "0").is_ok());
    assert!(read(&[("LIVE_WS_PORT", "8080"), ("WEB_ENABLED", "false")]).is_ok());
    let apart = [("LIVE_WS_HOST", "127.0.0.2"), ("LIVE_WS_PORT", "8080"), ("WEB_HOST", "127.0.0.1")];
    assert!(read(&apart).is_ok());
}
