//! `Budget`: how many bytes wait in all outboxes of one worker together; a frame counts once, not for each client.

use std::sync::{Arc, PoisonError};
use std::task::Waker;

use bytes::Bytes;

use crate::live::sync::{AtomicUsize, Mutex, MutexGuard, Ordering};

/// Bytes that are held for slow clients. One for each worker; atomic because `Bytes` may be dropped on any thread.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    held: AtomicUsize,
    /// Connections that wait for room.
    waiting: Mutex<Vec<Waker>>,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, held: AtomicUsize::new(0), waiting: Mutex::default() })
    }

    /// True while less is held than the limit.
    pub(crate) fn has_room(&self) -> bool {
        self.held.load(Ordering::Relaxed) < self.limit
    }

    /// True while more than half of the limit is free: then it may also be spent on what only saves work.
    pub(crate) fn is_ample(&self) -> bool {
        self.held.load(Ordering::Relaxed) < self.limit / 2
    }

    #[cfg(test)]
    pub(crate) fn is_unused(&self) -> bool {
        self.held.load(Ordering::Relaxed) == 0
    }

    /// True if there is room; else `waker` is woken when there is again.
    pub(crate) fn has_room_or_wakes(&self, waker: &Waker) -> bool {
        if self.has_room() {
            return true;
        }
        let mut waiting = self.waiting();
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        drop(waiting);
        // Room may have been made on another thread just before the waker was there to be woken.
        self.has_room()
    }

    /// Counts `bytes` until they are dropped everywhere.
    pub(crate) fn hold(self: &Arc<Self>, bytes: Vec<u8>) -> Bytes {
        let share = self.share(bytes.len());
        Bytes::from_owner(Held { bytes: bytes.into_boxed_slice(), _share: share })
    }

    /// Counts `bytes` until the share is dropped.
    pub(super) fn share(self: &Arc<Self>, bytes: usize) -> Share {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Share { budget: self.clone(), bytes }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that are counted while this lives.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        let before = self.budget.held.fetch_sub(self.bytes, Ordering::Relaxed);
        // All are woken, as one that was woken may have ended meanwhile. Whoever finds no room waits again.
        if before >= self.budget.limit && before - self.bytes < self.budget.limit {
            std::mem::take(&mut *self.budget.waiting()).into_iter().for_each(Waker::wake);
        }
    }
}

struct Held {
    bytes: Box<[u8]>,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn shared_bytes_count_once_and_those_who_wait_are_woken_when_there_is_room() {
        let budget = Budget::new(10);
        let first = budget.hold(vec![0; 6]);
        let copy = first.clone();
        assert!(budget.has_room() && !budget.is_ample());
        let second = budget.hold(vec![0; 6]);
        assert!(!budget.has_room());
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        assert!(!budget.has_room_or_wakes(&waker));
        assert!(!budget.has_room_or_wakes(&waker));
        drop(first);
        assert_eq!((budget.has_room(), count.0.load(Ordering::Relaxed)), (false, 0));
        drop(copy);
        assert_eq!((budget.has_room(), count.0.load(Ordering::Relaxed)), (true, 1));
        drop(second);
        assert!(budget.is_ample());
    }

    #[test]
    fn nobody_is_woken_before_there_is_room() {
        let budget = Budget::new(10);
        let [first, second, third, last] = [6, 14, 5, 5].map(|bytes| budget.hold(vec![0; bytes]));
        let count = Arc::new(Count(AtomicUsize::new(0)));
        assert!(!budget.has_room_or_wakes(&Waker::from(count.clone())));
        drop(first);
        assert_eq!((budget.has_room(), count.0.load(Ordering::Relaxed)), (false, 0));
        // As much as the limit is left.
        drop(second);
        assert_eq!((budget.has_room(), count.0.load(Ordering::Relaxed)), (false, 0));
        drop(third);
        assert_eq!((budget.has_room(), count.0.load(Ordering::Relaxed)), (true, 1));
        // Half of the limit is left.
        assert!(!budget.is_ample());
        drop(last);
        assert!(budget.is_ample() && budget.is_unused());
    }

    #[test]
    fn bytes_that_are_held_are_as_they_were() {
        assert_eq!(Budget::new(10).hold(vec![1, 2, 3]), &[1, 2, 3][..]);
    }
}

#[cfg(test)]
#[cfg(feature = "shuttle")]
mod models {
    use std::future::poll_fn;
    use std::task::Poll;

    use shuttle::thread;

    use super::*;

    /// One thread gives back what fills the budget while another looks for room.
    fn wait_beside_a_drop() {
        let budget = Budget::new(10);
        let held = [budget.hold(vec![0; 6]), budget.hold(vec![0; 6])];
        let droppers = held.map(|bytes| thread::spawn(move || drop(bytes)));
        shuttle::future::block_on(poll_fn(|cx| {
            if budget.has_room_or_wakes(cx.waker()) { Poll::Ready(()) } else { Poll::Pending }
        }));
        droppers.into_iter().for_each(|dropper| dropper.join().unwrap());
        assert!(budget.is_unused());
    }

    #[test]
    fn who_waits_for_room_is_woken() {
        shuttle::check_random(wait_beside_a_drop, 5_000);
        shuttle::check_pct(wait_beside_a_drop, 5_000, 3);
    }
}
