//! `Mover`: a device on its way through the streets: how it drives, turns, stops and pauses, and what it tells of itself.

use serde_json::{Value, json};

use super::kind::Kind;
use super::random::Random;
use super::streets::{StreetKind, Streets};

/// How fast a vehicle gains speed, in metres per second squared.
const ACCELERATION: f64 = 1.5;

/// How fast it slows down.
const BRAKING: f64 = 2.5;

/// No slower than this while it moves, in metres per second.
const CREEP: f64 = 0.5;

/// Longest time that is driven at once, in seconds: shorter than any street takes.
const STEP: f64 = 1.0;

/// Most steps for one report; whoever reports seldom has driven less far.
const MAX_STEPS: f64 = 600.0;

/// How many parcels a courier loads.
const PARCELS: u32 = 20;

/// Why it stands, or will at the end of the street.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// A red light, or whoever has the right of way.
    Waiting,
    /// A parcel is handed over.
    Delivering,
    /// All parcels are gone: new ones are loaded.
    Loading,
}

/// A device on its way.
pub(super) struct Mover {
    kind: Kind,
    /// The street it is in, towards which of its ends, and how far from the other one, in metres.
    street: usize,
    towards: usize,
    along: f64,
    /// The street after this one, and why it stops before.
    next: usize,
    stop: Option<Stop>,
    /// How long it still stands, in seconds.
    standing: f64,
    /// Metres per second.
    speed: f64,
    /// How fast it likes to go, as a share of what is usual.
    haste: f64,
    /// Of 1.
    battery: f64,
    parcels: u32,
}

/// Where a mover is and how it moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fix {
    /// Metres north of the middle.
    pub(super) north: f64,
    /// Metres east of it.
    pub(super) east: f64,
    /// Metres per second.
    pub(super) speed: f64,
    /// Degrees clockwise from north; `None` while it stands.
    pub(super) heading: Option<f64>,
    /// Metres.
    pub(super) accuracy: u32,
}

impl Mover {
    /// A device somewhere in the streets, on its way.
    pub(super) fn new(kind: Kind, streets: &Streets, random: &mut Random) -> Self {
        let street = loop {
            let street = random.index(streets.streets.len());
            if kind.may_use(streets.streets[street].kind) {
                break street;
            }
        };
        let mut mover = Self {
            kind,
            street,
            towards: random.index(2),
            along: random.unit() * streets.streets[street].length,
            next: street,
            stop: None,
            standing: 0.0,
            speed: 0.0,
            haste: random.between(0.85, 1.1),
            battery: random.between(0.2, 1.0),
            parcels: 1 + random.index(PARCELS as usize) as u32,
        };
        mover.look_ahead(streets, random);
        mover.speed = mover.top_speed(streets);
        mover
    }

    /// Goes on for `seconds`.
    pub(super) fn drive(&mut self, seconds: f64, streets: &Streets, random: &mut Random) {
        let steps = (seconds / STEP).ceil().clamp(1.0, MAX_STEPS);
        let step = (seconds / steps).min(STEP);
        for _ in 0..steps as usize {
            self.step(step, streets, random);
        }
        if let Some(life) = self.kind.battery_life() {
            self.battery -= seconds / life;
            if self.battery < 0.05 {
                // Somebody put in a full one.
                self.battery = 1.0;
            }
        }
    }

    fn step(&mut self, seconds: f64, streets: &Streets, random: &mut Random) {
        if self.standing > 0.0 {
            self.standing -= seconds;
            if self.standing <= 0.0 {
                self.enter_next(0.0, streets, random);
            }
            return;
        }
        let length = streets.streets[self.street].length;
        // No faster than it can slow down for what comes at the end of the street.
        let end = if self.stop.is_some() { 0.0 } else { self.turning_speed(streets) };
        let (left, step) = ((length - self.along).max(0.0), BRAKING * seconds);
        let in_time = (end * end + 2.0 * BRAKING * left + step * step).sqrt() - step;
        let wanted = self.top_speed(streets).min(in_time);
        self.speed = wanted.clamp(self.speed - 2.0 * BRAKING * seconds, self.speed + ACCELERATION * seconds);
        self.speed = self.speed.max(CREEP);
        self.along += self.speed * seconds;
        if self.along < length {
            return;
        }
        match self.stop {
            Some(stop) => {
                self.along = length;
                self.speed = 0.0;
                self.standing = self.begin(stop, random);
            }
            None => self.enter_next(self.along - length, streets, random),
        }
    }

