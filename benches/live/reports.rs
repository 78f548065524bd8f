//! `Reports`: an event whose devices report evenly, each once a second.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::movers::Movers;
use crate::rig::Rig;

/// Posts in a second. Each has a hundredth of the devices.
pub(crate) const POSTS: usize = 100;

/// Between two turns; see [`crate::fleet::Fleet::napping`].
const NAP: Duration = Duration::from_micros(100);

/// Nothing came for so long: a step has been delivered.
const QUIET: Duration = Duration::from_millis(100);

/// Devices, and when they report next.
pub(crate) struct Reports {
    movers: Movers,
    per_post: usize,
    next: Instant,
}

impl Reports {
    /// From now on.
    pub(crate) fn new(devices: usize) -> Self {
        Self { movers: Movers::new(devices), per_post: devices / POSTS, next: Instant::now() }
    }

    /// Posts and receives for so long.
    pub(crate) fn pass(&mut self, rig: &mut Rig, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn(rig)?;
        }
        Ok(())
    }

    /// The same until what is delivered once a second has been, so that what is measured begins and ends between two
    /// deliveries. Without such a pause it gives up after some time.
    pub(crate) fn pass_until_quiet(&mut self, rig: &mut Rig) -> Result<()> {
        let since = Instant::now();
        let (mut seen, mut last) = (rig.fleet.seen.bytes, None);
        while since.elapsed() < Duration::from_secs(3)
            && last.is_none_or(|last: Instant| last.elapsed() < QUIET)
        {
            self.turn(rig)?;
            if seen != rig.fleet.seen.bytes {
                (seen, last) = (rig.fleet.seen.bytes, Some(Instant::now()));
            }
        }
        Ok(())
    }

    fn turn(&mut self, rig: &mut Rig) -> Result<()> {
        while self.next <= Instant::now() {
            let (body, numbers) = self.movers.body(self.per_post);
            rig.publish_as(&body, numbers, self.next)?;
            self.next += Duration::from_secs(1) / POSTS as u32;
        }
        rig.fleet.turn(Duration::ZERO)?;
        std::thread::sleep(NAP);
        Ok(())
    }
}
