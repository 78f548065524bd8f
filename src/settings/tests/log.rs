//! Unit tests of the settings of log and input stream.

use std::time::Duration;

use super::read;

#[test]
fn without_a_redis_the_log_is_in_the_process() {
    let settings = read(&[]).unwrap();
    assert!(settings.log.redis.is_none() && settings.input.stream.is_none());
    assert_eq!((settings.log.stream.as_str(), settings.log.shards), ("processor:log", 1));
    assert_eq!((settings.log.max_entries, settings.log.timeout), (100_000, Duration::from_secs(2)));
    assert_eq!(settings.input.claim_after, Duration::from_secs(30));
    let error = read(&[("POSITIONS_INPUT_STREAM", "in")]).unwrap_err().to_string();
    assert_eq!(error, r#"setting POSITIONS_INPUT_STREAM: "in" is not allowed: empty, as REDIS_URL is"#);
}

#[test]
fn a_redis_is_shown_without_its_password() {
    let settings = read(&[
        ("DATABASE_URL", "postgres://host/db"),
        ("REDIS_URL", "redis://me:s3cret@10.0.0.1/2"),
        ("POSITIONS_LOG_SHARDS", "1024"),
        ("POSITIONS_INPUT_STREAM", "positions:in"),
    ]);
    let settings = settings.unwrap();
    let lines = settings.lines();
    assert!(lines.contains(&"REDIS_URL=redis://(hidden)@10.0.0.1:6379/2".to_owned()), "{lines:?}");
    assert!(!format!("{settings:?} {lines:?}").contains("s3cret"));
    assert_eq!(settings.log.redis.unwrap().user.as_deref(), Some("me"));
    assert_eq!(settings.input.stream.as_deref(), Some("positions:in"));
    let error = read(&[("REDIS_URL", "redis://me:s3cret@10.0.0.1:x"), ("POSITIONS_INPUT_STREAM", "in")]);
    let error = error.unwrap_err().to_string();
    assert!(
        error.starts_with(r#"setting REDIS_URL: "redis://(hidden)@10.0.0.1:x" is not allowed: redis://"#),
        "{error}"
    );
    // One fault, not a second that follows from it.
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
#[cfg(not(feature = "tls"))]
fn a_program_without_tls_says_so() {
    let error = read(&[("REDIS_URL", "rediss://a")]).unwrap_err().to_string();
    assert_eq!(
        error,
        "setting REDIS_URL: \"rediss://a:6379/0\" is not allowed: redis://…: this program was built without TLS (feature `tls`)"
    );
}

#[test]
#[cfg(feature = "tls")]
fn a_program_with_tls_takes_rediss() {
    assert!(
        read(&[("REDIS_URL", "rediss://a"), ("DATABASE_URL", "postgres://host/db")])
            .unwrap()
            .log
            .redis
            .unwrap()
            .tls
    );
}