    /// It has come to a stop. Returns for how long, in seconds.
    fn begin(&mut self, stop: Stop, random: &mut Random) -> f64 {
        match stop {
            Stop::Waiting => random.between(3.0, 25.0),
            Stop::Delivering => {
                self.parcels = self.parcels.saturating_sub(1);
                random.between(30.0, 90.0)
            }
            Stop::Loading => {
                self.parcels = PARCELS;
                random.between(120.0, 240.0)
            }
        }
    }

    /// Turns into the next street, and is so far into it.
    fn enter_next(&mut self, along: f64, streets: &Streets, random: &mut Random) {
        let crossing = streets.streets[self.street].ends[self.towards];
        let next = &streets.streets[self.next];
        // Where it turned back, the end it comes from is the one that it went to.
        self.towards = usize::from(next.ends[0] == crossing);
        self.street = self.next;
        self.along = along.min(next.length);
        self.look_ahead(streets, random);
    }

    /// Decides where to go at the end of the street, and whether to stop there.
    fn look_ahead(&mut self, streets: &Streets, random: &mut Random) {
        let crossing = &streets.crossings[streets.streets[self.street].ends[self.towards]];
        let others = crossing.streets.iter().copied();
        let others = others
            .filter(|street| *street != self.street && self.kind.may_use(streets.streets[*street].kind));
        let weighed: Vec<_> = others.map(|street| (street, self.liking(street, streets))).collect();
        let mut left = random.unit() * weighed.iter().map(|(_, weight)| weight).sum::<f64>();
        let chosen = weighed.iter().find(|(_, weight)| {
            left -= weight;
            left < 0.0
        });
        // At a dead end it turns back.
        self.next = chosen.or(weighed.last()).map_or(self.street, |(street, _)| *street);
        self.stop = self.stop_at(crossing.streets.len(), random);
    }

    /// How much it would like to go on in this street: straight on rather than around a corner.
    fn liking(&self, street: usize, streets: &Streets) -> f64 {
        let turn = self.turn_into(street, streets).abs();
        let straight = if turn < 30.0 { 5.0 } else { 1.0 };
        let is_busy = streets.streets[street].kind != StreetKind::Side;
        if is_busy && self.kind == Kind::Car { 2.0 * straight } else { straight }
    }

    fn stop_at(&self, streets: usize, random: &mut Random) -> Option<Stop> {
        if self.kind == Kind::Courier && random.chance(0.25) {
            return Some(if self.parcels == 0 { Stop::Loading } else { Stop::Delivering });
        }
        let share = match self.kind {
            Kind::Car | Kind::Courier => 0.25,
            Kind::Bike => 0.15,
            Kind::Walker => 0.1,
        };
        (streets > 2 && random.chance(share)).then_some(Stop::Waiting)
    }

    /// By how much it turns to go on in this street, in degrees, to the right if positive.
    fn turn_into(&self, street: usize, streets: &Streets) -> f64 {
        let crossing = streets.streets[self.street].ends[self.towards];
        let towards = usize::from(streets.streets[street].ends[0] == crossing);
        let turn = streets.heading(street, towards) - streets.heading(self.street, self.towards);
        (turn + 540.0).rem_euclid(360.0) - 180.0
    }

    /// As fast as it may go where it is, in metres per second.
    fn top_speed(&self, streets: &Streets) -> f64 {
        self.kind.top_speed().min(streets.streets[self.street].kind.limit()) * self.haste
    }

    /// As fast as it may take the next turn.
    fn turning_speed(&self, streets: &Streets) -> f64 {
        let next = self.kind.top_speed().min(streets.streets[self.next].kind.limit()) * self.haste;
        match self.turn_into(self.next, streets).abs() {
            turn if turn < 20.0 => next,
            turn if turn < 60.0 => next.min(8.0),
            _ => next.min(4.0),
        }
    }

    /// Where it is now.
    pub(super) fn fix(&self, streets: &Streets) -> Fix {
        let street = &streets.streets[self.street];
        let [from, to] = [1 - self.towards, self.towards].map(|end| &streets.crossings[street.ends[end]]);
        let share = self.along / street.length;
        Fix {
            north: from.north + (to.north - from.north) * share,
            east: from.east + (to.east - from.east) * share,
            speed: self.speed,
            heading: (self.speed > 0.0).then(|| streets.heading(self.street, self.towards)),
            accuracy: self.kind.accuracy(),
        }
    }

