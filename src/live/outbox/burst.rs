//! `Burst`: positions of one topic that go out together, as frames.

use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use bytes::{Bytes, BytesMut};

/// Positions of one topic that came in together, as frames: shared by all subscribers of the topic.
#[derive(Debug)]
pub(crate) struct Burst {
    /// In the order they are sent.
    pub(super) steps: Vec<Rc<Step>>,
    /// All frames, one behind the other.
    pub(super) joined: Bytes,
}

impl Burst {
    pub(crate) fn new(steps: Vec<Rc<Step>>) -> Rc<Self> {
        let joined = if let [only] = &steps[..] {
            only.frame.clone()
        } else {
            let mut joined = BytesMut::with_capacity(steps.iter().map(|step| step.frame.len()).sum());
            steps.iter().for_each(|step| joined.extend_from_slice(&step.frame));
            joined.freeze()
        };
        Rc::new(Self { steps, joined })
    }

    /// How many frames it has.
    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }
}

/// One position of a burst. All outboxes in which it waits share it.
#[derive(Debug)]
pub(crate) struct Step {
    /// Whose position it is: a newer one replaces it while it waits.
    pub(super) device: Arc<str>,
    /// Of the device. Made here once, as a thousand outboxes may be conflated for the same burst.
    pub(super) hash: u64,
    /// The encoded frame.
    pub(super) frame: Bytes,
}

impl Step {
    pub(crate) fn new(device: Arc<str>, frame: Bytes) -> Rc<Self> {
        /// Keyed at random, as devices' names come from outside.
        static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Rc::new(Self { hash: HASHER.hash_one(&device), device, frame })
    }
}

/// What became of a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// All of it went to the kernel.
    Written,
    /// Some of it waits; so many older positions were replaced by newer ones.
    Waiting {
        /// Positions that were replaced.
        conflated: usize,
    },
    /// It does not fit, even conflated. The connection is to be closed as too slow.
    Overflow,
    /// The connection is closing or its socket has failed.
    Closed,
}
