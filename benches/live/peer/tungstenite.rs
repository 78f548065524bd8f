//! `peer-tungstenite`: `tokio-tungstenite` as a careful user writes it. One thread, one task and one bounded channel
//! for each connection; a message's payload is shared; what waits for a connection is flushed once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::Result;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::{Arguments, ready, take_burst};

/// Messages that may wait for one connection; more are dropped.
const CAPACITY: usize = 256;

/// The default of 128 KiB for each connection would be too much for many quiet ones.
const READ_BUFFER: usize = 4096;

/// The subscribers of each topic.
type Topics = Rc<RefCell<HashMap<u32, HashMap<u64, mpsc::Sender<Utf8Bytes>>>>>;

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, serve(arguments))
}

async fn serve(arguments: Arguments) -> Result<()> {
    let arguments = Rc::new(arguments);
    let topics = Topics::default();
    let live = listen()?;
    let ops = listen()?;
    ready(ops.local_addr()?, live.local_addr()?);
    tokio::task::spawn_local(ingest(ops, topics.clone()));
    let mut number = 0;
    loop {
        let (stream, _) = live.accept().await?;
        stream.set_nodelay(true)?;
        number += 1;
        let (topics, arguments) = (topics.clone(), arguments.clone());
        tokio::task::spawn_local(async move {
            // An error ends this connection.
            drop(connection(number, stream, topics, arguments).await);
        });
    }
}

fn listen() -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    Ok(socket.listen(4096)?)
}

async fn connection(number: u64, stream: TcpStream, topics: Topics, arguments: Rc<Arguments>) -> Result<()> {
    let mut topic = 0;
    #[allow(clippy::result_large_err, reason = "the library asks for this type")]
    let path = |request: &Request, response: Response| {
        topic = request.uri().path()[1..].parse().unwrap_or(0);
        Ok(response)
    };
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
    let mut socket = accept_hdr_async_with_config(stream, path, Some(config)).await?;
    let (sender, mut messages) = mpsc::channel(CAPACITY);
    topics.borrow_mut().entry(topic).or_default().insert(number, sender);
    let period = arguments.ping().unwrap_or(std::time::Duration::from_secs(3600));
    let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
    let result: Result<()> = async {
        let mut waiting = Vec::new();
        loop {
            tokio::select! {
                _ = messages.recv_many(&mut waiting, CAPACITY) => {
                    for text in waiting.drain(..) {
                        socket.feed(Message::Text(text)).await?;
                    }
                    socket.flush().await?;
                }
                received = socket.next() => match received {
                    Some(Ok(message)) if arguments.echo && (message.is_text() || message.is_binary()) => {
                        socket.send(message).await?;
                    }
                    Some(message) => drop(message?),
                    None => return Ok(()),
                },
                _ = ping.tick() => socket.send(Message::Ping(Default::default())).await?,
            }
        }
    }
    .await;
    if let Some(subscribers) = topics.borrow_mut().get_mut(&topic) {
        subscribers.remove(&number);
    }
    result
}

async fn ingest(ops: TcpListener, topics: Topics) -> Result<()> {
    loop {
        let (mut stream, _) = ops.accept().await?;
        let mut input = Vec::new();
        while stream.read_buf(&mut input).await? > 0 {
            while let Some((topic, payloads)) = take_burst(&mut input) {
                let texts = payloads.into_iter().map(String::from_utf8);
                let texts = texts.map(|text| text.map(Utf8Bytes::from)).collect::<Result<Vec<_>, _>>()?;
                for subscriber in topics.borrow().get(&topic).into_iter().flat_map(HashMap::values) {
                    for text in &texts {
                        // Full: this client reads too slowly and misses it.
                        drop(subscriber.try_send(text.clone()));
                    }
                }
            }
        }
    }
}
