//! `is_readable_object`: whether JSON that is passed on as text can be read by whoever gets it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// True for a JSON object that every parser reads: its numbers fit into a double, its strings have no half of a surrogate
/// pair, its nesting is not deep (serde_json takes 127 levels). Keeps nothing of it.
pub(super) fn is_readable_object(json: &RawValue) -> bool {
    json.get().starts_with('{') && serde_json::from_str::<Readable>(json.get()).is_ok()
}

/// Any JSON value; unlike `serde::de::IgnoredAny` it makes the parser look at what numbers and strings mean.
struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while let Some(Self) = seq.next_element()? {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while let Some((Self, Self)) = map.next_entry()? {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn agrees_with_a_parser_that_keeps_everything() {
        let nested = |levels: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        let cases = [
            r#"{}"#.to_owned(),
            r#"{ "a" : [ 1 , -2.5e3 , true , false , null , "x" , { "b" : { } } ] , "a" : 2 }"#.into(),
            r#"{"n":12345678901234567890.10,"m":1e308,"z":-0}"#.into(),
            r#"{"\u00fc":"\ud83d\ude00 \n"}"#.into(),
            r#"{"a":1e999}"#.into(),
            r#"{"a":[-1e999]}"#.into(),
            r#"{"a":"\ud800"}"#.into(),
            r#"{"\ud800":1}"#.into(),
            "[]".into(),
            "1".into(),
            "null".into(),
            r#""{}""#.into(),
            nested(126),
            nested(127),
        ];
        let mut readable = 0;
        for json in cases {
            let raw = RawValue::from_string(json.clone()).unwrap();
            let kept = serde_json::from_str::<Map<String, Value>>(&json).is_ok();
            assert_eq!(is_readable_object(&raw), kept, "{json}");
            readable += usize::from(kept);
        }
        assert_eq!(readable, 5);
    }
}
