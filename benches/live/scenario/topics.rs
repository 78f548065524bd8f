//! `topics`: the same subscribers spread over many topics.

use anyhow::Result;

use crate::board::Board;
use crate::conn::Manner;
use crate::options::Options;
use crate::rig::{Burst, Rig};
use crate::server::Kind;

const COST: &str = "CPU s per million deliveries";

pub(crate) fn run(options: &Options) -> Result<Board> {
    let (count, topics) = (options.connections(5000, 1000), options.pick(1000, 200));
    let mut board = Board::new(
        "topics",
        format!(
            "{count} subscribers, all of one topic or spread over {topics}. Both times one position of each of \
             {topics} devices is published at once, so that posts and deliveries are the same; with one topic, all \
             but one of the positions go to nobody."
        ),
    );
    let burst = Burst { devices: 0..topics, steps: 1 };
    for kind in options.turns(&Kind::ALL) {
        for spread in [1, topics] {
            let mut rig = Rig::start(kind, &options.setup())?;
            rig.subscribe(count, spread, Manner::Polite)?;
            let load = rig.saturate(&burst, count as u64, options.seconds(3.0, 0.6))?;
            let row = |what: &str| format!("{spread} topics: {what}");
            board.add(row(COST), kind.name(), load.cost());
            board.add(row("deliveries/s"), kind.name(), load.rate());
            board.generator(&format!("{spread} topics"), kind.name(), load.usage.own_share());
        }
    }
    let cost = |spread: usize| board.median(&format!("{spread} topics: {COST}"), "processor");
    let grown = cost(topics).zip(cost(1)).map(|(many, one)| many / one);
    board.at_most(format!("CPU, 1 to {topics} topics"), grown, 1.2);
    Ok(board)
}
