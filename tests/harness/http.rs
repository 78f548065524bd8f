//! HTTP, as those speak it who post positions and look after a server.

use std::net::SocketAddr;

use serde_json::Value;

use super::PATIENCE;

/// A client as patient as all else; by itself it would give up after five seconds.
fn http() -> awc::Client {
    let connector = awc::Connector::new().timeout(PATIENCE);
    awc::Client::builder().connector(connector).timeout(PATIENCE).finish()
}

pub(crate) async fn post(ops: SocketAddr, headers: &[(&str, &str)], body: impl Into<String>) -> (u16, Value) {
    let mut request = http().post(format!("http://{ops}/positions"));
    for header in headers {
        request = request.insert_header(*header);
    }
    let mut response = request.send_body(body.into()).await.unwrap();
    let body = response.body().await.unwrap();
    (response.status().as_u16(), serde_json::from_slice(&body).unwrap())
}

pub(crate) async fn get(ops: SocketAddr, path: &str) -> (u16, String) {
    let mut response = http().get(format!("http://{ops}{path}")).send().await.unwrap();
    let body = response.body().limit(16 << 20).await.unwrap();
    (response.status().as_u16(), String::from_utf8(body.to_vec()).unwrap())
}
