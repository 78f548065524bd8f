//! `TrackedSocket`: a socket that tells the connection's state what goes through it, and hands over one request at a time.
//!
//! `actix-http` makes requests of all that it has read, some thousand at once if a client sends them without waiting for the responses, and
//! while a response cannot be written it looks for more without rest. Here the end of a second head waits until it has looked at the
//! first, and all waits while a response is made, written or stuck, and while nobody asks for the rest of a body.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::web::BytesMut;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::state::ConnectionState;

/// What the HTTP dispatcher reads from and writes to.
pub(super) struct TrackedSocket {
    /// Shared with the connection's task, which writes a response of its own when the time is over.
    stream: Rc<TcpStream>,
    pub(super) state: Rc<ConnectionState>,
    /// What was read and is not handed over yet: at most what the dispatcher had room for.
    held: BytesMut,
    head_end: HeadEnd,
    /// The dispatcher has been given the end of a head since it looked last.
    has_head: bool,
}

impl TrackedSocket {
    /// `state` is told of what goes through `stream`.
    pub(super) fn new(stream: Rc<TcpStream>, state: Rc<ConnectionState>) -> Self {
        let (held, head_end) = (BytesMut::new(), HeadEnd::default());
        Self { stream, state, held, head_end, has_head: false }
    }

    /// Reads what has come into the room that `buffer` has left, without taking that.
    fn poll_receive(&self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_read_ready(context))?;
            match self.stream.try_read(buffer.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// How many of these bytes the dispatcher may have before it looks: up to the last byte of the second head's end. And whether some of
    /// them are behind the first one's.
    fn allowed(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut from = 0;
        loop {
            let before = self.head_end;
            let Some(length) = self.head_end.find(&bytes[from..]) else {
                return (bytes.len(), self.has_head && from < bytes.len());
            };
            if std::mem::replace(&mut self.has_head, true) {
                let last = from + length - 1;
                self.head_end = before;
                self.head_end.find(&bytes[from..last]);
                return (last, from < last);
            }
            from += length;
        }
    }

    fn poll_hand_over(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut held = std::mem::take(&mut self.held);
        let received = if held.is_empty() { ready!(self.poll_receive(context, buffer))? } else { 0 };
        if received == 0 && held.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let takes_more = self.state.takes_more(context.waker());
        // What comes behind a head that it has not looked at may be the next request.
        let looks_first = takes_more && self.has_head && self.state.is_before_request();
        if looks_first {
            context.waker().wake_by_ref();
        }
        if looks_first || !takes_more {
            held.extend_from_slice(&buffer.initialize_unfilled()[..received]);
            self.held = held;
            self.state.holds(true);
            return Poll::Pending;
        }
        let (given, is_ahead) = if held.is_empty() {
            let (given, is_ahead) = self.allowed(&buffer.initialize_unfilled()[..received]);
            self.held.extend_from_slice(&buffer.initialize_unfilled()[given..received]);
            buffer.advance(given);
            (given, is_ahead)
        } else {
            let most = held.len().min(buffer.remaining());
            let (given, is_ahead) = self.allowed(&held[..most]);
            buffer.put_slice(&held.split_to(given));
            self.held = held;
            (given, is_ahead)
        };
        self.state.holds(!self.held.is_empty());
        if given == 0 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.state.received(given, self.has_head, is_ahead, Instant::now());
        Poll::Ready(Ok(()))
    }
}

/// Finds the end of a request's head: an empty line behind another. Lines end with LF, or CR and LF, as the parser has it (RFC 9112 section
/// 2.2), which skips empty lines before a head. There are such lines in bodies as well, which does no harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum HeadEnd {
    /// Before the first line.
    #[default]
    Start,
    /// Within a line.
    InLine,
    /// Behind its LF.
    Lf,
    /// Behind that and a CR.
    LfCr,
}

impl HeadEnd {
    /// Behind which of these bytes, which follow those before, the head ends.
    fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            if *self == Self::Start {
                at += bytes[at..].iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
                *self = Self::InLine;
            }
            if *self == Self::InLine {
                at += memchr::memchr(b'\n', &bytes[at..])? + 1;
                *self = Self::Lf;
            }
            let byte = bytes.get(at)?;
            at += 1;
            *self = match (*self, byte) {
                (_, b'\n') => {
                    *self = Self::Start;
                    return Some(at);
                }
                (Self::Lf, b'\r') => Self::LfCr,
                _ => Self::InLine,
            };
        }
    }
}

impl AsyncRead for TrackedSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // The connection's task looks at this too, but the dispatcher may read for ever without giving it a turn.
        if this.state.over_allowance().is_some() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let result = this.poll_hand_over(context, buffer);
        if result.is_pending() {
            // It looks at what it has now.
            this.has_head = false;
        }
        result
    }
}

impl AsyncWrite for TrackedSocket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = loop {
            match self.stream.poll_write_ready(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
            match self.stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => break Poll::Ready(result),
            }
        };
        self.state.sent(result.is_ready(), Instant::now());
        result
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It fails if the client is gone already.
        SockRef::from(&*self.stream).shutdown(std::net::Shutdown::Write).ok();
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts into which heads fall.
    fn parts(pieces: &[&str]) -> Vec<String> {
        let (mut end, mut parts, mut part) = (HeadEnd::default(), Vec::new(), String::new());
        for piece in pieces {
            let mut rest = *piece;
            while let Some(at) = end.find(rest.as_bytes()) {
                part.push_str(&rest[..at]);
                parts.push(std::mem::take(&mut part));
                rest = &rest[at..];
            }
            part.push_str(rest);
        }
        parts.push(part);
        parts
    }

    #[test]
    fn a_head_ends_with_an_empty_line_however_it_comes() {
        let text = "\r\n\n\nGET / HTTP/1.1\r\nA: b\r\n\r\nGET /\n\n\n\r\nPOST\r\n\n{\r}\n\rx\n\r\nrest\r\n";
        let expected = [
            "\r\n\n\nGET / HTTP/1.1\r\nA: b\r\n\r\n",
            "GET /\n\n",
            "\n\r\nPOST\r\n\n",
            "{\r}\n\rx\n\r\n",
            "rest\r\n",
        ];
        assert_eq!(parts(&[text]), expected);
        for size in 1..text.len() {
            let pieces: Vec<_> =
                text.as_bytes().chunks(size).map(|piece| str::from_utf8(piece).unwrap()).collect();
            assert_eq!(parts(&pieces), expected, "{size}");
        }
    }
}
