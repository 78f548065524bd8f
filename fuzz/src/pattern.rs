//! Patterns of topics and names, as claims and revocations have them: what is accepted, and which topics each covers.

use processor::domain::topic::MAX_NAME_BYTES;
use processor::domain::{Area, NamePattern, Point, Topic, TopicPattern};

use super::choices::Choices;
use super::topic;

const KINDS: [&str; 8] = ["device:", "event:", "area:", "", "device", "planet:", "Device:", ":"];

/// Sides of boxes, such as meet each other and the antimeridian.
const LONGITUDES: [&str; 10] = ["0", "1", "9.5", "10", "-10", "170", "180", "-180", "-170", "-0"];
const LATITUDES: [&str; 7] = ["0", "1", "2.5", "10", "-10", "90", "-90"];

/// Checks `data` as a pattern, and as choices that make one with topics.
pub fn check(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        holds(text);
    }
    let mut choices = Choices::new(data);
    let text = pattern(&mut choices);
    holds(&text);
    let Ok(pattern) = TopicPattern::parse(&text) else { return };
    for _ in 0..4 {
        let topic = topic_about(&mut choices, &text);
        let Ok(read) = Topic::parse(&topic) else { continue };
        match (&pattern, &read) {
            (TopicPattern::Area(allowed), Topic::Area(asked)) => {
                box_holds(allowed, asked, pattern.covers(&read));
            }
            _ => assert_eq!(pattern.covers(&read), covers(&text, &topic), "{text:?} {topic:?}"),
        }
        // Whoever may read all of it is also meant where only a part is meant.
        assert!(!pattern.covers(&read) || pattern.touches(&read), "{text:?} {topic:?}");
    }
}

/// A pattern, mostly one that is right.
pub fn pattern(choices: &mut Choices<'_>) -> String {
    let kind = if choices.one_in(16) { choices.pick(&KINDS) } else { choices.pick(&KINDS[..4]) };
    let mut text = kind.to_owned();
    match kind {
        "area:" if !choices.one_in(4) => text.push_str(&bounds(choices)),
        "" | "area:" => text.push('*'),
        _ => {
            text.push_str(&topic::name(choices));
            if choices.one_in(2) {
                text.push('*');
            }
        }
    }
    text
}

/// The rule, written once more.
pub fn is_pattern(text: &str) -> bool {
    let named = text.strip_prefix("device:").or_else(|| text.strip_prefix("event:"));
    match (named, text.strip_prefix("area:")) {
        (Some(name), _) => is_name_pattern(name),
        (None, Some(area)) => area == "*" || Area::parse(area).is_ok(),
        (None, None) => text == "*",
    }
}

/// The rule for names: a name, or the beginning of one, which may be empty, with a star behind it.
pub fn is_name_pattern(text: &str) -> bool {
    match text.strip_suffix('*') {
        Some(prefix) => prefix.is_empty() || topic::is_name(prefix),
        None => topic::is_name(text),
    }
}

fn holds(text: &str) {
    match TopicPattern::parse(text) {
        Ok(pattern) => {
            assert!(is_pattern(text), "{text:?} is read as {pattern:?}");
            assert_eq!(pattern.to_string(), text);
        }
        Err(error) => assert!(!is_pattern(text), "{text:?}: {error}"),
    }
    match NamePattern::parse(text) {
        Ok(names) => {
            assert!(is_name_pattern(text) && text.len() <= MAX_NAME_BYTES + 1, "{text:?}");
            assert_eq!(names.to_string(), text);
        }
        Err(_) => assert!(!is_name_pattern(text), "{text:?}"),
    }
}

/// The rule for all but boxes: both are texts, and a star stands for what is left.
fn covers(pattern: &str, topic: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => topic.starts_with(prefix),
        None => topic == pattern,
    }
}

fn bounds(choices: &mut Choices<'_>) -> String {
    let (west, east) = (choices.pick(&LONGITUDES), choices.pick(&LONGITUDES));
    let (south, north) = (choices.pick(&LATITUDES), choices.pick(&LATITUDES));
    format!("{west},{south},{east},{north}")
}

/// A topic that a pattern may be about: its own text, with more behind it, or another.
fn topic_about(choices: &mut Choices<'_>, pattern: &str) -> String {
    let begun = pattern.strip_suffix('*').unwrap_or(pattern);
    match choices.below(4) {
        0 => format!("{}{}", choices.pick(&KINDS[..2]), topic::name(choices)),
        1 => format!("area:{}", bounds(choices)),
        2 => begun.to_owned(),
        _ => format!("{begun}{}", topic::name(choices)),
    }
}

/// A box is inside another if nothing of it is outside: neither of its corners, nor the middle of what the other leaves out.
fn box_holds(allowed: &Area, asked: &Area, covers: bool) {
    let ([west, _, east, _], [from, south, to, north]) = (sides(allowed), sides(asked));
    let beyond = if west <= east { (east + west + 360.0) / 2.0 } else { (east + west) / 2.0 };
    let beyond = if beyond > 180.0 { beyond - 360.0 } else { beyond };
    // Not the poles, which are on all meridians.
    let between = (south + north) / 2.0;
    let points = [from, to, beyond]
        .into_iter()
        .flat_map(|longitude| [south, between, north].map(|latitude| Point { longitude, latitude }));
    let outside = points.into_iter().find(|point| asked.contains(*point) && !allowed.contains(*point));
    let what = format!("{allowed:?} {asked:?} {outside:?}");
    assert!(!covers || outside.is_none(), "{what} is covered");
    // A part that is only a pole, or only the meridian 180, is not said to be inside though it may be.
    let is_line = south.abs() == 90.0 && south == north || from == 180.0 || to == -180.0;
    assert!(covers || outside.is_some() || is_line, "{what} is not covered");
}

fn sides(area: &Area) -> [f64; 4] {
    let mut sides = area.text().split(',').map(|side| side.parse().unwrap());
    [(); 4].map(|()| sides.next().unwrap())
}
