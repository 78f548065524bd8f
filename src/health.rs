//! `processor health`: asks a running server whether it is alive, for health checks without a shell.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Most bytes of a response that are read: `/healthz` is answered with far fewer.
const MAX_RESPONSE: u64 = 8 * 1024;

/// Why a server does not count as alive.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// No connection, or it broke.
    #[error("cannot reach http://{address}/healthz")]
    Unreachable {
        /// Of the ops server.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It did not answer in time.
    #[error("http://{address}/healthz did not answer within {limit:?}")]
    Silent {
        /// Of the ops server.
        address: SocketAddr,
        /// How long it was waited for.
        limit: Duration,
    },
    /// It answered something else than 200.
    #[error("http://{address}/healthz answered {status:?}")]
    Unhealthy {
        /// Of the ops server.
        address: SocketAddr,
        /// The first line of its response.
        status: String,
    },
}

/// Asks the ops server at `address` whether it is alive.
///
/// One GET of our own server over plain HTTP, of whose response the first line decides: no HTTP client is needed for it.
///
/// # Errors
/// If it does not answer 200 within 3 s.
pub async fn check(address: SocketAddr) -> Result<(), HealthError> {
    check_within(PATIENCE, address).await
}

async fn check_within(limit: Duration, address: SocketAddr) -> Result<(), HealthError> {
    let response = tokio::time::timeout(limit, get(address)).await;
    let response = response.map_err(|_| HealthError::Silent { address, limit })?;
    let response = response.map_err(|source| HealthError::Unreachable { address, source })?;
    let response = String::from_utf8_lossy(&response);
    // RFC 9112 section 4: the version, a space, the status, a space, perhaps a phrase.
    let status = response.lines().next().unwrap_or_default();
    match status.split(' ').nth(1) {
        Some("200") if status.starts_with("HTTP/1.") => Ok(()),
        _ => Err(HealthError::Unhealthy { address, status: status.to_owned() }),
    }
}

/// All of the response: a client that closes before it is at the end would look like one that broke.
async fn get(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut response = Vec::new();
    stream.take(MAX_RESPONSE).read_to_end(&mut response).await?;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `check` makes of a server that answers so.
    async fn check_against(response: &'static str) -> Result<(), HealthError> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let count = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..count]).into_owned();
            stream.write_all(response.as_bytes()).await.unwrap();
            drop(stream);
            request
        };
        let (result, request) = tokio::join!(check(address), serve);
        assert!(request.starts_with("GET /healthz HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(&format!("\r\nHost: {address}\r\n")), "{request}");
        result
    }

    #[actix::test]
    async fn only_200_is_alive() {
        check_against("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        for response in ["HTTP/1.1 503 Service Unavailable\r\n\r\n", "SSH-2.0-OpenSSH_9.2 200 \r\n", ""] {
            let error = check_against(response).await.unwrap_err();
            assert!(matches!(error, HealthError::Unhealthy { .. }), "{error}");
        }
    }

    #[actix::test]
    async fn who_does_not_answer_is_not_waited_for() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let error = check_within(Duration::from_millis(50), address).await.unwrap_err();
        assert!(matches!(error, HealthError::Silent { .. }), "{error}");
    }
}
