//! `GET /connections`: the connections that do worst, for the operator who asks who is slow.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};

use super::ingest::Problem;
use crate::domain::Timestamp;

/// Most connections one answer shows.
const MAX_LIMIT: usize = 1000;

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
    /// When the handshake was done.
    pub opened_at: Timestamp,
    /// When the last frame came.
    pub last_seen_at: Timestamp,
    /// How many topics it is subscribed to.
    pub topics: usize,
    /// Bytes that wait for it.
    pub waiting_bytes: u64,
    /// Positions it did not get because newer ones replaced them.
    pub conflated: u64,
}

#[derive(Deserialize)]
pub(super) struct Query {
    sort: Option<String>,
    limit: Option<String>,
}

pub(super) async fn list(
    connections: web::Data<Arc<dyn Connections>>,
    query: web::Query<Query>,
) -> HttpResponse {
    let bad = |message: String| Problem::new(StatusCode::BAD_REQUEST, "invalid-query", message).response();
    let limit = match query.limit.as_deref().map_or(Ok(20), str::parse) {
        Ok(limit) if (1..=MAX_LIMIT).contains(&limit) => limit,
        _ => return bad(format!("limit must be a whole number from 1 to {MAX_LIMIT}")),
    };
    let mut views = connections.list().await;
    let total = views.len();
    match query.sort.as_deref().unwrap_or("slowest") {
        // What waits now shows who is slow now; what was conflated, who has been.
        "slowest" => views.sort_by_key(|view| std::cmp::Reverse((view.waiting_bytes, view.conflated))),
        "oldest" => views.sort_by_key(|view| view.opened_at),
        "silent" => views.sort_by_key(|view| view.last_seen_at),
        _ => return bad("sort must be slowest, oldest or silent".into()),
    }
    views.truncate(limit);
    HttpResponse::Ok().json(serde_json::json!({ "total": total, "connections": views }))
}
