//! `Sessions`: ways into the store, one or two: which of them are free, which have failed.

use std::mem;
use std::time::{Duration, Instant};

use super::store::Store;

/// The place of the session that does everything. Others commit positions beside it.
pub(super) const FIRST: usize = 0;

/// Ways into the store, at least one.
pub(super) struct Sessions(Vec<Session>);

struct Session {
    state: State,
    /// It has failed, and not worked since.
    has_failed: bool,
    /// When it was last taken.
    taken_at: Instant,
    /// When it last did what it was to do.
    worked_at: Option<Instant>,
}

/// What a session is doing.
enum State {
    /// Nothing.
    Idle(Box<dyn Store>),
    /// A future has it, for a commit or a check.
    InUse,
    /// Closed for good.
    Closed,
}

impl Sessions {
    /// All of them, the first one first.
    pub(super) fn new(stores: Vec<Box<dyn Store>>) -> Self {
        let session = |store| Session {
            state: State::Idle(store),
            has_failed: false,
            taken_at: Instant::now(),
            worked_at: None,
        };
        Self(stores.into_iter().map(session).collect())
    }

    /// The numbers of all but the first.
    pub(super) fn others(&self) -> std::ops::Range<usize> {
        FIRST + 1..self.0.len()
    }

    /// True if it is free, and may be taken for more than a check: one that has failed may not. (The first may: there may be no other.)
    pub(super) fn is_ready(&self, number: usize) -> bool {
        let Session { state, has_failed, .. } = &self.0[number];
        matches!(state, State::Idle(_)) && (number == FIRST || !has_failed)
    }

    /// True if a future has one.
    pub(super) fn is_any_in_use(&self) -> bool {
        self.0.iter().any(|session| matches!(session.state, State::InUse))
    }

    /// True if all are closed.
    pub(super) fn are_closed(&self) -> bool {
        matches!(self.0[FIRST].state, State::Closed)
    }

    /// Takes it, if it is free: to be given back.
    pub(super) fn take(&mut self, number: usize) -> Option<Box<dyn Store>> {
        let session = &mut self.0[number];
        match mem::replace(&mut session.state, State::InUse) {
            State::Idle(store) => {
                session.taken_at = Instant::now();
                Some(store)
            }
            other => {
                session.state = other;
                None
            }
        }
    }

    /// Gives it back.
    pub(super) fn give_back(&mut self, number: usize, store: Box<dyn Store>) {
        self.0[number].state = State::Idle(store);
    }

    /// Where the first has failed, one that works takes its place and gives it its own, if no future has either.
    pub(super) fn replace_failed_first(&mut self) {
        let Session { state: State::Idle(_), has_failed: true, .. } = self.0[FIRST] else { return };
        if let Some(other) = self.others().find(|number| self.is_ready(*number)) {
            self.0.swap(FIRST, other);
        }
    }

    /// It did what it was to do. True if it had failed before.
    pub(super) fn worked(&mut self, number: usize) -> bool {
        let session = &mut self.0[number];
        session.worked_at = Some(Instant::now());
        mem::replace(&mut session.has_failed, false)
    }

    /// It did not. True if that is new.
    pub(super) fn failed(&mut self, number: usize) -> bool {
        !mem::replace(&mut self.0[number].has_failed, true)
    }

    /// True if it has failed, and not worked since.
    pub(super) fn has_failed(&self, number: usize) -> bool {
        self.0[number].has_failed
    }

    /// True if another has worked since the first was last taken, within this time.
    pub(super) fn has_other_worked(&self, within: Duration) -> bool {
        let since = self.0[FIRST].taken_at;
        let worked = self.0[self.others()].iter().filter_map(|session| session.worked_at);
        worked.filter(|at| *at > since).any(|at| at.elapsed() < within)
    }

    /// Takes all for good that are free.
    pub(super) fn close(&mut self) -> Vec<Box<dyn Store>> {
        let sessions = self.0.iter_mut().map(|session| mem::replace(&mut session.state, State::Closed));
        let stores = sessions.filter_map(|state| match state {
            State::Idle(store) => Some(store),
            State::InUse | State::Closed => None,
        });
        stores.collect()
    }
}
