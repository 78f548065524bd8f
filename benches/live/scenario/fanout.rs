//! `fanout`: many subscribers of one topic.

use anyhow::Result;

use crate::board::Board;
use crate::conn::Manner;
use crate::options::Options;
use crate::rig::{Burst, Rig};
use crate::server::{Kind, Setup};

const STEPS: [usize; 3] = [1, 2, 8];

pub(crate) fn run(options: &Options) -> Result<Board> {
    let count = options.connections(5000, 1000);
    let mut board = Board::new(
        "fanout",
        format!(
            "{count} subscribers of one topic. Saturation: the next burst is published when all of the one before \
             has arrived. Latency: at half of that rate, whatever arrives, from the instant a burst was due."
        ),
    );
    for kind in options.turns(&Kind::ALL) {
        measure(kind.name(), kind, &options.setup(), count, options, &mut board)?;
    }
    if options.kinds(&Kind::ALL).contains(&Kind::Processor) {
        let two = options.two_workers()?;
        for _ in 0..options.rounds() {
            measure("two workers", Kind::Processor, &two, count, options, &mut board)?;
        }
        if options.shares_core(&two)? {
            board.note("two workers: the second one shares its core with the generator");
        }
    }
    let cost = |board: &Board, steps, peer| board.ratio(&row(steps, COST), peer);
    for (steps, peer, bound) in [
        (1, "limit", 1.05),
        (1, "tungstenite", 0.5),
        (1, "ws", 0.7),
        (8, "limit", 1.0),
        (8, "tungstenite", 0.2),
        (8, "ws", 0.2),
    ] {
        let text = format!("bursts of {steps}: CPU per delivery, to {peer}'s");
        board.at_most(text, cost(&board, steps, peer), bound);
    }
    let p99 = board.ratio(&row(1, P99), "limit");
    board.at_most("bursts of 1: p99 at half load, to limit's", p99, 1.3);
    Ok(board)
}

const COST: &str = "CPU s per million deliveries";
const P99: &str = "p99 at half load, ms";

fn row(steps: usize, what: &str) -> String {
    format!("bursts of {steps}: {what}")
}

fn measure(
    column: &'static str,
    kind: Kind,
    setup: &Setup,
    count: usize,
    options: &Options,
    board: &mut Board,
) -> Result<()> {
    let mut rig = Rig::start(kind, setup)?;
    let posts = STEPS.map(|steps| rig.publishing(&Burst::of(steps), options.seconds(1.0, 0.3)));
    rig.subscribe(count, 1, Manner::Polite)?;
    for (steps, post) in STEPS.into_iter().zip(posts) {
        let burst = Burst::of(steps);
        let load = rig.saturate(&burst, (count * steps) as u64, options.seconds(3.0, 0.6))?;
        board.add(row(steps, "deliveries/s"), column, load.rate());
        board.add(row(steps, COST), column, load.cost());
        board.add(
            row(steps, "the same without what publishing to nobody costs"),
            column,
            load.net_cost(post?),
        );
        board.generator(&row(steps, "saturation"), column, load.usage.own_share());
        let rate = load.rate() / 2.0 / (count * steps) as f64;
        let (load, latencies) = rig.pace(&burst, rate, options.seconds(4.0, 1.0), |_| Ok(()))?;
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            let row = row(steps, &format!("{name} at half load, ms"));
            board.add(row, column, latencies.at(share).as_secs_f64() * 1e3);
        }
        let missing = (load.bursts * (count * steps) as u64).saturating_sub(load.deliveries);
        if missing > 0 {
            board.note(format!("{column}: {missing} deliveries missing at half load"));
        }
    }
    Ok(())
}
