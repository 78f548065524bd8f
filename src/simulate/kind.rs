//! `Kind`: what kind of thing a simulated device is, and what follows from it.

use super::streets::StreetKind;

/// What moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Car,
    Courier,
    Bike,
    Walker,
}

impl Kind {
    /// The kinds, as often as they are met.
    pub(super) const MIX: [Self; 10] = [
        Self::Car,
        Self::Courier,
        Self::Car,
        Self::Bike,
        Self::Car,
        Self::Walker,
        Self::Car,
        Self::Courier,
        Self::Car,
        Self::Bike,
    ];

    /// The kind of the device with this number.
    pub(super) fn of(number: usize) -> Self {
        Self::MIX[number % Self::MIX.len()]
    }

    /// Its name, in ids and attributes.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Car => "car",
            Self::Courier => "courier",
            Self::Bike => "bike",
            Self::Walker => "walker",
        }
    }

    /// As fast as it likes to go, in metres per second.
    pub(super) fn top_speed(self) -> f64 {
        match self {
            Self::Car => 36.0,
            Self::Courier => 14.0,
            Self::Bike => 5.0,
            Self::Walker => 1.4,
        }
    }

    /// The ring road is for motor vehicles.
    pub(super) fn may_use(self, street: StreetKind) -> bool {
        street != StreetKind::Ring || matches!(self, Self::Car | Self::Courier)
    }

    /// How its place is known, in metres.
    pub(super) fn accuracy(self) -> u32 {
        match self {
            Self::Car | Self::Courier => 4,
            Self::Bike => 6,
            Self::Walker => 12,
        }
    }

    /// How long its battery lasts, in seconds; a car's is charged as it drives.
    pub(super) fn battery_life(self) -> Option<f64> {
        match self {
            Self::Car => None,
            Self::Courier => Some(8.0 * 3600.0),
            Self::Bike => Some(4.0 * 3600.0),
            Self::Walker => Some(12.0 * 3600.0),
        }
    }
}
