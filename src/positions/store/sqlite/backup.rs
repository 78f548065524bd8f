//! Backup of a store that is in use, and what puts one back.

use std::fs;
use std::path::{Path, PathBuf};

use sqlx::Connection as _;

use super::connect::connect;
use super::file::{beside, check_present, fault, remove_with_log, rename, sync_folder, wal_of};
use super::lock::StoreLock;
use super::schema;
use crate::domain::Timestamp;
use crate::positions::store::error::{Defect, StoreError};

/// Writes all that `store` holds now to the new file `target`, also while a server uses it. Returns its length in bytes.
///
/// By `VACUUM INTO`, which reads one state of the database while commits go on, as the backup API does (that one begins
/// again whenever another process commits); the copy has no log and no gaps.
///
/// # Errors
/// [`StoreError`]: nothing has the name `target` then.
pub async fn backup(store: &Path, target: &Path) -> Result<u64, StoreError> {
    if target.symlink_metadata().is_ok() {
        return Err(StoreError::TargetExists(target.to_owned()));
    }
    check_present(store)?;
    let mut connection = connect(store, false).await?;
    let version = schema::version(&mut connection).await?;
    schema::check_tables(&mut connection, store, version).await?;
    let partial = beside(target, ".partial");
    remove_with_log(&partial)?;
    let copied = sqlx::query("VACUUM INTO ?")
        .bind(partial.to_string_lossy().into_owned())
        .execute(&mut connection)
        .await;
    connection.close().await?;
    if let Err(error) = copied {
        remove_with_log(&partial)?;
        return Err(error.into());
    }
    // A link, not a rename: it fails if the name was taken meanwhile.
    fs::File::open(&partial).and_then(|file| file.sync_all()).map_err(fault("cannot sync", &partial))?;
    let linked = fs::hard_link(&partial, target).map_err(fault("cannot make", target));
    remove_with_log(&partial)?;
    linked?;
    sync_folder(target)?;
    Ok(fs::metadata(target).map_err(fault("cannot look at", target))?.len())
}

/// Puts the store that is in the file `source` into the place of `store`, which no server may use meanwhile. Returns the
/// name under which the one that was there is kept, if there was one.
///
/// # Errors
/// [`StoreError`]: `store` is what it was then; only if one of the last steps failed (to remove its log, to put the new one in
/// place), it stands beside `store` as `…before-restore-…`, with its log, and has to be renamed back.
pub async fn restore(store: &Path, source: &Path) -> Result<Option<PathBuf>, StoreError> {
    let _lock = StoreLock::take(store)?;
    check_present(source)?;
    let new = beside(store, ".restoring");
    remove_with_log(&new)?;
    copy(source, &new)?;
    // A copy that was made without a backup may have a log beside it that belongs to it.
    if wal_of(source).exists() {
        copy(&wal_of(source), &wal_of(&new))?;
    }
    if let Err(error) = examine(&new, source).await {
        remove_with_log(&new)?;
        return Err(error);
    }
    let kept = keep(store)?;
    // Nothing of the old store may be applied to the new one.
    for old in [wal_of(store), beside(store, "-shm")] {
        if old.exists() {
            fs::remove_file(&old).map_err(fault("cannot remove", &old))?;
        }
    }
    rename(&new, store)?;
    Ok(kept)
}

fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::copy(from, to).map(drop).map_err(fault("cannot copy to", to))
}

/// Fails if `file`, a copy of `source`, is not a whole store that this program knows. Afterwards it has no log.
async fn examine(file: &Path, source: &Path) -> Result<(), StoreError> {
    let no_store = |defect| StoreError::NoStore { path: source.to_owned(), defect };
    let unreadable = |error: StoreError| no_store(Defect::Unreadable(Box::new(error)));
    let mut connection = connect(file, false).await.map_err(unreadable)?;
    let integrity = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await;
    let integrity: String = integrity.map_err(|error| unreadable(error.into()))?;
    if integrity != "ok" {
        return Err(no_store(Defect::Integrity(integrity)));
    }
    let version = schema::known_version(&mut connection).await?;
    if schema::check_tables(&mut connection, file, version).await.is_err() {
        return Err(no_store(Defect::NoTable));
    }
    connection.close().await?;
    Ok(())
}

/// Keeps what there is under another name, its log with it.
fn keep(store: &Path) -> Result<Option<PathBuf>, StoreError> {
    if !store.exists() {
        return Ok(None);
    }
    let kept = beside(store, &format!(".before-restore-{}", Timestamp::now().as_millis()));
    fs::hard_link(store, &kept).map_err(fault("cannot make", &kept))?;
    if wal_of(store).exists() {
        let log = wal_of(&kept);
        fs::rename(wal_of(store), &log).map_err(fault("cannot rename to", &log))?;
    }
    sync_folder(store)?;
    Ok(Some(kept))
}
