//! The signals that stop the server: SIGTERM from an orchestrator, SIGINT and SIGQUIT from a keyboard, SIGHUP from a terminal
//! that is gone.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for the signals from the moment it is made.
#[derive(Debug)]
pub struct Shutdown {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
}

/// Which signal came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
    /// SIGQUIT.
    Quit,
    /// SIGHUP.
    Hangup,
}

impl Shutdown {
    /// Installs the handlers.
    ///
    /// # Errors
    /// The system's, if a handler cannot be installed.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    pub async fn signalled(&mut self) -> Cause {
        tokio::select! {
            _ = self.terminate.recv() => Cause::Terminate,
            _ = self.interrupt.recv() => Cause::Interrupt,
            _ = self.quit.recv() => Cause::Quit,
            _ = self.hangup.recv() => Cause::Hangup,
        }
    }
}

impl Cause {
    /// The signal's name, for the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
            Self::Quit => "SIGQUIT",
            Self::Hangup => "SIGHUP",
        }
    }

    /// The exit code of a process that this signal ended at once: 128 and its number, as a shell reports it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Hangup => 128 + 1,
            Self::Interrupt => 128 + 2,
            Self::Quit => 128 + 3,
            Self::Terminate => 128 + 15,
        }
    }
}
