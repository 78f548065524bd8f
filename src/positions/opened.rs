//! `Opened`: a store that is open and loaded, and the log that goes with it.

use super::log::{InProcess, Log};
use super::publish::Publish;
use super::store::{self, Store, StoreError};
use crate::domain::Position;
use crate::settings::PositionsSettings;

/// A store that is open and loaded, and the log that goes with it.
pub struct Opened {
    store: Box<dyn Store>,
}

impl Opened {
    /// Opens store and log, and gives the newest position of each device to `each`.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be used.
    pub async fn load(
        settings: &PositionsSettings,
        mut each: impl FnMut(Position),
    ) -> Result<Self, StoreError> {
        let mut store = store::open(&settings.database, settings.database_timeout, false).await?;
        store.load(&mut each).await?;
        Ok(Self { store })
    }

    /// How many devices are known.
    pub fn devices(&self) -> usize {
        self.store.devices()
    }

    /// The store, and the log, from which all that is new is published from now on.
    pub(super) fn start(self, publish: Box<dyn Publish>) -> (Box<dyn Store>, Box<dyn Log>) {
        let tail = self.store.tail(publish);
        (self.store, Box::new(InProcess::new(tail)))
    }
}
