//! `churn`: clients come and go while others are delivered to.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::board::Board;
use crate::conn::Manner;
use crate::fleet::Plan;
use crate::options::Options;
use crate::rig::{Burst, Rig};
use crate::server::Kind;

/// How long each of those who come stays.
const STAY: Duration = Duration::from_secs(1);

/// Opens and closes connections at an even rate.
pub(crate) struct Churn {
    plan: Plan,
    /// Of one connection after another.
    every: Duration,
    next: Instant,
    /// Who is there, and until when.
    there: VecDeque<(Instant, usize)>,
    pub(crate) came: usize,
}

impl Churn {
    /// So many come each second, subscribe to the first topic, and leave a second later.
    pub(crate) fn new(per_second: usize) -> Self {
        let plan = Plan { count: 1, manner: Manner::Passing, topics: 1, subscribe: true };
        let every = Duration::from_secs(1) / per_second as u32;
        Self { plan, every, next: Instant::now(), there: VecDeque::new(), came: 0 }
    }

    /// Does what is due.
    pub(crate) fn turn(&mut self, rig: &mut Rig) -> Result<()> {
        let now = Instant::now();
        while self.next <= now {
            self.next += self.every;
            self.there.push_back((now + STAY, rig.fleet.begin(&self.plan)?));
            self.came += 1;
        }
        while let Some((_, slot)) = self.there.pop_front_if(|(until, _)| *until <= now) {
            rig.fleet.leave(slot);
        }
        Ok(())
    }
}

pub(crate) fn run(options: &Options) -> Result<Board> {
    let (count, per_second) = (options.connections(5000, 1000), options.pick(500, 200));
    let rate = 10.0;
    let mut board = Board::new(
        "churn",
        format!(
            "{count} subscribers that stay get {rate} bursts of 1 a second; first alone, then while {per_second} \
             others a second connect, subscribe, and leave a second later."
        ),
    );
    for kind in options.turns(&Kind::ALL) {
        let mut rig = Rig::start(kind, &options.setup())?;
        rig.subscribe(count, 1, Manner::Polite)?;
        let (burst, time) = (Burst::of(1), options.seconds(5.0, 1.5));
        rig.pace(&burst, rate, time / 5, |_| Ok(()))?;
        for name in ["alone", "with churn"] {
            let mut churn = Churn::new(per_second);
            let (load, latencies) =
                rig.pace(&burst, rate, time, |rig| if name == "alone" { Ok(()) } else { churn.turn(rig) })?;
            let row = |what: &str| format!("{name}: {what}");
            let share = load.usage.server.as_secs_f64() / load.usage.wall.as_secs_f64() * 100.0;
            board.add(row("CPU, % of a core"), kind.name(), share);
            for (name, share) in [("p50, ms", 0.5), ("p99, ms", 0.99)] {
                board.add(row(name), kind.name(), latencies.at(share).as_secs_f64() * 1e3);
            }
            if churn.came > 0 {
                let came = churn.came as f64 / load.usage.wall.as_secs_f64();
                board.add(row("connections/s"), kind.name(), came);
            }
            let missing = (load.bursts * count as u64).saturating_sub(load.deliveries);
            if missing > 0 {
                board.note(format!("{}, {name}: {missing} deliveries missing", kind.name()));
            }
            if rig.fleet.seen.failed > 0 {
                board.note(format!("{}: {} handshakes failed", kind.name(), rig.fleet.seen.failed));
            }
            board.generator(name, kind.name(), load.usage.own_share());
        }
    }
    Ok(board)
}