    /// What it tells of itself.
    pub(super) fn attributes(&self) -> Value {
        let mut attributes = json!({ "kind": self.kind.name(), "status": self.status() });
        if self.kind.battery_life().is_some() {
            attributes["battery"] = json!((self.battery * 100.0).round() as u32);
        }
        if self.kind == Kind::Courier {
            attributes["parcels"] = json!(self.parcels);
        }
        attributes
    }

    fn status(&self) -> &'static str {
        match self.stop {
            Some(Stop::Waiting) if self.standing > 0.0 => "waiting",
            Some(Stop::Delivering) if self.standing > 0.0 => "delivering",
            Some(Stop::Loading) if self.standing > 0.0 => "loading",
            _ => "moving",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::streets::RING_RADIUS;
    use super::*;

    /// Fixes of a device of this kind, one a second.
    fn journey(kind: Kind, seconds: usize) -> Vec<(Fix, Value)> {
        let (streets, mut random) = (Streets::new(), Random::new(42));
        let mut mover = Mover::new(kind, &streets, &mut random);
        (0..seconds)
            .map(|_| {
                mover.drive(1.0, &streets, &mut random);
                (mover.fix(&streets), mover.attributes())
            })
            .collect()
    }

    #[test]
    fn it_stays_in_the_streets_and_goes_no_further_than_its_speed() {
        for kind in Kind::MIX {
            let journey = journey(kind, 20_000);
            for pair in journey.windows(2) {
                let [(before, _), (after, _)] = pair else { unreachable!() };
                assert!(after.north.hypot(after.east) <= RING_RADIUS + 1.0, "{after:?}");
                let moved = (after.north - before.north).hypot(after.east - before.east);
                assert!(moved <= before.speed.max(after.speed) + 0.01, "{kind:?}: {before:?}, {after:?}");
                assert!(after.speed <= kind.top_speed() * 1.1 + 0.01, "{after:?}");
                assert!(before.speed - after.speed < 2.0 * BRAKING + 0.01, "{before:?}, {after:?}");
            }
        }
    }

    #[test]
    fn it_moves_stands_and_turns() {
        for kind in [Kind::Car, Kind::Courier, Kind::Bike, Kind::Walker] {
            let journey = journey(kind, 20_000);
            let standing = journey.iter().filter(|(fix, _)| fix.speed == 0.0).count();
            assert!((10..15_000).contains(&standing), "{kind:?} stands for {standing} s");
            assert!(journey.iter().all(|(fix, _)| fix.heading.is_none() == (fix.speed == 0.0)), "{kind:?}");
            let headings: std::collections::BTreeSet<_> =
                journey.iter().filter_map(|(fix, _)| fix.heading).map(|heading| heading as u32).collect();
            assert!(headings.len() > 10, "{kind:?}: {headings:?}");
            let far = journey.iter().map(|(fix, _)| fix.north.hypot(fix.east));
            assert!(far.clone().fold(0.0, f64::max) - far.fold(f64::MAX, f64::min) > 300.0, "{kind:?}");
        }
    }

    #[test]
    fn couriers_hand_over_parcels_and_load_new_ones() {
        let journey = journey(Kind::Courier, 40_000);
        let parcels: std::collections::BTreeSet<_> =
            journey.iter().map(|(_, attributes)| attributes["parcels"].as_u64().unwrap()).collect();
        assert!(parcels.contains(&0) && parcels.contains(&u64::from(PARCELS)), "{parcels:?}");
        for status in ["moving", "waiting", "delivering", "loading"] {
            assert!(journey.iter().any(|(_, attributes)| attributes["status"] == status), "{status}");
        }
    }

    #[test]
    fn whoever_reports_seldom_or_often_moves_too() {
        let (streets, mut random) = (Streets::new(), Random::new(42));
        for seconds in [0.001, 1000.0] {
            let mut mover = Mover::new(Kind::Bike, &streets, &mut random);
            let before = mover.fix(&streets);
            for _ in 0..100 {
                mover.drive(seconds, &streets, &mut random);
            }
            let after = mover.fix(&streets);
            assert_ne!((before.north, before.east), (after.north, after.east));
            assert!((5..=100).contains(&mover.attributes()["battery"].as_u64().unwrap()));
        }
    }
}
