//! `Encoding`: how what the server says becomes frames, compressed or not.

use bytes::Bytes;
use serde_json::Value;

use super::deflate::{self, Window};
use super::frame::{self, BINARY, Frame, TEXT};
use super::outgoing::Outgoing;
use crate::domain::{Timestamp, Topic};

/// How what the server says becomes frames on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// A message is a JSON object in a text frame.
    #[default]
    Json,
    /// The same, and long messages are compressed by permessage-deflate (RFC 7692), for a client with this window.
    Deflate(Window),
}

/// A frame to one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The whole frame.
    pub frame: Frame,
    /// Bytes of payload that were compressed for it; 0 if it is not compressed.
    pub deflated: usize,
}

impl Encoding {
    /// True if messages to the client may be compressed, and the client may compress its own.
    pub fn is_deflate(self) -> bool {
        matches!(self, Self::Deflate(_))
    }

    /// True if what was compressed once for many ([`deflate::piece`]) can be sent to the client. One with a smaller window
    /// gets the same uncompressed, which is always allowed.
    pub fn takes_pieces(self) -> bool {
        self == Self::Deflate(Window::FULL)
    }

    /// A message to one client.
    pub fn message(self, message: &Outgoing<'_>) -> Encoded {
        self.data(TEXT, &message.json())
    }

    /// A message of text as it is.
    pub fn text(self, text: &str) -> Encoded {
        self.data(TEXT, text.as_bytes())
    }

    /// A message of bytes as it is.
    pub fn binary(self, bytes: &[u8]) -> Encoded {
        self.data(BINARY, bytes)
    }

    fn data(self, opcode: u8, payload: &[u8]) -> Encoded {
        let compressed = match self {
            Self::Json => None,
            Self::Deflate(window) => deflate::message(opcode, payload, window),
        };
        match compressed {
            Some(frame) => Encoded { frame: frame.into(), deflated: payload.len() },
            None => Encoded { frame: frame::data(opcode, payload).into(), deflated: 0 },
        }
    }

