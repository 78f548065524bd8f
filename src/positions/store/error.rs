//! `StoreError`: why the store did not do what it was asked for.

use std::path::PathBuf;
use std::time::Duration;

/// Why the store did not do what it was asked for. Each says all of its causes, so none has a source that would say them again.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder cannot be made, read or replaced.
    #[error("{what} {}: {error}", .path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's reason.
        error: std::io::Error,
    },
    /// Another process uses the file.
    #[error("another process uses it ({holder}): one file serves one process")]
    Locked {
        /// What is known of it.
        holder: String,
    },
    /// The database's own reason, such as a full disk or that it cannot be reached.
    #[error("{}", reason(.0))]
    Database(sqlx::Error),
    /// The database's own reason not to let this connect.
    #[error("{}", reason(.0))]
    NotConnected(sqlx::Error),
    /// It did not answer.
    #[error("it did not answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// Nothing can be written to it.
    #[error("it takes nothing new: a standby, or read-only by its settings")]
    ReadOnly,
    /// Other instances use the database, and this one and they would not hear of each other's positions.
    #[error(
        "another instance uses the database, and {} no REDIS_URL: set it for all of them, or let one use it alone",
        if *.is_shared { "has" } else { "this one has" }
    )]
    Alone {
        /// This instance would hear of them.
        is_shared: bool,
    },
    /// The tables cannot be made or changed.
    #[error("its tables cannot be made or brought to this version: {}", migration_reason(.0))]
    Migration(sqlx::migrate::MigrateError),
    /// A newer version of this program was here.
    #[error("it has schema version {found}, this program knows {known}; use the program that made it")]
    Newer {
        /// The store's version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The file is not, or no longer, what it was.
    #[error(
        "{what} {loss}; put back what was there, restore a backup, or remove what is there to begin anew"
    )]
    Lost {
        /// Which file, or that it is the database.
        what: String,
        /// What happened to it.
        loss: Loss,
    },
    /// A setting of the database does not hold, so that an acknowledged position would not be safe.
    #[error("its {setting} is {found}, not {wanted}: positions would not be safe there")]
    Unsafe {
        /// Its name.
        setting: &'static str,
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

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl StoreError {
    /// The same, as it happened while connecting.
    pub(in crate::positions) fn while_connecting(self) -> Self {
        match self {
            Self::Database(error) => Self::NotConnected(error),
            other => other,
        }
    }

    /// What tells one reason from another: texts may name files and places that change.
    pub(in crate::positions) fn kind(&self) -> String {
        match self {
            Self::Database(sqlx::Error::Database(error))
            | Self::NotConnected(sqlx::Error::Database(error)) => {
                error.code().map_or_else(|| self.to_string(), Into::into)
            }
            other => other.to_string(),
        }
    }

    /// True if the database was there, and could not or would not do what it was asked for: a full disk, a right that is missing, an index
    /// that is gone. A check, which stores nothing, may not see that.
    pub(in crate::positions) fn is_of_storing(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| is_of_storing(&code))
    }
}

/// All of Postgres but the classes for what ends a connection (08, 57) or a transaction (40, 25), for what is wrong with a value (22), and a table that
/// is not there, which checks see (PostgreSQL's documentation, appendix A). The primary codes of SQLite (sqlite.org/rescode.html): `BUSY`, `LOCKED`, `READONLY`, `IOERR`, `CORRUPT`, `FULL`.
fn is_of_storing(code: &str) -> bool {
    match code.len() {
        5 => !["08", "22", "25", "40", "42P01", "57"].iter().any(|class| code.starts_with(class)),
        _ => code.parse().is_ok_and(|code: u32| matches!(code & 0xff, 5 | 6 | 8 | 10 | 11 | 13)),
    }
}

/// What the database says, once; and its code, which its documentation explains.
fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => match error.code() {
            Some(code) => format!("{} ({code})", error.message()),
            None => error.message().to_owned(),
        },
        sqlx::Error::Io(error) => format!("the connection failed: {error}"),
        other => other.to_string(),
    }
}

fn migration_reason(error: &sqlx::migrate::MigrateError) -> String {
    use sqlx::migrate::MigrateError::{Execute, ExecuteMigration};
    match error {
        Execute(error) => reason(error),
        ExecuteMigration(error, number) => format!("number {number}: {}", reason(error)),
        other => other.to_string(),
    }
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
    Unreadable(Box<StoreError>),
    /// What SQLite's integrity check found.
    #[error("{0}")]
    Integrity(String),
    /// It is another database.
    #[error("it has no table of positions")]
    NoTable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_check_cannot_see_is_told_from_what_it_can() {
        // A full disk, a missing right, no index for the conflict, a missing partition; of SQLite a full disk, a failed write, a lock of another process, a full log.
        for code in ["53100", "42501", "42P10", "23514", "13", "778", "5", "517"] {
            assert!(is_of_storing(code), "{code}");
        }
        // An ended connection, too large a number, no table, read-only; of SQLite a constraint, and that it is no database.
        for code in ["57P01", "08006", "22003", "42P01", "25006", "19", "26", "x"] {
            assert!(!is_of_storing(code), "{code}");
        }
    }
}
