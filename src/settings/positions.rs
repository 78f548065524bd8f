//! `PositionsSettings`: what consumer and store are told, and how it is read.

use std::time::Duration;

use super::database::DatabaseUrl;
use super::read::Reader;
use super::table;

/// Settings of consumer and store.
#[derive(Clone, Debug)]
pub struct PositionsSettings {
    /// Where positions are kept.
    pub database: DatabaseUrl,
    /// How long Postgres may take for one thing.
    pub database_timeout: Duration,
    /// Positions that may wait for the store.
    pub max_waiting: usize,
}

impl PositionsSettings {
    pub(super) fn read(read: &mut Reader) -> Self {
        Self {
            database: read.value(&table::DATABASE_URL),
            database_timeout: read.value(&table::DATABASE_TIMEOUT_MS),
            max_waiting: read.value(&table::POSITIONS_MAX_WAITING),
        }
    }
}
