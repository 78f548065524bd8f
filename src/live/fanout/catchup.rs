//! `CatchUp`: how a subscription that has not got everything comes to have it, piece by piece: a long snapshot and what
//! changed behind it, or what a client missed that was too slow. Pure: it never sees a socket.
//!
//! It goes through the slices of its topic in a circle. For each it keeps the number of the update up to which the client
//! has it, so each device's newest position is sent once, in a fair order, and nothing waits but one piece.

use std::sync::Arc;

use bytes::Bytes;

use super::latest::{Change, Latest};
use super::roster::SLICE;
use crate::domain::Topic;
use crate::live::outbox::Budget;
use crate::live::wire::encoding::SNAPSHOT_END;
use crate::live::wire::frame::{self, Frame, Place};

/// What a subscription still has to get.
#[derive(Debug)]
pub(super) struct CatchUp {
    /// The snapshot it is getting.
    snapshot: Option<Beginning>,
    /// The slice that comes next.
    next: usize,
    /// For each slice that was sent, the update up to which the client has it.
    sent: Vec<u64>,
    /// The same for those that were not.
    since: u64,
}

/// How far a snapshot has come.
#[derive(Debug)]
struct Beginning {
    /// The JSON before the first position, until it is sent.
    head: Option<Vec<u8>>,
    /// A position was sent, so that the next needs a comma.
    any: bool,
}

/// What is to be sent next.
#[derive(Debug)]
pub(super) enum Piece {
    /// A fragment of the snapshot, of which others may share the tail.
    Fragment {
        /// As it is sent.
        frame: Frame,
        /// The message is complete with it.
        last: bool,
    },
    /// Updates of one or more slices.
    Updates(Vec<Change>),
    /// Nothing: the client has it all.
    Done,
}

impl CatchUp {
    /// For a subscription that got all updates up to `since`.
    pub(super) fn since(since: u64) -> Self {
        Self { snapshot: None, next: 0, sent: Vec::new(), since }
    }

    /// For a new subscription, whose snapshot begins with `head`; `number` is the last update so far.
    pub(super) fn snapshot(head: Vec<u8>, number: u64) -> Self {
        Self { snapshot: Some(Beginning { head: Some(head), any: false }), ..Self::since(number) }
    }

    /// True while no other message may be sent to the client.
    pub(super) fn is_streaming(&self) -> bool {
        self.snapshot.is_some()
    }

    /// It ends before its time. Returns what completes the message if one is half sent.
    pub(super) fn abandon(self) -> Option<Frame> {
        let begun = self.snapshot.is_some_and(|beginning| beginning.head.is_none());
        begun.then(|| frame::fragment(Place { first: false, last: true }, SNAPSHOT_END, Bytes::new()))
    }

    /// What comes next. `number` is the last update that `latest` holds.
    pub(super) fn next(
        &mut self,
        topic: &Topic,
        latest: &mut Latest,
        number: u64,
        budget: &Arc<Budget>,
    ) -> Piece {
        match self.snapshot.take() {
            Some(beginning) => self.fragment(beginning, topic, latest, number, budget),
            None => self.updates(topic, latest, number),
        }
    }

    fn fragment(
        &mut self,
        mut beginning: Beginning,
        topic: &Topic,
        latest: &mut Latest,
        number: u64,
        budget: &Arc<Budget>,
    ) -> Piece {
        let mut tail = latest.encode(topic, self.next, budget);
        self.next += 1;
        self.sent.push(number);
        let first = beginning.head.is_some();
        let mut head = beginning.head.take().unwrap_or_default();
        let positions = tail.len() - SNAPSHOT_END.len();
        if positions > 0 && std::mem::replace(&mut beginning.any, true) {
            head.push(b',');
        }
        let last = self.next >= latest.slices(topic);
        if !last {
            tail.truncate(positions);
            self.snapshot = Some(beginning);
        } else {
            self.next = 0;
        }
        Piece::Fragment { frame: frame::fragment(Place { first, last }, &head, tail), last }
    }

    /// One slice's worth of updates, or what there is.
    fn updates(&mut self, topic: &Topic, latest: &Latest, number: u64) -> Piece {
        let mut updates = Vec::new();
        let slices = latest.slices(topic);
        for _ in 0..slices {
            if updates.len() >= SLICE {
                break;
            }
            let slice = self.next;
            self.next = (slice + 1) % slices;
            let since = self.sent.get(slice).copied().unwrap_or(self.since);
            if latest.changed(topic, slice) > since {
                updates.extend(latest.changes(topic, slice, since));
            }
            if slice == self.sent.len() {
                self.sent.push(number);
            } else {
                self.sent[slice] = number;
            }
        }
        if updates.is_empty() { Piece::Done } else { Piece::Updates(updates) }
    }
}

#[cfg(test)]
mod tests;
