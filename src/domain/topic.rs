//! `Topic`: what a client subscribes to, written `<kind>:<name>`.

use std::fmt;
use std::sync::Arc;

use super::area::{Area, AreaError};

/// Longest name of a topic, and longest id of a device, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 128;

/// The kinds of topic this server has, as an error message names them.
pub const KINDS: &str = "device:<id>, event:<id>, area:<west>,<south>,<east>,<north>";

/// The same, without what follows them.
pub const KIND_NAMES: [&str; 3] = ["device", "event", "area"];

/// What a client subscribes to. Cloning is cheap: the name is shared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// `device:<id>`: every position of one device.
    Device(Arc<str>),
    /// `event:<id>`: the positions of every device that reports to this event.
    Event(Arc<str>),
    /// `area:<west>,<south>,<east>,<north>`: the positions of every device that is inside a box.
    Area(Area),
}

/// Why a text is not a topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// It has no kind, or one that this server does not have.
    #[error("no such kind of topic; there are: {KINDS}")]
    UnknownKind,
    /// The kind is known, the name after it is not acceptable.
    #[error("topic name {0}")]
    Name(#[from] NameError),
    /// The kind is `area`, what follows is no box.
    #[error("area {0}")]
    Area(#[from] AreaError),
}

/// Why a text cannot name a device or an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {MAX_NAME_BYTES} bytes and no control characters")]
pub struct NameError;

/// Checks a device's or an event's name.
///
/// # Errors
/// [`NameError`] if it is empty, longer than [`MAX_NAME_BYTES`], or holds a control character.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let fits = (1..=MAX_NAME_BYTES).contains(&name.len());
    if fits && !name.chars().any(char::is_control) { Ok(()) } else { Err(NameError) }
}

impl Topic {
    /// Reads `<kind>:<name>`; the name may itself hold colons.
    ///
    /// # Errors
    /// [`TopicError::UnknownKind`] if there is no such kind here, [`TopicError::Name`] if the name is
    /// empty, too long, or holds a control character, [`TopicError::Area`] if an area is no box.
    pub fn parse(text: &str) -> Result<Self, TopicError> {
        let (kind, name) = text.split_once(':').ok_or(TopicError::UnknownKind)?;
        let make: fn(Arc<str>) -> Self = match kind {
            "device" => Self::Device,
            "event" => Self::Event,
            "area" => return Ok(Self::Area(Area::parse(name)?)),
            _ => return Err(TopicError::UnknownKind),
        };
        check_name(name)?;
        Ok(make(name.into()))
    }

    /// True for `area:`.
    pub fn is_area(&self) -> bool {
        matches!(self, Self::Area(_))
    }

    /// What comes after the kind.
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::Device(id) => id,
            Self::Event(id) => id,
            Self::Area(area) => area.text(),
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(id) => write!(f, "device:{id}"),
            Self::Event(id) => write!(f, "event:{id}"),
            Self::Area(area) => write!(f, "area:{}", area.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_kind_and_writes_it_back() {
        for text in
            ["device:42", "event:rally-42", "device:a:b", "event:Zürich", "area:13.3,52.45,13.5,52.550"]
        {
            assert_eq!(Topic::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn names_what_is_wrong() {
        for text in ["", "foo", "foo:bar", "Area:1,2,3,4", "Device:1", ":x"] {
            assert_eq!(Topic::parse(text), Err(TopicError::UnknownKind), "{text}");
        }
        let long = format!("device:{}", "x".repeat(MAX_NAME_BYTES + 1));
        for text in ["device:", "event:a\nb", "device:\u{1b}[31m", &long] {
            assert_eq!(Topic::parse(text), Err(TopicError::Name(NameError)), "{text:?}");
        }
        assert!(Topic::parse(&long[..long.len() - 1]).is_ok());
        assert_eq!(Topic::parse("area:1,2,3"), Err(TopicError::Area(AreaError::Shape)));
    }
}
