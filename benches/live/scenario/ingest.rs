//! `ingest`: positions a second that are stored durably.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::board::Board;
use crate::conn::Manner;
use crate::options::Options;
use crate::posters::Posters;
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

fn one(kind: Kind, batch: usize, options: &Options, board: &mut Board) -> Result<()> {
    let row = |what: &str| format!("posts of {batch}: {what}");
    let mut rig = Rig::start(kind, &options.setup())?;
    let mut posters = Posters::connect(&mut rig, POSTERS, batch)?;
    rig.subscribe(1, 1, Manner::Polite)?;
    posters.post(&mut rig, Duration::from_millis(300))?;
    let durable = posters.measure(&mut rig, options.seconds(5.0, 1.0))?;
    board.add(row(RATE), kind.name(), durable.rate());
    board.add(row("positions in a commit"), kind.name(), durable.group);
    let cost = durable.usage.server.as_secs_f64() * 1e6 / durable.accepted;
    board.add(row("CPU µs per position"), kind.name(), cost);
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let latency = durable.latencies.at(share).as_secs_f64() * 1e3;
        board.add(row(&format!("post to client {name}, ms")), kind.name(), latency);
    }
    board.generator(&format!("posts of {batch}"), kind.name(), durable.usage.own_share());
    drop(rig);
    if kind != Kind::Processor {
        return Ok(());
    }
    let rate = sqlite(durable.group.round().max(1.0) as usize, posters.devices(), options)?;
    board.add(row(RATE), SQLITE, rate);
    Ok(())
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
