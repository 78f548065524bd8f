//! HTTP, as those speak it who post positions and look after a server.

use std::net::SocketAddr;

use serde_json::Value;

use super::PATIENCE;

pub(crate) async fn post(ops: SocketAddr, headers: &[(&str, &str)], body: impl Into<String>) -> (u16, Value) {
    let url = format!("http://{ops}/positions");
    let (status, body) = post_over(&http(), &url, headers, body).await.unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

pub(crate) async fn get(ops: SocketAddr, path: &str) -> (u16, String) {
    get_with(ops, path, &[]).await
}

/// The same, with these headers.
pub(crate) async fn get_with(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = http().get(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    in_background(move || read(request.call()?)).await.unwrap()
}

/// A client that keeps connections, is as patient as all else, and takes any status for a response.
pub(crate) fn http() -> ureq::Agent {
    let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false);
    config.proxy(None).build().new_agent()
}

/// Posts over a connection of `client`. Returns the status and the body.
pub(crate) async fn post_over(
    client: &ureq::Agent,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<String>,
) -> Result<(u16, String), ureq::Error> {
    let mut request = client.post(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = body.into();
    in_background(move || read(request.send(body)?)).await
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> Result<(u16, String), ureq::Error> {
    let body = response.body_mut().with_config().limit(16 << 20).read_to_string()?;
    Ok((response.status().as_u16(), body))
}

/// What waits for the network runs beside the tests' tasks, not among them.
async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}
