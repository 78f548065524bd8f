//! `Pending`: the sockets of one worker whose handshakes are under way. Where sockets are scarce, the oldest makes room.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::task::{AbortHandle, JoinHandle};

use super::refusal;
use crate::live::registry::{Admission, Arrival};
use crate::metrics::LiveMetrics;

/// The sockets of one worker whose handshakes are under way.
pub(super) struct Pending {
    admission: Arc<Admission>,
    metrics: Arc<LiveMetrics>,
    /// The oldest first.
    under_way: RefCell<BTreeMap<u64, UnderWay>>,
    next: Cell<u64>,
}

/// A handshake under way.
struct UnderWay {
    task: AbortHandle,
    /// It is counted already, what follows is for the client to read why.
    refused: bool,
}

/// A handshake's place among those under way, given back when dropped.
pub(super) struct Place {
    pending: Rc<Pending>,
    number: u64,
    _arrival: Arrival,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pending.under_way.borrow_mut().remove(&self.number);
    }
}

impl Place {
    /// Notes that the handshake is refused and counted.
    pub(super) fn refused(&self) {
        if let Some(under_way) = self.pending.under_way.borrow_mut().get_mut(&self.number) {
            under_way.refused = true;
        }
    }
}

impl Pending {
    pub(super) fn new(admission: Arc<Admission>, metrics: Arc<LiveMetrics>) -> Rc<Self> {
        Rc::new(Self { admission, metrics, under_way: RefCell::default(), next: Cell::new(0) })
    }

    /// True if one more socket may be accepted, perhaps by cutting off another.
    pub(super) fn has_room(&self) -> bool {
        self.admission.has_room() || !self.under_way.borrow().is_empty()
    }

    /// Takes a socket in, whose handshake `start` begins. False if another had to go for it.
    pub(super) async fn add(
        self: &Rc<Self>,
        arrival: Arrival,
        had_room: bool,
        start: impl FnOnce(Place) -> JoinHandle<()>,
    ) -> bool {
        if !had_room {
            self.cut_off_oldest();
            // Its task is what closes the socket, so it must have its turn before the next one is accepted.
            tokio::task::yield_now().await;
        }
        let number = self.next.replace(self.next.get() + 1);
        let task = start(Place { pending: self.clone(), number, _arrival: arrival });
        let under_way = UnderWay { task: task.abort_handle(), refused: false };
        self.under_way.borrow_mut().insert(number, under_way);
        had_room
    }

    /// Makes room: whoever has been shaking hands for the longest is closed, unanswered.
    fn cut_off_oldest(&self) {
        let oldest = self.under_way.borrow_mut().pop_first();
        if let Some((_, UnderWay { task, refused })) = oldest {
            task.abort();
            if !refused {
                self.metrics.refused.with_label_values(&[refusal::SERVER_FULL.label]).inc();
            }
        }
    }
}
