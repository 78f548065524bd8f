//! `Fleet`: the load generator: very many connections and a few feeds on one thread and one epoll.

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use mio::{Events, Interest, Poll, Token};

use crate::conn::{Conn, Manner, Request};
use crate::feed::Feed;
use crate::frame;
use crate::payload;
use crate::seen::Seen;

/// Handshakes under way at once.
const IN_FLIGHT: usize = 128;

/// Between two turns, where the generator naps. The system adds about 50 µs.
const NAP: Duration = Duration::from_micros(100);

/// Connections from one source address, far fewer than it has ports.
const PER_ADDRESS: usize = 1000;

/// Tokens from here on are feeds.
const FEEDS: usize = 1 << 32;

/// Connections that are to be opened.
pub(crate) struct Plan {
    pub(crate) count: usize,
    pub(crate) manner: Manner,
    /// They are spread over so many topics.
    pub(crate) topics: usize,
    /// They send a subscription. (Peers read the topic from the path.)
    pub(crate) subscribe: bool,
}

/// All connections, to one server or to several.
pub(crate) struct Fleet {
    poll: Poll,
    events: Events,
    scratch: Box<[u8]>,
    /// Where those connect to that are begun from now on.
    pub(crate) target: SocketAddr,
    conns: Vec<Option<Conn>>,
    free: Vec<usize>,
    pub(crate) feeds: Vec<Feed>,
    /// Connections begun so far.
    begun: usize,
    /// Those that are begun from now on offer permessage-deflate.
    pub(crate) deflate: bool,
    /// Those that are begun from now on show one of these; none where it is empty.
    pub(crate) tokens: Vec<Rc<str>>,
    pub(crate) seen: Seen,
}

