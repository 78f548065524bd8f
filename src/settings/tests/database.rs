//! Unit tests of the setting that names the database, and what has to go with it.

use super::read;
use crate::settings::{DatabaseUrl, Secret};

#[test]
fn databases() {
    let database = |url: &str| read(&[("DATABASE_URL", url)]).map(|settings| settings.positions.database);
    for url in ["postgres://user:s3cret@host:5432/db", "postgresql://user:s3cret@host/db?sslmode=prefer"] {
        assert_eq!(database(url).unwrap(), DatabaseUrl::Postgres(Secret::new(url)));
        let lines = read(&[("DATABASE_URL", url)]).unwrap().lines().join("\n");
        assert!(lines.contains("(hidden)@host") && !lines.contains("s3cret"), "{lines}");
    }
    let refused = [
        "postgres:",
        "postgres://",
        "postgres:user:s3cret@host",
        "sqlite:",
        "sqlite://:memory:",
        "a.db",
        "postgres://host/db?password=s3cret",
        "postgres://host/db?sslpassword=s3cret&sslmode=disable",
    ];
    for url in refused
        .into_iter()
        .chain(["postgres://host/db?sslmode=require"].into_iter().filter(|_| !cfg!(feature = "tls")))
    {
        let error = database(url).unwrap_err().to_string();
        assert!(
            error.contains("setting DATABASE_URL: ") && error.contains("or postgres://<user>"),
            "{error}"
        );
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn instances_that_share_a_log_share_a_store() {
    let error = read(&[("REDIS_URL", "redis://:s3cret@host")]).unwrap_err().to_string();
    assert!(
        error.contains("setting REDIS_URL: ") && error.contains("share a PostgreSQL database"),
        "{error}"
    );
    assert!(!error.contains("s3cret"), "{error}");
    read(&[("REDIS_URL", "redis://host"), ("DATABASE_URL", "postgres://host/db")]).unwrap();
}
