//! Unit tests of `settings`.

use super::*;

fn read(environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Settings::from(Path::new("/nonexistent"), environment.collect())
}

#[test]
fn the_defaults_are_compiled_in() {
    let settings = read(&[("HOME", "/root"), ("PATH", "/bin")]).unwrap();
    assert_eq!((settings.live.port, settings.ops.port), (8081, 9090));
    assert_eq!(settings.live.pong_timeout, Duration::from_secs(60));
    assert_eq!(settings.positions.database, Path::new("data/positions.db"));
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
fn every_fault_is_reported() {
    let error = read(&[
        ("LIVE_WS_PORT", "70000"),
        ("OPS_PRT", "1"),
        ("LIVE_WS_PING_INTERVAL_MS", "soon"),
        ("DATABASE_URL", "postgres://x"),
        ("LIVE_WS_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("OPS_HOST", "localhost"),
    ])
    .unwrap_err()
    .to_string();
    for part in [
        "setting LIVE_WS_PORT: \"70000\" is not allowed: a whole number from 0 to 65535",
        "setting OPS_PRT: \"1\" is not allowed: there is no such setting",
        "setting LIVE_WS_PING_INTERVAL_MS: \"soon\"",
        "setting DATABASE_URL: \"postgres://x\"",
        "setting LIVE_WS_TRUSTED_PROXIES: \"10.0.0.0/33\"",
        "setting OPS_HOST: \"localhost\"",
    ] {
        assert!(error.contains(part), "{part} not in:\n{error}");
    }
    assert_eq!(error.lines().count(), 6);
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
    let faults = [("OPS_INGEST_TOKENS", "s3cret"), ("DATABASE_URL", "postgres://user:s3cret@host/db")];
    let error = read(&faults).unwrap_err().to_string();
    assert!(error.contains("OPS_INGEST_TOKENS") && error.contains("postgres://(hidden)@host/db"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
}

#[test]
fn a_file_that_is_there_but_cannot_be_read_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let default = folder.path().join("default.toml");
    let fault = || Settings::from(folder.path(), HashMap::new()).unwrap_err().to_string();
    std::fs::create_dir(&default).unwrap();
    assert!(fault().contains("default.toml: cannot be read: "), "{}", fault());
    std::fs::remove_dir(&default).unwrap();
    std::os::unix::fs::symlink("nowhere", &default).unwrap();
    assert!(fault().contains("default.toml: cannot be read: "), "{}", fault());
    std::fs::remove_file(&default).unwrap();
    std::fs::write(&default, b"live_ws_port = \xFF").unwrap();
    assert!(fault().contains("default.toml: cannot be read: "), "{}", fault());
    std::fs::write(&default, "live_ws_port = = 1").unwrap();
    assert!(fault().contains("default.toml: "), "{}", fault());
    std::fs::remove_file(&default).unwrap();
    assert!(Settings::from(folder.path(), HashMap::new()).is_ok());
    let named = HashMap::from([("PROCESSOR_ENV".to_owned(), "race".to_owned())]);
    let fault = Settings::from(folder.path(), named).unwrap_err().to_string();
    assert!(fault.contains("race.toml: cannot be read: "), "{fault}");
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
