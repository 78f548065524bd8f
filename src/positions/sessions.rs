//! `Sessions`: ways into the store, one or two: which of them are free, which have failed.

use std::time::{Duration, Instant};
use std::{iter, mem};

use super::store::{Another, Store, StoreError};

/// The place of the session that does everything. Others commit positions beside it.
pub(super) const FIRST: usize = 0;

/// Ways into the store, at least one.
pub(super) struct Sessions(Vec<Session>);

struct Session {
    state: State,
    /// The kind of error by which it has failed, if it has not worked since.
    fault: Option<String>,
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
    /// The first one, and another if there is one.
    pub(super) fn new(first: Box<dyn Store>, another: Option<Another>) -> Self {
        let session = |store, fault: Option<StoreError>| Session {
            state: State::Idle(store),
            taken_at: Instant::now(),
            // It was opened just now.
            worked_at: fault.is_none().then(Instant::now),
            fault: fault.map(|fault| fault.kind()),
        };
        let another = another.map(|Another { store, fault }| session(store, fault));
        Self(iter::once(session(first, None)).chain(another).collect())
    }

    /// The first, if it is free.
    pub(super) fn first(&self) -> Option<&dyn Store> {
        match &self.0[FIRST].state {
            State::Idle(store) => Some(&**store),
            State::InUse | State::Closed => None,
        }
    }

    /// The numbers of all but the first.
    pub(super) fn others(&self) -> std::ops::Range<usize> {
        FIRST + 1..self.0.len()
    }

    /// True if it is free, and may be taken for more than a check: one that has failed may not, unless it is the first and no other works.
    pub(super) fn is_ready(&self, number: usize) -> bool {
        let is_free = matches!(self.0[number].state, State::Idle(_));
        is_free && (!self.has_failed(number) || (number == FIRST && self.have_all_failed()))
    }

    /// True if all have failed, and not worked since.
    pub(super) fn have_all_failed(&self) -> bool {
        self.0.iter().all(|session| session.fault.is_some())
    }

    /// True if all work, as far as is known.
    pub(super) fn do_all_work(&self) -> bool {
        self.0.iter().all(|session| session.fault.is_none())
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
        let Session { state: State::Idle(_), fault: Some(_), .. } = self.0[FIRST] else { return };
        if let Some(other) = self.others().find(|number| self.is_ready(*number)) {
            self.0.swap(FIRST, other);
        }
    }

    /// It did what it was to do. True if it had failed before.
    pub(super) fn worked(&mut self, number: usize) -> bool {
        let session = &mut self.0[number];
        session.worked_at = Some(Instant::now());
        session.fault.take().is_some()
    }

    /// It did not. True if that is new, or the reason is.
    pub(super) fn failed(&mut self, number: usize, error: &StoreError) -> bool {
        let fault = Some(error.kind());
        mem::replace(&mut self.0[number].fault, fault.clone()) != fault
    }

    /// True if it has failed, and not worked since.
    pub(super) fn has_failed(&self, number: usize) -> bool {
        self.0[number].fault.is_some()
    }

    /// True if another has worked within this time and has not failed since; one that is in use, if that is not for longer than `patience`.
    pub(super) fn does_other_work(&self, within: Duration, patience: Duration) -> bool {
        let works = |session: &Session| {
            let is_stuck = matches!(session.state, State::InUse) && session.taken_at.elapsed() > patience;
            let has_worked = session.worked_at.is_some_and(|at| at.elapsed() < within);
            has_worked && session.fault.is_none() && !is_stuck
        };
        self.0[self.others()].iter().any(works)
    }

    /// How long ago it was last taken.
    pub(super) fn took(&self, number: usize) -> Duration {
        self.0[number].taken_at.elapsed()
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