    /// [`Outgoing::Subscribed`] up to its first position. Positions, with commas between, and the end follow.
    pub(crate) fn snapshot_begin(self, subscribed: &Outgoing<'_>) -> Vec<u8> {
        let mut json = subscribed.json();
        json.pop(); // the closing brace
        json.extend_from_slice(br#","snapshot":["#);
        json
    }

    /// An update that carries a position: the head is the topic's, the tail can be shared by all topics that the
    /// position goes to. `fields` is the position's JSON object without its opening brace.
    pub(crate) fn position(self, topic: &Topic, fields: Bytes) -> Encoded {
        // The message's fields and the position's are one object, so the two texts are joined inside it.
        let begin = format!(r#"{{"type":"position","topic":{},"#, string(&name_in_updates(topic)));
        if self.is_deflate() && begin.len() + fields.len() >= deflate::MIN_BYTES {
            return self.data(TEXT, &[begin.as_bytes(), &fields].concat());
        }
        Encoded { frame: frame::text_of(begin.as_bytes(), fields), deflated: 0 }
    }

    /// Positions that leave together, as one message. `positions` are their JSON objects.
    pub(crate) fn positions<'a>(
        self,
        topic: &Topic,
        positions: impl IntoIterator<Item = &'a Bytes>,
    ) -> Encoded {
        let name = string(&name_in_updates(topic));
        let mut json = format!(r#"{{"type":"positions","topic":{name},"positions":["#).into_bytes();
        for (place, position) in positions.into_iter().enumerate() {
            if place > 0 {
                json.push(b',');
            }
            json.extend_from_slice(position);
        }
        json.extend_from_slice(b"]}");
        self.data(TEXT, &json)
    }

    /// An update that says that a device has left a topic, by its position of this time.
    pub(crate) fn left(self, topic: &Topic, device_id: &str, timestamp: Timestamp) -> Frame {
        let (topic, device_id) = (string(&topic.to_string()), string(device_id));
        let json =
            format!(r#"{{"type":"left","topic":{topic},"device_id":{device_id},"timestamp":"{timestamp}"}}"#);
        frame::text(json.as_bytes()).into()
    }
}

/// A position inside an area names no box, so that its message is the same for all areas that it is inside of.
fn name_in_updates(topic: &Topic) -> String {
    match topic {
        Topic::Area(_) => "area".to_owned(),
        named => named.to_string(),
    }
}

/// A string as JSON.
fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The payload of a short frame.
    fn payload(frame: &Frame) -> String {
        let whole = [&frame.head[..], &frame.tail[..]].concat();
        String::from_utf8(whole[if whole[1] == 126 { 4 } else { 2 }..].to_vec()).unwrap()
    }

    #[test]
    fn long_messages_are_compressed_for_who_negotiated_it() {
        let (short, long) = ("x".repeat(100), "x".repeat(1000));
        let deflate = Encoding::Deflate(Window::FULL);
        for (encoding, text, first, deflated) in [
            (Encoding::Json, &long, 0x81, 0),
            (deflate, &short, 0x81, 0),
            (deflate, &long, 0xC1, 1000),
            (Encoding::Deflate(Window::of(9).unwrap()), &long, 0xC1, 1000),
        ] {
            let encoded = encoding.text(text);
            assert_eq!((encoded.frame.head[0], encoded.deflated), (first, deflated), "{encoding:?}");
        }
        assert_eq!(deflate.binary(long.as_bytes()).frame.head[0], 0xC2);
        let message = Outgoing::Unsubscribed { topic: &long, id: None };
        assert_eq!(deflate.message(&message).deflated, message.json().len());
        assert!(deflate.takes_pieces() && !Encoding::Json.takes_pieces());
    }

    #[test]
    fn a_position_is_one_object_whose_tail_is_shared() {
        let fields = Bytes::from_static(br#""device_id":"1","speed":2.5}"#);
        let topic = Topic::parse(r#"event:a"b"#).unwrap();
        let frame = Encoding::Json.position(&topic, fields.clone()).frame;
        assert_eq!(frame.tail.as_ptr(), fields.as_ptr());
        let json = r#"{"type":"position","topic":"event:a\"b","device_id":"1","speed":2.5}"#;
        assert_eq!(payload(&frame), json);
    }

    #[test]
    fn who_left_is_told_with_topic_device_and_time() {
        let topic = Topic::parse("event:a").unwrap();
        let frame = Encoding::Json.left(&topic, "x\ty", Timestamp::from_millis(0).unwrap());
        let json =
            r#"{"type":"left","topic":"event:a","device_id":"x\ty","timestamp":"1970-01-01T00:00:00.000Z"}"#;
        assert_eq!(payload(&frame), json);
    }

    #[test]
    fn a_position_in_an_area_names_no_box_but_leaving_one_does() {
        let area = Topic::parse("area:1,2,3,4").unwrap();
        let frame = Encoding::Json.position(&area, Bytes::from_static(br#""device_id":"1"}"#)).frame;
        assert_eq!(payload(&frame), r#"{"type":"position","topic":"area","device_id":"1"}"#);
        let frame = Encoding::Json.left(&area, "1", Timestamp::from_millis(0).unwrap());
        assert!(payload(&frame).starts_with(r#"{"type":"left","topic":"area:1,2,3,4","#));
    }

    #[test]
    fn positions_that_leave_together_are_one_array() {
        let objects = [Bytes::from_static(br#"{"a":1}"#), Bytes::from_static(br#"{"b":2}"#)];
        let frame = Encoding::Json.positions(&Topic::parse("event:a").unwrap(), &objects).frame;
        let json = r#"{"type":"positions","topic":"event:a","positions":[{"a":1},{"b":2}]}"#;
        assert_eq!(payload(&frame), json);
    }

    #[test]
    fn a_snapshot_begins_with_what_was_asked() {
        let whole = |topic, id| {
            let subscribed =
                Outgoing::Subscribed { topic, id, every_ms: None, batch: false, replaces: None, left: None };
            let begin = Encoding::Json.snapshot_begin(&subscribed);
            String::from_utf8([&begin, &b"]}"[..]].concat()).unwrap()
        };
        let json = r#"{"type":"subscribed","topic":"event:a\"b","id":"7","snapshot":[]}"#;
        assert_eq!(whole(r#"event:a"b"#, Some("7")), json);
        assert_eq!(whole("device:1", None), r#"{"type":"subscribed","topic":"device:1","snapshot":[]}"#);
    }
}
