//! `Rig`: a server, the generator connected to it, and what scenarios do with both.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::conn::Manner;
use crate::fleet::{Fleet, Plan};
use crate::frame;
use crate::payload::Positions;
use crate::seen::Latencies;
use crate::server::{Kind, Server, Setup};
use crate::system;

/// The longest a burst may take to arrive everywhere.
const BURST_LIMIT: Duration = Duration::from_secs(20);

/// The longest it may take to connect all.
const OPEN_LIMIT: Duration = Duration::from_secs(120);

/// A server and its load.
pub(crate) struct Rig {
    pub(crate) fleet: Fleet,
    pub(crate) server: Server,
    pub(crate) positions: Positions,
    feed: usize,
    /// The thread that serves the clients, once it is known.
    worker: Option<u32>,
}

/// What is published at once: so many positions of each of these devices.
#[derive(Clone, Debug)]
pub(crate) struct Burst {
    pub(crate) devices: Range<usize>,
    pub(crate) steps: usize,
}

impl Burst {
    /// Of one device.
    pub(crate) fn of(steps: usize) -> Self {
        Self { devices: 0..1, steps }
    }
}

/// Processor time that was used, and the time that went by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) wall: Duration,
    pub(crate) server: Duration,
    /// Of that, what the thread used that serves the clients, if it is known.
    pub(crate) worker: Duration,
    pub(crate) own: Duration,
}

impl Usage {
    /// How much of one core the generator used. Near 1 it is the generator that was measured.
    pub(crate) fn own_share(&self) -> f64 {
        self.own.as_secs_f64() / self.wall.as_secs_f64()
    }
}

/// The begin of a measurement.
pub(crate) struct Meter {
    since: Instant,
    server: Duration,
    worker: Duration,
    own: Duration,
}

/// What came of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) usage: Usage,
    pub(crate) bursts: u64,
    pub(crate) deliveries: u64,
}

impl Load {
    /// Positions delivered a second.
    pub(crate) fn rate(&self) -> f64 {
        self.deliveries as f64 / self.usage.wall.as_secs_f64()
    }

    /// The server's processor time per delivery, in microseconds: seconds for a million.
    pub(crate) fn cost(&self) -> f64 {
        self.usage.server.as_secs_f64() * 1e6 / self.deliveries as f64
    }

    /// The same without what publishing costs, `post` microseconds for each burst.
    pub(crate) fn net_cost(&self, post: f64) -> f64 {
        self.cost() - post * self.bursts as f64 / self.deliveries as f64
    }
}

impl Rig {
    /// Starts a server and connects the feed.
    pub(crate) fn start(kind: Kind, setup: &Setup) -> Result<Self> {
        let server = Server::start(kind, setup)?;
        let mut fleet = Fleet::new(server.live)?;
        let feed = fleet.feed(server.ops, kind.is_processor())?;
        let mut rig = Self { fleet, server, positions: Positions::new(0), feed, worker: None };
        rig.fill(0);
        Ok(rig)
    }

    /// Makes messages longer by `filler` bytes.
    pub(crate) fn fill(&mut self, filler: usize) {
        self.positions = Positions::new(filler);
        self.fleet.seen.expect(self.positions.message_bytes());
    }

    /// Opens connections. Returns how long the handshakes took.
    pub(crate) fn connect(&mut self, count: usize, manner: Manner) -> Result<Duration> {
        self.fleet.open(&Plan { count, manner, topics: 1, subscribe: false }, OPEN_LIMIT)
    }

    /// Opens connections that subscribe, spread over so many topics, and waits until they are subscribed.
    pub(crate) fn subscribe(&mut self, count: usize, topics: usize, manner: Manner) -> Result<()> {
        let answers = self.fleet.seen.answers + count as u64;
        self.fleet.open(&Plan { count, manner, topics, subscribe: true }, OPEN_LIMIT)?;
        if self.server.kind.is_processor() && manner != Manner::Stalled {
            let done = self.fleet.until(OPEN_LIMIT, |fleet| fleet.seen.answers >= answers)?;
            ensure!(done, "{} subscriptions not answered", answers - self.fleet.seen.answers);
        }
        self.fleet.pass(Duration::from_millis(300))
    }

