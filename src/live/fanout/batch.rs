//! `Batch`: positions that came in together, numbered, and what they are for whom; their age is observed here.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::compose;
use super::delivery::Group;
use super::interest::Interest;
use super::latest::{Applied, Latest};
use super::means::Means;
use super::published::Published;
use super::subscription::Audience;
use super::turn::Turn;
use super::update::{Change, Changes, Update};
use super::viewports::Crossing;
use crate::domain::{Bounds, Point, Timestamp, Topic};
use crate::live::outbox::Burst;
use crate::live::wire::encoding::Encoding;
use crate::metrics::LiveMetrics;

/// After telling so many audiences the clock is looked at.
const LOOK: usize = if cfg!(test) { 1 } else { 64 };

/// So many changes are collected before they are delivered, about 10 MB: a position may be about very many areas.
const MOST_CHANGES: usize = if cfg!(test) { 8 } else { 32_768 };

/// Positions that are delivered together.
pub(super) struct Batch {
    /// The number of the first; the others are numbered one after the other.
    first: u64,
    moves: Vec<Move>,
}

/// A position, and what it changed. All that is told of it has the position's number.
struct Move {
    published: Arc<Published>,
    device: u32,
    /// Where the device was before.
    before: Option<Point>,
    /// The events that the device left with it.
    left: Vec<Topic>,
    /// Its frame for areas, which is the same for all of them. (One encoding, or two.)
    in_areas: RefCell<Vec<(Encoding, Option<Rc<Burst>>)>>,
}

/// What became of the next positions of a batch.
#[derive(Default)]
pub(super) struct Dispatched {
    /// The place of the first position that is not among them.
    pub(super) next: usize,
    /// The number of the last one that is.
    pub(super) number: u64,
    /// What is to be delivered now.
    pub(super) groups: Vec<Group>,
    /// Audiences with a cadence that have something to be served from now on.
    pub(super) to_schedule: Vec<Rc<Audience>>,
    /// Audiences of areas that have more devices inside than before.
    pub(super) grown: Vec<Rc<Audience>>,
    /// Audiences of areas that will be told later of more devices that went out.
    pub(super) emptied: Vec<Rc<Audience>>,
}

/// What belongs to one audience.
struct Collected {
    audience: Rc<Audience>,
    changes: Changes,
}

impl Batch {
    /// Takes positions into `latest`, as updates with the numbers from `first` on.
    pub(super) fn stage(positions: Vec<Arc<Published>>, first: u64, latest: &mut Latest) -> Self {
        let moves = (first..).zip(positions).map(|(number, published)| {
            let Applied { device, before, left } = latest.apply(number, &published);
            Move { published, device, before, left, in_areas: RefCell::default() }
        });
        Self { first, moves: moves.collect() }
    }

    /// The number of its last update.
    pub(super) fn last(&self) -> u64 {
        self.first + self.moves.len() as u64 - 1
    }

    /// The events that devices left with it.
    pub(super) fn left(&self) -> impl Iterator<Item = &Topic> {
        self.moves.iter().flat_map(|one| &one.left)
    }

    /// The devices that went out of an area after update `since`.
    pub(super) fn went_out(&self, area: Bounds, since: u64) -> impl Iterator<Item = u32> {
        let later = self.moves.iter().zip(self.first..).filter(move |(_, number)| *number > since);
        let went_out = later.filter(move |(one, _)| {
            one.before.is_some_and(|before| area.contains(before))
                && !area.contains(one.published.position().point())
        });
        went_out.map(|(one, _)| one.device)
    }

    /// Finds out who is to be told of what: of the positions from place `from` on, of as many as make frames for a while.
    /// Others have their turn in between, and may come and go.
    pub(super) async fn dispatch(
        &self,
        from: usize,
        interest: &RefCell<Interest>,
        means: &Means,
    ) -> Dispatched {
        let (mut dispatch, mut turn) = (Dispatch::default(), Turn::new());
        let mut next = from;
        while next < self.moves.len() && dispatch.count < MOST_CHANGES {
            dispatch.one(self.first + next as u64, &self.moves[next], &interest.borrow(), means);
            next += 1;
            if dispatch.is_time_to_look() {
                turn.pause().await;
            }
        }
        let Dispatch { collected, mut dispatched, .. } = dispatch;
        dispatched.groups.reserve(collected.len());
        for (number, collected) in (1_usize..).zip(collected) {
            dispatched.groups.extend(self.group(collected, means));
            if number.is_multiple_of(LOOK) {
                turn.pause().await;
            }
        }
        Dispatched { next, number: self.first + next as u64 - 1, ..dispatched }
    }

    /// True if that is behind its last position.
    pub(super) fn ends_before(&self, place: usize) -> bool {
        place >= self.moves.len()
    }

    fn group(&self, Collected { audience, changes }: Collected, means: &Means) -> Option<Group> {
        let Audience { topic, mode, .. } = &*audience;
        let burst = match &changes[..] {
            [only] if topic.is_area() && !mode.batch && !only.update.is_left() => {
                self.in_areas(only, &audience, means)?
            }
            several if topic.is_area() && !mode.batch => self.joined(&audience, several, means),
            all => Burst::new(compose::frames(topic, *mode, all, means), false),
        };
        Group::new(audience, burst, changes)
    }

