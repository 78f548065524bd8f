//! `Revoking`: revocations that wait for the store, and when it is their turn.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::revoke::RevokeError;
use super::store::StoreError;
use crate::domain::Revocation;

/// Most that may wait; each takes a commit of its own.
const MAX_WAITING: usize = 1024;

/// The way back to whoever revokes; it may have gone.
pub(super) type RevokeReply = oneshot::Sender<Result<(), RevokeError>>;

/// A revocation that waits for the store.
pub(super) struct Waiting {
    pub(super) revocation: Revocation,
    pub(super) reply: RevokeReply,
}

/// Revocations that wait for the store, the oldest first.
#[derive(Default)]
pub(super) struct Revoking {
    waiting: VecDeque<Waiting>,
    /// One was the last that had the store.
    had_store: bool,
    /// Those that the store has are to be read when it is free.
    must_read: bool,
}

impl Revoking {
    /// True if one more may wait.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING
    }

    pub(super) fn push(&mut self, revocation: Waiting) {
        self.waiting.push_back(revocation);
    }

    /// The next one, if it is its turn: one, then a group of positions, so that neither waits long for the other.
    pub(super) fn next(&mut self, no_positions_wait: bool) -> Option<Waiting> {
        let next = if self.had_store && !no_positions_wait { None } else { self.waiting.pop_front() };
        self.had_store = next.is_some();
        next
    }

    /// Those that the store has are to be read when it is free.
    pub(super) fn read_soon(&mut self) {
        self.must_read = true;
    }

    /// True if they are to be read now.
    pub(super) fn must_read(&mut self) -> bool {
        std::mem::take(&mut self.must_read)
    }

    /// Refuses all that wait.
    pub(super) fn refuse(&mut self, error: &Arc<StoreError>) {
        for Waiting { reply, .. } in self.waiting.drain(..) {
            reply.send(Err(RevokeError::Store(error.clone()))).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Revoked, Timestamp};

    #[test]
    fn one_and_a_group_of_positions_have_the_store_in_turn() {
        let mut revoking = Revoking::default();
        for id in ["a", "b", "c"] {
            let revoked = Revoked::Token(id.into());
            let revocation = Revocation { revoked, revoked_at: Timestamp::now(), until: None };
            revoking.push(Waiting { revocation, reply: oneshot::channel().0 });
        }
        let mut next = |no_positions_wait| {
            revoking.next(no_positions_wait).map(|waiting| match waiting.revocation.revoked {
                Revoked::Token(id) => id,
                other => unreachable!("{other:?}"),
            })
        };
        assert_eq!(next(false).as_deref(), Some("a"));
        assert_eq!(next(false), None);
        assert_eq!(next(false).as_deref(), Some("b"));
        assert_eq!(next(true).as_deref(), Some("c"));
        assert_eq!((next(true), next(false)), (None, None));
    }
}
