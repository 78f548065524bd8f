//! `peer-limit`: what the kernel allows. One thread, one epoll, no queues, no parsing of what clients send, and one
//! `write` per subscriber and burst.
//!
//! A subscriber whose socket is full misses bursts until it has room again; no other server does less.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::time::Instant;

use anyhow::Result;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Arguments, ready, take_burst};
use crate::frame;

const LIVE: Token = Token(usize::MAX - 1);
const OPS: Token = Token(usize::MAX - 2);
/// The one connection that positions come from.
const FEED: Token = Token(usize::MAX - 3);

struct Client {
    stream: TcpStream,
    topic: Option<u32>,
    /// The rest of a burst that was written in part.
    rest: Vec<u8>,
}

struct Limit {
    clients: Vec<Option<Client>>,
    topics: HashMap<u32, Vec<usize>>,
    feed: Option<TcpStream>,
    input: Vec<u8>,
    scratch: Box<[u8]>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut live = listen()?;
    let mut ops = listen()?;
    poll.registry().register(&mut live, LIVE, Interest::READABLE)?;
    poll.registry().register(&mut ops, OPS, Interest::READABLE)?;
    ready(ops.local_addr()?, live.local_addr()?);
    let mut limit = Limit {
        clients: Vec::new(),
        topics: HashMap::new(),
        feed: None,
        input: Vec::new(),
        scratch: vec![0; 64 * 1024].into(),
    };
    let mut pinged = Instant::now();
    loop {
        let wait = arguments.ping().map(|ping| ping.saturating_sub(pinged.elapsed()));
        match poll.poll(&mut events, wait) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in &events {
            match event.token() {
                LIVE => limit.accept(&live, &poll)?,
                OPS => {
                    let (mut stream, _) = ops.accept()?;
                    poll.registry().register(&mut stream, FEED, Interest::READABLE)?;
                    limit.feed = Some(stream);
                }
                FEED => limit.take()?,
                Token(slot) => limit.client(slot, event.is_writable()),
            }
        }
        if arguments.ping().is_some_and(|ping| pinged.elapsed() >= ping) {
            pinged = Instant::now();
            let ping = frame::plain(frame::PING, &[]);
            limit.clients.iter_mut().flatten().for_each(|client| client.write(&ping));
        }
    }
}

/// As many may wait to be accepted as at the processor.
fn listen() -> Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.listen(4096)?;
    Ok(TcpListener::from_std(socket.into()))
}

impl Limit {
    fn accept(&mut self, live: &TcpListener, poll: &Poll) -> Result<()> {
        loop {
            let mut stream = match live.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            stream.set_nodelay(true)?;
            let slot = self.clients.len();
            poll.registry().register(&mut stream, Token(slot), Interest::READABLE | Interest::WRITABLE)?;
            self.clients.push(Some(Client { stream, topic: None, rest: Vec::new() }));
        }
    }

    /// Reads what was published and writes it on, read by read: the generator may publish as fast as this reads.
    fn take(&mut self) -> Result<()> {
        while let Some(feed) = &mut self.feed {
            match feed.read(&mut self.scratch) {
                Ok(0) => self.feed = None,
                Ok(count) => self.input.extend_from_slice(&self.scratch[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
            self.broadcast();
        }
        Ok(())
    }

    fn broadcast(&mut self) {
        while let Some((topic, payloads)) = take_burst(&mut self.input) {
            let burst: Vec<u8> =
                payloads.iter().flat_map(|payload| frame::plain(frame::TEXT, payload)).collect();
            for slot in self.topics.get(&topic).into_iter().flatten() {
                if let Some(client) = &mut self.clients[*slot]
                    && client.rest.is_empty()
                {
                    client.write(&burst);
                }
            }
        }
    }

    fn client(&mut self, slot: usize, writable: bool) {
        let Some(client) = &mut self.clients[slot] else { return };
        if writable && !client.rest.is_empty() {
            let rest = std::mem::take(&mut client.rest);
            client.write(&rest);
        }
        let topic = client.topic;
        if !client.read(&mut self.scratch) {
            self.clients[slot] = None;
            if let Some(subscribers) = topic.and_then(|topic| self.topics.get_mut(&topic)) {
                subscribers.retain(|other| *other != slot);
            }
        } else if topic.is_none()
            && let Some(topic) = client.topic
        {
            self.topics.entry(topic).or_default().push(slot);
        }
    }
}

impl Client {
    /// Reads the handshake, then throws away what comes, except that a close is answered. False at the end.
    fn read(&mut self, scratch: &mut [u8]) -> bool {
        loop {
            let count = match self.stream.read(scratch) {
                Ok(0) => return false,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            };
            if self.topic.is_none() {
                let head = String::from_utf8_lossy(&scratch[..count]);
                let Some(answer) = self.shake(&head) else { return false };
                self.write(answer.as_bytes());
            } else if scratch[0] == 0x80 | frame::CLOSE {
                self.write(&frame::plain(frame::CLOSE, &1000_u16.to_be_bytes()));
                return false;
            }
            if count < scratch.len() {
                return true;
            }
        }
    }

    /// Our generator sends its request in one piece.
    fn shake(&mut self, head: &str) -> Option<String> {
        let path = head.strip_prefix("GET /")?.split(' ').next()?;
        let key = head.split_once("Sec-WebSocket-Key: ")?.1.lines().next()?;
        self.topic = Some(path.parse().unwrap_or(0));
        let accept = derive_accept_key(key.as_bytes());
        Some(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        ))
    }

    fn write(&mut self, bytes: &[u8]) {
        match self.stream.write(bytes) {
            Ok(written) if written < bytes.len() => self.rest = bytes[written..].to_vec(),
            // Full: missed. Failed: reading will meet the end as well.
            Ok(_) | Err(_) => {}
        }
    }
}
