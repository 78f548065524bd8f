//! `Raw`: a client that does only what the test tells it to, frame by frame.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use header::{CLOSE, FIN, MASKED};

use super::opening::{HANDSHAKE, upgrade_with};
use super::soon;

/// What the first two bytes of a frame are made of: flags, an opcode, a length (RFC 6455 section 5.2).
pub(crate) mod header {
    /// The last frame of its message, or a control frame.
    pub(crate) const FIN: u8 = 0x80;
    /// The message is compressed (RFC 7692 section 6).
    pub(crate) const RSV1: u8 = 0x40;
    pub(crate) const CONTINUATION: u8 = 0x0;
    pub(crate) const TEXT: u8 = 0x1;
    pub(crate) const BINARY: u8 = 0x2;
    /// The first of the opcodes that are reserved for later.
    pub(crate) const RESERVED: u8 = 0x3;
    pub(crate) const CLOSE: u8 = 0x8;
    pub(crate) const PING: u8 = 0x9;
    pub(crate) const PONG: u8 = 0xA;
    /// Of the second byte: a mask follows the length.
    pub(crate) const MASKED: u8 = 0x80;
}

/// A client that does only what the test tells it to: no pong, no close by itself.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    pub(crate) async fn over(stream: TcpStream) -> Self {
        let mut raw = Self(stream);
        raw.shake_hands(HANDSHAKE).await;
        raw
    }

    /// A client that may compress, and whose messages may be compressed.
    pub(crate) async fn deflating(address: SocketAddr) -> Self {
        let mut raw = Self(TcpStream::connect(address).await.unwrap());
        let head = raw.shake_hands(&upgrade_with("Sec-WebSocket-Extensions: permessage-deflate")).await;
        assert!(head.contains("\r\nSec-WebSocket-Extensions: permessage-deflate;"), "{head}");
        raw
    }

    /// Sends a handshake that must succeed, and returns the response to it.
    pub(crate) async fn shake_hands(&mut self, handshake: &str) -> String {
        self.write(handshake.as_bytes()).await;
        let head = self.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        head
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Reads up to the end of a response's head.
    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon("a response's head", self.0.read_u8()).await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// Sends a frame with this first byte, masked with zeros.
    pub(crate) async fn frame(&mut self, first: u8, payload: &[u8]) {
        self.write(&frame(first, payload)).await;
    }

    /// Reads a frame: its first byte and its payload. `None` when the stream is over or reset.
    pub(crate) async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        soon("a frame", async {
            let first = self.0.read_u8().await.ok()?;
            let length = match self.0.read_u8().await.ok()? {
                126 => self.0.read_u16().await.ok()?.into(),
                127 => self.0.read_u64().await.ok()? as usize,
                length => length.into(),
            };
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.ok()?;
            Some((first, payload))
        })
        .await
    }

    /// Reads until the close frame and returns its code.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            match self.read().await {
                Some((first, payload)) if first == FIN | CLOSE => {
                    return u16::from_be_bytes([payload[0], payload[1]]);
                }
                Some(_) => {}
                None => panic!("the stream ended without a close frame"),
            }
        }
    }

    /// Sends `bytes` and expects a close with `code`, then the end.
    pub(crate) async fn closes(mut self, bytes: &[u8], code: u16) {
        self.write(bytes).await;
        assert_eq!(self.close_code().await, code);
        self.ended().await;
    }

    /// Reads until the stream is over.
    pub(crate) async fn ended(&mut self) {
        while self.read().await.is_some() {}
    }

    /// Resets the connection.
    pub(crate) fn reset(self) {
        self.0.set_zero_linger().unwrap();
    }
}

/// A frame as a client sends it, masked with zeros.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(MASKED | length as u8),
        length @ 126..=0xFFFF => {
            frame.push(MASKED | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(MASKED | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}
