//! The files of a store: their names, and whether they are still those that were opened.

use std::fs::{self, File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::positions::store::error::{Loss, StoreError};

/// The name of a file beside `file`.
pub(super) fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// SQLite's log of commits that are not in the file yet.
pub(super) fn wal_of(file: &Path) -> PathBuf {
    beside(file, "-wal")
}

pub(super) fn fault(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_owned();
    move |error| StoreError::File { what, path, error }
}

/// Removes a database that is not needed, and all that belongs to it.
pub(super) fn remove_with_log(file: &Path) -> Result<(), StoreError> {
    for path in [file.to_owned(), wal_of(file), beside(file, "-shm")] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(fault("cannot remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Renames a file, so that it has its new name also after a crash.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    File::open(from).and_then(|file| file.sync_all()).map_err(fault("cannot sync", from))?;
    fs::rename(from, to).map_err(fault("cannot rename to", to))?;
    sync_folder(to)
}

/// Makes the names in a file's folder durable.
pub(super) fn sync_folder(file: &Path) -> Result<(), StoreError> {
    let folder = folder_of(file);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(fault("cannot sync", folder))
}

pub(super) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Fails if there is no file, or an empty one, as SQLite would take for a new database.
pub(super) fn check_present(file: &Path) -> Result<(), StoreError> {
    match fs::metadata(file) {
        Ok(metadata) if metadata.len() > 0 || !metadata.is_file() => Ok(()),
        Ok(_) => Err(lost(file, Loss::Empty)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(lost(file, Loss::Gone)),
        Err(error) => Err(fault("cannot look at", file)(error)),
    }
}

fn lost(path: &Path, loss: Loss) -> StoreError {
    StoreError::Lost { what: path.display().to_string(), loss }
}

/// Which file a path led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl From<&Metadata> for Identity {
    fn from(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// The files of an open store, as they were when it was opened.
#[derive(Debug)]
pub(super) struct Files {
    file: PathBuf,
    wal: PathBuf,
    file_is: Identity,
    wal_is: Identity,
    /// The file's length; it only grows.
    length: u64,
}

impl Files {
    /// The files of a store that is open and has been written to.
    pub(super) fn of(file: &Path) -> Result<Self, StoreError> {
        let wal = wal_of(file);
        let look = |path: &Path| fs::metadata(path).map_err(fault("cannot look at", path));
        let (of_file, of_wal) = (look(file)?, look(&wal)?);
        Ok(Self {
            file: file.to_owned(),
            file_is: (&of_file).into(),
            wal_is: (&of_wal).into(),
            length: of_file.len(),
            wal,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.file
    }

    /// Fails if a path leads to another file now, or to none, or to one that was cut off.
    pub(super) fn check(&mut self) -> Result<(), StoreError> {
        let length = match fs::metadata(&self.file) {
            Ok(found) if Identity::from(&found) != self.file_is => {
                return Err(lost(&self.file, Loss::Replaced));
            }
            Ok(found) if found.len() < self.length => return Err(lost(&self.file, Loss::Truncated)),
            Ok(found) => found.len(),
            Err(_) => return Err(lost(&self.file, Loss::Removed)),
        };
        self.length = length;
        match fs::metadata(&self.wal) {
            Ok(found) if Identity::from(&found) == self.wal_is => Ok(()),
            Ok(_) => Err(lost(&self.wal, Loss::Replaced)),
            Err(_) => Err(lost(&self.wal, Loss::Removed)),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        [&self.file, &self.wal]
            .iter()
            .filter_map(|path| fs::metadata(path).ok())
            .map(|found| found.len())
            .sum()
    }
}
