//! `Feed`: a connection over which positions are published: HTTP to the ops server, or a peer's plain ingest.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;

use mio::net::TcpStream;

/// A keep-alive connection. Posts may follow each other without waiting for answers (HTTP/1.1 pipelining).
pub(crate) struct Feed {
    pub(crate) stream: TcpStream,
    address: SocketAddr,
    http: bool,
    out: Vec<u8>,
    written: usize,
    input: Vec<u8>,
    /// Posts sent.
    pub(crate) posted: u64,
    /// Posts answered 200. Peers do not answer.
    pub(crate) accepted: u64,
    /// Posts answered otherwise, with the first such answer.
    pub(crate) refused: Option<String>,
    /// The other side has closed.
    pub(crate) closed: bool,
}

impl Feed {
    pub(crate) fn connect(address: SocketAddr, http: bool) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let stream = TcpStream::from_std(stream);
        let (out, input) = (Vec::new(), Vec::new());
        Ok(Self {
            stream,
            address,
            http,
            out,
            written: 0,
            input,
            posted: 0,
            accepted: 0,
            refused: None,
            closed: false,
        })
    }

    /// The same again, if the server closed it while nothing was under way: one that was never used is not kept.
    pub(crate) fn renewed(&self) -> Option<io::Result<Self>> {
        let renew = || {
            let fresh = Self::connect(self.address, self.http)?;
            Ok(Self { posted: self.posted, accepted: self.accepted, ..fresh })
        };
        (self.closed && self.is_idle()).then(renew)
    }

    /// Sends a post with this body; `http` decides what goes before it.
    pub(crate) fn post(&mut self, body: &[u8]) {
        self.posted += 1;
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
        if self.http {
            let length = body.len();
            write!(
                self.out,
                "POST /positions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\n\r\n"
            )
            .unwrap();
        }
        self.out.extend_from_slice(body);
        self.flush();
    }

    /// True if every post was answered (or, to a peer, sent).
    pub(crate) fn is_idle(&self) -> bool {
        self.written == self.out.len() && (!self.http || self.accepted == self.posted)
    }

    pub(crate) fn ready(&mut self, scratch: &mut [u8]) {
        self.flush();
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return self.closed = true,
                Ok(count) => self.input.extend_from_slice(&scratch[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return self.closed = true,
            }
        }
        while let Some(end) = answer_end(&self.input) {
            if self.input.starts_with(b"HTTP/1.1 200") {
                self.accepted += 1;
            } else {
                let text = String::from_utf8_lossy(&self.input[..end]).into_owned();
                self.refused.get_or_insert(text);
            }
            self.input.drain(..end);
        }
    }

    fn flush(&mut self) {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.closed = true,
            }
        }
    }
}

/// Where the first HTTP answer ends, if it is there as a whole.
fn answer_end(input: &[u8]) -> Option<usize> {
    let head = input.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&input[..head]).to_ascii_lowercase();
    let length = text.split_once("content-length:")?.1.lines().next()?.trim().parse::<usize>().ok()?;
    (input.len() >= head + length).then_some(head + length)
}
