//! `drain`: the server is told to stop.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::board::Board;
use crate::conn::Manner;
use crate::options::Options;
use crate::rig::Rig;
use crate::server::Kind;

const COLUMN: &str = "processor";

/// For the whole drain: the processor's own timeout is 5 s.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn run(options: &Options) -> Result<Board> {
    let count = options.connections(10_000, 2000);
    let rude = count / 100;
    let mut board = Board::new(
        "drain",
        format!(
            "{count} connections, of which {rude} never answer a close. Times are from SIGTERM on; the rude ones are \
             cut off after 5 s, the processor's default."
        ),
    );
    for kind in options.turns(&[Kind::Processor]) {
        for (name, rude) in [("with rude ones", rude), ("without", 0)] {
            let mut rig = Rig::start(kind, &options.setup())?;
            rig.subscribe(count - rude, 1, Manner::Polite)?;
            if rude > 0 {
                rig.subscribe(rude, 1, Manner::Rude)?;
            }
            one(&mut rig, name, count, &mut board)?;
        }
    }
    for name in ["with rude ones", "without"] {
        let median = |what: &str| board.median(&format!("{name}: {what}"), COLUMN);
        let (polite, last) = (median("last polite one gone, s"), median("last one gone, s"));
        let exit = median("exit, s").zip(last).map(|(exit, last)| exit - last);
        board.at_most(format!("{name}: last polite client closed, s"), polite, 1.0);
        board.at_most(format!("{name}: exit after the last one is gone, s"), exit, 0.5);
    }
    Ok(board)
}

fn one(rig: &mut Rig, name: &str, count: usize, board: &mut Board) -> Result<()> {
    let (since, begun) = (Instant::now(), rig.fleet.seen.now());
    rig.server.terminate()?;
    let mut exit = None;
    while exit.is_none() || rig.fleet.seen.ended.len() < count {
        rig.fleet.turn(Duration::from_millis(2))?;
        if exit.is_none()
            && let Some(status) = rig.server.exited()?
        {
            exit = Some(since.elapsed());
            if !status.success() {
                board.note(format!("{name}: ended with {status}"));
            }
        }
        if since.elapsed() > LIMIT {
            bail!("{} of {count} gone after {LIMIT:?}", rig.fleet.seen.ended.len());
        }
    }
    let seen = &rig.fleet.seen;
    let seconds = |at: Option<&u64>| at.map_or(f64::NAN, |at| at.saturating_sub(begun) as f64 / 1e9);
    let gone = |manner| seen.ended.iter().filter(move |(_, other)| *other == manner).map(|(at, _)| at);
    let mut add = |what: &str, value| board.add(format!("{name}: {what}"), COLUMN, value);
    add("first close frame, s", seconds(seen.closes.iter().min()));
    add("last close frame, s", seconds(seen.closes.iter().max()));
    add("close frames", seen.closes.len() as f64);
    add("last polite one gone, s", seconds(gone(Manner::Polite).max()));
    add("last one gone, s", seconds(gone(Manner::Polite).chain(gone(Manner::Rude)).max()));
    add("exit, s", exit.map_or(f64::NAN, |exit| exit.as_secs_f64()));
    Ok(())
}
