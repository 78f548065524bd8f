//! `Viewports`: areas by their place, so that those around a position are found without looking at all others.
//!
//! Each area stands on the few tiles of the finest level on which it touches no more than [`MOST_TILES`]. A position looks at
//! one tile of each level that is in use. So what it costs depends on the areas around it, not on how many there are.

use std::collections::HashMap;

use super::tiling::{Tile, Tiling};
use crate::domain::{Bounds, Point};

/// Tiles that an area stands on, at most. With more, fewer areas are looked at in vain, and moving one costs more.
const MOST_TILES: u64 = 16;

/// The finest level: tiles of 150 by 75 m at the equator.
const FINEST: u8 = 18;

/// Areas, each with what belongs to it.
#[derive(Debug)]
pub(super) struct Viewports<T> {
    tiles: HashMap<Key, Vec<Viewport<T>>>,
    /// Where each area stands, by its number.
    places: Vec<Vec<Place>>,
    /// Numbers without an area.
    free: Vec<u32>,
    /// How many areas there are of each level.
    levels: [u32; FINEST as usize + 1],
}

/// A level and a tile of it.
type Key = (u8, Tile);

/// An area on one of its tiles.
#[derive(Debug)]
struct Viewport<T> {
    area: Bounds,
    value: T,
    /// Its area's number, and which of its places this is.
    number: u32,
    nth: u32,
}

/// A tile that an area stands on, and its place in the tile's list.
#[derive(Clone, Copy, Debug)]
struct Place {
    key: Key,
    index: u32,
}

/// What a device's move is for an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crossing {
    /// It is inside now and was not before.
    In,
    /// It is inside, as before.
    Within,
    /// It was inside and is not any more.
    Out,
}

impl<T> Default for Viewports<T> {
    fn default() -> Self {
        let (tiles, levels) = (HashMap::new(), [0; FINEST as usize + 1]);
        Self { tiles, places: Vec::new(), free: Vec::new(), levels }
    }
}

impl<T: Clone> Viewports<T> {
    /// Adds an area. Returns the number with which it is removed.
    pub(super) fn insert(&mut self, area: Bounds, value: &T) -> u32 {
        let tiling = level_of(area);
        let number = self.free.pop().unwrap_or_else(|| {
            self.places.push(Vec::new());
            (self.places.len() - 1) as u32
        });
        let mut places = Vec::new();
        for (nth, tile) in (0..).zip(tiling.touched(area).iter()) {
            let key = (tiling.level(), tile);
            let viewports = self.tiles.entry(key).or_default();
            places.push(Place { key, index: viewports.len() as u32 });
            viewports.push(Viewport { area, value: value.clone(), number, nth });
        }
        self.places[number as usize] = places;
        self.levels[usize::from(tiling.level())] += 1;
        number
    }

    /// Takes an area away. What it costs does not depend on how many others stand beside it.
    pub(super) fn remove(&mut self, number: u32) {
        let places = std::mem::take(&mut self.places[number as usize]);
        for Place { key, index } in &places {
            let Some(viewports) = self.tiles.get_mut(key) else { continue };
            viewports.swap_remove(*index as usize);
            if let Some(moved) = viewports.get(*index as usize) {
                self.places[moved.number as usize][moved.nth as usize].index = *index;
            }
            if viewports.is_empty() {
                self.tiles.remove(key);
            }
        }
        if let Some(Place { key: (level, _), .. }) = places.first() {
            self.levels[usize::from(*level)] -= 1;
            self.free.push(number);
        }
    }

    /// Shows each area that a device's move from `before` to `now` is about.
    /// Returns how many areas were looked at.
    pub(super) fn crossed(
        &self,
        before: Option<Point>,
        now: Point,
        mut show: impl FnMut(&T, Crossing),
    ) -> usize {
        let mut looked_at = 0;
        for (level, _) in (0..).zip(self.levels).filter(|(_, count)| *count > 0) {
            let tiling = Tiling::new(level);
            let tile = tiling.tile(now);
            let tile_before = before.map(|before| tiling.tile(before));
            looked_at += self.on(level, tile).len();
            for Viewport { area, value, .. } in self.on(level, tile) {
                let was_inside = before.is_some_and(|before| area.contains(before));
                match (was_inside, area.contains(now)) {
                    (false, true) => show(value, Crossing::In),
                    (true, true) => show(value, Crossing::Within),
                    // Found on the tile of before, if that is another.
                    (true, false) if tile_before == Some(tile) => show(value, Crossing::Out),
                    _ => {}
                }
            }
            if let (Some(before), Some(tile_before)) = (before, tile_before)
                && tile_before != tile
            {
                looked_at += self.on(level, tile_before).len();
                for Viewport { area, value, .. } in self.on(level, tile_before) {
                    if area.contains(before) && !area.contains(now) {
                        show(value, Crossing::Out);
                    }
                }
            }
        }
        looked_at
    }

    fn on(&self, level: u8, tile: Tile) -> &[Viewport<T>] {
        self.tiles.get(&(level, tile)).map_or(&[], Vec::as_slice)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.tiles.is_empty() && self.levels.iter().all(|count| *count == 0)
    }
}

/// The finest level on which an area touches few enough tiles. On level 0 there is one tile.
fn level_of(area: Bounds) -> Tiling {
    let fits = |level: &u8| Tiling::new(*level).touched_at_most(area) <= MOST_TILES;
    Tiling::new((0..=FINEST).rev().find(fits).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tiling::tests::{areas, bounds, points};
    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_scan_of_all_areas_finds(
            areas in proptest::collection::vec(areas(), 1..60),
            gone in proptest::collection::vec(any::<bool>(), 60),
            moves in proptest::collection::vec((proptest::option::of(points()), points()), 1..20),
        ) {
            let mut viewports = Viewports::default();
            let numbers: Vec<_> =
                areas.iter().enumerate().map(|(number, area)| viewports.insert(*area, &number)).collect();
            let here: Vec<_> = (0..areas.len()).filter(|number| !gone[*number]).collect();
            for (place, number) in numbers.iter().enumerate().filter(|(place, _)| gone[*place]) {
                viewports.remove(*number);
                // Its number may be given to another, which goes as well.
                if place % 2 == 0 {
                    let again = viewports.insert(areas[place], &place);
                    viewports.remove(again);
                }
            }
            for (before, now) in moves {
                let mut found = Vec::new();
                viewports.crossed(before, now, |number, crossing| found.push((*number, crossing)));
                found.sort_unstable_by_key(|(number, _)| *number);
                let wanted: Vec<_> = here.iter().filter_map(|number| {
                    let was = before.is_some_and(|before| areas[*number].contains(before));
                    let crossing = match (was, areas[*number].contains(now)) {
                        (false, true) => Crossing::In,
                        (true, true) => Crossing::Within,
                        (true, false) => Crossing::Out,
                        (false, false) => return None,
                    };
                    Some((*number, crossing))
                }).collect();
                prop_assert_eq!(found, wanted, "{:?} {:?}", before, now);
            }
            for number in here {
                viewports.remove(numbers[number]);
            }
            prop_assert!(viewports.is_empty());
        }
    }

    #[test]
    fn a_view_of_a_city_stands_on_a_few_small_tiles() {
        let level = |area| level_of(bounds(area)).level();
        assert_eq!(level("13.3,52.45,13.5,52.55"), 12);
        assert_eq!(level("13.4,52.5,13.4,52.5"), FINEST);
        assert_eq!(level("-180,-90,180,90"), 1);
    }
}
