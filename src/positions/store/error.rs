//! `StoreError`: why the store did not do what it was asked for.

use std::path::PathBuf;

/// Why the store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder cannot be made, read or replaced.
    #[error("{what} {}: {source}", .path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Another process uses the store.
    #[error("another process uses it ({holder}): one store serves one process")]
    Locked {
        /// What is known of it.
        holder: String,
    },
    /// SQLite's own reason, such as a full disk.
    #[error("{0}")]
    Sqlite(#[from] sqlx::Error),
    /// A newer version of this program wrote the file.
    #[error("the file has schema version {found}, this program knows {known}; use the program that wrote it")]
    Newer {
        /// The file's version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The file is not, or no longer, what it was.
    #[error(
        "{} {loss}; put the file back, restore a backup (processor restore), or remove what is there to begin anew",
        .path.display()
    )]
    Lost {
        /// Which file.
        path: PathBuf,
        /// What happened to it.
        loss: Loss,
    },
    /// A setting of SQLite does not hold, so that an acknowledged position would not be safe.
    #[error("PRAGMA {pragma} is {found}, not {wanted}: positions would not be safe in this file")]
    Unsafe {
        /// Its name.
        pragma: &'static str,
        /// Its value.
        found: String,
        /// What it has to be.
        wanted: &'static str,
    },
    /// A row does not read back as a position.
    #[error("the row of device {device:?} at {timestamp} ms is damaged")]
    Damaged {
        /// Its device.
        device: String,
        /// Its time, in milliseconds since the epoch.
        timestamp: i64,
    },
    /// A backup would replace a file.
    #[error("{} exists already; name a new file", .0.display())]
    TargetExists(PathBuf),
    /// A restore is asked for something that is no store.
    #[error("{} is not a whole store: {defect}", .path.display())]
    NoStore {
        /// Which file.
        path: PathBuf,
        /// What it lacks.
        defect: Defect,
    },
}

/// What happened to a store's file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// There is none.
    #[error("is gone")]
    Gone,
    /// There is none, but a log of commits that belongs to one.
    #[error("is gone, but its log {} is there", .0.display())]
    GoneButLog(PathBuf),
    /// It has no bytes.
    #[error("is empty")]
    Empty,
    /// It is a database without the tables of a store.
    #[error("holds no table of positions any more")]
    NoTable,
    /// It was removed while it was in use.
    #[error("was removed under the running server")]
    Removed,
    /// Another file was put in its place while it was in use.
    #[error("was replaced under the running server")]
    Replaced,
    /// It was cut off while it was in use.
    #[error("was truncated under the running server")]
    Truncated,
}

/// Why a file cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum Defect {
    /// It cannot be opened or read.
    #[error("{0}")]
    Unreadable(#[source] Box<StoreError>),
    /// What SQLite's integrity check found.
    #[error("{0}")]
    Integrity(String),
    /// It is another database.
    #[error("it has no table of positions")]
    NoTable,
}
