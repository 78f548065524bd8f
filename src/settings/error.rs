//! `SettingsError`: why there are no settings, with every fault that was found.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// One thing that is wrong: the variable, its value as it may be shown, what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(super) variable: String,
    pub(super) value: String,
    pub(super) allowed: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setting {}: {:?} is not allowed: {}", self.variable, self.value, self.allowed)
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file is there but cannot be read, or is not there though it was named.
    #[error("settings file {}: cannot be read", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file is not TOML. (The parser's own error is left out: it shows the line, which may hold a secret.)
    #[error("settings file {}: line {line}, column {column}: {message}", .file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The character in it, from 1.
        column: usize,
        /// What the parser expected there.
        message: String,
    },
    /// Files and environment cannot be laid over each other.
    #[error("settings: {0}")]
    Merge(#[from] config::ConfigError),
    /// Every fault that was found, one a line.
    #[error("{}", .0.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n"))]
    Faults(Vec<Fault>),
}
