//! `Area`: a box of longitudes and latitudes, as `area:` topics name one; which points are inside.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A point on the globe, WGS 84.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Degrees east, -180 to 180.
    pub longitude: f64,
    /// Degrees north, -90 to 90.
    pub latitude: f64,
}

/// A box whose sides are meridians and parallels, in the order of a `bbox` of GeoJSON (RFC 7946 section 5):
/// `<west>,<south>,<east>,<north>`, in degrees. Where west is more than east it crosses the antimeridian. Cloning is cheap.
///
/// Two areas are the same if they are written the same way.
#[derive(Clone)]
pub struct Area(Arc<Written>);

/// Shared, so that a topic that is no area is not larger for it.
struct Written {
    text: Arc<str>,
    bounds: Bounds,
}

/// The sides of an area, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

/// Why a text is not an area.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AreaError {
    /// There are not four numbers.
    #[error("must be <west>,<south>,<east>,<north>: four decimal numbers with commas between")]
    Shape,
    /// A longitude is out of range.
    #[error("{0} must be from -180 to 180")]
    Longitude(&'static str),
    /// A latitude is out of range.
    #[error("{0} must be from -90 to 90")]
    Latitude(&'static str),
    /// South is more than north.
    #[error("south must not be more than north")]
    UpsideDown,
}

impl Area {
    /// Reads `<west>,<south>,<east>,<north>`; numbers as JSON has them.
    ///
    /// # Errors
    /// [`AreaError`] if it is anything else, if a number is out of range, or if south is more than north.
    pub fn parse(text: &str) -> Result<Self, AreaError> {
        let mut numbers = text.split(',').map(number);
        let mut next = || numbers.next().flatten().ok_or(AreaError::Shape);
        let [west, south, east, north] = [next()?, next()?, next()?, next()?];
        if numbers.next().is_some() {
            return Err(AreaError::Shape);
        }
        for (name, longitude) in [("west", west), ("east", east)] {
            if longitude.abs() > 180.0 {
                return Err(AreaError::Longitude(name));
            }
        }
        for (name, latitude) in [("south", south), ("north", north)] {
            if latitude.abs() > 90.0 {
                return Err(AreaError::Latitude(name));
            }
        }
        if south > north {
            return Err(AreaError::UpsideDown);
        }
        let bounds = Bounds { west, south, east, north };
        Ok(Self(Arc::new(Written { text: text.into(), bounds })))
    }

    /// As it was written.
    pub fn text(&self) -> &Arc<str> {
        &self.0.text
    }

    /// Its sides.
    pub fn bounds(&self) -> Bounds {
        self.0.bounds
    }

    /// True if the point is inside or on an edge.
    pub fn contains(&self, point: Point) -> bool {
        self.0.bounds.contains(point)
    }
}

impl Bounds {
    /// True if the point is inside or on an edge. The meridians 180 and -180 are the same, and a pole is on all of them.
    pub fn contains(self, point: Point) -> bool {
        let Point { longitude, latitude } = point;
        self.south <= latitude
            && latitude <= self.north
            && (self.spans(longitude)
                || (longitude.abs() == 180.0 && self.spans(-longitude))
                || latitude.abs() == 90.0)
    }

    fn spans(self, longitude: f64) -> bool {
        if self.west <= self.east {
            self.west <= longitude && longitude <= self.east
        } else {
            longitude >= self.west || longitude <= self.east
        }
    }

    /// True if every point of `other` is inside or on an edge. (Not said of a box that is nothing but the meridian 180, where this
    /// one has it as -180.)
    pub fn encloses(self, other: Self) -> bool {
        let is_within =
            |(west, east): (f64, f64)| self.longitudes().any(|(from, to)| from <= west && east <= to);
        self.south <= other.south && other.north <= self.north && other.longitudes().all(is_within)
    }

    /// True if there is a point that both contain.
    pub fn overlaps(self, other: Self) -> bool {
        let (south, north) = (self.south.max(other.south), self.north.min(other.north));
        let meet = |(west, east): (f64, f64)| {
            other.longitudes().any(|(from, to)| {
                let is_antimeridian = (east == 180.0 && from == -180.0) || (west == -180.0 && to == 180.0);
                (west <= to && from <= east) || is_antimeridian
            })
        };
        // A pole is on all meridians.
        south <= north && (self.longitudes().any(meet) || north == 90.0 || south == -90.0)
    }

    /// South and north.
    pub fn latitudes(self) -> (f64, f64) {
        (self.south, self.north)
    }

    /// Its longitudes, from west to east, in one span; or in two if it crosses the antimeridian.
    pub fn longitudes(self) -> impl Iterator<Item = (f64, f64)> {
        let (first, second) = if self.west <= self.east {
            ((self.west, self.east), None)
        } else {
            ((self.west, 180.0), Some((-180.0, self.east)))
        };
        std::iter::once(first).chain(second)
    }
}

/// A number as JSON has it, which is less than Rust reads (`inf`, `+1`, `.5`).
fn number(text: &str) -> Option<f64> {
    // serde passes over white space.
    let number: serde_json::Number =
        serde_json::from_str(text).ok().filter(|_| text.trim_ascii().len() == text.len())?;
    // Of two zeros one is enough.
    number.as_f64().map(|number| number + 0.0)
}

impl PartialEq for Area {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Area {}

impl Hash for Area {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
    }
}

impl PartialOrd for Area {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Area {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.text.cmp(&other.0.text)
    }
}

impl fmt::Debug for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Area({})", self.0.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(area: &str, longitude: f64, latitude: f64) -> bool {
        Area::parse(area).unwrap().contains(Point { longitude, latitude })
    }

    #[test]
    fn edges_and_corners_are_inside() {
        let city = "13.3,52.45,13.5,52.55";
        for (longitude, latitude) in [(13.4, 52.5), (13.3, 52.45), (13.5, 52.55), (13.3, 52.5), (13.4, 52.55)]
        {
            assert!(inside(city, longitude, latitude), "{longitude} {latitude}");
        }
        for (longitude, latitude) in
            [(13.299, 52.5), (13.501, 52.5), (13.4, 52.449), (13.4, 52.551), (-13.4, 52.5)]
        {
            assert!(!inside(city, longitude, latitude), "{longitude} {latitude}");
        }
        // Of no size: a point, a line.
        assert!(inside("1,2,1,2", 1.0, 2.0) && !inside("1,2,1,2", 1.0, 2.1));
        assert!(inside("1,2,3,2", 2.0, 2.0) && !inside("1,2,3,2", 2.0, 1.9));
        assert!(inside("-0,-0,0,0", 0.0, -0.0));
    }

    #[test]
    fn west_more_than_east_crosses_the_antimeridian() {
        let fiji = "177,-20,-178,-16";
        for longitude in [177.0, 179.9, 180.0, -180.0, -178.0] {
            assert!(inside(fiji, longitude, -18.0), "{longitude}");
        }
        for longitude in [176.9, 0.0, -177.9] {
            assert!(!inside(fiji, longitude, -18.0), "{longitude}");
        }
        // All but five degrees of the globe.
        assert!(inside("10,-90,5,90", 10.0, 90.0) && !inside("10,-90,5,90", 7.0, 0.0));
    }

    #[test]
    fn the_meridians_180_and_minus_180_are_one() {
        assert!(inside("170,0,180,1", -180.0, 0.5) && inside("-180,0,-170,1", 180.0, 0.5));
        assert!(inside("180,0,180,1", -180.0, 0.5) && inside("180,0,-170,1", -175.0, 0.5));
        assert!(!inside("170,0,179,1", -180.0, 0.5));
    }

    #[test]
    fn a_box_to_the_pole_holds_the_pole() {
        // RFC 7946 section 5.3.
        let arctic = "-180,66,180,90";
        assert!(inside(arctic, 33.0, 90.0) && inside(arctic, -180.0, 90.0) && !inside(arctic, 0.0, -90.0));
        // Whatever its longitude is said to be.
        assert!(inside("10,80,20,90", 100.0, 90.0) && !inside("10,80,20,90", 100.0, 89.9));
    }

    fn bounds(area: &str) -> Bounds {
        Area::parse(area).unwrap().bounds()
    }

    #[test]
    fn an_area_encloses_what_is_nowhere_outside() {
        for (outer, inner) in [
            ("1,2,3,4", "1,2,3,4"),
            ("1,2,3,4", "2,3,2,3"),
            ("-180,-90,180,90", "177,-20,-178,-16"),
            ("170,-30,-170,30", "177,-20,-178,-16"),
            ("170,-30,-170,30", "171,0,180,1"),
            ("170,-30,-170,30", "-180,0,-171,1"),
        ] {
            assert!(bounds(outer).encloses(bounds(inner)), "{outer} {inner}");
        }
        for (outer, inner) in [
            ("1,2,3,4", "1,2,3.1,4"),
            ("1,2,3,4", "0.9,2,3,4"),
            ("1,2,3,4", "1,1,3,4"),
            ("1,2,3,4", "1,2,3,5"),
            ("1,2,3,4", "3,2,1,4"),
            ("177,-20,-178,-16", "170,-20,-178,-16"),
            ("177,-20,-178,-16", "-178,-20,177,-16"),
            ("10,0,5,1", "-180,0,180,1"),
        ] {
            assert!(!bounds(outer).encloses(bounds(inner)), "{outer} {inner}");
        }
    }

    #[test]
    fn areas_overlap_if_they_share_a_point() {
        for (one, other) in [
            ("1,2,3,4", "3,4,5,6"),
            ("1,2,3,4", "0,0,9,9"),
            ("170,0,180,1", "-180,0,-170,1"),
            ("177,-20,-178,-16", "-179,-18,0,0"),
            ("1,80,2,90", "100,85,101,90"),
        ] {
            assert!(
                bounds(one).overlaps(bounds(other)) && bounds(other).overlaps(bounds(one)),
                "{one} {other}"
            );
        }
        for (one, other) in
            [("1,2,3,4", "3.1,2,5,4"), ("1,2,3,4", "1,5,3,6"), ("177,-20,-178,-16", "-177,-20,176,-16")]
        {
            assert!(
                !bounds(one).overlaps(bounds(other)) && !bounds(other).overlaps(bounds(one)),
                "{one} {other}"
            );
        }
    }

    #[test]
    fn names_what_is_wrong() {
        use AreaError::{Latitude, Longitude, Shape, UpsideDown};
        for (text, error) in [
            ("", Shape),
            ("1,2,3", Shape),
            ("1,2,3,4,5", Shape),
            ("1,2,3,", Shape),
            ("1, 2,3,4", Shape),
            ("1,2,3,4\n", Shape),
            ("nan,2,3,4", Shape),
            ("inf,2,3,4", Shape),
            ("+1,2,3,4", Shape),
            ("1e999,2,3,4", Shape),
            ("\"1\",2,3,4", Shape),
            ("[1,2,3,4]", Shape),
            ("180.1,2,3,4", Longitude("west")),
            ("1,2,-181,4", Longitude("east")),
            ("1,-91,3,4", Latitude("south")),
            ("1,2,3,90.5", Latitude("north")),
            ("1,4,3,2", UpsideDown),
        ] {
            assert_eq!(Area::parse(text).map(|_| ()), Err(error), "{text}");
        }
        for text in ["1,2,3,4", "1.0,2e0,3,4", "-180,-90,180,90"] {
            assert_eq!(&**Area::parse(text).unwrap().text(), text);
        }
    }
}
