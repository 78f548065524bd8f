//! Where settings come from: the defaults, the files, the environment; the later wins. Nothing is checked here.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use super::error::SettingsError;
use super::table::{self, Default, Entry, GROUPS};

/// The variable that names a file to read besides `default.toml`.
const FILE_VARIABLE: &str = "PROCESSOR_ENV";

/// What was set, by key.
pub(super) type Values = BTreeMap<String, Value>;

/// A value as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A text, or a number or another scalar as text.
    Text(String),
    /// A list or a table, which no setting is.
    Compound,
}

/// The defaults, with `default.toml` and the file that the environment names, both in `folder`, and the environment over them.
///
/// # Errors
/// A file that is there, or was named, and cannot be read or is not TOML.
pub(super) fn values(folder: &Path, environment: HashMap<String, String>) -> Result<Values, SettingsError> {
    let mut values: Values = table::all().filter_map(default).collect();
    for file in files(folder, environment.get(FILE_VARIABLE)) {
        values.extend(read(file)?);
    }
    let environment =
        environment.into_iter().map(|(variable, text)| (variable.to_lowercase(), Value::Text(text)));
    values.extend(environment.filter(|(key, _)| is_ours(key)));
    Ok(values)
}

fn default(setting: &dyn Entry) -> Option<(String, Value)> {
    match setting.default() {
        Default::Text(text) => Some((setting.key(), Value::Text(text.to_owned()))),
        Default::Computed { .. } => None,
    }
}

/// The files to read, in order.
fn files(folder: &Path, named: Option<&String>) -> Vec<PathBuf> {
    let default = folder.join("default.toml");
    // Only one that is not there at all is left out: without one that cannot be read, what it forbids would be allowed.
    let is_absent = default.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let default = (!is_absent).then_some(default);
    let named = named.filter(|name| !name.is_empty()).map(|name| folder.join(format!("{name}.toml")));
    default.into_iter().chain(named).collect()
}

fn read(file: PathBuf) -> Result<Values, SettingsError> {
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(source) => return Err(SettingsError::File { file, source }),
    };
    match text.parse::<toml::Table>() {
        Ok(table) => Ok(table.into_iter().map(|(key, value)| (key, Value::from(value))).collect()),
        Err(error) => Err(syntax_error(file, &text, &error)),
    }
}

fn syntax_error(file: PathBuf, text: &str, error: &toml::de::Error) -> SettingsError {
    let at = error.span().map_or(0, |span| span.start);
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    SettingsError::Syntax { file, line, column, message: error.message().replace('\n', ", ") }
}

impl From<toml::Value> for Value {
    fn from(value: toml::Value) -> Self {
        match value {
            toml::Value::String(text) => Self::Text(text),
            toml::Value::Integer(number) => Self::Text(number.to_string()),
            toml::Value::Float(number) => Self::Text(number.to_string()),
            toml::Value::Boolean(truth) => Self::Text(truth.to_string()),
            toml::Value::Datetime(time) => Self::Text(time.to_string()),
            toml::Value::Array(_) | toml::Value::Table(_) => Self::Compound,
        }
    }
}

/// Whether a variable of the environment is meant for this program: others are not its business.
fn is_ours(key: &str) -> bool {
    let has_prefix = GROUPS.iter().filter_map(|group| group.prefix).any(|prefix| key.starts_with(prefix));
    has_prefix || table::all().any(|setting| setting.key() == key)
}
