//! `Queue`: what waits to be appended: whole groups while the log works, else the newest position of each device. Revocations do not wait
//! for a log that is away: other instances find them in the store.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::own::Own;
use crate::domain::Revocation;
use crate::metrics::LogMetrics;
use crate::positions::arrived::Arrived;
use crate::positions::backlog::how_many_fit;
use crate::positions::log::newest::Newest;

/// Positions that were committed together, or a revocation.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) positions: Vec<Arrived>,
    pub(super) revocations: Vec<Revocation>,
    /// When it came.
    pub(super) since: Instant,
    /// Told when it is in the log, or noted.
    pub(super) done: Option<oneshot::Sender<()>>,
}

/// What waits to be appended.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: RefCell<Waiting>,
    changed: Notify,
    own: Rc<Own>,
    metrics: Arc<LogMetrics>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// While the log works: the oldest first.
    groups: VecDeque<Group>,
    /// While it is away.
    newest: Newest,
    is_away: bool,
    /// Nothing more comes.
    is_closed: bool,
}

impl Queue {
    pub(super) fn new(own: Rc<Own>, metrics: Arc<LogMetrics>) -> Self {
        Self { waiting: RefCell::default(), changed: Notify::new(), own, metrics }
    }

    /// Adds a group. `None` if nobody has to wait for it, as the log is away.
    pub(super) fn push(&self, positions: Vec<Arrived>) -> Option<oneshot::Receiver<()>> {
        let mut waiting = self.waiting.borrow_mut();
        let receiver = if waiting.is_away || waiting.is_closed {
            self.own.add(positions.iter().cloned());
            waiting.newest.add(positions);
            None
        } else {
            Some(waiting.push(positions, Vec::new()))
        };
        self.count(&waiting);
        self.changed.notify_one();
        receiver
    }

    /// Adds a revocation. `None` if nobody has to wait for it, as the log is away.
    pub(super) fn push_revocation(&self, revocation: Revocation) -> Option<oneshot::Receiver<()>> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_away || waiting.is_closed {
            self.own.add_revocations(vec![revocation]);
            return None;
        }
        self.changed.notify_one();
        Some(waiting.push(Vec::new(), vec![revocation]))
    }

    /// The oldest groups, with up to `max` positions, or one that has more.
    pub(super) fn next_groups(&self, max: usize) -> Vec<Group> {
        let mut waiting = self.waiting.borrow_mut();
        let count = how_many_fit(waiting.groups.iter().map(|group| group.positions.len()), max);
        waiting.groups.drain(..count).collect()
    }

    /// The log is away: nobody waits for `groups`, or for those that are behind them, any more. Of what they hold the newest
    /// of each device is kept. Returns true unless the log was away before.
    pub(super) fn away(&self, groups: Vec<Group>) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        let rest = std::mem::take(&mut waiting.groups);
        for Group { positions, revocations, done, .. } in groups.into_iter().chain(rest) {
            self.own.add(positions.iter().cloned());
            self.own.add_revocations(revocations);
            waiting.newest.add(positions);
            done.map(|done| done.send(()));
        }
        self.count(&waiting);
        !std::mem::replace(&mut waiting.is_away, true)
    }

    /// Takes what was kept while the log was away.
    pub(super) fn take_newest(&self) -> Vec<Arrived> {
        self.waiting.borrow_mut().newest.take()
    }

    /// Some of that were not appended.
    pub(super) fn put_back(&self, positions: Vec<Arrived>) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.newest.add(positions);
        self.count(&waiting);
    }

    /// The log works again, unless more than `max` positions wait: what does goes before what comes.
    pub(super) fn back(&self, max: usize) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        let is_back = waiting.newest.len() <= max;
        if is_back {
            waiting.is_away = false;
            let positions = waiting.newest.take();
            if !positions.is_empty() {
                waiting.groups.push_front(Group {
                    positions,
                    revocations: Vec::new(),
                    since: Instant::now(),
                    done: None,
                });
            }
        }
        self.count(&waiting);
        is_back
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        self.waiting.borrow_mut().is_closed = true;
        self.changed.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.waiting.borrow().is_closed
    }

    pub(super) fn is_away(&self) -> bool {
        self.waiting.borrow().is_away
    }

    /// Ends when something came since, or nothing more comes.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Says how much waits.
    pub(super) fn appended(&self) {
        self.count(&self.waiting.borrow());
    }

    fn count(&self, waiting: &Waiting) {
        let groups = waiting.groups.iter().map(|group| group.positions.len()).sum::<usize>();
        self.metrics.waiting.set((groups + waiting.newest.len()) as i64);
    }
}

impl Waiting {
    /// Adds a group behind the others; the receiver hears when it is done.
    fn push(&mut self, positions: Vec<Arrived>, revocations: Vec<Revocation>) -> oneshot::Receiver<()> {
        let (done, receiver) = oneshot::channel();
        self.groups.push_back(Group { positions, revocations, since: Instant::now(), done: Some(done) });
        receiver
    }
}

impl Group {
    /// It is in the log.
    pub(super) fn done(self) {
        self.done.map(|done| done.send(()));
    }
}
