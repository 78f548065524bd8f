//! `Country`: viewports of city size spread over a country, and devices in it.

use std::fmt::Write as _;

use crate::movers::Random;
use crate::payload;

/// Degrees.
const WEST: f64 = 6.0;
const SOUTH: f64 = 47.0;
const EAST: f64 = 16.0;
const NORTH: f64 = 55.0;

/// A viewport's width and height, in degrees.
pub(crate) const WIDTH: f64 = 0.2;
pub(crate) const HEIGHT: f64 = 0.12;

/// How far a device moves with each report, in degrees: some 25 m to the north.
const MOVE: f64 = 0.000_25;

/// So far from a device in a gap there is no viewport.
const MARGIN: f64 = 0.001;

/// The south-western corner of a viewport, or where a device is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) longitude: f64,
    pub(crate) latitude: f64,
}

impl Place {
    /// Anywhere, with so much room to the edges of the country.
    pub(crate) fn random(random: &mut Random, width: f64, height: f64) -> Self {
        let longitude = random.between(WEST + width, EAST - width);
        Self { longitude, latitude: random.between(SOUTH + height, NORTH - height) }
    }

    /// The same, moved.
    pub(crate) fn moved(self, east: f64, north: f64) -> Self {
        Self { longitude: self.longitude + east, latitude: self.latitude + north }
    }

    /// The topic of the viewport with this corner.
    pub(crate) fn topic(self) -> String {
        let Self { longitude, latitude } = self;
        format!("area:{longitude:.5},{latitude:.5},{:.5},{:.5}", longitude + WIDTH, latitude + HEIGHT)
    }
}

/// Viewports anywhere in the country.
pub(crate) fn viewports(count: usize) -> Vec<Place> {
    let mut random = Random::new();
    (0..count).map(|_| Place::random(&mut random, WIDTH, HEIGHT)).collect()
}

/// Places that are in none of the viewports.
pub(crate) fn gaps(viewports: &[Place], count: usize) -> Vec<Place> {
    // Cells as large as a viewport: one that a place is in begins in the place's cell or in a neighbour.
    let cell = |place: Place| {
        let column = ((place.longitude - WEST) / WIDTH).floor() as i32;
        (column, ((place.latitude - SOUTH) / HEIGHT).floor() as i32)
    };
    let mut cells = std::collections::HashMap::<_, Vec<Place>>::new();
    viewports.iter().for_each(|viewport| cells.entry(cell(*viewport)).or_default().push(*viewport));
    let is_near = |place: Place, viewport: &Place| {
        let (east, north) = (place.longitude - viewport.longitude, place.latitude - viewport.latitude);
        (-MARGIN..=WIDTH + MARGIN).contains(&east) && (-MARGIN..=HEIGHT + MARGIN).contains(&north)
    };
    let is_free = |place: Place| {
        let (column, row) = cell(place);
        let near = (-2..=1).flat_map(|x| (-2..=1).map(move |y| (column + x, row + y)));
        near.filter_map(|cell| cells.get(&cell)).flatten().all(|viewport| !is_near(place, viewport))
    };
    // Not at the edges of the country, where there are fewer viewports around.
    let mut random = Random::new();
    let mut places = std::iter::repeat_with(|| Place::random(&mut random, 2.0 * WIDTH, 2.0 * HEIGHT));
    std::iter::from_fn(|| places.find(|place| is_free(*place))).take(count).collect()
}

/// Devices that report from their places, and with each report move away a little, or back.
pub(crate) struct Devices {
    name: char,
    base: i64,
    places: Vec<Place>,
    /// Reports so far.
    next: u64,
}

impl Devices {
    /// Devices whose ids are this letter and a number.
    pub(crate) fn new(name: char, places: Vec<Place>) -> Self {
        Self { name, base: payload::base(), places, next: 0 }
    }

    /// The topic of a device.
    pub(crate) fn topic(&self, device: usize) -> String {
        format!("device:{}{device:05}", self.name)
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The body of a post of the next `count` devices.
    pub(crate) fn body(&mut self, count: usize) -> Vec<u8> {
        let (name, mut body) = (self.name, String::from("["));
        for _ in 0..count {
            let (turn, device) =
                (self.next / self.places.len() as u64, (self.next % self.places.len() as u64) as usize);
            let Place { longitude, latitude } = self.places[device];
            let latitude = latitude + (turn % 2) as f64 * MOVE;
            let time = payload::stamp(self.base, turn);
            write!(
                body,
                r#"{{"device_id":"{name}{device:05}","timestamp":"{time}","latitude":{latitude:.6},"longitude":{longitude:.6},"accuracy":5,"heading":271.5,"speed":13.9}},"#
            )
            .unwrap();
            self.next += 1;
        }
        body.pop();
        (body + "]").into_bytes()
    }
}
