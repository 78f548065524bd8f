//! `CatchUp`: how a subscription that has not got everything comes to have it, piece by piece: a long snapshot and what
//! changed behind it, or what a client missed that was too slow. Pure: it never sees a socket.
//!
//! It goes through the slices of its topic in a circle. For each it keeps the number of the update up to which the client
//! has it, so each device's newest position is sent once, in a fair order, and nothing waits but one piece.

use bytes::Bytes;

use super::latest::Latest;
use super::listing::Listing;
use super::means::Means;
use super::roster::SLICE;
use super::update::Change;
use crate::domain::Topic;
use crate::live::wire::frame::{Frame, Place};
use crate::live::wire::snapshot::SnapshotForm;

/// What a subscription still has to get.
#[derive(Debug)]
pub(super) struct CatchUp {
    /// The snapshot it is getting.
    snapshot: Option<Beginning>,
    course: Course,
}

/// How it goes through the devices of its topic.
#[derive(Debug)]
enum Course {
    Slices(Slices),
    Area(Listing),
}

/// A circle through the slices of a topic.
#[derive(Debug)]
struct Slices {
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
    /// The area whose place its topic takes.
    replaces: Option<Topic>,
    form: SnapshotForm,
}

impl Beginning {
    fn new(form: SnapshotForm, head: Vec<u8>, replaces: Option<Topic>) -> Self {
        Self { head: Some(head), any: false, replaces, form }
    }
}

/// What was not finished.
#[derive(Debug)]
pub(super) enum Abandoned {
    /// Updates; the client has its snapshot.
    Updates,
    /// A snapshot of which nothing was sent.
    Unsent {
        /// The area that it would have said is replaced.
        replaces: Option<Topic>,
    },
    /// A snapshot of which some was sent, and this is its end: devices are missing in it.
    HalfSent(Frame),
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
    /// It cannot be known any more what the client has: it is to be sent a new snapshot.
    Lost,
    /// Nothing: the client has it all.
    Done,
}

impl CatchUp {
    /// For a subscription of `topic` that got all updates up to `since`.
    pub(super) fn since(topic: &Topic, since: u64) -> Self {
        let course = match topic {
            Topic::Area(area) => Course::Area(Listing::since(area.bounds(), since)),
            Topic::Device(_) | Topic::Event(_) => Course::Slices(Slices { next: 0, sent: Vec::new(), since }),
        };
        Self { snapshot: None, course }
    }

    /// For a new subscription, whose snapshot begins with `head`; `number` is the last update so far.
    pub(super) fn snapshot(topic: &Topic, form: SnapshotForm, head: Vec<u8>, number: u64) -> Self {
        Self { snapshot: Some(Beginning::new(form, head, None)), ..Self::since(topic, number) }
    }

    /// The same for an area, in the place of another perhaps, whose snapshot is of these devices.
    pub(super) fn snapshot_of(
        devices: Listing,
        form: SnapshotForm,
        head: Vec<u8>,
        replaces: Option<Topic>,
    ) -> Self {
        let snapshot = Some(Beginning::new(form, head, replaces));
        Self { snapshot, course: Course::Area(devices) }
    }

    /// True while some of its snapshot is sent and some is not.
    pub(super) fn is_half_sent(&self) -> bool {
        self.snapshot.as_ref().is_some_and(|beginning| beginning.head.is_none())
    }

    /// What an area's subscription still has to get.
    pub(super) fn listing(&mut self) -> Option<&mut Listing> {
        match &mut self.course {
            Course::Area(listing) => Some(listing),
            Course::Slices(_) => None,
        }
    }

    /// True while no other message may be sent to the client.
    pub(super) fn is_streaming(&self) -> bool {
        self.snapshot.is_some()
    }

    /// It ends before its time.
    pub(super) fn abandon(self) -> Abandoned {
        match self.snapshot {
            None => Abandoned::Updates,
            Some(Beginning { head: Some(_), replaces, .. }) => Abandoned::Unsent { replaces },
            Some(Beginning { head: None, form, .. }) => {
                let place = Place { first: false, last: true };
                Abandoned::HalfSent(form.fragment(place, b"", Bytes::from_static(form.end())))
            }
        }
    }

    /// What comes next. `number` is the update up to which the client has everything when nothing more does.
    pub(super) fn next(&mut self, topic: &Topic, latest: &mut Latest, number: u64, means: &Means) -> Piece {
        match (self.snapshot.take(), &mut self.course) {
            (Some(beginning), Course::Slices(slices)) => {
                let (tail, last) = slices.encode(topic, latest, number, beginning.form, means);
                self.fragment(beginning, tail, last)
            }
            (Some(beginning), Course::Area(listing)) => {
                let (positions, last) = listing.encode(latest, number);
                let tail = means.piece(beginning.form, positions);
                self.fragment(beginning, tail, last)
            }
            (None, Course::Area(listing)) if listing.is_lost() => Piece::Lost,
            (None, course) => {
                let updates = match course {
                    Course::Slices(slices) => slices.updates(topic, latest, number),
                    Course::Area(listing) => listing.updates(latest, number),
                };
                if updates.is_empty() { Piece::Done } else { Piece::Updates(updates) }
            }
        }
    }

    fn fragment(&mut self, mut beginning: Beginning, mut tail: Bytes, last: bool) -> Piece {
        let first = beginning.head.is_some();
        let mut head = beginning.head.take().unwrap_or_default();
        let positions = tail.len() - beginning.form.end().len();
        if positions > 0 && std::mem::replace(&mut beginning.any, true) {
            head.push(b',');
        }
        if !last {
            tail.truncate(positions);
        }
        let frame = beginning.form.fragment(Place { first, last }, &head, tail);
        if !last {
            self.snapshot = Some(beginning);
        }
        Piece::Fragment { frame, last }
    }
}

impl Slices {
    /// The next slice as a snapshot ends with it, and whether it is the last.
    fn encode(
        &mut self,
        topic: &Topic,
        latest: &mut Latest,
        number: u64,
        form: SnapshotForm,
        means: &Means,
    ) -> (Bytes, bool) {
        let positions = latest.encode(topic, self.next, form, means);
        self.next += 1;
        self.sent.push(number);
        let last = self.next >= latest.slices(topic);
        if last {
            self.next = 0;
        }
        (positions, last)
    }

    /// One slice's worth of updates, or what there is.
    fn updates(&mut self, topic: &Topic, latest: &Latest, number: u64) -> Vec<Change> {
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
        updates
    }
}

#[cfg(test)]
mod tests;
