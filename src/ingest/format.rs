//! Reads the positions in a body: a JSON object, an array of them, or one on each line.

use actix_web::http::StatusCode;

use crate::domain::{FieldError, Position, Timestamp, json};
use crate::http::Problem;

/// True if a body of this `Content-Type` has one record on each line.
pub(super) fn is_lines(content_type: &str) -> bool {
    content_type.to_ascii_lowercase().starts_with("application/x-ndjson")
}

/// Reads one object, an array of them, or, with `lines`, one on each line. Blank lines do not count.
///
/// # Errors
/// A [`Problem`] with the first record that is no position, or if the body is not JSON. `now` bounds how far ahead a
/// timestamp may be.
pub fn parse(body: &[u8], lines: bool, now: Timestamp) -> Result<Vec<Position>, Problem> {
    let syntax = |message: String| Problem::new(StatusCode::BAD_REQUEST, "invalid-json", message);
    let json_error = |error: serde_json::Error| {
        syntax(format!("the body must be a JSON object, or an array of them: {error}"))
    };
    let record =
        |(index, json): (usize, &str)| Position::from_json(json, now).map_err(|error| invalid(index, &error));
    let text = std::str::from_utf8(body).map_err(|_| syntax("the body must be UTF-8".into()))?.trim_ascii();
    if lines {
        return text.lines().filter(|line| !line.trim_ascii().is_empty()).enumerate().map(record).collect();
    }
    json::records(text).map_err(json_error)?.into_iter().enumerate().map(record).collect()
}

fn invalid(index: usize, error: &FieldError) -> Problem {
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-position", error.to_string());
    problem.with_record(index, error.field)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"device_id":"a","timestamp":"2026-01-02T03:04:05Z","latitude":1,"longitude":2}"#;

    fn read(body: &str, lines: bool) -> Result<usize, Problem> {
        parse(body.as_bytes(), lines, Timestamp::now()).map(|positions| positions.len())
    }

    #[test]
    fn reads_an_object_an_array_and_lines() {
        assert_eq!(read(ONE, false), Ok(1));
        assert_eq!(read(&format!(" [{ONE} , {ONE}]\n"), false), Ok(2));
        assert_eq!(read(&format!("{ONE}\r\n\n{ONE}\n"), true), Ok(2));
        assert_eq!(read("[]", false), Ok(0));
        assert_eq!(read("\n", true), Ok(0));
    }

    #[test]
    fn says_which_record_is_wrong() {
        let bad = ONE.replace(":1,", ":100,");
        for (body, lines) in [(format!("[{ONE},{bad}]"), false), (format!("{ONE}\n\n{bad}"), true)] {
            let problem = read(&body, lines).unwrap_err();
            assert_eq!(problem.record(), Some((1, "latitude")));
            assert_eq!(problem.message(), "latitude must be a number from -90 to 90 (degrees)");
        }
        assert_eq!(read("[1]", false).unwrap_err().record(), Some((0, "record")));
        for body in ["", "{", "[{]", "nonsense", "{} {}"] {
            assert_eq!(read(body, false).unwrap_err().error(), "invalid-json", "{body}");
        }
        assert_eq!(parse(b"\xFF", false, Timestamp::now()).unwrap_err().error(), "invalid-json");
    }
}
