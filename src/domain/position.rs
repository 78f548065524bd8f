//! `Position`: one device's place at one time, as the W3C Geolocation API names and measures it.

use std::sync::Arc;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::area::Point;
use super::timestamp::Timestamp;
use super::topic::Topic;

/// One device's place at one time, with every field in its range.
///
/// What comes from outside becomes a position in [`PositionDraft::check`](super::PositionDraft::check) only; the store
/// makes one of a row that was a position when it was written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Position {
    /// Whose place it is.
    pub device_id: Arc<str>,
    /// When it was there.
    pub timestamp: Timestamp,
    /// Degrees north, WGS 84, -90 to 90.
    pub latitude: f64,
    /// Degrees east, WGS 84, -180 to 180.
    pub longitude: f64,
    /// Metres above the WGS 84 ellipsoid.
    pub altitude: Option<f64>,
    /// Metres, the radius of the 95 % confidence circle.
    pub accuracy: Option<f64>,
    /// Degrees clockwise from true north, 0 up to but not including 360.
    pub heading: Option<f64>,
    /// Metres per second.
    pub speed: Option<f64>,
    /// Events this position is published to, besides its own `device:` topic. Sorted, each once.
    pub topics: Vec<Topic>,
    /// A JSON object that is kept and passed on as it came.
    pub attributes: Option<Box<RawValue>>,
}

impl Position {
    /// Where it is.
    pub fn point(&self) -> Point {
        Point { longitude: self.longitude, latitude: self.latitude }
    }
}

/// The fields that clients see, absent ones left out. `topics` say where a position goes, not where the device
/// is, and would tell a subscriber of one event about others; they stay here.
impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("device_id", &*self.device_id)?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        map.serialize_entry("latitude", &self.latitude)?;
        map.serialize_entry("longitude", &self.longitude)?;
        let optional = [
            ("altitude", self.altitude),
            ("accuracy", self.accuracy),
            ("heading", self.heading),
            ("speed", self.speed),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                map.serialize_entry(name, &value)?;
            }
        }
        if let Some(attributes) = &self.attributes {
            map.serialize_entry("attributes", attributes)?;
        }
        map.end()
    }
}
