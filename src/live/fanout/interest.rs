//! `Interest`: which subscriptions there are for which topic: by the topic's exact name, and for areas by their place.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::mode::Mode;
use super::subscription::{Audience, Subscription};
use super::viewports::{Crossing, Viewports};
use crate::domain::{Point, Position, Topic};

/// What is known of a topic when the first subscription of an audience comes.
pub(super) struct Founding {
    pub(super) phase: Duration,
    /// How many devices are inside of it, if it is an area.
    pub(super) inside: usize,
    /// The last update so far.
    pub(super) number: u64,
}

/// The audiences of every topic that has any.
#[derive(Default)]
pub(super) struct Interest {
    devices: HashMap<Arc<str>, Vec<Rc<Audience>>>,
    events: HashMap<Arc<str>, Vec<Rc<Audience>>>,
    areas: HashMap<Arc<str>, Vec<Rc<Audience>>>,
    viewports: Viewports<Rc<Audience>>,
}

impl Interest {
    /// The audiences of a topic.
    pub(super) fn audiences(&self, topic: &Topic) -> &[Rc<Audience>] {
        let of_kind = match topic {
            Topic::Device(_) => &self.devices,
            Topic::Event(_) => &self.events,
            Topic::Area(_) => &self.areas,
        };
        of_kind.get(topic.name()).map_or(&[], Vec::as_slice)
    }

    /// The audiences of the topics that a position goes to by name.
    pub(super) fn named_by<'a>(&'a self, position: &'a Position) -> impl Iterator<Item = &'a Rc<Audience>> {
        let device = self.devices.get(&position.device_id);
        let events = position.topics.iter().flat_map(|topic| self.audiences(topic));
        device.into_iter().flatten().chain(events)
    }

    /// Shows the audiences of the areas that a device's move is about. Returns how many were looked at.
    pub(super) fn crossed(
        &self,
        before: Option<Point>,
        now: Point,
        show: impl FnMut(&Rc<Audience>, Crossing),
    ) -> usize {
        self.viewports.crossed(before, now, show)
    }

    /// Finds an audience for a topic and a mode that has room for one more, or makes it. `found` is told at which phases those are served
    /// that have no room.
    pub(super) fn audience(
        &mut self,
        topic: &Topic,
        mode: Mode,
        found: impl FnOnce(&[Duration]) -> Founding,
    ) -> Rc<Audience> {
        let audiences = self.of_kind(topic).entry(topic.name().clone()).or_default();
        let fits = |audience: &&Rc<Audience>| audience.mode == mode && audience.has_room();
        if let Some(known) = audiences.iter().find(fits) {
            return known.clone();
        }
        let full = audiences.iter().filter(|audience| audience.mode == mode);
        let Founding { phase, inside, number } =
            found(&full.map(|audience| audience.phase).collect::<Vec<_>>());
        let audience = Rc::new(Audience {
            topic: topic.clone(),
            mode,
            members: RefCell::default(),
            behind: Cell::new(0),
            is_scheduled: Cell::new(false),
            phase,
            moved: RefCell::default(),
            inside: Cell::new(inside),
            counted: Cell::new(number),
            collected: Cell::new(0),
            viewport: Cell::new(0),
        });
        audiences.push(audience.clone());
        if let Topic::Area(area) = topic {
            audience.viewport.set(self.viewports.insert(area.bounds(), &audience));
        }
        audience
    }

    /// Takes a subscription away. True if it was the last of its topic.
    pub(super) fn leave(&mut self, subscription: &Subscription) -> bool {
        let audience = &subscription.audience;
        if !audience.leave(subscription) {
            return false;
        }
        let topic = &audience.topic;
        if let Topic::Area(_) = topic {
            self.viewports.remove(audience.viewport.get());
        }
        let of_kind = self.of_kind(topic);
        let Some(audiences) = of_kind.get_mut(topic.name()) else { return false };
        audiences.retain(|other| !Rc::ptr_eq(other, audience));
        let last = audiences.is_empty();
        if last {
            of_kind.remove(topic.name());
        }
        last
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.devices.is_empty()
            && self.events.is_empty()
            && self.areas.is_empty()
            && self.viewports.is_empty()
    }

    fn of_kind(&mut self, topic: &Topic) -> &mut HashMap<Arc<str>, Vec<Rc<Audience>>> {
        match topic {
            Topic::Device(_) => &mut self.devices,
            Topic::Event(_) => &mut self.events,
            Topic::Area(_) => &mut self.areas,
        }
    }
}