    /// Opens connections to the processor that each send a message of their own, and waits until each has so many answers.
    /// Returns their slots.
    pub(crate) fn greet(
        &mut self,
        count: usize,
        manner: Manner,
        answers: usize,
        message: impl Fn(usize) -> String,
    ) -> Result<Vec<usize>> {
        let goal = self.fleet.seen.answers + (count * answers) as u64;
        let mut slots = Vec::with_capacity(count);
        self.fleet.open_each(count, OPEN_LIMIT, |fleet, number| {
            let greeting = frame::masked(frame::TEXT, message(number).as_bytes());
            slots.push(fleet.begin_with(manner, 0, greeting)?);
            Ok(())
        })?;
        let done = self.fleet.until(OPEN_LIMIT, |fleet| fleet.seen.answers >= goal)?;
        ensure!(done, "{} subscriptions not answered", goal - self.fleet.seen.answers);
        self.check()?;
        self.fleet.pass(Duration::from_millis(300))?;
        Ok(slots)
    }

    /// Fails if the server has sent an error, or something that is no message.
    pub(crate) fn check(&self) -> Result<()> {
        self.fleet.seen.fault().map_or(Ok(()), |fault| bail!("what came from the server: {fault}"))
    }

    /// Begins to measure.
    pub(crate) fn meter(&self) -> Result<Meter> {
        Ok(Meter {
            since: Instant::now(),
            server: self.server.cpu()?,
            worker: self.worker_time()?,
            own: system::own_cpu_time()?,
        })
    }

    /// Ends measuring.
    pub(crate) fn usage(&self, meter: &Meter) -> Result<Usage> {
        Ok(Usage {
            wall: meter.since.elapsed(),
            server: self.server.cpu()? - meter.server,
            worker: self.worker_time()? - meter.worker,
            own: system::own_cpu_time()? - meter.own,
        })
    }

    fn worker_time(&self) -> Result<Duration> {
        self.worker.map_or(Ok(Duration::ZERO), |thread| system::thread_time(self.server.pid(), thread))
    }

    /// Finds out which thread of the processor serves the clients (there is one worker): the one that is busy while some say
    /// hello.
    pub(crate) fn find_worker(&mut self) -> Result<()> {
        let before = system::thread_times(self.server.pid())?;
        let hello = r#"{"type":"hello"}"#;
        let slots = self.greet(20, Manner::Passing, 1, |_| hello.to_owned())?;
        for _ in 0..50 {
            let goal = self.fleet.seen.answers + slots.len() as u64;
            let hello = frame::masked(frame::TEXT, hello.as_bytes());
            slots.iter().for_each(|slot| self.fleet.send(*slot, &hello));
            ensure!(
                self.fleet.until(BURST_LIMIT, |fleet| fleet.seen.answers >= goal)?,
                "hello was not answered"
            );
        }
        let used = |(thread, time): &(u32, Duration)| {
            let before = before.iter().find(|(known, _)| known == thread);
            time.saturating_sub(before.map(|(_, time)| *time).unwrap_or_default())
        };
        let busiest = system::thread_times(self.server.pid())?.into_iter().max_by_key(used);
        self.worker = busiest.map(|(thread, _)| thread);
        slots.iter().for_each(|slot| self.fleet.leave(*slot));
        self.fleet.pass(Duration::from_millis(200))
    }

    /// Publishes a burst that was due at `due`.
    pub(crate) fn publish(&mut self, burst: &Burst, due: Instant) -> Result<()> {
        let at = self.fleet.seen.nanos(due);
        let numbers = if self.server.kind.is_processor() {
            let (body, numbers) = self.positions.body(&burst.devices, burst.steps);
            self.fleet.post(self.feed, body.as_bytes())?;
            numbers
        } else {
            let (bytes, numbers) = self.positions.bursts(&burst.devices, burst.steps);
            self.fleet.post(self.feed, &bytes)?;
            numbers
        };
        self.sent(numbers, at);
        Ok(())
    }

    /// Posts a body, or sends bursts to a peer, as they are; the numbers of the positions were due at `due`.
    pub(crate) fn publish_as(&mut self, bytes: &[u8], numbers: Range<u64>, due: Instant) -> Result<()> {
        self.sent(numbers, self.fleet.seen.nanos(due));
        self.fleet.post(self.feed, bytes)
    }

    fn sent(&mut self, numbers: Range<u64>, at: u64) {
        numbers.for_each(|number| self.fleet.seen.sent(number, at));
    }

