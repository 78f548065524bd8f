//! `bytes`: what a position is on the wire, and what a connection that may be sent compressed messages keeps in memory.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::cadence;
use crate::board::Board;
use crate::conn::Manner;
use crate::options::Options;
use crate::reports::{POSTS, Reports};
use crate::rig::Rig;
use crate::server::Kind;

/// A few are enough, as all are sent the same.
const SUBSCRIBERS: usize = 20;

const VARIANTS: [(&str, &str); 4] = [
    ("as they come", ""),
    ("as they come, batched", r#","batch":true"#),
    ("every second", r#","every_ms":1000"#),
    ("every second, batched", r#","every_ms":1000,"batch":true"#),
];

const BYTES: &str = "bytes per position";
const RESIDENT: &str = "resident per idle connection, KiB";

/// Given to a server to give memory back.
const SETTLE: Duration = Duration::from_secs(1);

fn row(name: &str, deflate: bool, what: &str) -> String {
    format!("{name}{}: {what}", if deflate { ", deflated" } else { "" })
}

pub(crate) fn run(options: &Options) -> Result<Board> {
    let (devices, idle) = (options.pick(1000, 200), options.connections(5000, 1000));
    let mut board = Board::new(
        "bytes",
        format!(
            "An event with {devices} devices that drive about and report once a second, {} in a post. Bytes are those of \
             the WebSocket frames that {SUBSCRIBERS} subscribers receive. Each message is inflated and read as JSON once. \
             Then {idle} connections idle that have, or have not, negotiated permessage-deflate.",
            devices / POSTS
        ),
    );
    for kind in options.turns(&[Kind::Processor]) {
        for deflate in [false, true] {
            for (name, wish) in VARIANTS {
                measure(kind, name, wish, deflate, devices, options, &mut board)?;
            }
            memory(kind, deflate, idle, options, &mut board)?;
        }
    }
    let best = board.median(&row("every second, batched", true, BYTES), "processor");
    board.at_most(row("every second, batched", true, BYTES), best, 35.0);
    let memory = |board: &Board, deflate| board.median(&row("idle", deflate, RESIDENT), "processor");
    let grown = memory(&board, true).zip(memory(&board, false)).map(|(with, without)| with / without);
    board.at_most("memory per idle connection, deflated to not", grown, 1.1);
    Ok(board)
}

fn measure(
    kind: Kind,
    name: &str,
    wish: &str,
    deflate: bool,
    devices: usize,
    options: &Options,
    board: &mut Board,
) -> Result<()> {
    let mut rig = Rig::start(kind, &options.setup())?;
    if !cadence::subscribers(&mut rig, SUBSCRIBERS, wish, deflate, board)? {
        return Ok(());
    }
    let mut reports = Reports::new(devices);
    // All devices are known, then one or two steps.
    reports.pass(&mut rig, Duration::from_millis(1200))?;
    let (before, bytes) = (rig.fleet.seen.positions, rig.fleet.seen.bytes);
    reports.pass(&mut rig, options.seconds(2.0, 1.1))?;
    rig.check()?;
    let positions = rig.fleet.seen.positions - before;
    ensure!(positions > 0, "{name}: no positions came");
    let bytes = (rig.fleet.seen.bytes - bytes) as f64 / positions as f64;
    board.add(row(name, deflate, BYTES), kind.name(), bytes);
    Ok(())
}

fn memory(kind: Kind, deflate: bool, count: usize, options: &Options, board: &mut Board) -> Result<()> {
    let mut rig = Rig::start(kind, &options.setup())?;
    rig.fleet.deflate = deflate;
    // What any server allocates once is not a connection's.
    rig.connect(100, Manner::Passing)?;
    rig.fleet.abort(Manner::Passing);
    rig.fleet.pass(Duration::from_millis(500))?;
    let empty = rig.server.memory()?.resident;
    let deflating = rig.fleet.seen.deflating;
    rig.connect(count, Manner::Passing)?;
    if deflate && rig.fleet.seen.deflating < deflating + count {
        return Ok(());
    }
    rig.fleet.pass(SETTLE)?;
    let each = (rig.server.memory()?.resident - empty) / 1024.0 / count as f64;
    board.add(row("idle", deflate, RESIDENT), kind.name(), each);
    Ok(())
}
