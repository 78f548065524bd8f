//! `Places`: the connections of the ops server, bounded, and the posts and bodies among them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::watch::{Reason, Watch};
use crate::metrics::OpsMetrics;

/// Most bytes of bodies that are held at the same time, unless one alone may have more.
const BODIES_BYTES: usize = 64 << 20;

/// All connections, on the thread that serves them.
pub(super) struct Places {
    max: usize,
    /// Posts under way, so that others always have places left.
    max_posts: usize,
    max_bytes: usize,
    connections: RefCell<BTreeMap<u64, Connection>>,
    next: Cell<u64>,
    posts: Cell<usize>,
    bytes: Cell<usize>,
    stopping: Cell<bool>,
    /// Told when a connection is gone.
    left: Notify,
    metrics: Arc<OpsMetrics>,
}

struct Connection {
    watch: Rc<Watch>,
    /// What serves it; `None` in the moment before it is spawned.
    task: Option<AbortHandle>,
}

/// A connection's place, given back when dropped.
pub(super) struct Place {
    places: Rc<Places>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.connections.borrow_mut().remove(&self.number);
        self.places.left.notify_waiters();
    }
}

/// A post's place and what its body holds, given back when dropped.
pub(super) struct Post {
    places: Rc<Places>,
    bytes: usize,
}

impl Post {
    /// Counts bytes of its body. False if all bodies together would hold too many.
    pub(super) fn grow(&mut self, count: usize) -> bool {
        let total = self.places.bytes.get() + count;
        if total > self.places.max_bytes {
            return false;
        }
        self.places.bytes.set(total);
        self.bytes += count;
        true
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.places.posts.set(self.places.posts.get() - 1);
        self.places.bytes.set(self.places.bytes.get() - self.bytes);
    }
}

impl Places {
    /// Room for `max` connections, with bodies of at most `max_body_bytes` each.
    pub(super) fn new(max: usize, max_body_bytes: usize, metrics: Arc<OpsMetrics>) -> Rc<Self> {
        for reason in Reason::ALL {
            metrics.closes.with_label_values(&[reason.label()]);
        }
        Rc::new(Self {
            max,
            max_posts: (max - max / 4).max(1),
            max_bytes: BODIES_BYTES.max(max_body_bytes),
            connections: RefCell::default(),
            next: Cell::new(0),
            posts: Cell::new(0),
            bytes: Cell::new(0),
            stopping: Cell::new(false),
            left: Notify::new(),
            metrics,
        })
    }

    /// Counts a connection in. It must be [`Places::run`] right after.
    pub(super) fn enter(self: &Rc<Self>, watch: Rc<Watch>) -> Place {
        let number = self.next.replace(self.next.get() + 1);
        self.connections.borrow_mut().insert(number, Connection { watch, task: None });
        Place { places: self.clone(), number }
    }

    /// Says what serves the connection that entered last.
    pub(super) fn run(&self, task: AbortHandle) {
        if let Some(mut entry) = self.connections.borrow_mut().last_entry() {
            entry.get_mut().task = Some(task);
        }
    }

    /// True if all places are taken.
    pub(super) fn is_full(&self) -> bool {
        self.connections.borrow().len() >= self.max
    }

    /// Closes the connection that needs its place least. False if all are being worked on.
    pub(super) fn make_room(&self) -> bool {
        let mut connections = self.connections.borrow_mut();
        let ranked = connections.iter().filter_map(|(number, one)| Some((one.watch.rank()?, *number)));
        let Some((_, number)) = ranked.min() else { return false };
        if let Some(task) = connections.remove(&number).and_then(|connection| connection.task) {
            task.abort();
            self.closed(Reason::Room);
        }
        true
    }

    /// Waits until a connection is gone.
    pub(super) async fn one_left(&self) {
        self.left.notified().await;
    }

    /// A place for a post, if there is one.
    pub(super) fn post(self: &Rc<Self>) -> Option<Post> {
        let posts = self.posts.get();
        if posts >= self.max_posts {
            return None;
        }
        self.posts.set(posts + 1);
        Some(Post { places: self.clone(), bytes: 0 })
    }

    /// Counts a connection that the server closed.
    pub(super) fn closed(&self, reason: Reason) {
        self.metrics.closes.with_label_values(&[reason.label()]).inc();
    }

    /// True once the server stops: connections end as soon as they are quiet.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Ends those that are quiet, and waits until the others are gone.
    pub(super) async fn stop(&self) {
        self.stopping.set(true);
        for connection in self.connections.borrow().values().filter(|one| one.watch.is_quiet()) {
            if let Some(task) = &connection.task {
                task.abort();
            }
        }
        while !self.connections.borrow().is_empty() {
            self.one_left().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::metrics::Metrics;
    use crate::ops::watch::Limits;

    fn places(max: usize, body: usize) -> Rc<Places> {
        Places::new(max, body, Metrics::new("x").unwrap().ops)
    }

    #[test]
    fn a_quarter_of_the_places_is_not_for_posts() {
        let places = places(8, 1);
        let posts: Vec<_> = (0..6).map(|_| places.post().unwrap()).collect();
        assert!(places.post().is_none());
        drop(posts);
        assert!(places.post().is_some());
    }

    #[test]
    fn bodies_are_bounded_together_but_one_of_allowed_length_fits() {
        let places = places(8, BODIES_BYTES + 10);
        let (mut one, mut other) = (places.post().unwrap(), places.post().unwrap());
        assert!(one.grow(BODIES_BYTES) && one.grow(10));
        assert!(!other.grow(1));
        drop(one);
        assert!(other.grow(1));
    }

    #[actix::test]
    async fn the_one_that_is_idle_the_longest_makes_room() {
        let places = places(8, 1);
        let now = Instant::now();
        let mut tasks = Vec::new();
        for number in 0..3 {
            let watch = Rc::new(Watch::new(Limits { body: Duration::ZERO, body_bytes: 0 }, now));
            watch.request(number == 0, now);
            if number > 0 {
                watch.response(now + Duration::from_secs(10 - number));
            }
            let place = places.enter(watch);
            let task = actix_rt::spawn(async move {
                std::future::pending::<()>().await;
                drop(place);
            });
            places.run(task.abort_handle());
            tasks.push(task);
        }
        assert!(places.make_room());
        assert!(tasks.pop().unwrap().await.unwrap_err().is_cancelled());
        assert!(places.make_room());
        assert!(!places.make_room(), "the first is being worked on");
        assert_eq!(places.connections.borrow().len(), 1);
    }
}
