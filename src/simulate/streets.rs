//! `Streets`: a made-up street network: a grid of side streets with a main street at every fourth place, neither quite
//! straight nor complete, and a ring road around it.

use super::random::Random;

/// Between two crossings of the grid, in metres.
const BLOCK: f64 = 250.0;

/// How far a crossing may lie from where a perfect grid has it, in metres.
const SHIFT: f64 = 45.0;

/// The grid reaches so far from the middle, in metres.
const GRID_RADIUS: f64 = 4_000.0;

/// Radius of the ring road, in metres.
pub(super) const RING_RADIUS: f64 = 4_300.0;

/// Crossings on the ring road; every other one leads into the grid.
const RING_CROSSINGS: usize = 48;

/// Every so many streets one is a main street.
const MAIN_EVERY: i32 = 4;

/// The share of side streets that are not there, so that blocks differ.
const MISSING: f64 = 0.15;

/// What kind of street it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreetKind {
    /// Between houses.
    Side,
    /// Through the city.
    Main,
    /// The ring road, for motor vehicles only.
    Ring,
}

impl StreetKind {
    /// The speed limit, in metres per second: 30, 50 and 80 km/h.
    pub(super) fn limit(self) -> f64 {
        match self {
            Self::Side => 30.0 / 3.6,
            Self::Main => 50.0 / 3.6,
            Self::Ring => 80.0 / 3.6,
        }
    }
}

/// A place where streets meet or one ends.
pub(super) struct Crossing {
    /// Metres north of the middle.
    pub(super) north: f64,
    /// Metres east of it.
    pub(super) east: f64,
    /// The streets that end here.
    pub(super) streets: Vec<usize>,
}

/// A straight way from one crossing to another.
pub(super) struct Street {
    /// The crossings at its ends.
    pub(super) ends: [usize; 2],
    /// In metres.
    pub(super) length: f64,
    pub(super) kind: StreetKind,
}

/// All crossings and streets, each known by its place in its list.
pub(super) struct Streets {
    pub(super) crossings: Vec<Crossing>,
    pub(super) streets: Vec<Street>,
}

impl Streets {
    /// The network, the same each time.
    pub(super) fn new() -> Self {
        let mut streets = Self { crossings: Vec::new(), streets: Vec::new() };
        let inner = streets.add_grid(&mut Random::new(0x2545_F491_4F6C_DD1D));
        streets.add_ring(inner);
        streets
    }

    /// The direction from one end of a street to the other, in degrees clockwise from north.
    pub(super) fn heading(&self, street: usize, towards: usize) -> f64 {
        let [from, to] = [1 - towards, towards].map(|end| &self.crossings[self.streets[street].ends[end]]);
        (to.east - from.east).atan2(to.north - from.north).to_degrees().rem_euclid(360.0)
    }

    /// Adds crossings on a grid inside the circle and most streets between neighbours. Returns how many crossings.
    fn add_grid(&mut self, random: &mut Random) -> usize {
        let reach = (GRID_RADIUS / BLOCK) as i32;
        let side = 2 * reach + 1;
        let mut places = vec![None; (side * side) as usize];
        let place = |row: i32, column: i32| ((row + reach) * side + column + reach) as usize;
        for row in -reach..=reach {
            for column in -reach..=reach {
                let (north, east) = (f64::from(row) * BLOCK, f64::from(column) * BLOCK);
                if north.hypot(east) > GRID_RADIUS {
                    continue;
                }
                let mut shifted = |metres: f64| metres + random.between(-SHIFT, SHIFT);
                let here = self.add_crossing(shifted(north), shifted(east));
                places[place(row, column)] = Some(here);
                // To the south and to the west, where crossings are there already.
                for (row_of, column_of, line) in [(row - 1, column, column), (row, column - 1, row)] {
                    let inside = row_of >= -reach && column_of >= -reach;
                    let Some(other) = inside.then(|| places[place(row_of, column_of)]).flatten() else {
                        continue;
                    };
                    let is_main = line % MAIN_EVERY == 0;
                    if is_main {
                        self.add_street(other, here, StreetKind::Main);
                    } else if !random.chance(MISSING) {
                        self.add_street(other, here, StreetKind::Side);
                    }
                }
            }
        }
        self.crossings.len()
    }

    /// Adds the ring road around the first `inner` crossings, and ways from it to the nearest of these.
    fn add_ring(&mut self, inner: usize) {
        let ring: Vec<_> = (0..RING_CROSSINGS)
            .map(|number| {
                let angle = number as f64 / RING_CROSSINGS as f64 * std::f64::consts::TAU;
                self.add_crossing(angle.cos() * RING_RADIUS, angle.sin() * RING_RADIUS)
            })
            .collect();
        for (number, here) in ring.iter().enumerate() {
            self.add_street(*here, ring[(number + 1) % RING_CROSSINGS], StreetKind::Ring);
            let distance = |other: &usize| self.distance(*here, *other);
            let nearest = (0..inner).min_by(|one, other| distance(one).total_cmp(&distance(other)));
            if let (0, Some(nearest)) = (number % 2, nearest) {
                self.add_street(*here, nearest, StreetKind::Main);
            }
        }
    }

    fn add_crossing(&mut self, north: f64, east: f64) -> usize {
        self.crossings.push(Crossing { north, east, streets: Vec::new() });
        self.crossings.len() - 1
    }

    fn add_street(&mut self, from: usize, to: usize, kind: StreetKind) {
        let number = self.streets.len();
        self.streets.push(Street { ends: [from, to], length: self.distance(from, to), kind });
        self.crossings[from].streets.push(number);
        self.crossings[to].streets.push(number);
    }

    /// In metres.
    fn distance(&self, from: usize, to: usize) -> f64 {
        let [from, to] = [from, to].map(|crossing| &self.crossings[crossing]);
        (to.north - from.north).hypot(to.east - from.east)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many crossings are reached from the first one, over streets that `may` use.
    fn reached(streets: &Streets, may: impl Fn(StreetKind) -> bool) -> usize {
        let mut reached = vec![false; streets.crossings.len()];
        let mut next = vec![0];
        while let Some(crossing) = next.pop() {
            if !std::mem::replace(&mut reached[crossing], true) {
                let of_crossing =
                    streets.crossings[crossing].streets.iter().map(|street| &streets.streets[*street]);
                next.extend(of_crossing.filter(|street| may(street.kind)).flat_map(|street| street.ends));
            }
        }
        reached.iter().filter(|reached| **reached).count()
    }

    #[test]
    fn every_crossing_can_be_reached_and_no_street_is_too_short_to_drive() {
        let streets = Streets::new();
        assert_eq!(reached(&streets, |_| true), streets.crossings.len());
        // Without the ring road, at least all of the grid.
        assert!(
            reached(&streets, |kind| kind != StreetKind::Ring) >= streets.crossings.len() - RING_CROSSINGS
        );
        assert!(streets.crossings.len() > 700, "{}", streets.crossings.len());
        for street in &streets.streets {
            assert!((100.0..900.0).contains(&street.length), "{} m", street.length);
        }
        for kind in [StreetKind::Side, StreetKind::Main, StreetKind::Ring] {
            assert!(streets.streets.iter().filter(|street| street.kind == kind).count() >= RING_CROSSINGS);
        }
    }

    #[test]
    fn the_two_directions_of_a_street_are_opposite() {
        let streets = Streets::new();
        for street in 0..streets.streets.len() {
            let turn = (streets.heading(street, 1) - streets.heading(street, 0)).rem_euclid(360.0);
            assert!((turn - 180.0).abs() < 1e-6, "{turn}");
        }
    }
}
