//! Topics: what is accepted, and that it is written as it was read.

use processor::domain::topic::MAX_NAME_BYTES;
use processor::domain::{Area, Topic, TopicError};

use super::choices::Choices;

const KINDS: [&str; 8] = ["device", "event", "area", "Device", "", "devic", "device ", "event:device"];

/// Pieces of names; the last row must not be in one.
const PIECES: [&str; 12] = [
    "4",
    "a",
    ":",
    " ",
    "ü",
    "漢",
    "🚲",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", //
    "\n",
    "\u{1b}",
    "\u{7f}",
    "\u{85}",
];

/// Checks `data` as a topic, and as choices that make one.
pub fn check(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        holds(text);
    }
    let mut choices = Choices::new(data);
    let mut text = choices.pick(&KINDS).to_owned();
    if !choices.one_in(16) {
        text.push(':');
    }
    text.push_str(&name(&mut choices));
    holds(&text);
}

/// A device's or an event's name, mostly one that is allowed.
pub fn name(choices: &mut Choices<'_>) -> String {
    let mut name = String::new();
    for _ in 0..choices.below(8) {
        let bad = choices.one_in(32);
        name.push_str(choices.pick(if bad { &PIECES[8..] } else { &PIECES[..8] }));
    }
    name
}

/// The rule, written once more: 1 to 128 bytes, and nothing of Unicode's category Cc.
pub fn is_name(name: &str) -> bool {
    let control = |character| matches!(u32::from(character), 0..=0x1F | 0x7F..=0x9F);
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.chars().any(control)
}

fn holds(text: &str) {
    let device = text.strip_prefix("device:").map(|name| (name, Topic::Device(name.into())));
    let event = || text.strip_prefix("event:").map(|name| (name, Topic::Event(name.into())));
    let read = Topic::parse(text);
    if let Some(area) = text.strip_prefix("area:") {
        match Area::parse(area) {
            Ok(_) => assert_eq!(read.map(|topic| topic.to_string()).as_deref(), Ok(text)),
            Err(error) => assert_eq!(read, Err(TopicError::Area(error)), "{text:?}"),
        }
        return;
    }
    match device.or_else(event) {
        None => assert_eq!(read, Err(TopicError::UnknownKind), "{text:?}"),
        Some((name, topic)) if is_name(name) => {
            assert_eq!(read.as_ref(), Ok(&topic), "{text:?}");
            assert_eq!(topic.to_string(), text);
        }
        Some(_) => assert!(matches!(read, Err(TopicError::Name(_))), "{text:?} is read as {read:?}"),
    }
}
