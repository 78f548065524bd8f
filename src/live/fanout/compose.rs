//! Makes the frames of updates: one for each, or one for the positions that leave together.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::latest::Change;
use super::mode::Mode;
use super::update::Update;
use crate::domain::Topic;
use crate::live::outbox::{Budget, Carries, UpdateFrame};

/// A message with several positions is ended when it has so many bytes; what is left begins another.
const MOST_BYTES: usize = if cfg!(test) { 400 } else { 64 * 1024 };

/// The frames that tell of these updates, in their order.
pub(super) fn frames<'a>(
    topic: &Topic,
    mode: Mode,
    changes: impl IntoIterator<Item = &'a Change>,
    budget: &Arc<Budget>,
) -> Vec<Rc<UpdateFrame>> {
    if !mode.batch {
        return changes.into_iter().filter_map(|change| frame(topic, mode, change, budget)).collect();
    }
    let mut composer =
        Composer { topic, mode, budget, run: Vec::new(), bytes: 0, first: 0, frames: Vec::new() };
    for change in changes {
        match &change.update {
            Update::At(published) => {
                if let Some(json) = published.json() {
                    composer.add(change.number, json);
                }
            }
            // Who leaves is told in its place, so the positions before it go first.
            Update::Left(_) => {
                composer.end_run();
                composer.frames.extend(frame(topic, mode, change, budget));
            }
        }
    }
    composer.end_run();
    composer.frames
}

/// The frame that tells of one update.
pub(super) fn frame(
    topic: &Topic,
    mode: Mode,
    change: &Change,
    budget: &Arc<Budget>,
) -> Option<Rc<UpdateFrame>> {
    let Change { number, update } = change;
    let carries = if update.is_left() { Carries::Left } else { Carries::Position };
    Some(UpdateFrame::new(*number, carries, update.frame(topic, mode.encoding)?, budget))
}

/// Puts positions together.
struct Composer<'a> {
    topic: &'a Topic,
    mode: Mode,
    budget: &'a Arc<Budget>,
    /// The JSON objects of the positions that go into the next message.
    run: Vec<Bytes>,
    bytes: usize,
    /// The number of the first of them.
    first: u64,
    frames: Vec<Rc<UpdateFrame>>,
}

impl Composer<'_> {
    fn add(&mut self, number: u64, json: &Bytes) {
        if self.run.is_empty() {
            self.first = number;
        }
        self.bytes += json.len() + 1;
        self.run.push(json.clone());
        if self.bytes >= MOST_BYTES {
            self.end_run();
        }
    }

    fn end_run(&mut self) {
        let run = std::mem::take(&mut self.run);
        self.bytes = 0;
        if !run.is_empty() {
            let carries = Carries::Positions(run.len());
            let frame = self.mode.encoding.positions(self.topic, &run).frame.into();
            self.frames.push(UpdateFrame::new(self.first, carries, frame, self.budget));
        }
    }
}
