//! Makes the frames of updates: one for each, or one for the positions that leave together.

use std::rc::Rc;

use bytes::Bytes;

use super::means::Means;
use super::mode::Mode;
use super::update::{Change, Update};
use crate::domain::Topic;
use crate::live::outbox::{Carries, UpdateFrame};

/// A message with several positions is ended when it has so many bytes; what is left begins another.
const MOST_BYTES: usize = if cfg!(test) { 400 } else { 64 * 1024 };

/// The frames that tell of these updates, in their order.
pub(super) fn frames<'a>(
    topic: &Topic,
    mode: Mode,
    changes: impl IntoIterator<Item = &'a Change>,
    means: &Means,
) -> Vec<Rc<UpdateFrame>> {
    if !mode.batch {
        return changes.into_iter().filter_map(|change| frame(topic, mode, change, means)).collect();
    }
    let mut composer =
        Composer { topic, mode, means, run: Vec::new(), bytes: 0, first: 0, frames: Vec::new() };
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
                composer.frames.extend(frame(topic, mode, change, means));
            }
        }
    }
    composer.end_run();
    composer.frames
}

/// The frame that tells of one update.
pub(super) fn frame(topic: &Topic, mode: Mode, change: &Change, means: &Means) -> Option<Rc<UpdateFrame>> {
    let Change { number, update } = change;
    let carries = if update.is_left() { Carries::Left } else { Carries::Position };
    Some(means.frame(*number, carries, update.frame(topic, mode.encoding)?))
}

/// Puts positions together.
struct Composer<'a> {
    topic: &'a Topic,
    mode: Mode,
    means: &'a Means,
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
            let encoded = self.mode.encoding.positions(self.topic, &run);
            self.frames.push(self.means.frame(self.first, carries, encoded));
        }
    }
}
