//! Areas: a box is read as it was meant or refused; which points are inside, held against a scan by whole degrees.

use processor::domain::{Area, AreaError, Point};

use super::choices::Choices;

/// Texts that are numbers, most of them in range of a latitude.
const NUMBERS: [&str; 14] = [
    "0",
    "-0",
    "1",
    "-1",
    "12.5",
    "1e1",
    "-7.25E-1",
    "90",
    "-90",
    "180",
    "-180",
    "89.999999",
    "0.1",
    "-45.0",
];

/// Texts that are none, or that JSON does not have.
const NOT_NUMBERS: [&str; 10] = ["", "x", "+1", ".5", "5.", "inf", "nan", "1e999", "0x1", "\"1\""];

/// Checks `data` as an area, and as choices that make one and points.
pub fn check(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        holds(text);
    }
    let mut choices = Choices::new(data);
    let mut fields = Vec::new();
    let mut is_good = true;
    for _ in 0..4 {
        let bad = choices.one_in(32);
        is_good &= !bad;
        fields.push(if bad { choices.pick(&NOT_NUMBERS) } else { choices.pick(&NUMBERS) });
    }
    match choices.below(16) {
        0 => drop(fields.pop()),
        1 => fields.push("1"),
        _ => {}
    }
    is_good &= fields.len() == 4;
    let text = fields.join(",");
    holds(&text);
    let Ok(area) = Area::parse(&text) else {
        if is_good {
            let number = |place: usize| fields[place].parse::<f64>().unwrap();
            let (south, north) = (number(1), number(3));
            assert!(south > north || south.abs() > 90.0 || north.abs() > 90.0, "{text} is refused");
        }
        return;
    };
    assert!(is_good, "{text} is read");
    let sides: Vec<f64> = fields.iter().map(|field| field.parse().unwrap()).collect();
    for _ in 0..8 {
        let point = point(&mut choices, &sides);
        assert_eq!(area.contains(point), reference(&sides, point), "{text} {point:?}");
    }
}

/// A point, mostly on a side or in a corner of the area or of the globe.
fn point(choices: &mut Choices<'_>, sides: &[f64]) -> Point {
    let mut degrees = |limit: f64, on: [usize; 2]| match choices.below(6) {
        0 => sides[on[0]],
        1 => sides[on[1]],
        2 => limit,
        3 => -limit,
        _ => (choices.word() % 1_000_001) as f64 / 500_000.0 * limit - limit,
    };
    let (longitude, latitude) = (degrees(180.0, [0, 2]), degrees(90.0, [1, 3]));
    Point { longitude, latitude }
}

/// The rule, written once more: going east from west, is the point met before east is passed?
fn reference(sides: &[f64], point: Point) -> bool {
    let [west, south, east, north] = sides[..] else { unreachable!() };
    if point.latitude < south || point.latitude > north {
        return false;
    }
    if point.latitude.abs() == 90.0 {
        return true;
    }
    // The globe is rolled out three times; on it the box is one piece.
    let east = if west <= east { east } else { east + 360.0 };
    let copies = [point.longitude, point.longitude + 360.0, point.longitude - 360.0];
    copies.iter().any(|longitude| west <= *longitude && *longitude <= east)
}

fn holds(text: &str) {
    match Area::parse(text) {
        Ok(area) => {
            assert_eq!(&**area.text(), text);
            assert_eq!(text.split(',').count(), 4);
        }
        Err(AreaError::UpsideDown | AreaError::Latitude(_) | AreaError::Longitude(_)) => {
            assert!(
                text.split(',').all(|field| field.trim().parse::<f64>().is_ok_and(f64::is_finite)),
                "{text}"
            );
        }
        Err(AreaError::Shape) => {}
    }
}
