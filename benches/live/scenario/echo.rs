//! `echo`: what clients send.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::board::Board;
use crate::conn::Manner;
use crate::frame;
use crate::options::Options;
use crate::rig::Rig;
use crate::server::Kind;

/// Messages of one client that are under way.
const WINDOW: usize = 16;

/// An envelope of a topic that no server has.
const MESSAGE: &str = r#"{"type":"subscribe","topic":"nothing:42","id":"a1"}"#;

pub(crate) fn run(options: &Options) -> Result<Board> {
    let count = options.connections(100, 100);
    let mut board = Board::new(
        "echo",
        format!(
            "{count} clients, each with {WINDOW} messages under way. The processor reads each as an envelope and \
             answers an error; the peers send back what they got."
        ),
    );
    for kind in options.turns(&[Kind::Processor, Kind::Ws, Kind::Tungstenite]) {
        let mut setup = options.setup();
        setup.echo = true;
        let mut rig = Rig::start(kind, &setup)?;
        rig.connect(count, Manner::Polite)?;
        let message = frame::masked(frame::TEXT, MESSAGE.as_bytes());
        rig.fleet.send_all(|_| message.repeat(WINDOW));
        rig.fleet.seen.echo = Some(message);
        rig.fleet.pass(Duration::from_millis(300))?;
        let before = rig.fleet.seen.answers;
        let meter = rig.meter()?;
        let (since, time) = (Instant::now(), options.seconds(4.0, 1.0));
        while since.elapsed() < time {
            rig.fleet.turn(Duration::from_millis(20))?;
        }
        let usage = rig.usage(&meter)?;
        let messages = (rig.fleet.seen.answers - before) as f64;
        ensure!(messages > 0.0 && rig.fleet.seen.ended.is_empty(), "clients were disconnected");
        board.add("messages/s", kind.name(), messages / usage.wall.as_secs_f64());
        board.add("CPU s per million messages", kind.name(), usage.server.as_secs_f64() * 1e6 / messages);
        board.generator("all", kind.name(), usage.own_share());
    }
    Ok(board)
}
