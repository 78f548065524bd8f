//! `Conn`: one WebSocket connection of the generator.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use mio::event::Event;
use mio::net::TcpStream;
use socket2::{Domain, SockRef, Socket, Type};

use crate::frame;
use crate::payload;
use crate::seen::Seen;
use crate::shared::Holds;

/// The header that offers to be sent compressed messages, each of which is compressed for itself.
const DEFLATE_OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
    client_no_context_takeover\r\n";

/// How a client behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As it should; what it receives is measured.
    Polite,
    /// As it should; what it receives is not measured.
    Passing,
    /// Does not answer a close.
    Rude,
    /// Never reads after its handshake, and has little room in its receive buffer.
    Stalled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting,
    Handshaking,
    Open,
    Gone,
}

/// What a connection asks for in its handshake.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The path is `/` and this.
    pub(crate) path: usize,
    /// It offers permessage-deflate.
    pub(crate) deflate: bool,
    /// The token that it shows, if any.
    pub(crate) token: Option<Rc<str>>,
}

/// A connection and what is left of its input and output.
pub(crate) struct Conn {
    pub(crate) stream: TcpStream,
    pub(crate) manner: Manner,
    stage: Stage,
    request: Request,
    /// Sent as soon as the handshake is done.
    greeting: Vec<u8>,
    /// The begin of a frame whose end has not come.
    rest: Vec<u8>,
    /// What the socket has not taken yet.
    out: Vec<u8>,
    /// Answers received that are yet to be followed by a message (in `echo`).
    credit: usize,
}

impl Conn {
    /// Begins to connect from `source`.
    pub(crate) fn start(
        source: Ipv4Addr,
        target: SocketAddr,
        manner: Manner,
        request: Request,
        greeting: Vec<u8>,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if manner == Manner::Stalled {
            socket.set_recv_buffer_size(4096)?;
        }
        socket.bind(&SocketAddr::from((source, 0)).into())?;
        match socket.connect(&target.into()) {
            Err(error) if error.raw_os_error() != Some(nix::errno::Errno::EINPROGRESS as i32) => {
                return Err(error);
            }
            _ => {}
        }
        let stream = TcpStream::from_std(socket.into());
        let (rest, out) = (Vec::new(), Vec::new());
        Ok(Self { stream, manner, stage: Stage::Connecting, request, greeting, rest, out, credit: 0 })
    }

