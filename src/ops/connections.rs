//! `GET /connections`: the connections that do worst, for the operator who asks who is slow.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::LocalBoxFuture;
use serde::Serialize;

use super::access;
use crate::domain::Timestamp;
use crate::http::Problem;
use crate::ingest::BearerToken;

/// Most connections one response shows.
const MAX_LIMIT: usize = 1000;

/// What whoever asks must send, if anything.
pub(super) struct ConnectionsToken(pub(super) Option<BearerToken>);

/// What the ops server needs to know of connections.
pub trait Connections: Send + Sync + 'static {
    /// All that are open now.
    fn list(&self) -> LocalBoxFuture<'static, Vec<ConnectionView>>;
}

/// One connection, as the operator sees it.
#[derive(Clone, Debug, Serialize)]
pub struct ConnectionView {
    /// UUID v4.
    pub id: String,
    /// Its address.
    pub remote: String,
    /// Whose token it showed, where one is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When the handshake was done.
    pub opened_at: Timestamp,
    /// When the last frame came.
    pub last_seen_at: Timestamp,
    /// How many topics it is subscribed to.
    pub topics: usize,
    /// How many of them are areas.
    pub areas: usize,
    /// It negotiated compression (permessage-deflate).
    pub compressed: bool,
    /// Bytes that wait for it.
    pub waiting_bytes: u64,
    /// Positions it did not get because newer ones replaced them.
    pub conflated: u64,
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Query {
    sort: Sort,
    limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Slowest,
    Oldest,
    Silent,
}

impl Query {
    /// Reads what stands behind the `?`. Each parameter may be there once.
    fn parse(text: &str) -> Result<Self, String> {
        let pairs =
            web::Query::<Vec<(String, String)>>::from_query(text).map_err(|error| error.to_string())?;
        let (mut sort, mut limit) = (None, None);
        for (name, value) in pairs.into_inner() {
            let repeated = match name.as_str() {
                "sort" => sort.replace(parse_sort(&value)?).is_some(),
                "limit" => limit.replace(parse_limit(&value)?).is_some(),
                _ => return Err("the parameters are sort and limit".into()),
            };
            if repeated {
                return Err(format!("{name} must be there once"));
            }
        }
        Ok(Self { sort: sort.unwrap_or(Sort::Slowest), limit: limit.unwrap_or(20) })
    }
}

fn parse_sort(value: &str) -> Result<Sort, String> {
    match value {
        "slowest" => Ok(Sort::Slowest),
        "oldest" => Ok(Sort::Oldest),
        "silent" => Ok(Sort::Silent),
        _ => Err("sort must be slowest, oldest or silent".into()),
    }
}

fn parse_limit(value: &str) -> Result<usize, String> {
    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| format!("limit must be a whole number from 1 to {MAX_LIMIT}"))
}

pub(super) async fn list(
    request: HttpRequest,
    token: web::Data<ConnectionsToken>,
    connections: web::Data<Arc<dyn Connections>>,
) -> HttpResponse {
    let head = request.head();
    if let Err(problem) = access::check_page(head).and_then(|()| access::check_token(head, &token.0)) {
        return problem.response();
    }
    let Query { sort, limit } = match Query::parse(request.query_string()) {
        Ok(query) => query,
        Err(message) => return Problem::new(StatusCode::BAD_REQUEST, "invalid-query", message).response(),
    };
    let mut views = connections.list().await;
    let total = views.len();
    match sort {
        // What waits now shows who is slow now; what was conflated, who has been.
        Sort::Slowest => views.sort_by_key(|view| std::cmp::Reverse((view.waiting_bytes, view.conflated))),
        Sort::Oldest => views.sort_by_key(|view| view.opened_at),
        Sort::Silent => views.sort_by_key(|view| view.last_seen_at),
    }
    views.truncate(limit);
    HttpResponse::Ok().json(serde_json::json!({ "total": total, "connections": views }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_parameter_once() {
        let query = |sort, limit| Ok(Query { sort, limit });
        assert_eq!(Query::parse(""), query(Sort::Slowest, 20));
        assert_eq!(Query::parse("limit=1000&sort=oldest"), query(Sort::Oldest, 1000));
        assert_eq!(Query::parse("sort=%73ilent"), query(Sort::Silent, 20));
        for bad in [
            "limit=1&limit=1",
            "sort=oldest&limit=2&sort=oldest",
            "limit=",
            "limit=1001",
            "limit",
            "lmit=1",
            "sort=%",
        ] {
            assert!(Query::parse(bad).is_err(), "{bad}");
        }
    }
}