impl Fleet {
    pub(crate) fn new(target: SocketAddr) -> Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            scratch: vec![0; 64 * 1024].into(),
            target,
            conns: Vec::new(),
            free: Vec::new(),
            feeds: Vec::new(),
            begun: 0,
            deflate: false,
            tokens: Vec::new(),
            seen: Seen::new(),
        })
    }

    /// Adds a feed; returns its number.
    pub(crate) fn feed(&mut self, address: SocketAddr, http: bool) -> Result<usize> {
        let mut feed = Feed::connect(address, http).context("cannot connect a feed")?;
        let number = self.feeds.len();
        self.register(&mut feed, number)?;
        self.feeds.push(feed);
        Ok(number)
    }

    /// Sends a post.
    pub(crate) fn post(&mut self, feed: usize, body: &[u8]) -> Result<()> {
        if let Some(fresh) = self.feeds[feed].renewed() {
            let mut fresh = fresh.context("cannot connect a feed again")?;
            self.register(&mut fresh, feed)?;
            self.feeds[feed] = fresh;
        }
        self.feeds[feed].post(body);
        Ok(())
    }

    fn register(&self, feed: &mut Feed, number: usize) -> Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        Ok(self.poll.registry().register(&mut feed.stream, Token(FEEDS + number), interest)?)
    }

    /// Prepares for hundreds of kilobytes at once for each connection: they are read whole, and a turn takes no longer for it.
    pub(crate) fn expect_much(&mut self) {
        self.scratch = vec![0; 512 * 1024].into();
        self.events = Events::with_capacity(64);
    }

    /// Begins one connection.
    pub(crate) fn begin(&mut self, plan: &Plan) -> Result<usize> {
        let topic = self.begun % plan.topics;
        let greeting = if plan.subscribe { subscribe(topic) } else { Vec::new() };
        self.begin_with(plan.manner, topic, greeting)
    }

    /// Begins one connection that asks for this path, and sends `greeting` once it is open.
    pub(crate) fn begin_with(&mut self, manner: Manner, path: usize, greeting: Vec<u8>) -> Result<usize> {
        let number = self.begun;
        self.begun += 1;
        let token = (!self.tokens.is_empty()).then(|| self.tokens[number % self.tokens.len()].clone());
        let request = Request { path, deflate: self.deflate, token };
        // 127.0.0.2 and on, 200 of them.
        let source = Ipv4Addr::new(127, 0, 0, (2 + number / PER_ADDRESS % 200) as u8);
        let mut conn = Conn::start(source, self.target, manner, request, greeting)
            .with_context(|| format!("cannot connect from {source}"))?;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.conns.push(None);
            self.conns.len() - 1
        });
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut conn.stream, Token(slot), interest)?;
        self.conns[slot] = Some(conn);
        Ok(slot)
    }

    /// Opens connections and returns how long that took, subscriptions to the processor included.
    pub(crate) fn open(&mut self, plan: &Plan, limit: Duration) -> Result<Duration> {
        self.open_each(plan.count, limit, |fleet, _| fleet.begin(plan).map(drop))
    }

    /// Opens connections that are begun one by one, each told its number.
    pub(crate) fn open_each(
        &mut self,
        count: usize,
        limit: Duration,
        mut begin: impl FnMut(&mut Self, usize) -> Result<()>,
    ) -> Result<Duration> {
        let since = Instant::now();
        let (opened, mut begun) = (self.seen.opened, 0);
        while self.seen.opened < opened + count {
            while begun < count && begun - (self.seen.opened - opened) < IN_FLIGHT {
                begin(self, begun)?;
                begun += 1;
            }
            self.turn(Duration::from_millis(20))?;
            ensure!(self.seen.failed == 0, "{} handshakes failed; {}", self.seen.failed, self.seen.failure);
            ensure!(since.elapsed() < limit, "{} handshakes after {limit:?}", self.seen.opened - opened);
        }
        Ok(since.elapsed())
    }

    /// Handles what happened, or waits for it, at most so long.
    pub(crate) fn turn(&mut self, wait: Duration) -> Result<()> {
        let Self { poll, events, scratch, conns, free, feeds, seen, .. } = self;
        match poll.poll(events, Some(wait)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in events.iter() {
            let Token(token) = event.token();
            if token >= FEEDS {
                feeds[token - FEEDS].ready(scratch);
            } else if let Some(conn) = &mut conns[token]
                && !conn.ready(event, scratch, seen)
            {
                conns[token] = None;
                free.push(token);
            }
        }
        for feed in feeds {
            ensure!(!feed.closed || feed.is_idle(), "the server closed a feed");
            if let Some(answer) = &feed.refused {
                anyhow::bail!("a post was refused: {answer}");
            }
        }
        Ok(())
    }

    /// Turns until something is so. True if it came to be within the limit.
    pub(crate) fn until(&mut self, limit: Duration, is_so: impl Fn(&Self) -> bool) -> Result<bool> {
        let since = Instant::now();
        while !is_so(self) {
            if since.elapsed() > limit {
                return Ok(false);
            }
            self.turn(Duration::from_millis(20))?;
        }
        Ok(true)
    }

    /// Like `until`, but naps between turns instead of waiting. While nobody waits at epoll, the server's writes
    /// wake nobody up: that costs a call to another core each time (dear in a virtual machine), it would be charged
    /// to the server, and more so to one that is slower than the generator. Clients elsewhere cost it nothing.
    pub(crate) fn napping(&mut self, limit: Duration, is_so: impl Fn(&Self) -> bool) -> Result<bool> {
        let since = Instant::now();
        loop {
            self.turn(Duration::ZERO)?;
            if is_so(self) {
                return Ok(true);
            }
            if since.elapsed() > limit {
                return Ok(false);
            }
            std::thread::sleep(NAP);
        }
    }

    /// Turns for so long.
    pub(crate) fn pass(&mut self, time: Duration) -> Result<()> {
        self.until(time, |_| false).map(drop)
    }

    /// Sends to one connection, if it is open.
    pub(crate) fn send(&mut self, slot: usize, bytes: &[u8]) {
        if let Some(conn) = self.conns[slot].as_mut().filter(|conn| conn.is_open()) {
            conn.send(bytes);
        }
    }

    /// Sends to every open connection.
    pub(crate) fn send_all(&mut self, message: impl Fn(usize) -> Vec<u8>) {
        for slot in 0..self.conns.len() {
            self.send(slot, &message(slot));
        }
    }

    /// Begins the closing handshake of one connection.
    pub(crate) fn leave(&mut self, slot: usize) {
        self.send(slot, &frame::masked(frame::CLOSE, &1000_u16.to_be_bytes()));
    }

    /// Resets all connections of this manner.
    pub(crate) fn abort(&mut self, manner: Manner) {
        for slot in 0..self.conns.len() {
            if self.conns[slot].as_ref().is_some_and(|conn| conn.manner == manner) {
                let conn = self.conns[slot].take();
                conn.inspect(Conn::abort);
                self.free.push(slot);
            }
        }
    }
}

/// The frame that subscribes to a topic.
pub(crate) fn subscribe(topic: usize) -> Vec<u8> {
    let topic = payload::topic(topic);
    frame::masked(frame::TEXT, format!(r#"{{"type":"subscribe","topic":"{topic}"}}"#).as_bytes())
}
