//! `Lifecycle`: where a connection is on the way from its handshake to its end, and what moves it on. Pure.
//!
//! ```text
//! Open ──> Closing ──> Finishing ──────────────> Closed
//!   │         │            ▲                        ▲
//!   ├─────────┼────────────┘                        │
//!   └─────────┴──────> Failing ──> Lingering ───────┘
//! any of these ──> Closed (the client is gone), Reset (it took too long, or is terminated)
//! ```

use std::time::Duration;

use crate::live::wire::close::{self, CloseReason};

/// How long a client that broke the rules may take to see our close frame and go.
const LINGER: Duration = Duration::from_secs(1);

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Messages go both ways.
    Open,
    /// Our close frame is out; the client's is awaited.
    Closing,
    /// Both close frames are there: what waits is written, then the socket is closed.
    Finishing,
    /// The client broke the rules, or its handler panicked: what waits is written, nothing is read.
    Failing,
    /// All is written and our direction of the socket is shut: what still comes is thrown away until the client is gone.
    /// Closing a socket with bytes unread would reset it, and the reset may overtake our close frame.
    Lingering,
    /// The end: the socket is closed.
    Closed,
    /// The end: the socket is reset, so that nothing of it stays in the kernel.
    Reset,
}

/// What moves a connection on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The server closes it: a handler, or the drain.
    CloseRequested(CloseReason),
    /// The client's close frame came, with this code if it gave one.
    CloseReceived(Option<u16>),
    /// The client broke the protocol or a limit.
    Violation(CloseReason),
    /// Its actor panicked.
    Panicked,
    /// Nothing waits to be written.
    Flushed,
    /// The client's end of the stream came, or the socket failed.
    Gone(CloseReason),
    /// A client that lingers has sent as much as it may.
    LingerSpent,
    /// The state has lasted as long as [`Lifecycle::time_limit`] allows.
    TimedOut,
    /// The connection is given up at once.
    Terminated(CloseReason),
}

/// Why a connection ended, and the code that was sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) reason: CloseReason,
    pub(crate) code: u16,
}

/// A close frame that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseFrame {
    /// Ours, with code and text.
    Ours(CloseReason),
    /// The client's code sent back; none, if it gave none.
    Echo(Option<u16>),
}

/// A connection's state, and why it ends once that is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifecycle {
    state: State,
    end: Option<End>,
}

impl Lifecycle {
    /// A connection whose handshake is done.
    pub(crate) fn new() -> Self {
        Self { state: State::Open, end: None }
    }

    /// Where it stands.
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// True while frames are read: messages in `Open`; in `Closing` the close frame that answers ours.
    pub(crate) fn reads_frames(&self) -> bool {
        matches!(self.state, State::Open | State::Closing)
    }

    /// True if nothing more happens on its socket.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Closed | State::Reset)
    }

    /// How long the state may last; `close_timeout` is what the settings give the closing handshake.
    pub(crate) fn time_limit(&self, close_timeout: Duration) -> Option<Duration> {
        match self.state {
            State::Closing | State::Finishing | State::Failing => Some(close_timeout),
            State::Lingering => Some(LINGER),
            State::Open | State::Closed | State::Reset => None,
        }
    }

    /// Why it ended. Whoever asks before there is a reason asks because the socket is gone.
    pub(crate) fn end(&self) -> End {
        self.end.unwrap_or(End { reason: close::EOF, code: close::EOF.code })
    }

    /// Moves on. Returns the close frame that has to be sent, which is at most one in its life. The reason that came first
    /// is the one that counts.
    pub(crate) fn apply(&mut self, event: Event) -> Option<CloseFrame> {
        use State::{Closed, Closing, Failing, Finishing, Lingering, Open, Reset};
        let was = self.state;
        let next = match (was, event) {
            (Closed | Reset, _) => return None,
            (_, Event::Terminated(_)) => Reset,
            (_, Event::Gone(_)) => Closed,
            (Closing | Finishing | Failing | Lingering, Event::TimedOut) => Reset,
            (Open, Event::CloseRequested(_)) => Closing,
            (Open | Closing, Event::CloseReceived(_)) => Finishing,
            (Open | Closing, Event::Violation(_) | Event::Panicked) => Failing,
            (Finishing, Event::Flushed) => Closed,
            (Failing, Event::Flushed) => Lingering,
            (Lingering, Event::LingerSpent) => Closed,
            _ => return None,
        };
        self.state = next;
        if was == Open {
            self.end = Some(End::of(event));
        }
        match event {
            Event::CloseRequested(reason) | Event::Violation(reason) if was == Open => {
                Some(CloseFrame::Ours(reason))
            }
            Event::Panicked if was == Open => Some(CloseFrame::Ours(close::INTERNAL)),
            Event::CloseReceived(code) if was == Open => Some(CloseFrame::Echo(code)),
            _ => None,
        }
    }
}

