//! Reads small files: the secrets and keys that settings and arguments name.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// So much is read of a file, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// The first 64 KiB of a file that a setting names, which are all of a secret or a key.
///
/// # Errors
/// As the system has them; one of its own for what is no file: a pipe would be waited for.
pub(crate) fn read_small_file(file: &Path) -> io::Result<Vec<u8>> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no file"));
    }
    read_bounded(file)
}

/// The same of whatever an argument names, which may be a pipe.
///
/// # Errors
/// As the system has them.
pub(crate) fn read_bounded(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
