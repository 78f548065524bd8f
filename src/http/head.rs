//! Reads the headers of a request's head.

use actix_web::dev::RequestHead;
use actix_web::http::header::HeaderName;

/// A header's value, if it is there and is text.
pub(crate) fn text<'a>(head: &'a RequestHead, name: &HeaderName) -> Option<&'a str> {
    head.headers.get(name)?.to_str().ok()
}
