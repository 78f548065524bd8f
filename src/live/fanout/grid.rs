//! `Grid`: devices by their place, so that those inside an area are found without looking at all others.

use std::collections::HashMap;

use super::tiling::{Tile, Tiling};
use crate::domain::{Bounds, Point};

/// Tiles of 9.8 by 4.9 km at the equator: a view of a city touches a dozen.
const TILING: Tiling = Tiling::new(12);

/// Devices by their place.
#[derive(Debug, Default)]
pub(super) struct Grid {
    tiles: HashMap<Tile, Vec<Spot>>,
}

/// Where a device stands in the grid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    tile: Tile,
    /// Its place in the tile's list.
    index: u32,
}

#[derive(Debug)]
struct Spot {
    point: Point,
    device: u32,
    /// The number of the device's last update.
    changed: u64,
}

/// The device that has changed its place because another's became free.
pub(super) struct Displaced {
    pub(super) device: u32,
    pub(super) place: Place,
}

/// How many devices are inside an area, and how many devices and tiles were looked at to find out.
pub(super) struct Inside {
    pub(super) inside: usize,
    pub(super) looked_at: usize,
}

impl Grid {
    /// Adds a device.
    pub(super) fn insert(&mut self, device: u32, point: Point, changed: u64) -> Place {
        let tile = TILING.tile(point);
        let spots = self.tiles.entry(tile).or_default();
        spots.push(Spot { point, device, changed });
        Place { tile, index: (spots.len() - 1) as u32 }
    }

    /// Moves a device from `place` with update `changed`; returns its new place.
    pub(super) fn change(
        &mut self,
        place: Place,
        device: u32,
        point: Point,
        changed: u64,
    ) -> (Place, Option<Displaced>) {
        let Place { tile, index } = place;
        if TILING.tile(point) == tile {
            if let Some(spot) = self.tiles.get_mut(&tile).and_then(|spots| spots.get_mut(index as usize)) {
                *spot = Spot { point, device, changed };
            }
            return (place, None);
        }
        let displaced = self.remove(place);
        (self.insert(device, point, changed), displaced)
    }

    fn remove(&mut self, place: Place) -> Option<Displaced> {
        let spots = self.tiles.get_mut(&place.tile)?;
        spots.swap_remove(place.index as usize);
        let displaced = spots.get(place.index as usize).map(|spot| Displaced { device: spot.device, place });
        if spots.is_empty() {
            self.tiles.remove(&place.tile);
        }
        displaced
    }

    /// The devices inside `area` and not inside `except`. Those of a tile are not looked at if all of it is inside `except`.
    pub(super) fn inside(&self, area: Bounds, except: Option<Bounds>) -> Vec<u32> {
        let mut devices = Vec::new();
        self.tiles(area, |tile, spots| {
            if except.is_some_and(|except| TILING.is_within(tile, except)) {
                return;
            }
            let is_in = |spot: &&Spot| {
                area.contains(spot.point) && !except.is_some_and(|except| except.contains(spot.point))
            };
            devices.extend(spots.iter().filter(is_in).map(|spot| spot.device));
        });
        devices
    }

    /// The devices inside `area` that changed after update `since`.
    pub(super) fn changed_inside(&self, area: Bounds, since: u64) -> Vec<u32> {
        let mut devices = Vec::new();
        self.tiles(area, |_, spots| {
            let has_changed = |spot: &&Spot| spot.changed > since && area.contains(spot.point);
            devices.extend(spots.iter().filter(has_changed).map(|spot| spot.device));
        });
        devices
    }

    /// How many devices are inside `area`.
    pub(super) fn count(&self, area: Bounds) -> Inside {
        let mut count = Inside { inside: 0, looked_at: 0 };
        let tiles = self.tiles(area, |tile, spots| {
            if TILING.is_within(tile, area) {
                count.inside += spots.len();
            } else {
                count.inside += spots.iter().filter(|spot| area.contains(spot.point)).count();
                count.looked_at += spots.len();
            }
        });
        count.looked_at += tiles;
        count
    }

    /// Shows the tiles that an area touches, or all, whichever are fewer.
    /// Returns how many tiles were looked for.
    fn tiles(&self, area: Bounds, mut show: impl FnMut(Tile, &[Spot])) -> usize {
        let touched = TILING.touched_at_most(area);
        if touched > self.tiles.len() as u64 {
            self.tiles.iter().for_each(|(tile, spots)| show(*tile, spots));
            return self.tiles.len();
        }
        for tile in TILING.touched(area).iter() {
            if let Some(spots) = self.tiles.get(&tile) {
                show(tile, spots);
            }
        }
        touched as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tiling::tests::{areas, points};
    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_scan_of_all_devices_finds(
            moves in proptest::collection::vec((0_u32..40, points()), 1..200),
            area in areas(),
            except in proptest::option::of(areas()),
            since in 0..200_u64,
        ) {
            let mut grid = Grid::default();
            let mut devices: HashMap<u32, (Point, Place, u64)> = HashMap::new();
            for (number, (device, point)) in (1..).zip(moves) {
                let place = match devices.get(&device) {
                    None => grid.insert(device, point, number),
                    Some((_, place, _)) => {
                        let (place, displaced) = grid.change(*place, device, point, number);
                        if let Some(Displaced { device, place }) = displaced {
                            devices.get_mut(&device).unwrap().1 = place;
                        }
                        place
                    }
                };
                devices.insert(device, (point, place, number));
            }
            let scan = |since: u64, is_in: &dyn Fn(Point) -> bool| {
                let mut found: Vec<_> =
                    devices.iter().filter(|(_, (point, _, number))| *number > since && is_in(*point)).map(|(device, _)| *device).collect();
                found.sort_unstable();
                found
            };
            let mut inside = grid.inside(area, except);
            inside.sort_unstable();
            let wanted = |point| area.contains(point) && !except.is_some_and(|except| except.contains(point));
            prop_assert_eq!(inside, scan(0, &wanted));
            let mut changed = grid.changed_inside(area, since);
            changed.sort_unstable();
            prop_assert_eq!(changed, scan(since, &|point| area.contains(point)));
            prop_assert_eq!(grid.count(area).inside, scan(0, &|point| area.contains(point)).len());
        }
    }
}
