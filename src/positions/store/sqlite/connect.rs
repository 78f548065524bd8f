//! `connect`: a connection to SQLite with the settings under which a commit is on the disk when it returns.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::rows::ROWS_PER_INSERT;
use crate::positions::store::error::StoreError;

/// Rows that may wait between the database's thread and ours while all are read.
pub(super) const ROWS_WAITING: usize = 1024;

/// How long another process may hold the file's lock.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens `file`, or makes it if that is wanted, and checks that a commit will be durable.
///
/// # Errors
/// [`StoreError::Unsafe`] if it would not be, or SQLite's reason.
pub(super) async fn connect(file: &Path, create: bool) -> Result<SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        // FULL: a commit is on the disk, not only in the system's cache, before it is acknowledged.
        .synchronous(SqliteSynchronous::Full)
        .statement_cache_capacity(3 * ROWS_PER_INSERT + 8)
        .row_buffer_size(ROWS_WAITING)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut connection).await?;
    if journal != "wal" {
        return Err(StoreError::Unsafe { setting: "PRAGMA journal_mode", found: journal, wanted: "wal" });
    }
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut connection).await?;
    if synchronous != 2 {
        let found = synchronous.to_string();
        return Err(StoreError::Unsafe { setting: "PRAGMA synchronous", found, wanted: "2 (FULL)" });
    }
    Ok(connection)
}