    /// A burst of several updates of an area, with the frames that it shares with other areas.
    fn joined(&self, audience: &Audience, changes: &[Change], means: &Means) -> Rc<Burst> {
        let frame = |change: &Change| match &change.update {
            Update::At(_) => Some(self.in_areas(change, audience, means)?.updates().first()?.clone()),
            Update::Left(_) => compose::frame(&audience.topic, audience.mode, change, means),
        };
        Burst::new(changes.iter().filter_map(frame).collect(), false)
    }

    /// The burst of one position, as areas get it.
    fn in_areas(&self, at: &Change, audience: &Audience, means: &Means) -> Option<Rc<Burst>> {
        let encoding = audience.mode.encoding;
        let mut made = self.moves[self.place(at)].in_areas.borrow_mut();
        if let Some((_, burst)) = made.iter().find(|(of, _)| *of == encoding) {
            return burst.clone();
        }
        let frame = compose::frame(&audience.topic, audience.mode, at, means);
        let burst = frame.map(|frame| Burst::new(vec![frame], false));
        made.push((encoding, burst.clone()));
        burst
    }

    /// The place of the position that an update is of.
    fn place(&self, change: &Change) -> usize {
        (change.number - self.first) as usize
    }

    /// Observes how old the positions were that somebody was given.
    pub(super) fn observe(&self, groups: &[Group], metrics: &LiveMetrics) {
        let mut delivered = vec![false; self.moves.len()];
        for group in groups.iter().filter(|group| group.was_delivered()) {
            let positions = group.changes().iter().filter(|change| !change.update.is_left());
            positions.for_each(|change| delivered[self.place(change)] = true);
        }
        let now = Timestamp::now().as_millis();
        let moves = self.moves.iter().zip(delivered).filter(|(_, delivered)| *delivered);
        for (Move { published, .. }, _) in moves {
            metrics.delivery.observe(published.age().as_secs_f64());
            let age = now - published.position().timestamp.as_millis();
            metrics.position_age.observe(age.max(0) as f64 / 1000.0);
        }
    }
}

/// A dispatch under way.
#[derive(Default)]
struct Dispatch {
    collected: Vec<Collected>,
    dispatched: Dispatched,
    /// How many changes were collected.
    count: usize,
    /// How much was done since the clock was looked at.
    work: usize,
}

impl Dispatch {
    /// True once after so much work that the clock should be looked at.
    fn is_time_to_look(&mut self) -> bool {
        let is_time = self.work >= LOOK;
        if is_time {
            self.work = 0;
        }
        is_time
    }

    fn one(&mut self, number: u64, one: &Move, interest: &Interest, means: &Means) {
        let at = || Change { number, update: Update::At(one.published.clone()) };
        let left = || Change { number, update: Update::Left(one.published.clone()) };
        let position = one.published.position();
        self.work += 1;
        interest.named_by(position).for_each(|audience| self.tell(audience, at()));
        let looked_at = interest.crossed(one.before, position.point(), |audience, crossing| {
            self.cross(audience, crossing, number, one.device);
            if audience.mode.cadence.is_some() {
                self.dispatched.to_schedule.push(audience.clone());
            } else if audience.is_behind() {
                audience.each_behind(|subscription| means.count_skipped(&subscription.subscriber.client, 1));
            } else {
                let change = if crossing == Crossing::Out { left() } else { at() };
                self.collect(audience, change);
            }
        });
        // Some that are looked at are as much work as one that is told.
        self.work += looked_at / 16;
        for topic in &one.left {
            interest.audiences(topic).iter().for_each(|audience| self.tell(audience, left()));
        }
    }

    /// An area's devices are counted, and who is served later must hear of those that go.
    fn cross(&mut self, audience: &Rc<Audience>, crossing: Crossing, number: u64, device: u32) {
        self.work += 1;
        audience.count(number, crossing);
        match crossing {
            Crossing::In => self.dispatched.grown.push(audience.clone()),
            Crossing::Out => audience.each_behind(|subscription| subscription.went_out(device, number)),
            Crossing::Within => {}
        }
        if audience.mode.cadence.is_some() {
            audience.moved.borrow_mut().insert_in_area(device);
            if crossing == Crossing::Out {
                self.dispatched.emptied.push(audience.clone());
            }
        }
    }

    /// Tells an audience, or notes what it is to be told when it is due.
    fn tell(&mut self, audience: &Rc<Audience>, change: Change) {
        self.work += 1;
        if audience.mode.cadence.is_none() {
            self.collect(audience, change);
        } else {
            audience.moved.borrow_mut().insert(change);
            self.dispatched.to_schedule.push(audience.clone());
        }
    }

    fn collect(&mut self, audience: &Rc<Audience>, change: Change) {
        let mut index = audience.collected.get();
        // What an earlier dispatch noted there is not believed.
        if !self.collected.get(index).is_some_and(|known| Rc::ptr_eq(&known.audience, audience)) {
            index = self.collected.len();
            audience.collected.set(index);
            self.collected.push(Collected { audience: audience.clone(), changes: Changes::new() });
        }
        self.collected[index].changes.push(change);
        self.count += 1;
    }
}