    /// Does what an event asks for. False when the connection is at its end.
    pub(crate) fn ready(&mut self, event: &Event, scratch: &mut [u8], seen: &mut Seen) -> bool {
        if self.stage == Stage::Connecting {
            if event.is_error() {
                let error = self.stream.take_error().ok().flatten();
                self.end(seen, || format!("cannot connect: {error:?}"));
            } else if event.is_writable() {
                self.stage = Stage::Handshaking;
                let Request { path, deflate, token } = &self.request;
                let offer = if *deflate { DEFLATE_OFFER } else { "" };
                let token = token.as_ref().map(|token| format!("Authorization: Bearer {token}\r\n"));
                let token = token.unwrap_or_default();
                let request = format!(
                    "GET /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{token}{offer}\r\n"
                );
                self.send(request.as_bytes());
            }
        }
        if event.is_writable() && !self.out.is_empty() {
            self.send(&[]);
        }
        if self.manner == Manner::Stalled && self.stage == Stage::Open {
            if event.is_error() || event.is_read_closed() {
                self.end(seen, || "closed".to_owned());
            }
        } else if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(scratch, seen);
            self.repeat(seen);
        }
        self.stage != Stage::Gone
    }

    /// True once the handshake is done.
    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// It is at its end, and why, which is told if its handshake was not done.
    fn end(&mut self, seen: &mut Seen, why: impl FnOnce() -> String) {
        match self.stage {
            Stage::Connecting | Stage::Handshaking => {
                seen.failed += 1;
                seen.failure = format!("{:?}: {}", self.stage, why());
            }
            Stage::Open => seen.ended.push((seen.now(), self.manner)),
            Stage::Gone => {}
        }
        self.stage = Stage::Gone;
    }

    /// Sends, or keeps what the socket does not take.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if !self.out.is_empty() {
            self.out.extend_from_slice(bytes);
            let out = std::mem::take(&mut self.out);
            return self.write(&out);
        }
        self.write(bytes);
    }

    /// Resets the connection instead of closing it.
    pub(crate) fn abort(&self) {
        // An error says that it is gone already.
        drop(SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO)));
    }

    fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.out = bytes.to_vec();
                    return;
                }
                // Reading will meet the end as well.
                Err(_) => return,
            }
        }
    }

    /// A socket is registered for edges; a read that does not fill the buffer has emptied it.
    fn read(&mut self, scratch: &mut [u8], seen: &mut Seen) {
        let now = seen.now();
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return self.end(seen, || "closed by the server".to_owned()),
                Ok(count) => {
                    seen.bytes += count as u64;
                    self.feed(&scratch[..count], now, seen);
                    if count < scratch.len() || self.stage == Stage::Gone {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.end(seen, || error.to_string()),
            }
        }
    }

    fn feed(&mut self, bytes: &[u8], now: u64, seen: &mut Seen) {
        if !self.rest.is_empty() {
            self.rest.extend_from_slice(bytes);
            let all = std::mem::take(&mut self.rest);
            return self.walk(&all, now, seen);
        }
        self.walk(bytes, now, seen);
    }

    fn walk(&mut self, mut bytes: &[u8], now: u64, seen: &mut Seen) {
        if self.stage == Stage::Handshaking {
            let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                return self.rest = bytes.to_vec();
            };
            if !bytes.starts_with(b"HTTP/1.1 101") {
                return self.end(seen, || String::from_utf8_lossy(&bytes[..end]).into_owned());
            }
            self.stage = Stage::Open;
            seen.opened += 1;
            seen.openings.push(now);
            seen.deflating += usize::from(names_deflate(&bytes[..end]));
            let greeting = std::mem::take(&mut self.greeting);
            self.send(&greeting);
            bytes = &bytes[end + 4..];
        }
        while let Some((first, payload, rest)) = frame::next(bytes) {
            bytes = rest;
            let is_last = first & frame::FIN != 0;
            match first & 0x0f {
                frame::TEXT if is_last => self.text(first, payload, now, seen),
                // Only snapshots come in fragments.
                frame::CONTINUATION if is_last => self.answer(seen),
                frame::PING => {
                    seen.pings += 1;
                    self.send(&frame::masked(frame::PONG, payload));
                }
                frame::CLOSE => {
                    seen.closes.push(now);
                    if self.manner != Manner::Rude {
                        self.send(&frame::masked(frame::CLOSE, payload));
                    }
                }
                _ => {}
            }
        }
        if !bytes.is_empty() {
            self.rest = bytes.to_vec();
        }
    }

    fn text(&mut self, first: u8, payload: &[u8], now: u64, seen: &mut Seen) {
        let is_measured = self.manner == Manner::Polite;
        if first & frame::RSV1 != 0 || payload::is_batch(payload) {
            if seen.shared(first, payload, now, is_measured) == Holds::Answer {
                self.answer(seen);
            }
        } else if payload::kind(payload) != b'p' {
            seen.check(payload);
            seen.draining(payload, now);
            self.answer(seen);
        } else if is_measured {
            seen.position(payload, now);
        }
    }

    fn answer(&mut self, seen: &mut Seen) {
        seen.answers += 1;
        self.credit += 1;
    }

    /// Sends as many messages as answers came, in one write.
    fn repeat(&mut self, seen: &Seen) {
        let Some(message) = &seen.echo else { return };
        let count = std::mem::take(&mut self.credit);
        if count > 0 && self.stage == Stage::Open {
            self.send(&message.repeat(count));
        }
    }
}

/// True if a handshake's response accepts permessage-deflate.
fn names_deflate(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.lines()
        .any(|line| line.starts_with("sec-websocket-extensions:") && line.contains("permessage-deflate"))
}
