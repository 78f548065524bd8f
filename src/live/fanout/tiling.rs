//! `Tiling`: the globe cut into equal tiles of longitude and latitude; which tile a point is in, and which an area touches.

use std::ops::RangeInclusive;

use crate::domain::{Bounds, Point};

/// The globe cut into `2^level` columns and as many rows of tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tiling {
    level: u8,
}

/// The meridian on which the tiles of the poles are.
const POLES_ON: f64 = 0.0;

/// A tile of a tiling: its column in the upper half, its row in the lower one.
pub(super) type Tile = u64;

/// The tiles that an area touches.
pub(super) struct Touched {
    /// Sorted, each once.
    columns: Vec<u32>,
    rows: RangeInclusive<u32>,
}

impl Tiling {
    /// `level` is at most 31.
    pub(super) const fn new(level: u8) -> Self {
        Self { level }
    }

    pub(super) fn level(self) -> u8 {
        self.level
    }

    /// The tile that a point is in.
    pub(super) fn tile(self, point: Point) -> Tile {
        // A pole is on all meridians; it is found on this one.
        let longitude = if point.latitude.abs() == 90.0 { POLES_ON } else { point.longitude };
        tile(self.column(longitude), self.row(point.latitude))
    }

    /// As the meridians 180 and -180 are the same, both are in the first column.
    fn column(self, longitude: f64) -> u32 {
        if longitude >= 180.0 { 0 } else { self.step((longitude + 180.0) / 360.0) }
    }

    fn row(self, latitude: f64) -> u32 {
        self.step((latitude + 90.0) / 180.0)
    }

    fn step(self, share: f64) -> u32 {
        let count = 1_u32 << self.level;
        ((share * f64::from(count)) as u32).min(count - 1)
    }

    /// How many tiles an area touches, at most.
    pub(super) fn touched_at_most(self, area: Bounds) -> u64 {
        let columns: u64 = self.spans(area).map(|span| 1 + u64::from(span.end() - span.start())).sum();
        let rows = self.rows(area);
        columns * (1 + u64::from(rows.end() - rows.start()))
    }

    /// The tiles that an area touches.
    pub(super) fn touched(self, area: Bounds) -> Touched {
        let mut columns: Vec<u32> = self.spans(area).flatten().collect();
        columns.sort_unstable();
        columns.dedup();
        Touched { columns, rows: self.rows(area) }
    }

    fn rows(self, area: Bounds) -> RangeInclusive<u32> {
        let (south, north) = area.latitudes();
        self.row(south)..=self.row(north)
    }

    fn spans(self, area: Bounds) -> impl Iterator<Item = RangeInclusive<u32>> {
        let (south, north) = area.latitudes();
        let to_a_pole = (south == -90.0 || north == 90.0).then(|| {
            let column = self.column(POLES_ON);
            column..=column
        });
        let spans = area.longitudes().flat_map(move |(west, east)| {
            let to_the_end = (east >= 180.0).then_some(0..=0);
            let last = if east >= 180.0 { (1_u32 << self.level) - 1 } else { self.column(east) };
            let first = if west >= 180.0 { last } else { self.column(west) };
            std::iter::once(first..=last).chain(to_the_end)
        });
        spans.chain(to_a_pole)
    }

    /// True if every point of a tile is inside an area. (Never for the first column: 180 is in it besides -180.)
    pub(super) fn is_within(self, tile: Tile, area: Bounds) -> bool {
        let (column, row) = ((tile >> 32) as u32, tile as u32);
        let count = f64::from(1_u32 << self.level);
        let edge = |step: u32| f64::from(step) / count;
        let (west, east) = (edge(column) * 360.0 - 180.0, edge(column + 1) * 360.0 - 180.0);
        let (south, north) = (edge(row) * 180.0 - 90.0, edge(row + 1) * 180.0 - 90.0);
        let (least, most) = area.latitudes();
        let within = |(first, last): (f64, f64)| first <= west && east <= last;
        column > 0 && least <= south && north <= most && area.longitudes().any(within)
    }
}

fn tile(column: u32, row: u32) -> Tile {
    u64::from(column) << 32 | u64::from(row)
}

impl Touched {
    pub(super) fn iter(&self) -> impl Iterator<Item = Tile> {
        self.columns.iter().flat_map(|column| self.rows.clone().map(|row| tile(*column, row)))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Area;

    pub(in crate::live::fanout) fn bounds(text: &str) -> Bounds {
        Area::parse(text).unwrap().bounds()
    }

    pub(in crate::live::fanout) fn areas() -> impl Strategy<Value = Bounds> {
        let number = |limit: i32| prop_oneof![3 => -limit..=limit, 1 => Just(limit), 1 => Just(-limit)];
        (number(180), number(90), number(180), number(90))
            .prop_map(|(west, a, east, b)| bounds(&format!("{west},{},{east},{}", a.min(b), a.max(b))))
    }

    pub(in crate::live::fanout) fn points() -> impl Strategy<Value = Point> {
        let whole = |limit: i32| (-limit..=limit).prop_map(f64::from);
        let any = |limit: f64| -limit..=limit;
        (prop_oneof![whole(180), any(180.0)], prop_oneof![whole(90), any(90.0)])
            .prop_map(|(longitude, latitude)| Point { longitude, latitude })
    }

    proptest! {
        #[test]
        fn a_point_inside_an_area_is_in_a_tile_that_it_touches(area in areas(), point in points(), level in 0_u8..20) {
            let tiling = Tiling::new(level);
            let tile = tiling.tile(point);
            if tiling.touched_at_most(area) > 10_000 {
                return Ok(());
            }
            let touched = tiling.touched(area);
            prop_assert!(touched.iter().count() as u64 <= tiling.touched_at_most(area));
            if area.contains(point) {
                prop_assert!(touched.iter().any(|one| one == tile), "{area:?} {point:?}");
            } else {
                prop_assert!(!tiling.is_within(tile, area), "{area:?} {point:?}");
            }
        }
    }

    #[test]
    fn a_tile_may_be_within_an_area() {
        let tiling = Tiling::new(4);
        let tile = tiling.tile(Point { longitude: 30.0, latitude: 30.0 });
        assert!(tiling.is_within(tile, bounds("22.5,22.5,45,33.75")));
        assert!(!tiling.is_within(tile, bounds("22.6,22.5,45,33.75")));
    }
}
