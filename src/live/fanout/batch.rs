//! `Batch`: updates that came in together, numbered, and grouped by topic for their delivery.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::delivery::Group;
use super::interest::{Interest, Members};
use super::latest::Latest;
use super::published::Published;
use super::update::Update;
use crate::domain::{Timestamp, Topic};
use crate::live::outbox::{Budget, UpdateFrame};
use crate::live::wire::encoding::Encoding;
use crate::metrics::LiveMetrics;

/// Updates that are delivered together.
pub(super) struct Batch {
    /// The number of the first position; the others are numbered one after the other.
    first: u64,
    positions: Vec<Arc<Published>>,
    /// In the order of their numbers; the position with which a device leaves comes before its leaving.
    updates: Vec<Numbered>,
}

/// An update with its number, which is that of its position.
struct Numbered {
    number: u64,
    update: Update,
    /// The one topic it is for; `None` if it is for all that the position names.
    only: Option<Topic>,
}

/// What belongs to the members of one topic.
struct Collected {
    topic: Topic,
    members: Members,
    updates: Vec<Rc<UpdateFrame>>,
    /// Places of the positions among these in the batch.
    positions: Vec<usize>,
}

impl Batch {
    /// Takes positions into `latest`, as updates with the numbers from `first` on.
    pub(super) fn stage(positions: Vec<Arc<Published>>, first: u64, latest: &mut Latest) -> Self {
        let mut updates = Vec::with_capacity(positions.len());
        for (number, published) in (first..).zip(&positions) {
            updates.push(Numbered { number, update: Update::At(published.clone()), only: None });
            latest.apply(number, published, |topic| {
                let update = Update::Left(published.clone());
                updates.push(Numbered { number, update, only: Some(topic.clone()) });
            });
        }
        Self { first, positions, updates }
    }

    /// The number of its last update.
    pub(super) fn last(&self) -> u64 {
        self.first + self.positions.len() as u64 - 1
    }

    /// The topics that devices left with it.
    pub(super) fn left(&self) -> impl Iterator<Item = &Topic> {
        self.updates.iter().filter_map(|numbered| numbered.only.as_ref())
    }

    /// The updates put together by topic, for the topics that have members.
    pub(super) fn groups(&self, interest: &Interest, budget: &Arc<Budget>) -> Vec<Group> {
        let mut collected: Vec<Collected> = Vec::new();
        // By the place of the list in memory, which tells topics apart as well as their names do.
        let mut places: HashMap<*const (), usize> = HashMap::new();
        let mut collect = |topic: Topic, members: &Members, numbered: &Numbered| {
            let place = *places.entry(Rc::as_ptr(members).cast()).or_insert(collected.len());
            if place == collected.len() {
                let (updates, positions) = (Vec::new(), Vec::new());
                collected.push(Collected { topic, members: members.clone(), updates, positions });
            }
            self.collect(&mut collected[place], numbered, budget);
        };
        for numbered in &self.updates {
            match (&numbered.only, &numbered.update) {
                (Some(topic), _) => {
                    if let Some(members) = interest.members(topic) {
                        collect(topic.clone(), members, numbered);
                    }
                }
                (None, Update::At(published) | Update::Left(published)) => {
                    for (topic, members) in interest.reached_by(published.position()) {
                        collect(topic, members, numbered);
                    }
                }
            }
        }
        let group = |Collected { members, updates, positions, .. }| Group::new(members, updates, positions);
        collected.into_iter().map(group).collect()
    }

    fn collect(&self, to: &mut Collected, numbered: &Numbered, budget: &Arc<Budget>) {
        let Numbered { number, update, .. } = numbered;
        // All clients have the one encoding there is; with a second one, there will be a group for each.
        let Some(frame) = update.frame(&to.topic, Encoding::Json) else { return };
        to.updates.push(UpdateFrame::new(*number, update.is_left(), frame, budget));
        if !update.is_left() {
            to.positions.push((number - self.first) as usize);
        }
    }

    /// Observes how old the positions were that somebody was given.
    pub(super) fn observe(&self, groups: &[Group], metrics: &LiveMetrics) {
        let mut delivered = vec![false; self.positions.len()];
        for group in groups.iter().filter(|group| group.was_delivered()) {
            group.positions().iter().for_each(|place| delivered[*place] = true);
        }
        let now = Timestamp::now().as_millis();
        let positions = self.positions.iter().zip(delivered).filter(|(_, delivered)| *delivered);
        for (published, _) in positions {
            metrics.delivery.observe(published.age().as_secs_f64());
            let age = now - published.position().timestamp.as_millis();
            metrics.position_age.observe(age.max(0) as f64 / 1000.0);
        }
    }
}
