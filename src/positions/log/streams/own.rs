//! `Own`: this instance's positions that do not come back to it, as the log is away.

use std::cell::RefCell;

use tokio::sync::Notify;

use crate::positions::arrived::Arrived;
use crate::positions::log::newest::Newest;

/// Positions for this instance's own tail, the newest of each device.
#[derive(Debug, Default)]
pub(super) struct Own {
    newest: RefCell<Newest>,
    changed: Notify,
}

impl Own {
    pub(super) fn add(&self, positions: impl IntoIterator<Item = Arrived>) {
        self.newest.borrow_mut().add(positions);
        self.changed.notify_one();
    }

    /// Ends when some were added since.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn take(&self) -> Vec<Arrived> {
        self.newest.borrow_mut().take()
    }
}
