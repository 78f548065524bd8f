//! `Subjects`: how many connections each subject has, held against its limit.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

/// How many connections each subject has; shared by all workers.
#[derive(Debug)]
pub(crate) struct Subjects {
    limit: usize,
    connections: Mutex<HashMap<Arc<str>, usize>>,
}

/// A place among the connections of a subject, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    subjects: Arc<Subjects>,
    subject: Arc<str>,
}

impl Subjects {
    /// Each subject may have `limit` connections.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, connections: Mutex::default() })
    }

    /// A place, if there is one.
    pub(crate) fn claim(self: &Arc<Self>, subject: &Arc<str>) -> Option<Place> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let count = connections.entry(subject.clone()).or_insert(0);
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Place { subjects: self.clone(), subject: subject.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connections = self.subjects.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = connections.entry(self.subject.clone()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subject_has_its_own_places() {
        let subjects = Subjects::new(2);
        let (ann, bob) = (Arc::from("ann"), Arc::from("bob"));
        let first = subjects.claim(&ann).unwrap();
        let _second = subjects.claim(&ann).unwrap();
        assert!(subjects.claim(&ann).is_none());
        let other = subjects.claim(&bob);
        drop(first);
        assert!(subjects.claim(&ann).is_some());
        drop(other);
        assert_eq!(subjects.connections.lock().unwrap().len(), 1);
    }
}
