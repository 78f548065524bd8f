//! `PositionsSettings`: what consumer and store are told, and how it is read.

use std::path::PathBuf;

use super::read::Reader;
use super::table;

/// Settings of consumer and store.
#[derive(Clone, Debug)]
pub struct PositionsSettings {
    /// The SQLite file.
    pub database: PathBuf,
    /// Positions that may wait for the store.
    pub max_waiting: usize,
}

impl PositionsSettings {
    pub(super) fn read(read: &mut Reader) -> Self {
        Self {
            database: read.value(&table::DATABASE_URL),
            max_waiting: read.value(&table::POSITIONS_MAX_WAITING),
        }
    }
}