impl End {
    /// The end that begins with this event.
    fn of(event: Event) -> Self {
        let reason = match event {
            Event::CloseReceived(code) => {
                let reason = close::from_client(code);
                return Self { reason, code: code.unwrap_or(reason.code) };
            }
            Event::CloseRequested(reason)
            | Event::Violation(reason)
            | Event::Gone(reason)
            | Event::Terminated(reason) => reason,
            Event::Panicked => close::INTERNAL,
            Event::Flushed | Event::LingerSpent | Event::TimedOut => close::EOF,
        };
        Self { reason, code: reason.code }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(events: &[Event]) -> (State, u16, Vec<CloseFrame>) {
        let mut lifecycle = Lifecycle::new();
        let frames = events.iter().filter_map(|event| lifecycle.apply(*event)).collect();
        (lifecycle.state(), lifecycle.end().code, frames)
    }

    #[test]
    fn a_close_of_the_server_waits_for_the_client() {
        let ours = CloseFrame::Ours(close::GOING_AWAY);
        let close = Event::CloseRequested(close::GOING_AWAY);
        assert_eq!(after(&[close]), (State::Closing, 1001, vec![ours]));
        assert_eq!(after(&[close, Event::Flushed]).0, State::Closing);
        let answered = [close, Event::CloseReceived(Some(1000)), Event::Flushed];
        assert_eq!(after(&answered), (State::Closed, 1001, vec![ours]));
        assert_eq!(after(&[close, Event::TimedOut]), (State::Reset, 1001, vec![ours]));
        assert_eq!(after(&[close, close]), (State::Closing, 1001, vec![ours]));
    }

    #[test]
    fn a_client_s_close_is_echoed_with_its_own_code() {
        let closed = [Event::CloseReceived(Some(4000)), Event::Flushed];
        assert_eq!(after(&closed), (State::Closed, 4000, vec![CloseFrame::Echo(Some(4000))]));
        let without = [Event::CloseReceived(None), Event::CloseRequested(close::GOING_AWAY)];
        assert_eq!(after(&without), (State::Finishing, 1005, vec![CloseFrame::Echo(None)]));
    }

    #[test]
    fn who_breaks_the_rules_is_told_and_lingers() {
        let told = CloseFrame::Ours(close::PROTOCOL_ERROR);
        let broke = Event::Violation(close::PROTOCOL_ERROR);
        assert_eq!(after(&[broke, Event::Flushed]), (State::Lingering, 1002, vec![told]));
        assert_eq!(after(&[broke, Event::Flushed, Event::Gone(close::EOF)]).0, State::Closed);
        assert_eq!(after(&[broke, Event::Flushed, Event::LingerSpent]).0, State::Closed);
        assert_eq!(after(&[broke, Event::Flushed, Event::TimedOut]).0, State::Reset);
        // In the middle of our close there is no second close frame, and the first reason stays.
        let both = [Event::CloseRequested(close::GOING_AWAY), broke];
        assert_eq!(after(&both), (State::Failing, 1001, vec![CloseFrame::Ours(close::GOING_AWAY)]));
    }

    #[test]
    fn a_panic_ends_it_with_1011() {
        assert_eq!(
            after(&[Event::Panicked]),
            (State::Failing, 1011, vec![CloseFrame::Ours(close::INTERNAL)])
        );
    }

    #[test]
    fn nothing_times_out_that_has_no_limit() {
        assert_eq!(after(&[Event::TimedOut]).0, State::Open);
        assert_eq!(Lifecycle::new().time_limit(Duration::from_secs(5)), None);
    }

    #[test]
    fn it_is_terminated_at_once_wherever_it_stands() {
        let terminated = Event::Terminated(close::PONG_TIMEOUT);
        assert_eq!(after(&[terminated]), (State::Reset, close::PONG_TIMEOUT.code, Vec::new()));
        let ways: [&[Event]; 4] = [
            &[Event::CloseRequested(close::GOING_AWAY)],
            &[Event::CloseReceived(Some(1000))],
            &[Event::Panicked],
            &[Event::Panicked, Event::Flushed],
        ];
        for way in ways {
            assert_eq!(after(&[way, &[terminated]].concat()).0, State::Reset, "{way:?}");
        }
    }

    #[test]
    fn frames_are_read_until_the_client_s_close_frame_or_a_violation() {
        let reads = |events: &[Event]| {
            let mut lifecycle = Lifecycle::new();
            for event in events {
                lifecycle.apply(*event);
            }
            lifecycle.reads_frames()
        };
        let close = Event::CloseRequested(close::GOING_AWAY);
        assert!(reads(&[]) && reads(&[close]));
        assert!(!reads(&[Event::CloseReceived(None)]) && !reads(&[close, Event::CloseReceived(None)]));
        assert!(!reads(&[Event::Violation(close::PROTOCOL_ERROR)]) && !reads(&[Event::Gone(close::EOF)]));
        assert!(!reads(&[Event::Panicked, Event::Flushed]) && !reads(&[Event::Terminated(close::EOF)]));
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::CloseRequested(close::GOING_AWAY)),
            Just(Event::CloseReceived(Some(1000))),
            Just(Event::CloseReceived(None)),
            Just(Event::Violation(close::RATE_LIMITED)),
            Just(Event::Panicked),
            Just(Event::Flushed),
            Just(Event::Gone(close::RESET)),
            Just(Event::LingerSpent),
            Just(Event::TimedOut),
            Just(Event::Terminated(close::PONG_TIMEOUT)),
        ]
    }

    /// How far a state is on the way.
    fn rank(state: State) -> u8 {
        match state {
            State::Open => 0,
            State::Closing => 1,
            State::Finishing | State::Failing => 2,
            State::Lingering => 3,
            State::Closed | State::Reset => 4,
        }
    }

    proptest! {
        /// It only moves forward, sends at most one close frame, keeps its first reason, and from wherever it stands the
        /// events that time and the transport bring end it.
        #[test]
        fn whatever_happens_it_comes_to_its_end(events in proptest::collection::vec(event(), 0..20)) {
            let mut lifecycle = Lifecycle::new();
            let (mut frames, mut end) = (0, None);
            for event in events {
                let (was, over) = (lifecycle.state(), lifecycle.is_over());
                frames += usize::from(lifecycle.apply(event).is_some());
                prop_assert!(rank(lifecycle.state()) >= rank(was));
                prop_assert!(!over || lifecycle.state() == was, "it went on after its end");
                prop_assert!(frames <= 1);
                if lifecycle.state() != State::Open {
                    prop_assert_eq!(*end.get_or_insert(lifecycle.end()), lifecycle.end());
                }
                // Every state but the first and the last is bounded in time.
                let limited = lifecycle.time_limit(Duration::from_secs(1)).is_some();
                prop_assert_eq!(limited, lifecycle.state() != State::Open && !lifecycle.is_over());
            }
            if lifecycle.state() != State::Open {
                lifecycle.apply(Event::TimedOut);
                prop_assert!(lifecycle.is_over());
            }
        }
    }
}
