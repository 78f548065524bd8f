//! Inputs that found something, each with what it was.

use processor::domain::{Position, Timestamp};
use processor::live::wire::request::{InvalidRequest, Request};

use crate::checks;

fn record(timestamp: &str, longitude: &str) -> String {
    format!(r#"{{"device_id":"a","timestamp":"{timestamp}","latitude":1,"longitude":{longitude}}}"#)
}

/// Read with less than full precision, 6 in 100 coordinates came out with another last digit.
#[test]
fn a_coordinate_leaves_as_it_came() {
    for longitude in ["-14.917263499970801", "10.885001501416781", "28.052823657231002"] {
        let json = record("2026-01-02T03:04:05.000Z", longitude);
        let position = Position::from_json(&json, Timestamp::now()).unwrap();
        assert_eq!(Some(position.longitude), longitude.parse().ok());
        assert!(serde_json::to_string(&position).unwrap().ends_with(&format!("{longitude}}}")));
    }
}

/// RFC 3339 does not bound the digits of a fraction; ten were too many.
#[test]
fn a_fraction_may_have_any_number_of_digits() {
    checks::position::check(b"\0\xba\0\x08\0HJ\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0R");
    let read = Timestamp::parse("1960-01-01T00:00:00.0000000000Z");
    assert_eq!(read.map(Timestamp::as_millis), Some(-315_619_200_000));
}

/// Years before 0000 were taken and written as `-000001`, which no reader of RFC 3339 takes.
#[test]
fn an_offset_does_not_lead_out_of_the_years_that_can_be_written() {
    assert_eq!(Timestamp::parse("0000-01-01T00:00:00+23:59"), None);
    assert_eq!(Timestamp::from_millis(-62_167_219_200_001), None);
}

/// Bytes that are not UTF-8 were let through where the parser ignores a field.
#[test]
fn a_binary_message_is_utf8_in_the_fields_that_are_ignored_as_well() {
    let message = b"{\"type\":\"subscribe\",\"topic\":\"device:1\",\"x\":\"\xFF\"}";
    assert_eq!(Request::parse(message, 100), Err(InvalidRequest::NotAnObject));
}
