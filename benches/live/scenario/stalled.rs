//! `stalled`: a tenth of the subscribers never read.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::board::Board;
use crate::conn::Manner;
use crate::options::Options;
use crate::rig::{Burst, Rig};
use crate::server::Kind;

/// Bytes that may wait for one client; the processor's default.
const OUTBOX: usize = 262_144;

pub(crate) fn run(options: &Options) -> Result<Board> {
    let count = options.connections(5000, 1000);
    let (stalled, healthy) = (count / 10, count - count / 10);
    let ping = options.pick(Duration::from_secs(4), Duration::from_secs(2));
    let mut board = Board::new(
        "stalled",
        format!(
            "{healthy} subscribers get bursts of 8 at half of saturation; first alone, then with {stalled} more that \
             never read. Ping every {} s, the processor's pong timeout is twice that.",
            ping.as_secs()
        ),
    );
    for kind in options.turns(&Kind::ALL) {
        one(kind, (healthy, stalled), ping, options, &mut board)?;
    }
    let median = |board: &Board, row: &str| board.median(row, "processor");
    let p99 = median(&board, "with stalled: p99, ms").zip(median(&board, "alone: p99, ms"));
    board.at_most("healthy p99, to that without stalled ones", p99.map(|(with, alone)| with / alone), 1.2);
    let bound = (OUTBOX * stalled) as f64 / f64::from(1 << 20);
    let grown = median(&board, "memory grown at most, MiB");
    board.at_most("memory grown, MiB, to outbox size × stalled ones", grown, bound);
    Ok(board)
}

fn one(
    kind: Kind,
    (healthy, stalled): (usize, usize),
    ping: Duration,
    options: &Options,
    board: &mut Board,
) -> Result<()> {
    let column = kind.name();
    let mut setup = options.setup().with("LIVE_WS_OUTBOX_BYTES", OUTBOX);
    setup.ping = Some(ping);
    let mut rig = Rig::start(kind, &setup)?;
    rig.subscribe(healthy, 1, Manner::Polite)?;
    let burst = Burst::of(8);
    let deliveries = (healthy * burst.steps) as u64;
    let rate = rig.saturate(&burst, deliveries, options.seconds(2.0, 0.5))?.rate() / 2.0 / deliveries as f64;
    for (name, guests) in [("alone", 0), ("with stalled", stalled)] {
        if guests > 0 {
            rig.subscribe(guests, 1, Manner::Stalled)?;
        }
        let since = Instant::now();
        let begun = rig.fleet.seen.now();
        let before = rig.server.memory()?.resident;
        let (mut most, mut looked) = (before, since);
        // As long as it takes the processor to be rid of the stalled ones, and half as long again.
        let time = if guests == 0 { options.seconds(5.0, 1.5) } else { ping * 3 };
        let (load, latencies) = rig.pace(&burst, rate, time, |rig| {
            if looked.elapsed() > Duration::from_millis(100) {
                looked = Instant::now();
                most = most.max(rig.server.memory()?.resident);
            }
            Ok(())
        })?;
        for (what, share) in [("p50, ms", 0.5), ("p99, ms", 0.99)] {
            board.add(format!("{name}: {what}"), column, latencies.at(share).as_secs_f64() * 1e3);
        }
        board.add(format!("{name}: CPU s per million deliveries"), column, load.cost());
        let missing = (load.bursts * deliveries).saturating_sub(load.deliveries);
        if missing > 0 {
            board.note(format!("{column}, {name}: {missing} deliveries missing"));
        }
        if guests > 0 {
            board.add("memory grown at most, MiB", column, (most - before) / f64::from(1 << 20));
            let gone: Vec<u64> =
                rig.fleet.seen.ended.iter().map(|(at, _)| at.saturating_sub(begun)).collect();
            board.add("stalled ones gone", column, gone.len() as f64);
            if let (Some(first), Some(last)) = (gone.iter().min(), gone.iter().max()) {
                board.add("first gone after, s", column, *first as f64 / 1e9);
                board.add("last gone after, s", column, *last as f64 / 1e9);
            }
        }
    }
    Ok(())
}
