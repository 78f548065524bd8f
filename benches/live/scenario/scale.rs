//! `scale`: what a delivery costs as subscribers become more.

use anyhow::Result;

use crate::board::Board;
use crate::conn::Manner;
use crate::options::Options;
use crate::rig::{Burst, Rig};
use crate::server::Kind;

const COST: &str = "CPU s per million deliveries";
const NET: &str = "the same without what publishing to nobody costs";

pub(crate) fn run(options: &Options) -> Result<Board> {
    let counts = if options.short { vec![100, 2000] } else { vec![100, 1000, 5000, 18_500] };
    let (few, many) = (counts[0], counts[counts.len() - 1]);
    let mut board = Board::new(
        "scale",
        "Bursts of 1 to the subscribers of one topic, as in fanout. What it costs to publish to nobody (to take, \
         store and answer a post) is measured first and taken off: spread over few deliveries it would weigh more.",
    );
    for kind in options.turns(&[Kind::Processor, Kind::Limit]) {
        let column = kind.name();
        let mut rig = Rig::start(kind, &options.setup())?;
        let post = rig.publishing(&Burst::of(1), options.seconds(1.0, 0.5))?;
        board.add("publishing to nobody, CPU µs", column, post);
        let mut open = 0;
        for &count in &counts {
            rig.subscribe(count - open, 1, Manner::Polite)?;
            open = count;
            let load = rig.saturate(&Burst::of(1), count as u64, options.seconds(3.0, 0.6))?;
            board.add(format!("{count}: {COST}"), column, load.cost());
            board.add(format!("{count}: {NET}"), column, load.net_cost(post));
            board.generator(&count.to_string(), column, load.usage.own_share());
        }
    }
    for column in ["processor", "limit"] {
        let grown = |board: &Board, what| {
            let at = |count: usize| board.median(&format!("{count}: {what}"), column);
            Some(at(many)? / at(few)?)
        };
        if let (Some(gross), Some(net)) = (grown(&board, COST), grown(&board, NET)) {
            board.note(format!(
                "{column}: {few} to {many} subscribers, grows {net:.2} × ({gross:.2} × with publishing)"
            ));
            if column == "processor" {
                board.at_most(format!("cost per delivery, {few} to {many} subscribers"), Some(net), 1.3);
            }
        }
    }
    Ok(board)
}
