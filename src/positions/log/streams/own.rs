//! `Own`: this instance's positions and revocations that do not come back to it, as the log is away.

use std::cell::RefCell;

use tokio::sync::Notify;

use crate::domain::Revocation;
use crate::positions::arrived::Arrived;
use crate::positions::log::newest::Newest;

/// Positions for this instance's own tail, the newest of each device, and revocations.
#[derive(Debug, Default)]
pub(super) struct Own {
    newest: RefCell<Newest>,
    revocations: RefCell<Vec<Revocation>>,
    changed: Notify,
}

impl Own {
    pub(super) fn add(&self, positions: impl IntoIterator<Item = Arrived>) {
        self.newest.borrow_mut().add(positions);
        self.changed.notify_one();
    }

    pub(super) fn add_revocations(&self, revocations: Vec<Revocation>) {
        self.revocations.borrow_mut().extend(revocations);
        self.changed.notify_one();
    }

    /// Ends when some were added since.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn take(&self) -> (Vec<Arrived>, Vec<Revocation>) {
        (self.newest.borrow_mut().take(), self.revocations.take())
    }
}
