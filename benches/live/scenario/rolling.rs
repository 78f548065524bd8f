//! A rolling restart of the instances of `cluster`: their clients come back when `draining` told them to.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::board::Board;
use crate::engines::Engines;
use crate::instances::Instances;
use crate::options::Options;
use crate::plot::{BAR_MS, Curve};

/// How many instances there are.
const INSTANCES: usize = 3;

/// Positions a second meanwhile.
const RATE: f64 = 50.0;

/// Beyond what the settings ask for, until all clients are back and the instance has ended.
const PATIENCE: Duration = Duration::from_secs(20);

const BUSIEST: &str = "rolling restart: clients back in the busiest 100 ms, to the mean";

/// What the settings ask for.
struct Pace {
    /// From the first close to the last.
    drain_ms: u64,
    /// Clients come back within this time after their close.
    reconnect_ms: u64,
}

impl Pace {
    /// How many bars the arrivals of one restart are spread over.
    fn bars(&self) -> f64 {
        (self.drain_ms + self.reconnect_ms) as f64 / BAR_MS as f64
    }
}

/// Restarts all instances, one after the other, adds what came of it to the board, and draws it.
pub(super) fn run(
    column: &'static str,
    engines: &mut Engines,
    options: &Options,
    board: &mut Board,
) -> Result<()> {
    let clients = options.pick(2000, 300);
    let (drain_ms, reconnect_ms) = options.pick((2000, 3000), (500, 1000));
    let pace = Pace { drain_ms, reconnect_ms };
    let setup = engines.join(options.all_cores()?)?;
    let setup = setup.with("LIVE_WS_DRAIN_SPREAD_MS", pace.drain_ms);
    let setup = setup.with("LIVE_WS_RECONNECT_SPREAD_MS", pace.reconnect_ms);
    let setup = setup.with("LIVE_WS_DRAIN_TIMEOUT_MS", pace.drain_ms + 6000);
    let mut instances = Instances::start(INSTANCES, setup, RATE, "")?;
    instances.subscribe(clients)?;
    instances.pass(Duration::from_millis(500))?;
    let first = instances.fleet.seen.now();
    let mut curve = Curve::default();
    let mut busiest = 0.0_f64;
    for instance in 0..INSTANCES {
        let count = instances.held[instance];
        let begun = instances.fleet.seen.now();
        let arrivals = restart(&mut instances, instance, &pace)?;
        let mean = count as f64 / pace.bars();
        let bars: Vec<_> = arrivals.iter().map(|at| bar(*at - begun)).collect();
        let most = most_alike(&bars).context("nobody came back")?;
        busiest = busiest.max(most as f64 / mean);
        let offset = bar(begun - first);
        curve.add(bars.iter().map(|bar| offset + bar));
        curve.want(offset, pace.bars(), mean);
        instances.replace(instance)?;
        instances.pass(Duration::from_millis(500))?;
    }
    board.add(BUSIEST, column, busiest);
    let title = format!(
        "Rolling restart of {INSTANCES} instances, {clients} clients: closed over {drain_ms} ms, told to come back over \
         {reconnect_ms} ms (red: evenly)"
    );
    let file = file(options);
    std::fs::write(&file, curve.svg(&title)).with_context(|| file.display().to_string())?;
    if !options.short {
        board.note("the rolling restart: [rolling-restart.svg](rolling-restart.svg), of the last round");
    }
    Ok(())
}

/// What is asked of it.
pub(super) fn target(column: &str, board: &mut Board) {
    board.at_most(BUSIEST, board.median(BUSIEST, column), 1.5);
}

/// Where the plot is kept; a short run is no result.
fn file(options: &Options) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/benches");
    Path::new(options.pick(folder, env!("CARGO_TARGET_TMPDIR"))).join("rolling-restart.svg")
}

fn bar(nanos: u64) -> usize {
    (nanos / 1_000_000 / BAR_MS) as usize
}

/// How often the most frequent number is there.
fn most_alike(numbers: &[usize]) -> Option<usize> {
    let last = *numbers.iter().max()?;
    let mut counts = vec![0; last + 1];
    numbers.iter().for_each(|number| counts[*number] += 1);
    counts.into_iter().max()
}

/// Ends one; its clients come back when they were told to, to the others in turn. Returns when each was connected again.
fn restart(instances: &mut Instances, instance: usize, pace: &Pace) -> Result<Vec<u64>> {
    let count = instances.held[instance];
    let mut others = (0..INSTANCES).filter(|other| *other != instance).cycle();
    instances.fleet.seen.openings.clear();
    instances.fleet.seen.returns.clear();
    let mut due = BinaryHeap::new();
    let limit = Duration::from_millis(pace.drain_ms + pace.reconnect_ms) + PATIENCE;
    let since = Instant::now();
    instances.servers[instance].terminate()?;
    let mut exit = None;
    while exit.is_none() || instances.fleet.seen.openings.len() < count {
        instances.turn(Some(instance))?;
        let seen = &mut instances.fleet.seen;
        ensure!(seen.failed == 0, "{} handshakes failed; {}", seen.failed, seen.failure);
        let back = seen.openings.len();
        ensure!(since.elapsed() < limit, "{back} of {count} clients back after {limit:?}, exit {exit:?}");
        due.extend(seen.returns.drain(..).map(Reverse));
        let now = seen.now();
        while due.peek().is_some_and(|Reverse(at)| *at <= now) {
            due.pop();
            instances.begin(others.next().context("no other instance")?)?;
        }
        if exit.is_none() {
            exit = instances.servers[instance].exited()?;
        }
    }
    let status = exit.context("it has ended")?;
    ensure!(status.success(), "an instance ended with {status}");
    Ok(std::mem::take(&mut instances.fleet.seen.openings))
}
