//! `Standing`: whether it is known who a client is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::subjects::Place;
use crate::domain::Principal;
use crate::live::wire::close::CloseReason;

/// Whether it is known who a client is.
#[derive(Debug)]
pub(crate) enum Standing {
    /// Nobody is asked.
    Anyone,
    /// It has to say who it is before it asks for anything.
    Awaited(Awaited),
    /// It is known.
    Known(Identity),
    /// It is only to be told why it is not welcome.
    Refused { _place: UnknownPlace },
}

/// A client has to say who it is.
#[derive(Debug)]
pub struct Awaited {
    /// Within this time.
    pub(crate) limit: Duration,
    pub(crate) _place: UnknownPlace,
}

/// Who a client is, with its place among the connections of its subject.
#[derive(Debug)]
pub struct Identity {
    pub(crate) principal: Arc<Principal>,
    pub(crate) _place: Place,
}

/// A client is none, and has a place until it has been told so.
#[derive(Debug)]
pub struct Unwelcome {
    pub(crate) reason: CloseReason,
    pub(crate) place: UnknownPlace,
}

/// How many clients of which it is not known who they are, or who are not welcome, may be there at the same time; shared by all workers.
#[derive(Debug)]
pub(crate) struct UnknownPlaces {
    limit: usize,
    taken: AtomicUsize,
}

/// A place among those who are awaited, until it is dropped.
#[derive(Debug)]
pub(crate) struct UnknownPlace(Arc<UnknownPlaces>);

impl UnknownPlaces {
    /// So many may be.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, taken: AtomicUsize::new(0) })
    }

    /// A place, if there is one.
    pub(crate) fn claim(self: &Arc<Self>) -> Option<UnknownPlace> {
        let place = UnknownPlace(self.clone());
        // One that is too many gives its place back when it is dropped.
        (self.taken.fetch_add(1, Ordering::Relaxed) < self.limit).then_some(place)
    }
}

impl Drop for UnknownPlace {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_awaited_and_no_more() {
        let places = UnknownPlaces::new(2);
        let first = places.claim().unwrap();
        let _second = places.claim().unwrap();
        assert!(places.claim().is_none() && places.claim().is_none());
        drop(first);
        assert!(places.claim().is_some());
    }
}
