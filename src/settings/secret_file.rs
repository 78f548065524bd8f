//! Secrets that are set by themselves or are in a file.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::kind::SecretText;
use super::map::FilePath;
use super::read::Reader;
use super::secret::Secret;
use super::setting::Setting;

/// The longest file that is read for a secret, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A secret that may be set by itself, or be in a file, as orchestrators mount them: its first line.
pub(super) fn secret(
    read: &mut Reader,
    setting: &Setting<SecretText>,
    file_setting: &Setting<FilePath>,
) -> Option<Secret> {
    let secret = read.optional(setting);
    let Some(file) = read.optional(file_setting) else { return secret };
    if secret.is_some() {
        read.fault(file_setting, &file, format!("not beside {}: one of the two", setting.variable));
        return secret;
    }
    match first_line(&file) {
        Ok(line) => Some(Secret::new(&line)),
        Err(reason) => {
            read.fault(file_setting, &file, format!("a file with the secret in its first line: {reason}"));
            None
        }
    }
}

fn first_line(file: &Path) -> Result<String, String> {
    // A pipe would be waited for.
    if !file.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("this is no file".to_owned());
    }
    let mut text = String::new();
    let opened = File::open(file).map_err(|error| error.to_string())?;
    opened.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() { Err("its first line is empty".to_owned()) } else { Ok(line.to_owned()) }
}
