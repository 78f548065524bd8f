//! `Store`: where positions and revocations are kept for good: an SQLite file or a Postgres database. Nothing outside this room knows SQL.

mod error;
mod interface;
mod postgres;
mod sqlite;
mod topics;

use std::time::Duration;

pub use self::error::{Defect, Loss, StoreError};
pub(super) use self::interface::{Another, Committed, MAX_REVOCATIONS, Store};
use self::postgres::PostgresStore;
#[cfg(test)]
pub(super) use self::postgres::server;
use self::sqlite::SqliteStore;
pub use self::sqlite::{StoreLock, backup, restore};
use crate::settings::DatabaseUrl;

/// Opens a store. `is_shared`: other instances may use it too, and hear of what this one stores.
///
/// # Errors
/// [`StoreError`] if it cannot be used, or another process uses it that must not.
pub(super) async fn open(
    url: &DatabaseUrl,
    timeout: Duration,
    is_shared: bool,
) -> Result<Box<dyn Store>, StoreError> {
    match url {
        DatabaseUrl::Sqlite(file) => Ok(Box::new(SqliteStore::open(file).await?)),
        DatabaseUrl::Postgres(url) => {
            Ok(Box::new(PostgresStore::open(url.reveal(), timeout, is_shared).await?))
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
