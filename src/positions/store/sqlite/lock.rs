//! `StoreLock`: the right to use a store, which one process has at a time.

use std::fs::{self, File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::Path;

use super::file::{beside, fault, folder_of};
use crate::positions::store::error::StoreError;

/// The right to use a store; given back when dropped, and by the system when the process ends, however it does.
///
/// A file of its own is locked: closing any descriptor of the database itself would give up SQLite's own locks (POSIX
/// `fcntl`, section "advisory record locking").
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
}

impl StoreLock {
    /// Takes the lock of a store, whose folder is made if there is none.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process has it, [`StoreError::File`] if it cannot be asked for.
    pub fn take(file: &Path) -> Result<Self, StoreError> {
        let folder = folder_of(file);
        fs::create_dir_all(folder).map_err(fault("cannot make the folder", folder))?;
        // Two names of one file must lead to one lock.
        let real = fs::canonicalize(file)
            .or_else(|_| Ok(fs::canonicalize(folder)?.join(file.file_name().unwrap_or_default())));
        let path = beside(&real.map_err(fault("cannot look at", folder))?, ".lock");
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut lock = open.map_err(fault("cannot open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Only to help; it may have been taken just now.
                lock.read_to_string(&mut pid).ok();
                let pid = pid.trim();
                let holder = if pid.is_empty() { "unknown".into() } else { format!("pid {pid}") };
                return Err(StoreError::Locked { holder });
            }
            Err(TryLockError::Error(error)) => return Err(fault("cannot lock", &path)(error)),
        }
        let note = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        note.map_err(fault("cannot write", &path))?;
        Ok(Self { _file: lock })
    }
}
