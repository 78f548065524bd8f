//! Secrets that are set by themselves or are in a file.

use std::path::Path;

use super::kind::SecretText;
use super::map::FilePath;
use super::read::Reader;
use super::secret::Secret;
use super::setting::Setting;
use super::small_file::read_small_file;

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
    let bytes = read_small_file(file).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "this is no UTF-8".to_owned())?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() { Err("its first line is empty".to_owned()) } else { Ok(line.to_owned()) }
}
