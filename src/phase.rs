//! `Phase`: how far the server is between start and stop. One owner sets it, anyone may look.

use tokio::sync::watch;

/// A stage of the server's life; it only ever moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not everything is up yet.
    Starting,
    /// Serving.
    Ready,
    /// Told to stop: nothing new is taken, what is there is brought to its end.
    Draining,
    /// All is over.
    Stopped,
}

/// The side that moves the phase on.
#[derive(Debug)]
pub struct PhaseOwner(watch::Sender<Phase>);

/// The side that looks at it; cheap to clone.
#[derive(Clone, Debug)]
pub struct PhaseWatch(watch::Receiver<Phase>);

/// A new phase, [`Phase::Starting`], with the side that moves it and the side that watches.
pub fn phase() -> (PhaseOwner, PhaseWatch) {
    let (owner, watch) = watch::channel(Phase::Starting);
    (PhaseOwner(owner), PhaseWatch(watch))
}

impl PhaseOwner {
    /// Moves on to `next`; a step back is ignored.
    pub fn advance(&self, next: Phase) {
        self.0.send_if_modified(|phase| {
            let forward = next > *phase;
            if forward {
                *phase = next;
            }
            forward
        });
    }
}

impl PhaseWatch {
    /// The phase now.
    pub fn get(&self) -> Phase {
        *self.0.borrow()
    }
}
