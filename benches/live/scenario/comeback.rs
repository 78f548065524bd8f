//! `comeback`: all who were connected come back at the same time and ask for the same topic.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::board::Board;
use crate::conn::Manner;
use crate::frame;
use crate::options::Options;
use crate::rig::Rig;
use crate::server::Kind;
use crate::system;

const COLUMN: &str = "processor";

/// Who reports while they come back, and how often: nobody; a device that is not in the event; one that is.
const REPORTS: [(&str, Option<(&str, Duration)>); 3] = [
    ("at rest", None),
    ("others moving", Some(("other", Duration::from_millis(2)))),
    ("moving", Some(("back", Duration::from_millis(50)))),
];

/// For all to have their snapshot.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run(options: &Options) -> Result<Board> {
    let (count, devices) = (options.connections(5000, 500), options.pick(1000, 100));
    let mut board = Board::new(
        "comeback",
        format!(
            "{count} clients connect, then all subscribe at once to an event with {devices} devices; each gets a \
             snapshot of them all. First while nothing moves, then while a device that is not in the event reports \
             every 2 ms, then while one that is in it reports every 50 ms. The generator copies each snapshot twice, \
             so that the time is often its own."
        ),
    );
    for kind in options.turns(&[Kind::Processor]) {
        for (name, reports) in REPORTS {
            let mut rig = Rig::start(kind, &options.setup())?;
            rig.post(&body("back", 0..devices, 0))?;
            rig.connect(count, Manner::Passing)?;
            rig.fleet.pass(Duration::from_millis(500))?;
            one(&mut rig, name, reports, count, &mut board)?;
        }
    }
    Ok(board)
}

fn one(
    rig: &mut Rig,
    name: &str,
    reports: Option<(&str, Duration)>,
    count: usize,
    board: &mut Board,
) -> Result<()> {
    system::forget_peak(rig.server.pid())?;
    let before = rig.server.memory()?.resident;
    let (answers, bytes) = (rig.fleet.seen.answers, rig.fleet.seen.bytes);
    let subscribe = frame::masked(frame::TEXT, br#"{"type":"subscribe","topic":"event:comeback","id":"a1"}"#);
    let meter = rig.meter()?;
    let since = Instant::now();
    rig.fleet.send_all(|_| subscribe.clone());
    let mut steps = 0;
    while rig.fleet.seen.answers < answers + count as u64 {
        ensure!(since.elapsed() < LIMIT, "not all snapshots came");
        rig.fleet.turn(Duration::from_millis(2))?;
        if let Some((device, step)) = reports
            && since.elapsed() > step * steps
        {
            steps += 1;
            rig.post(&body(device, 0..1, steps))?;
        }
    }
    let usage = rig.usage(&meter)?;
    let grown = rig.server.memory()?.peak - before;
    let row = |what: &str| format!("{name}: {what}");
    board.add(row("all have their snapshot after, s"), COLUMN, usage.wall.as_secs_f64());
    board.add(row("CPU µs per client"), COLUMN, usage.server.as_secs_f64() * 1e6 / count as f64);
    let each = (rig.fleet.seen.bytes - bytes) as f64 / 1024.0 / count as f64;
    board.add(row("received by each, KiB"), COLUMN, each);
    board.add(row("memory grown at most, MiB"), COLUMN, grown / f64::from(1 << 20));
    board.add(row("posts meanwhile"), COLUMN, f64::from(steps));
    board.generator(name, COLUMN, usage.own_share());
    Ok(())
}

/// Positions of these devices; those called `back` are in the event.
fn body(name: &str, devices: std::ops::Range<usize>, step: u32) -> String {
    let event = if name == "back" { r#""event:comeback""# } else { "" };
    let mut body = String::from("[");
    for device in devices {
        write!(
            body,
            r#"{{"device_id":"{name}-{device:05}","timestamp":"2026-01-02T03:{:02}:{:02}.000Z","latitude":52.520008,"longitude":13.404954,"heading":271.5,"speed":13.9,"topics":[{event}]}},"#,
            step / 60 % 60,
            step % 60
        )
        .unwrap();
    }
    body.pop();
    body + "]"
}
