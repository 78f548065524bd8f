//! `Posters`: keep-alive connections, each of which posts positions of devices of its own.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::payload::Positions;
use crate::rig::{Rig, Usage};
use crate::seen::Latencies;

/// How long the last answers may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

const ACCEPTED: &str = "processor_positions_accepted_total";
const COMMITTED: &str = "processor_store_commit_positions_sum";
const COMMITS: &str = "processor_store_commit_positions_count";

/// Connections that post.
pub(crate) struct Posters {
    all: Vec<Poster>,
    batch: usize,
}

struct Poster {
    feed: usize,
    devices: Range<usize>,
    positions: Positions,
}

/// What came of posting as fast as posts are answered.
pub(crate) struct Durable {
    pub(crate) usage: Usage,
    /// Positions stored.
    pub(crate) accepted: f64,
    /// Positions in one commit.
    pub(crate) group: f64,
    /// From post to client, of the first poster's positions.
    pub(crate) latencies: Latencies,
}

impl Durable {
    /// Positions a second.
    pub(crate) fn rate(&self) -> f64 {
        self.accepted / self.usage.wall.as_secs_f64()
    }
}

impl Posters {
    /// Connects so many, whose posts have `batch` positions each.
    pub(crate) fn connect(rig: &mut Rig, count: usize, batch: usize) -> Result<Self> {
        let mut all = Vec::new();
        for number in 0..count {
            let feed = rig.fleet.feed(rig.server.ops, true)?;
            let devices = number * batch..(number + 1) * batch;
            all.push(Poster { feed, devices, positions: Positions::new(0) });
        }
        Ok(Self { all, batch })
    }

    /// How many devices they have together.
    pub(crate) fn devices(&self) -> usize {
        self.all.len() * self.batch
    }

    /// The first device of each.
    pub(crate) fn firsts(&self) -> Vec<usize> {
        self.all.iter().map(|poster| poster.devices.start).collect()
    }

    /// Lets all post, the next post when the one before was answered, and waits for the last answers.
    pub(crate) fn post(&mut self, rig: &mut Rig, time: Duration) -> Result<()> {
        let since = Instant::now();
        loop {
            let go_on = since.elapsed() < time;
            let mut idle = true;
            for (number, poster) in self.all.iter_mut().enumerate() {
                if !rig.fleet.feeds[poster.feed].is_idle() {
                    idle = false;
                } else if go_on {
                    idle = false;
                    let (body, steps) = poster.positions.body(&poster.devices, 1);
                    if number == 0 {
                        let now = rig.fleet.seen.now();
                        steps.for_each(|step| rig.fleet.seen.sent(step, now));
                    }
                    rig.fleet.post(poster.feed, body.as_bytes())?;
                }
            }
            if idle {
                return Ok(());
            }
            ensure!(since.elapsed() < time + ANSWER_LIMIT, "posts were not answered");
            rig.fleet.turn(Duration::from_millis(20))?;
        }
    }

    /// The same, measured.
    pub(crate) fn measure(&mut self, rig: &mut Rig, time: Duration) -> Result<Durable> {
        rig.fleet.seen.record();
        let before = (rig.metric(ACCEPTED)?, rig.metric(COMMITTED)?, rig.metric(COMMITS)?);
        let meter = rig.meter()?;
        self.post(rig, time)?;
        let usage = rig.usage(&meter)?;
        let accepted = rig.metric(ACCEPTED)? - before.0;
        let group = (rig.metric(COMMITTED)? - before.1) / (rig.metric(COMMITS)? - before.2);
        rig.fleet.pass(Duration::from_millis(300))?;
        Ok(Durable { usage, accepted, group, latencies: rig.fleet.seen.recorded() })
    }

    /// Makes `rate` posts a second, by all in turn, whatever comes of them, and measures from the instant each was due, after a
    /// fifth of that time to warm up. Returns how many posts there were. The posters must not have posted before.
    pub(crate) fn pace(&mut self, rig: &mut Rig, rate: f64, time: Duration) -> Result<(u64, Latencies)> {
        // One row of times for all, so that a time tells which post a position was in.
        let mut positions = Positions::new(0);
        let (since, mut posts, mut is_warm) = (Instant::now(), 0, false);
        while since.elapsed() < time.mul_f64(1.2) {
            if !is_warm && since.elapsed() > time.mul_f64(0.2) {
                is_warm = true;
                rig.fleet.seen.record();
            }
            let due = since + Duration::from_secs_f64(posts as f64 / rate);
            let left = due.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                // epoll waits whole milliseconds; the last one is spent looking.
                let wait = left.saturating_sub(Duration::from_millis(1)).min(Duration::from_millis(10));
                rig.fleet.turn(wait)?;
                continue;
            }
            let poster = &self.all[posts as usize % self.all.len()];
            let (body, steps) = positions.body(&poster.devices, 1);
            let at = rig.fleet.seen.nanos(due);
            steps.for_each(|step| rig.fleet.seen.sent(step, at));
            rig.fleet.post(poster.feed, body.as_bytes())?;
            posts += 1;
        }
        let feeds: Vec<usize> = self.all.iter().map(|poster| poster.feed).collect();
        let answered =
            rig.fleet.until(ANSWER_LIMIT, |fleet| feeds.iter().all(|feed| fleet.feeds[*feed].is_idle()))?;
        ensure!(answered, "posts were not answered");
        rig.fleet.pass(Duration::from_millis(500))?;
        Ok((posts, rig.fleet.seen.recorded()))
    }
}
