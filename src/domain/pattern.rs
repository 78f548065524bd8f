//! `TopicPattern`, `NamePattern`: which topics, and which devices, something is about: one, or all that begin alike.

use std::fmt;
use std::sync::Arc;

use super::area::Area;
use super::topic::{MAX_NAME_BYTES, NameError, Topic, TopicError, check_name};

/// Topics that something is about, as claims of a token and revocations name them: `device:42`, `device:truck-*`, `event:*`,
/// `area:13,52,14,53`, `area:*`, or `*` for all. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicPattern {
    /// `*`: every topic there is.
    All,
    /// `device:…`: the topics of devices with such names.
    Devices(NamePattern),
    /// `event:…`: the topics of events with such names.
    Events(NamePattern),
    /// `area:*`: every area.
    AnyArea,
    /// `area:<west>,<south>,<east>,<north>`: what is inside.
    Area(Area),
}

/// Names that something is about: one, or all that begin alike (written with a `*` at the end).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamePattern {
    /// This one.
    Exact(Arc<str>),
    /// All that begin with this; all there are, where it is empty.
    Prefix(Arc<str>),
}

/// Why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is no topic, and no beginning of topics.
    #[error("{0}")]
    Topic(#[from] TopicError),
    /// A `*` stands where none can.
    #[error(
        "must be a topic, a kind with the beginning of a name and a * (device:truck-*, event:*, area:*), or * for all"
    )]
    Star,
    /// A name is none.
    #[error("{0}")]
    Name(#[from] NameError),
}

impl TopicPattern {
    /// Reads a topic, or the beginning of topics with a `*` behind it.
    ///
    /// # Errors
    /// [`PatternError`] if it is anything else.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let Some(prefix) = text.strip_suffix('*') else {
            return Ok(match Topic::parse(text)? {
                Topic::Device(id) => Self::Devices(NamePattern::Exact(id)),
                Topic::Event(id) => Self::Events(NamePattern::Exact(id)),
                Topic::Area(area) => Self::Area(area),
            });
        };
        match prefix.split_once(':') {
            None if prefix.is_empty() => Ok(Self::All),
            Some(("device", name)) => Ok(Self::Devices(NamePattern::prefix(name)?)),
            Some(("event", name)) => Ok(Self::Events(NamePattern::prefix(name)?)),
            Some(("area", "")) => Ok(Self::AnyArea),
            _ => Err(PatternError::Star),
        }
    }

    /// True if all of what the topic has is among what this is about: whoever may read this may read the topic.
    pub fn covers(&self, topic: &Topic) -> bool {
        match (self, topic) {
            (Self::All, _) | (Self::AnyArea, Topic::Area(_)) => true,
            (Self::Devices(names), Topic::Device(id)) | (Self::Events(names), Topic::Event(id)) => {
                names.matches(id)
            }
            (Self::Area(allowed), Topic::Area(area)) => allowed.bounds().encloses(area.bounds()),
            _ => false,
        }
    }

    /// True if some of what the topic has is among what this is about: whoever may not read this may not read the topic. (Of areas
    /// and names of devices and events this knows nothing.)
    pub fn touches(&self, topic: &Topic) -> bool {
        match (self, topic) {
            (Self::Area(forbidden), Topic::Area(area)) => forbidden.bounds().overlaps(area.bounds()),
            _ => self.covers(topic),
        }
    }
}

impl NamePattern {
    /// Reads a name, or the beginning of names with a `*` behind it.
    ///
    /// # Errors
    /// [`NameError`] if it is empty, too long, or has a control character.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match text.strip_suffix('*') {
            Some(prefix) => Self::prefix(prefix),
            None => check_name(text).map(|()| Self::Exact(text.into())),
        }
    }

    fn prefix(text: &str) -> Result<Self, NameError> {
        let fits = text.len() <= MAX_NAME_BYTES && !text.chars().any(char::is_control);
        if fits { Ok(Self::Prefix(text.into())) } else { Err(NameError) }
    }

    /// True if it is about this name.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *name,
            Self::Prefix(prefix) => name.starts_with(&**prefix),
        }
    }
}

impl fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Devices(names) => write!(f, "device:{names}"),
            Self::Events(names) => write!(f, "event:{names}"),
            Self::AnyArea => f.write_str("area:*"),
            Self::Area(area) => write!(f, "area:{}", area.text()),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, topic: &str) -> bool {
        let pattern = TopicPattern::parse(pattern).unwrap();
        pattern.covers(&Topic::parse(topic).unwrap())
    }

    #[test]
    fn reads_patterns_and_writes_them_back() {
        for text in ["*", "device:42", "device:truck-*", "device:*", "event:a:b*", "area:*", "area:1,2,3,4"] {
            assert_eq!(TopicPattern::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "dev*", "area:1*", "area:1,2,3,*", "foo:*", "foo:a", "device:", "area:1,2,3", ":*"] {
            assert!(TopicPattern::parse(text).is_err(), "{text}");
        }
        assert!(NamePattern::parse("").is_err() && NamePattern::parse("a\nb*").is_err());
        assert!(NamePattern::parse(&format!("{}*", "x".repeat(MAX_NAME_BYTES + 1))).is_err());
    }

    #[test]
    fn a_pattern_covers_its_topics_and_no_other() {
        for (pattern, topic) in [
            ("*", "device:1"),
            ("*", "area:1,2,3,4"),
            ("device:1", "device:1"),
            ("device:*", "device:1"),
            ("device:tr*", "device:truck"),
            ("event:r*", "event:rally"),
            ("area:*", "area:1,2,3,4"),
            ("area:1,2,3,4", "area:1,2,3,3.5"),
        ] {
            assert!(covers(pattern, topic), "{pattern} {topic}");
        }
        for (pattern, topic) in [
            ("device:1", "device:12"),
            ("device:1", "event:1"),
            ("device:*", "event:1"),
            ("device:*", "area:1,2,3,4"),
            ("event:*", "area:1,2,3,4"),
            ("area:*", "device:1"),
            ("area:1,2,3,4", "area:1,2,3,4.5"),
            ("area:1,2,3,4", "device:1"),
        ] {
            assert!(!covers(pattern, topic), "{pattern} {topic}");
        }
    }

    #[test]
    fn a_forbidden_area_touches_those_that_reach_into_it() {
        let pattern = TopicPattern::parse("area:1,2,3,4").unwrap();
        assert!(pattern.touches(&Topic::parse("area:0,0,9,9").unwrap()));
        assert!(!pattern.touches(&Topic::parse("area:5,5,9,9").unwrap()));
        assert!(TopicPattern::parse("device:a*").unwrap().touches(&Topic::parse("device:ab").unwrap()));
    }
}
