//! `wscat`: real clients that others wrote.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::board::Board;
use crate::options::Options;
use crate::payload;
use crate::rig::{Burst, Rig};
use crate::server::{self, Guard, Kind};

/// How long it may take until all have subscribed, or received all.
const LIMIT: Duration = Duration::from_secs(180);

pub(crate) fn run(options: &Options) -> Result<Board> {
    let (count, bursts) = (options.connections(100, 10), 50);
    let mut board = Board::new(
        "wscat",
        format!("{count} processes of wscat, subscribed to one topic; {bursts} positions, 20 a second."),
    );
    for kind in options.turns(&[Kind::Processor]) {
        let mut rig = Rig::start(kind, &options.setup())?;
        let folder = server::folder()?;
        let since = Instant::now();
        let clients: Vec<Guard> =
            (0..count).map(|number| start(&rig, folder.path(), number)).collect::<Result<_>>()?;
        while rig.metric("processor_live_subscriptions")? < count as f64 {
            ensure!(since.elapsed() < LIMIT, "not all clients subscribed");
            rig.fleet.pass(Duration::from_millis(200))?;
        }
        board.add("all subscribed after, s", kind.name(), since.elapsed().as_secs_f64());
        let meter = rig.meter()?;
        let since = Instant::now();
        let mut published = 0;
        while published < bursts {
            rig.publish(&Burst::of(1), Instant::now())?;
            published += 1;
            rig.fleet.pass(Duration::from_millis(50))?;
        }
        let mut whole = 0;
        while whole < count && since.elapsed() < LIMIT {
            rig.fleet.pass(Duration::from_millis(200))?;
            whole = 0;
            for number in 0..count {
                whole += usize::from(received(folder.path(), number)? >= bursts);
            }
        }
        let usage = rig.usage(&meter)?;
        board.add("clients that received all in order", kind.name(), whole as f64);
        let cost = usage.server.as_secs_f64() * 1e6 / (count * bursts) as f64;
        board.add("CPU s per million deliveries, publishing included", kind.name(), cost);
        drop(clients);
    }
    let whole = board.median("clients that received all in order", "processor");
    board.at_least("clients that received all in order", whole, count as f64);
    Ok(board)
}

/// Starts one client, which writes what it receives to a file.
fn start(rig: &Rig, folder: &Path, number: usize) -> Result<Guard> {
    let modules = server::install_peers()?;
    let mut command = server::command(&crate::system::cores()?, "node")?;
    let topic = payload::topic(0);
    command
        .arg(modules.join("wscat/bin/wscat"))
        .args(["--no-color", "--connect", &format!("ws://{}", rig.server.live)])
        .args(["--wait", "600", "--execute", &format!(r#"{{"type":"subscribe","topic":"{topic}"}}"#)])
        // It ends when its input does.
        .stdin(Stdio::piped())
        .stdout(File::create(folder.join(number.to_string()))?)
        .stderr(Stdio::null());
    Ok(Guard(command.spawn().context("cannot start wscat")?))
}

/// How many positions one client has received; an error if they are not in order.
fn received(folder: &Path, number: usize) -> Result<usize> {
    let text = fs::read_to_string(folder.join(number.to_string()))?;
    let lines = text.lines().filter_map(|line| Some(&line[line.find(r#"{"type":"position""#)?..]));
    let stamps = lines.filter_map(|line| line.split_once(r#""timestamp":""#)?.1.get(..24));
    let stamps: Vec<_> = stamps.collect();
    ensure!(stamps.is_sorted_by(|a, b| a < b), "client {number} received positions out of order");
    Ok(stamps.len())
}
