//! The store's tables and the version of their schema.

use std::path::Path;

use sqlx::{Connection as _, SqliteConnection};

use crate::positions::store::error::{Loss, StoreError};

/// The schema's version, kept in the file's `user_version`. Version 1 had no table `ahead`, version 2 no table `revocations`.
pub(super) const VERSION: i64 = 3;

/// A device has one position at one time, so storing it again changes nothing.
pub(super) const POSITIONS: &str = "CREATE TABLE positions (
    device_id TEXT NOT NULL,
    timestamp INTEGER NOT NULL, -- milliseconds since 1970-01-01T00:00:00Z
    latitude REAL NOT NULL,
    longitude REAL NOT NULL,
    altitude REAL,
    accuracy REAL,
    heading REAL,
    speed REAL,
    topics TEXT,                -- one a line, NULL for none
    attributes TEXT,            -- a JSON object, as it came
    PRIMARY KEY (device_id, timestamp)
) STRICT, WITHOUT ROWID";

/// Devices whose newest position is not simply the one with the greatest timestamp (see `order`).
pub(super) const AHEAD: &str = "CREATE TABLE ahead (
    device_id TEXT NOT NULL PRIMARY KEY,
    timestamp INTEGER NOT NULL,    -- of its newest position
    counts_as_of INTEGER NOT NULL  -- milliseconds, as above
) STRICT, WITHOUT ROWID";

/// Tokens that hold no more, or not for some topics: one row for each thing that is revoked.
const REVOCATIONS: &str = "CREATE TABLE revocations (
    kind TEXT NOT NULL,            -- subject, token or topic
    name TEXT NOT NULL,
    revoked_at INTEGER NOT NULL,   -- milliseconds, as above: tokens that were issued up to then are meant
    until INTEGER,                 -- when no such token lives any more, NULL for never
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID";

/// Makes the tables in a new database.
pub(super) async fn create(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let mut transaction = connection.begin().await?;
    sqlx::query(POSITIONS).execute(&mut *transaction).await?;
    sqlx::query(AHEAD).execute(&mut *transaction).await?;
    sqlx::query(REVOCATIONS).execute(&mut *transaction).await?;
    set_version(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// Checks that `file` holds a store that this program knows, and brings an older one to this version.
///
/// # Errors
/// [`StoreError::Newer`], [`StoreError::Lost`] if it holds something else, or SQLite's reason.
pub(super) async fn upgrade(connection: &mut SqliteConnection, file: &Path) -> Result<(), StoreError> {
    let version = known_version(connection).await?;
    check_tables(connection, file, version).await?;
    if version < VERSION {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        if version < 2 {
            sqlx::query(AHEAD).execute(&mut *transaction).await?;
        }
        sqlx::query(REVOCATIONS).execute(&mut *transaction).await?;
        set_version(&mut transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// The file's version, if it is none that only newer programs know.
pub(super) async fn known_version(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let found = version(connection).await?;
    if found > VERSION {
        return Err(StoreError::Newer { found, known: VERSION });
    }
    Ok(found)
}

/// The file's version; 0 if nothing ever set it.
pub(super) async fn version(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("PRAGMA user_version").fetch_one(connection).await?)
}

pub(super) async fn set_version(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("PRAGMA user_version = 3").execute(connection).await?;
    Ok(())
}

/// Fails if a table is missing that a store of this version has.
pub(super) async fn check_tables(
    connection: &mut SqliteConnection,
    file: &Path,
    version: i64,
) -> Result<(), StoreError> {
    let count = "SELECT count(*) FROM sqlite_schema
        WHERE type = 'table' AND name IN ('positions', 'ahead', 'revocations')";
    let count: i64 = sqlx::query_scalar(count).fetch_one(connection).await?;
    // Each version has one more than that before it.
    if version == 0 || count < version {
        return Err(StoreError::Lost { what: file.display().to_string(), loss: Loss::NoTable });
    }
    Ok(())
}
