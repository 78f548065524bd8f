//! What comes before the upgrade: a handshake that is right, and requests that are none.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::soon;

/// A handshake that is right.
pub(crate) const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The handshake with one more header.
pub(crate) fn upgrade_with(header: &str) -> String {
    HANDSHAKE.replace("Host: localhost", &format!("Host: localhost\r\n{header}"))
}

/// A post whose body does not end.
pub(crate) fn post_chunked() -> String {
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".to_owned()
}

/// Sends `bytes`, then nothing; returns what the server answers until it closes, and how long that took.
pub(crate) async fn until_closed(address: SocketAddr, bytes: &[u8]) -> (String, Duration) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    soon("the end", stream.read_to_end(&mut answer)).await.unwrap();
    (String::from_utf8(answer).unwrap(), began.elapsed())
}
