//! `soak`: all of it, for long; does anything grow?

use std::time::{Duration, Instant};

use anyhow::Result;

use super::churn::Churn;
use crate::board::Board;
use crate::conn::Manner;
use crate::options::Options;
use crate::rig::{Burst, Rig};
use crate::server::Kind;

/// Points in time at which memory is looked at.
const LOOKS: u32 = 20;

const COLUMN: &str = "processor";

pub(crate) fn run(options: &Options) -> Result<Board> {
    let time = options.seconds(600.0, 15.0);
    let count = options.connections(1000, 200);
    let (stalled, per_second, rate) = (count / 100, 50, 10.0);
    let mut board = Board::new(
        "soak",
        format!(
            "{} s: {count} subscribers get {rate} bursts of 2 a second, {per_second} others a second come and go, and \
             {stalled} that never read are replaced as the server ends them. Ping every 2 s.",
            time.as_secs()
        ),
    );
    let mut setup = options.setup();
    setup.ping = Some(Duration::from_secs(2));
    let mut rig = Rig::start(Kind::Processor, &setup)?;
    // The first post opens what the server opens once.
    rig.saturate(&Burst::of(1), 0, Duration::from_millis(200))?;
    let files = rig.metric("process_open_fds")?;
    rig.subscribe(count, 1, Manner::Polite)?;
    let mut churn = Churn::new(per_second);
    let step = time / LOOKS;
    let mut memory = Vec::new();
    for look in 1..=LOOKS {
        let ended = rig.fleet.seen.ended.iter().filter(|(_, manner)| *manner == Manner::Stalled).count();
        let there = if look == 1 { 0 } else { stalled.saturating_sub(ended) };
        rig.fleet.seen.ended.clear();
        rig.fleet.open(&stalled_plan(stalled - there), Duration::from_secs(10))?;
        let (_, latencies) = rig.pace(&Burst::of(2), rate, step, |rig| churn.turn(rig))?;
        let bytes = rig.server.memory()?.resident;
        memory.push(bytes);
        let row = format!("after {:.0} s", step.as_secs_f64() * f64::from(look));
        board.add(format!("{row}: resident, MiB"), COLUMN, bytes / f64::from(1 << 20));
        board.add(format!("{row}: p99, ms"), COLUMN, latencies.at(0.99).as_secs_f64() * 1e3);
    }
    for manner in [Manner::Polite, Manner::Passing, Manner::Stalled] {
        rig.fleet.abort(manner);
    }
    let since = Instant::now();
    while rig.metric("processor_live_connections")? > 0.0 && since.elapsed() < Duration::from_secs(10) {
        rig.fleet.pass(Duration::from_millis(100))?;
    }
    let left = rig.metric("process_open_fds")?;
    board.add("connections, others than those that stayed", COLUMN, churn.came as f64);
    board.add("connections at the end, by the gauge", COLUMN, rig.metric("processor_live_connections")?);
    board.add("subscriptions at the end, by the gauge", COLUMN, rig.metric("processor_live_subscriptions")?);
    board.add("open files before", COLUMN, files);
    board.add("open files at the end", COLUMN, left);
    let half = memory.len() / 2;
    let most = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
    let grown = most(&memory[half..]) / most(&memory[..half]);
    board.at_most("most memory of the second half, to that of the first", Some(grown), 1.05);
    let gauge = board.median("connections at the end, by the gauge", COLUMN);
    board.at_most("connections at the end", gauge, 0.0);
    board.at_most("open files at the end, more than before", Some(left - files), 0.0);
    Ok(board)
}

fn stalled_plan(count: usize) -> crate::fleet::Plan {
    crate::fleet::Plan { count, manner: Manner::Stalled, topics: 1, subscribe: true }
}
