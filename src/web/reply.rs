//! Responses: the headers that all of them have, and texts for people.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};

/// The browser is to ask whether its copy is still right.
pub(super) const NO_CACHE: &str = "no-cache";

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A short text that says what is wrong.
pub(super) fn text(status: StatusCode, message: &str) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(format!("{message}\n"))
}

/// For whoever asks with another method than those that there are.
pub(super) fn method_not_allowed() -> HttpResponse {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed here");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// True for the methods that there are.
pub(super) fn is_allowed(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Puts the headers on a response that every one has.
pub(super) fn finish(mut response: HttpResponse) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The page's address, which may name a device, is for nobody else; some servers of tiles want to know the origin.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
    if !headers.contains_key(RESOURCE_POLICY) {
        headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    }
    response
}

/// Lets pages of other origins use the response.
pub(super) fn share(response: &mut HttpResponse) {
    let headers = response.headers_mut();
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
}
