//! `Sessions`: ways into the store, one or two: which of them are free, which have failed.

use std::mem;

use super::store::Store;

/// The session that does everything. Others commit positions beside it.
pub(super) const FIRST: usize = 0;

/// Ways into the store, at least one.
pub(super) struct Sessions(Vec<Session>);

/// What a session is doing.
enum Session {
    /// Nothing.
    Idle(Box<dyn Store>),
    /// Nothing until a check goes well, as it has failed. (The first goes on at once: there may be no other.)
    Resting(Box<dyn Store>),
    /// A future has it, for a commit or a check.
    InUse,
    /// Closed for good.
    Closed,
}

impl Sessions {
    /// All of them, the first one first.
    pub(super) fn new(stores: Vec<Box<dyn Store>>) -> Self {
        Self(stores.into_iter().map(Session::Idle).collect())
    }

    /// The numbers of all but the first.
    pub(super) fn others(&self) -> std::ops::Range<usize> {
        FIRST + 1..self.0.len()
    }

    /// True if it is free and has not failed.
    pub(super) fn is_idle(&self, number: usize) -> bool {
        matches!(self.0[number], Session::Idle(_))
    }

    /// True if it has failed, and no check has gone well since.
    pub(super) fn is_resting(&self, number: usize) -> bool {
        matches!(self.0[number], Session::Resting(_))
    }

    /// True if a future has one.
    pub(super) fn is_any_in_use(&self) -> bool {
        self.0.iter().any(|session| matches!(session, Session::InUse))
    }

    /// True if all are closed.
    pub(super) fn are_closed(&self) -> bool {
        matches!(self.0[FIRST], Session::Closed)
    }

    /// Takes it, if it is free: to be given back.
    pub(super) fn take(&mut self, number: usize) -> Option<Box<dyn Store>> {
        let session = &mut self.0[number];
        match mem::replace(session, Session::InUse) {
            Session::Idle(store) | Session::Resting(store) => Some(store),
            other => {
                *session = other;
                None
            }
        }
    }

    /// Gives it back.
    pub(super) fn give_back(&mut self, number: usize, store: Box<dyn Store>) {
        self.0[number] = Session::Idle(store);
    }

    /// Sees to it that one that is free, and has failed, takes nothing but a check.
    pub(super) fn rest(&mut self, number: usize) {
        if let Some(store) = self.take(number) {
            self.0[number] = Session::Resting(store);
        }
    }

    /// Takes all for good that are free.
    pub(super) fn close(&mut self) -> Vec<Box<dyn Store>> {
        let sessions = self.0.iter_mut().map(|session| mem::replace(session, Session::Closed));
        let stores = sessions.filter_map(|session| match session {
            Session::Idle(store) | Session::Resting(store) => Some(store),
            Session::InUse | Session::Closed => None,
        });
        stores.collect()
    }
}
