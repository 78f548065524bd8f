//! `Opened`: a store that is open and locked, with the order of what it holds.

use std::path::Path;

use super::order::Order;
use super::store::{Store, StoreError, StoreLock};
use crate::domain::Position;

/// A store that is open, with what has to be known of what it holds.
#[derive(Debug)]
pub struct Opened {
    pub(super) store: Store,
    pub(super) order: Order,
    pub(super) lock: StoreLock,
}

impl Opened {
    /// Opens the store in `file`, which no other process may use meanwhile, and gives the newest position of each device
    /// to `each`.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be used.
    pub async fn load(file: &Path, each: impl FnMut(Position)) -> Result<Self, StoreError> {
        let lock = StoreLock::take(file)?;
        let mut store = Store::open(file).await?;
        let order = store.load(each).await?;
        Ok(Self { store, order, lock })
    }

    /// How many devices it knows.
    pub fn devices(&self) -> usize {
        self.order.devices()
    }
}
