//! `Problem`: why a request was not done, and its response as JSON.

use std::fmt;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::json;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    error: &'static str,
    message: String,
    /// The index of the record and its field, if it is about one.
    record: Option<(usize, &'static str)>,
    /// One header that helps the client.
    header: Option<(&'static str, &'static str)>,
}

impl Problem {
    /// A response with this status; `error` is for programs, `message` for people.
    pub fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        Self { status, error, message: message.into(), record: None, header: None }
    }

    /// With a header.
    pub fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    /// Of one field of the record with this index.
    pub fn with_record(mut self, index: usize, field: &'static str) -> Self {
        self.record = Some((index, field));
        self
    }

    /// The response's status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What programs know it by.
    pub fn error(&self) -> &'static str {
        self.error
    }

    /// What people read.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The index of the record and its field, if it is about one.
    pub fn record(&self) -> Option<(usize, &'static str)> {
        self.record
    }

    /// The response.
    pub fn response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(header) = self.header {
            response.insert_header(header);
        }
        response.json(self.body())
    }

    fn body(&self) -> serde_json::Value {
        let mut body = json!({ "error": self.error, "message": self.message });
        if let Some((index, field)) = self.record {
            body["index"] = index.into();
            body["field"] = field.into();
        }
        body
    }
}

/// For the log: nothing that the client sent.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status={} reason={}", self.status.as_u16(), self.error)?;
        match self.record {
            Some((index, field)) => write!(f, " index={index} field={field}"),
            None => Ok(()),
        }
    }
}
