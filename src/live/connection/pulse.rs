//! `Pulse`: whether a client still lives, by what it sends and by what its socket takes. Pure: it is told the time.

use std::time::{Duration, Instant};

use crate::live::wire::close::{self, CloseReason};

/// The last signs of life of a client.
#[derive(Debug)]
pub(super) struct Pulse {
    /// Silence after which it is gone.
    timeout: Duration,
    last_seen: Instant,
    awaiting_pong: bool,
}

/// What else shows whether the client lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signs {
    /// Since when its socket has taken nothing of what waits; `None` if nothing waits.
    pub(super) stalled_since: Option<Instant>,
    /// When its socket last took something that had waited; `None` if nothing ever did.
    pub(super) progress: Option<Instant>,
    /// What it sends is read. One that is not read from cannot show anything.
    pub(super) is_read: bool,
    /// When it was last read again after it was not; `None` if it always was.
    pub(super) read_since: Option<Instant>,
}

impl Pulse {
    /// Of a client that was seen just now.
    pub(super) fn new(timeout: Duration, now: Instant) -> Self {
        Self { timeout, last_seen: now, awaiting_pong: false }
    }

    /// A frame came.
    pub(super) fn seen(&mut self, now: Instant) {
        self.last_seen = now;
        self.awaiting_pong = false;
    }

    /// A ping is sent. True if the one before was not answered.
    pub(super) fn ping(&mut self) -> bool {
        std::mem::replace(&mut self.awaiting_pong, true)
    }

    /// True while a ping is not answered.
    pub(super) fn is_awaiting_pong(&self) -> bool {
        self.awaiting_pong
    }

    /// Why the client counts as gone, if it does.
    pub(super) fn lost(&self, signs: Signs, now: Instant) -> Option<CloseReason> {
        let (since, reason) = self.silent_since(signs)?;
        (now.duration_since(since) >= self.timeout).then_some(reason)
    }

    /// How long it may still be silent.
    pub(super) fn left(&self, signs: Signs, now: Instant) -> Duration {
        let since = self.silent_since(signs).map_or(self.last_seen, |(since, _)| since);
        self.timeout.saturating_sub(now.duration_since(since))
    }

    /// Since when the client has shown no life, and what that is called; `None` if nothing is asked of it now.
    ///
    /// While something waits for it, it is the socket that shows it: a pong may be a long way behind what a slow client has
    /// still to read. Then the pong has as long as the last of that took.
    fn silent_since(&self, signs: Signs) -> Option<(Instant, CloseReason)> {
        if let Some(since) = signs.stalled_since {
            return Some((since, close::NOT_READING));
        }
        let later = [signs.progress, signs.read_since].into_iter().flatten();
        signs.is_read.then_some((later.fold(self.last_seen, Instant::max), close::PONG_TIMEOUT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);
    const IDLE: Signs = Signs { stalled_since: None, progress: None, is_read: true, read_since: None };

    fn pulse() -> (Pulse, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        (Pulse::new(TIMEOUT, start), move |seconds| start + Duration::from_secs(seconds))
    }

    #[test]
    fn a_client_is_lost_when_it_was_silent_for_the_timeout() {
        let (mut pulse, at) = pulse();
        assert_eq!(pulse.lost(IDLE, at(59)), None);
        assert_eq!(pulse.left(IDLE, at(59)), Duration::from_secs(1));
        assert_eq!(pulse.lost(IDLE, at(60)), Some(close::PONG_TIMEOUT));
        pulse.seen(at(59));
        assert_eq!(pulse.lost(IDLE, at(60)), None);
        assert_eq!(pulse.lost(IDLE, at(119)), Some(close::PONG_TIMEOUT));
    }

    #[test]
    fn while_something_waits_its_socket_answers_for_it() {
        let (pulse, at) = pulse();
        let slow = Signs { stalled_since: Some(at(50)), progress: Some(at(50)), ..IDLE };
        assert_eq!(pulse.lost(slow, at(100)), None);
        assert_eq!(pulse.lost(slow, at(110)), Some(close::NOT_READING));
        // When it has read all, its pong has as long again.
        let caught_up = Signs { stalled_since: None, ..slow };
        assert_eq!(pulse.lost(caught_up, at(109)), None);
        assert_eq!(pulse.lost(caught_up, at(110)), Some(close::PONG_TIMEOUT));
    }

    #[test]
    fn nothing_is_asked_of_one_that_is_not_read_from() {
        let (pulse, at) = pulse();
        assert_eq!(pulse.lost(Signs { is_read: false, ..IDLE }, at(1000)), None);
        // What it sent meanwhile has still to be read.
        let again = Signs { read_since: Some(at(1000)), ..IDLE };
        assert_eq!(pulse.lost(again, at(1059)), None);
        assert_eq!(pulse.lost(again, at(1060)), Some(close::PONG_TIMEOUT));
    }

    #[test]
    fn a_ping_is_missed_when_the_next_comes_before_any_frame() {
        let (mut pulse, at) = pulse();
        assert!(!pulse.ping());
        assert!(pulse.ping());
        pulse.seen(at(1));
        assert!(!pulse.is_awaiting_pong());
        assert!(!pulse.ping());
    }
}
