//! `Snapshot`: the latest positions of a topic, encoded once for all who subscribe before they change.
//!
//! After a restart everyone comes back at the same time, and asks for the same few topics.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::frame;
use super::protocol::Answer;
use super::publish::Published;
use crate::domain::Topic;

/// The latest position of every device in a topic.
#[derive(Debug)]
pub struct Snapshot {
    topic: String,
    /// The end of every answer to a subscription: the positions as an array, and a brace.
    tail: Bytes,
}

/// The snapshots that are still true, of topics that someone is subscribed to.
#[derive(Debug, Default)]
pub(super) struct Snapshots(HashMap<Topic, Rc<Snapshot>>);

impl Snapshot {
    pub(super) fn new(topic: &Topic, positions: &[Arc<Published>]) -> Rc<Self> {
        let positions: Vec<&RawValue> = positions.iter().map(|position| position.json()).collect();
        let mut tail = serde_json::to_vec(&positions).unwrap_or_else(|error| {
            // It is finished JSON, there is nothing that serde could refuse.
            log::error!("snapshot not encoded: {error}");
            b"[]".to_vec()
        });
        tail.push(b'}');
        // Boxed, as a `Vec` has up to twice the room it needs.
        Rc::new(Self { topic: topic.to_string(), tail: tail.into_boxed_slice().into() })
    }

    /// What answers a subscription, but for the positions.
    pub(super) fn answer<'a>(&'a self, id: Option<&'a str>) -> Answer<'a> {
        Answer::Subscribed { topic: &self.topic, id }
    }

    /// The frame of an answer with the positions in it: a beginning of its own, and the end that all share.
    pub(super) fn frame(&self, answer: &Answer<'_>) -> (Bytes, Bytes) {
        let mut head = answer.json();
        head.pop(); // the brace
        head.extend_from_slice(br#","snapshot":"#);
        (frame::text_head(&head, self.tail.len()), self.tail.clone())
    }
}

impl Snapshots {
    /// The topic's snapshot, made of `positions` if it is not there yet.
    pub(super) fn of(
        &mut self,
        topic: &Topic,
        positions: impl FnOnce() -> Vec<Arc<Published>>,
    ) -> Rc<Snapshot> {
        if let Some(snapshot) = self.0.get(topic) {
            return snapshot.clone();
        }
        let positions = positions();
        let snapshot = Snapshot::new(topic, &positions);
        // A single position is not worth a place: clients may be subscribed to a device each.
        if positions.len() > 1 {
            self.0.insert(topic.clone(), snapshot.clone());
        }
        snapshot
    }

    /// Forgets a topic's, as its positions have changed or nobody is subscribed to it.
    pub(super) fn forget(&mut self, topic: &Topic) {
        self.0.remove(topic);
    }
}
