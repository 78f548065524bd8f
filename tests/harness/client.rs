//! `Client`: a client that behaves: reads, answers pings and closes.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::soon;

/// A client that behaves: reads, answers pings and closes.
pub(crate) struct Client(tokio_tungstenite::WebSocketStream<TcpStream>);

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self::over(stream, address).await
    }

    /// With these headers in its handshake.
    pub(crate) async fn with_headers(address: SocketAddr, headers: &[(&'static str, &str)]) -> Self {
        let mut request = format!("ws://{address}/any/path?at=all").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        Self(soon("the handshake", tokio_tungstenite::client_async(request, stream)).await.unwrap().0)
    }

    /// With a token in the header for it.
    pub(crate) async fn bearer(address: SocketAddr, token: &str) -> Self {
        Self::with_headers(address, &[("Authorization", &format!("Bearer {token}"))]).await
    }

    /// Over a socket with a receive buffer of about `bytes`, so that it is soon full.
    pub(crate) async fn narrow(address: SocketAddr, bytes: u32) -> Self {
        Self::over(narrow(address, bytes).await, address).await
    }

    async fn over(stream: TcpStream, address: SocketAddr) -> Self {
        let url = format!("ws://{address}/any/path?at=all");
        Self(soon("the handshake", tokio_tungstenite::client_async(url, stream)).await.unwrap().0)
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    pub(crate) async fn text(&mut self, text: impl Into<String>) {
        self.send(Message::text(text.into())).await;
    }

    /// The next message, pings left out; `None` when the stream is over.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        soon("a message", self.idle()).await
    }

    /// Answers pings until a message comes, however long that takes.
    pub(crate) async fn idle(&mut self) -> Option<Message> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next message as JSON.
    pub(crate) async fn json(&mut self) -> Value {
        match self.next().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("no text but {other:?}"),
        }
    }

    /// Sends a request and returns the next message.
    pub(crate) async fn ask(&mut self, request: Value) -> Value {
        self.text(request.to_string()).await;
        self.json().await
    }

    /// Subscribes and returns the answer.
    pub(crate) async fn subscribe(&mut self, topic: &str) -> Value {
        let answer = self.ask(json!({ "type": "subscribe", "topic": topic })).await;
        assert_eq!((&answer["type"], &answer["topic"]), (&json!("subscribed"), &json!(topic)), "{answer}");
        answer
    }

    /// Waits for the close frame.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Some(Message::Close(Some(CloseFrame { code, reason }))) => {
                    // The closing handshake ends when the server ends the stream.
                    while self.next().await.is_some() {}
                    return (code.into(), reason.to_string());
                }
                Some(Message::Text(_) | Message::Binary(_)) => {}
                other => panic!("no close frame but {other:?}"),
            }
        }
    }

    /// Closes with 1000 and waits for the end.
    pub(crate) async fn close(mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        self.0.close(Some(frame)).await.unwrap();
        while self.next().await.is_some() {}
    }

    /// What tungstenite gives next, pings included.
    #[allow(dead_code, reason = "only the tests of time look at pings")]
    pub(crate) async fn raw_next(&mut self) -> Message {
        soon("a frame", self.0.next()).await.unwrap().unwrap()
    }
}

/// A socket with a receive buffer of about `bytes`.
pub(crate) async fn narrow(address: SocketAddr, bytes: u32) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(bytes).unwrap();
    socket.connect(address).await.unwrap()
}