    /// The server's processor time for a burst that goes to nobody, in microseconds.
    pub(crate) fn publishing(&mut self, burst: &Burst, time: Duration) -> Result<f64> {
        let load = self.saturate(burst, 0, time)?;
        Ok(load.usage.server.as_secs_f64() * 1e6 / load.bursts as f64)
    }

    /// Posts a body as it is, and waits for the answer.
    pub(crate) fn post(&mut self, body: &str) -> Result<()> {
        let feed = self.feed;
        self.fleet.post(feed, body.as_bytes())?;
        let answered = self.fleet.until(BURST_LIMIT, |fleet| fleet.feeds[feed].is_idle())?;
        ensure!(answered, "a post was not answered");
        Ok(())
    }

    /// Publishes as fast as it is delivered: a burst follows when all of the one before has arrived, so that no two
    /// bursts can be joined, by any server, into fewer writes than were asked for.
    pub(crate) fn saturate(&mut self, burst: &Burst, per_burst: u64, time: Duration) -> Result<Load> {
        self.saturate_with(per_burst, time, |rig| rig.publish(burst, Instant::now()))
    }

    /// The same, with bursts that `publish` makes.
    pub(crate) fn saturate_with(
        &mut self,
        per_burst: u64,
        time: Duration,
        mut publish: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<Load> {
        self.one_by_one(per_burst, time / 5, &mut publish)?;
        self.one_by_one(per_burst, time, &mut publish)
    }

    fn one_by_one(
        &mut self,
        per_burst: u64,
        time: Duration,
        publish: &mut impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<Load> {
        let feed = self.feed;
        let before = self.fleet.seen.positions;
        let odd = self.fleet.seen.odd;
        let meter = self.meter()?;
        let mut bursts = 0;
        while bursts == 0 || meter.since.elapsed() < time {
            publish(self)?;
            bursts += 1;
            let goal = before + bursts * per_burst;
            let arrived = self
                .fleet
                .napping(BURST_LIMIT, |fleet| fleet.seen.positions >= goal && fleet.feeds[feed].is_idle())?;
            let missing = goal.saturating_sub(self.fleet.seen.positions);
            ensure!(arrived, "{missing} of {per_burst} deliveries did not arrive");
        }
        let usage = self.usage(&meter)?;
        let deliveries = self.fleet.seen.positions - before;
        ensure!(deliveries == bursts * per_burst, "more arrived than was sent");
        ensure!(self.fleet.seen.odd == odd, "messages arrived with another length than they were sent with");
        Ok(Load { usage, bursts, deliveries })
    }

    /// Publishes `rate` bursts a second, whatever comes of them, and measures latency from the instant each was
    /// due. `also` is called before each turn.
    pub(crate) fn pace(
        &mut self,
        burst: &Burst,
        rate: f64,
        time: Duration,
        mut also: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<(Load, Latencies)> {
        self.fleet.seen.record();
        let before = self.fleet.seen.positions;
        let meter = self.meter()?;
        let mut bursts = 0;
        while meter.since.elapsed() < time {
            let due = meter.since + Duration::from_secs_f64(bursts as f64 / rate);
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.publish(burst, due)?;
                bursts += 1;
                continue;
            }
            also(self)?;
            // epoll waits whole milliseconds; the last one is spent looking.
            self.fleet.turn(left.saturating_sub(Duration::from_millis(1)).min(Duration::from_millis(10)))?;
        }
        let usage = self.usage(&meter)?;
        // What is still under way.
        self.fleet.pass(Duration::from_millis(500))?;
        let latencies = self.fleet.seen.recorded();
        let deliveries = self.fleet.seen.positions - before;
        Ok((Load { usage, bursts, deliveries }, latencies))
    }

    /// A page of the processor's ops server.
    pub(crate) fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.server.ops)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        if !page.starts_with("HTTP/1.1 200") {
            bail!("{path} was answered {page}");
        }
        Ok(page)
    }

    /// The sum of a metric of the processor over all of its series. That there are none is an error: the name is wrong.
    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        let page = self.get("/metrics")?;
        let series = page
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let values = series.map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()));
        let values: Vec<_> = values.collect::<Option<_>>().with_context(|| format!("metric {name}"))?;
        ensure!(!values.is_empty(), "there is no metric {name}");
        Ok(values.iter().sum())
    }
}
