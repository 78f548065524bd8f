//! `delayed`: a way to the server on which everything takes longer.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A way to `target` on which all bytes take `delay` longer, in both directions. Returns its near end.
pub(crate) async fn delayed(target: SocketAddr, delay: Duration) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let near = listener.local_addr().unwrap();
    actix::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(target).await.unwrap();
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            actix::spawn(delay_bytes(from_client, to_server, delay));
            actix::spawn(delay_bytes(from_server, to_client, delay));
        }
    });
    near
}

async fn delay_bytes(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    delay: Duration,
) {
    // So many reads are on their way at most, so that a slow reader is felt at the other end.
    let (queue, mut due) = tokio::sync::mpsc::channel::<(tokio::time::Instant, Vec<u8>)>(64);
    let write = async {
        while let Some((at, bytes)) = due.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
    };
    let read = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let at = tokio::time::Instant::now() + delay;
            if queue.send((at, buffer[..count].to_vec())).await.is_err() {
                break;
            }
        }
        drop(queue);
    };
    tokio::join!(read, write);
}
