//! `ingest`: positions a second that are stored durably.

use std::ops::Range;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::board::Board;
use crate::conn::Manner;
use crate::options::Options;
use crate::payload::Positions;
use crate::rig::Rig;
use crate::server::{self, Kind};

/// Connections that post.
const POSTERS: usize = 64;

/// Positions in one post.
const BATCHES: [usize; 3] = [1, 100, 1000];

const SQLITE: &str = "SQLite alone";

pub(crate) fn run(options: &Options) -> Result<Board> {
    let mut board = Board::new(
        "ingest",
        format!(
            "{POSTERS} keep-alive connections, each posting positions of its own devices, the next post when the one \
             before was answered. One client is subscribed to one device. SQLite alone commits the same groups \
             (WAL, synchronous FULL, the same disk) right after."
        ),
    );
    if options.kinds(&[Kind::Processor]).is_empty() {
        return Ok(board);
    }
    for _ in 0..options.rounds() {
        for batch in BATCHES {
            for kind in options.kinds(&[Kind::Processor]) {
                one(kind, batch, options, &mut board)?;
            }
        }
    }
    let row = format!("posts of 1: {RATE}");
    let rate = board.median(&row, "processor").map(|rate| rate / 5000.0);
    let ratio = board.ratio(&row, SQLITE).map(|ratio| ratio / 0.8);
    let better = rate.zip(ratio).map(|(rate, ratio)| rate.max(ratio));
    board.at_least(
        "posts of 1: positions/s, to 5,000 or to 0.8 × SQLite alone, whichever is better met",
        better,
        1.0,
    );
    Ok(board)
}

const RATE: &str = "durable positions/s";

/// One connection that posts.
struct Poster {
    feed: usize,
    devices: Range<usize>,
    positions: Positions,
}

fn one(kind: Kind, batch: usize, options: &Options, board: &mut Board) -> Result<()> {
    let row = |what: &str| format!("posts of {batch}: {what}");
    let mut rig = Rig::start(kind, &options.setup())?;
    let mut posters = Vec::new();
    for number in 0..POSTERS {
        let feed = rig.fleet.feed(rig.server.ops, true)?;
        let devices = number * batch..(number + 1) * batch;
        posters.push(Poster { feed, devices, positions: Positions::new(0) });
    }
    rig.subscribe(1, 1, Manner::Polite)?;
    post(&mut rig, &mut posters, Duration::from_millis(300))?;
    rig.fleet.seen.record();
    let before = (rig.metric(ACCEPTED)?, rig.metric(COMMITTED)?, rig.metric(COMMITS)?);
    let meter = rig.meter()?;
    post(&mut rig, &mut posters, options.seconds(5.0, 1.0))?;
    let usage = rig.usage(&meter)?;
    let accepted = rig.metric(ACCEPTED)? - before.0;
    let group = (rig.metric(COMMITTED)? - before.1) / (rig.metric(COMMITS)? - before.2);
    rig.fleet.pass(Duration::from_millis(300))?;
    let latencies = rig.fleet.seen.recorded();
    board.add(row(RATE), kind.name(), accepted / usage.wall.as_secs_f64());
    board.add(row("positions in a commit"), kind.name(), group);
    let cost = usage.server.as_secs_f64() * 1e6 / accepted;
    board.add(row("CPU µs per position"), kind.name(), cost);
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let latency = latencies.at(share).as_secs_f64() * 1e3;
        board.add(row(&format!("post to client {name}, ms")), kind.name(), latency);
    }
    board.generator(&format!("posts of {batch}"), kind.name(), usage.own_share());
    drop(rig);
    if kind != Kind::Processor {
        return Ok(());
    }
    let rate = sqlite(group.round().max(1.0) as usize, batch * POSTERS, options)?;
    board.add(row(RATE), SQLITE, rate);
    Ok(())
}

const ACCEPTED: &str = "processor_positions_accepted_total";
const COMMITTED: &str = "processor_store_commit_positions_sum";
const COMMITS: &str = "processor_store_commit_positions_count";

/// Lets all posters post, and waits for their last answers.
fn post(rig: &mut Rig, posters: &mut [Poster], time: Duration) -> Result<()> {
    let since = Instant::now();
    loop {
        let go_on = since.elapsed() < time;
        let mut idle = true;
        for (number, poster) in posters.iter_mut().enumerate() {
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
        ensure!(since.elapsed() < time + Duration::from_secs(20), "posts were not answered");
        rig.fleet.turn(Duration::from_millis(20))?;
    }
}

/// Positions a second that SQLite commits in groups of this size, on the server's core.
fn sqlite(group: usize, devices: usize, options: &Options) -> Result<f64> {
    let folder = server::folder()?;
    let time = options.seconds(3.0, 1.0).as_secs_f64();
    let mut command = server::command(&options.setup().cores, std::env::current_exe()?)?;
    command.arg("peer-sqlite").arg(folder.path().join("positions.db"));
    command.args([group.to_string(), devices.to_string(), time.to_string()]);
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "peer-sqlite ended with {}", output.status);
    String::from_utf8(output.stdout)?.trim().parse().context("peer-sqlite printed no number")
}
