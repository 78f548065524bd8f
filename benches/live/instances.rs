//! `Instances`: several servers over one store and one log, the generator connected to all, and an event whose positions are
//! posted to them in turn.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::conn::Manner;
use crate::fleet::Fleet;
use crate::frame;
use crate::movers::{Movers, TOPIC};
use crate::server::{Kind, Server, Setup};

/// Devices of the event.
const DEVICES: usize = 100;

/// The longest it may take to connect all.
const OPEN_LIMIT: Duration = Duration::from_secs(120);

/// Between two turns; see [`Fleet::napping`].
const NAP: Duration = Duration::from_micros(100);

/// Servers and their load.
pub(crate) struct Instances {
    pub(crate) fleet: Fleet,
    pub(crate) servers: Vec<Server>,
    /// How many clients connected to each since it was started.
    pub(crate) held: Vec<usize>,
    /// Where positions are posted to each.
    feeds: Vec<usize>,
    setup: Setup,
    /// More fields of the clients' subscriptions.
    wish: &'static str,
    movers: Movers,
    /// Between two posts.
    every: Duration,
    /// When the next one is due.
    next: Instant,
    /// Posts so far, of one position each.
    pub(crate) posts: usize,
}

impl Instances {
    /// Starts so many. Later, positions are posted at this rate a second. `wish`: more fields of the clients' subscriptions.
    pub(crate) fn start(count: usize, setup: Setup, rate: f64, wish: &'static str) -> Result<Self> {
        let servers = (0..count).map(|_| Server::start(Kind::Processor, &setup));
        let servers = servers.collect::<Result<Vec<_>>>()?;
        let mut fleet = Fleet::new(servers[0].live)?;
        fleet.seen.expect(0);
        let feeds = servers.iter().map(|server| fleet.feed(server.ops, true)).collect::<Result<_>>()?;
        Ok(Self {
            fleet,
            servers,
            held: vec![0; count],
            feeds,
            setup,
            wish,
            movers: Movers::new(DEVICES),
            every: Duration::from_secs_f64(1.0 / rate),
            next: Instant::now(),
            posts: 0,
        })
    }

    /// Begins to connect a client of the event to one of them.
    pub(crate) fn begin(&mut self, instance: usize) -> Result<()> {
        self.held[instance] += 1;
        begin(&mut self.fleet, &self.servers[instance], self.wish)
    }

    /// Connects clients of the event to all of them in turn, and waits until they are subscribed.
    pub(crate) fn subscribe(&mut self, count: usize) -> Result<()> {
        let Self { fleet, servers, held, wish, .. } = self;
        let answers = fleet.seen.answers + count as u64;
        fleet.open_each(count, OPEN_LIMIT, |fleet, number| {
            held[number % servers.len()] += 1;
            begin(fleet, &servers[number % servers.len()], wish)
        })?;
        let done = fleet.until(OPEN_LIMIT, |fleet| fleet.seen.answers >= answers)?;
        ensure!(done, "{} subscriptions not answered", answers - fleet.seen.answers);
        fleet.pass(Duration::from_millis(300))
    }

    /// Posts and receives for so long, from now on.
    pub(crate) fn pass(&mut self, time: Duration) -> Result<()> {
        self.resume_posts();
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn(None)?;
        }
        Ok(())
    }

    /// The next post is due now.
    pub(crate) fn resume_posts(&mut self) {
        self.next = Instant::now();
    }

    /// Posts what is due, to all instances in turn but to one that is `away`, and handles what came.
    pub(crate) fn turn(&mut self, away: Option<usize>) -> Result<()> {
        while self.next <= Instant::now() {
            let turn = self.posts % self.servers.len();
            let instance = if away == Some(turn) { (turn + 1) % self.servers.len() } else { turn };
            let (body, numbers) = self.movers.body(1);
            let at = self.fleet.seen.nanos(self.next);
            numbers.for_each(|number| self.fleet.seen.sent(number, at));
            self.fleet.post(self.feeds[instance], &body)?;
            self.posts += 1;
            self.next += self.every;
        }
        self.fleet.turn(Duration::ZERO)?;
        std::thread::sleep(NAP);
        Ok(())
    }

    /// Starts one anew that has ended.
    pub(crate) fn replace(&mut self, instance: usize) -> Result<()> {
        self.servers[instance] = Server::start(Kind::Processor, &self.setup)?;
        self.feeds[instance] = self.fleet.feed(self.servers[instance].ops, true)?;
        self.held[instance] = 0;
        Ok(())
    }

    /// Their processor time so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.servers.iter().map(Server::cpu).sum()
    }
}

fn begin(fleet: &mut Fleet, server: &Server, wish: &str) -> Result<()> {
    fleet.target = server.live;
    let subscribe = format!(r#"{{"type":"subscribe","topic":"{TOPIC}"{wish}}}"#);
    fleet.begin_with(Manner::Polite, 0, frame::masked(frame::TEXT, subscribe.as_bytes())).map(drop)
}
