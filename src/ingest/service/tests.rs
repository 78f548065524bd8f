//! Unit tests of `service`: mounted as another server would, on another path, with another rule of who may post.

use std::sync::Mutex;

use actix_web::body::MessageBody as _;
use actix_web::dev::Service as _;
use actix_web::{App, test};
use futures_util::future::LocalBoxFuture;
use prometheus::Opts;
use serde_json::{Value, json};

use super::*;
use crate::ingest::{Grant, Refused};

const ONE: &str = r#"{"device_id":"a","timestamp":"2026-01-02T03:04:05Z","latitude":1,"longitude":2}"#;

/// Stores what it is given, unless it is full.
#[derive(Default)]
struct Memory {
    devices: Mutex<Vec<String>>,
    full: bool,
}

impl Ingest for Memory {
    fn submit(&self, positions: Vec<Position>) -> LocalBoxFuture<'static, Result<Accepted, Refused>> {
        let accepted = positions.len();
        if self.full {
            return Box::pin(async { Err(Refused::NotStored("the memory is full".into())) });
        }
        self.devices.lock().unwrap().extend(positions.iter().map(|position| position.device_id.to_string()));
        Box::pin(async move { Ok(Accepted { accepted, late: 1, repeated: 0 }) })
    }

    fn is_up(&self) -> bool {
        true
    }

    fn is_log_up(&self) -> bool {
        true
    }
}

/// Devices that have a key, which stands in the query.
struct Key;

impl Access for Key {
    fn check(&self, head: &RequestHead) -> Result<Checked, Problem> {
        match head.uri.query() {
            Some("key=k") => Ok(Checked::Granted(Grant::Every)),
            _ => Err(Problem::new(StatusCode::UNAUTHORIZED, "no-key", "ask for a key")),
        }
    }
}

fn service(memory: Arc<Memory>, max_posts: usize) -> (IngestService, IntCounterVec) {
    let requests = IntCounterVec::new(Opts::new("requests", "by status"), &["status"]).unwrap();
    let mount = Mount {
        path: "/phones",
        access: Box::new(Key),
        max_body_bytes: 200,
        limits: PostLimits::new(max_posts, 200),
        requests: requests.clone(),
    };
    (IngestService::new(memory, mount), requests)
}

/// Posts `body` to a server that has mounted the service.
async fn post(service: &IngestService, uri: &str, body: impl Into<bytes::Bytes>) -> (u16, Value) {
    let app = test::init_service(App::new().configure(|config| service.configure(config))).await;
    let request = test::TestRequest::post().uri(uri).set_payload(body).to_request();
    let response = app.call(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().try_into_bytes().unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[actix::test]
async fn whoever_mounts_it_says_on_which_path_and_who_may_post() {
    let memory = Arc::<Memory>::default();
    let (service, requests) = service(memory.clone(), 1);
    let accepted = json!({ "accepted": 1, "late": 1 });
    assert_eq!(post(&service, "/phones?key=k", ONE).await, (200, accepted));
    let (status, problem) = post(&service, "/phones", ONE).await;
    assert_eq!((status, &problem["error"]), (401, &json!("no-key")));
    let (status, problem) = post(&service, "/%70hones?key=", ONE).await;
    assert_eq!((status, &problem["message"]), (401, &json!("ask for a key")));
    assert_eq!(post(&service, "/positions?key=k", ONE).await.0, 404);
    assert_eq!(*memory.devices.lock().unwrap(), ["a"]);
    let count = |status| requests.with_label_values(&[status]).get();
    assert_eq!((count("200"), count("401"), count("404")), (1, 2, 0));
}

#[actix::test]
async fn a_post_that_is_not_stored_says_when_to_come_again() {
    let full = Arc::new(Memory { full: true, ..Memory::default() });
    let (service, requests) = service(full, 1);
    let expected = json!({ "error": "not-stored", "message": "the memory is full" });
    assert_eq!(post(&service, "/phones?key=k", ONE).await, (503, expected));
    assert_eq!(post(&service, "/phones?key=k", " ".repeat(201)).await.0, 413);
    let (status, problem) = post(&service, "/phones?key=k", "[{}]").await;
    let expected = json!({
        "error": "invalid-position", "index": 0, "field": "device_id", "message": "device_id is missing",
    });
    assert_eq!((status, problem), (422, expected));
    for status in ["503", "413", "422"] {
        assert_eq!(requests.with_label_values(&[status]).get(), 1, "{status}");
    }
}

#[actix::test]
async fn no_more_posts_are_under_way_than_the_limits_allow() {
    let memory = Arc::<Memory>::default();
    let (service, _) = service(memory, 1);
    let permit = service.0.limits.admit().unwrap();
    let (status, problem) = post(&service, "/phones?key=k", ONE).await;
    assert_eq!((status, &problem["error"]), (503, &json!("too-many-posts")));
    drop(permit);
    assert_eq!(post(&service, "/phones?key=k", ONE).await.0, 200);
}
