//! `Entry`, `EntryId`: entries of a stream as Redis hands them out. A field's name or value may be any bytes.

use std::fmt;

use ::redis::Value;

/// The id of an entry: when Redis took it, and its number in that millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::positions) struct EntryId {
    pub(in crate::positions) millis: u64,
    pub(in crate::positions) sequence: u64,
}

/// One entry of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::positions) struct Entry {
    pub(in crate::positions) id: EntryId,
    /// Names and values, in the order in which they were written. None: it was deleted since, as each entry has some.
    pub(in crate::positions) fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl EntryId {
    pub(in crate::positions) fn parse(text: &str) -> Option<Self> {
        let (millis, sequence) = text.split_once('-')?;
        Some(Self { millis: millis.parse().ok()?, sequence: sequence.parse().ok()? })
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.sequence)
    }
}

impl Entry {
    /// The value of a field; the last where there are several.
    pub(in crate::positions) fn field(&self, name: &str) -> Option<&[u8]> {
        let found = self.fields.iter().rev().find(|(field, _)| field == name.as_bytes());
        found.map(|(_, value)| value.as_slice())
    }

    /// Reads `[id, [name, value, …]]`. `None` for what is no entry.
    pub(in crate::positions) fn from_value(value: Value) -> Option<Self> {
        let Value::Array(parts) = value else { return None };
        let mut parts = parts.into_iter();
        let id = EntryId::parse(text(&parts.next()?)?)?;
        let fields = match parts.next()? {
            Value::Nil => Vec::new(),
            fields => pairs(fields)?,
        };
        let fields = fields.into_iter().map(|(name, value)| Some((bytes(name)?, bytes(value)?)));
        Some(Self { id, fields: fields.collect::<Option<_>>()? })
    }

    /// Reads a list of entries.
    pub(in crate::positions) fn list(value: Value) -> Option<Vec<Self>> {
        let Value::Array(entries) = value else { return None };
        Some(entries.into_iter().filter_map(Self::from_value).collect())
    }
}

/// The entries in the reply to an `XREAD` or `XREADGROUP` of one stream; none after a time in which none came.
pub(in crate::positions) fn streams(reply: Value) -> Option<Vec<Entry>> {
    if reply == Value::Nil {
        return Some(Vec::new());
    }
    let streams = match reply {
        // RESP2: a list of pairs.
        Value::Array(streams) => streams.into_iter().map(pair).collect::<Option<Vec<_>>>()?,
        streams => pairs(streams)?,
    };
    let entries = streams.into_iter().map(|(_, entries)| Entry::list(entries));
    Some(entries.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
}

fn pair(value: Value) -> Option<(Value, Value)> {
    let Value::Array(parts) = value else { return None };
    <[Value; 2]>::try_from(parts).ok().map(|[name, value]| (name, value))
}

/// Names and values, which come as a flat list (RESP2) or as a map (RESP3).
pub(in crate::positions) fn pairs(value: Value) -> Option<Vec<(Value, Value)>> {
    match value {
        Value::Map(pairs) => Some(pairs),
        Value::Array(flat) => {
            let mut pairs = Vec::with_capacity(flat.len() / 2);
            let mut flat = flat.into_iter();
            while let Some(name) = flat.next() {
                pairs.push((name, flat.next()?));
            }
            Some(pairs)
        }
        _ => None,
    }
}

/// A text of Redis.
pub(in crate::positions) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn ids_are_ordered_and_written_as_redis_writes_them() {
        let ids = ["0-0", "1-5", "1-12", "1795729277336-0"].map(|id| EntryId::parse(id).unwrap());
        assert!(ids.is_sorted());
        assert_eq!(ids.map(|id| id.to_string()), ["0-0", "1-5", "1-12", "1795729277336-0"]);
        assert_eq!(["", "1", "1-", "-1", "a-b", "1-2-3"].map(EntryId::parse), [None; 6]);
    }

    #[test]
    fn replies_of_both_protocols_hold_the_same_entries() {
        let fields = || Value::Array(vec![bulk("v"), bulk("1"), bulk("json"), Value::BulkString(vec![0xff])]);
        let entries = || Value::Array(vec![Value::Array(vec![bulk("1-2"), fields()]), Value::Nil]);
        let list = Value::Array(vec![Value::Array(vec![bulk("stream"), entries()])]);
        let map = Value::Map(vec![(bulk("stream"), entries())]);
        let [one, other] = [list, map].map(|reply| streams(reply).unwrap());
        assert_eq!(one, other);
        assert_eq!((one.len(), one[0].id.to_string()), (1, "1-2".to_owned()));
        assert_eq!((one[0].field("v"), one[0].field("json")), (Some(&b"1"[..]), Some(&[0xff][..])));
        assert_eq!(one[0].field("none"), None);
        assert_eq!(streams(Value::Nil), Some(Vec::new()));
        assert_eq!(streams(Value::Int(1)), None);
    }
}
