//! Where settings come from: the defaults, the files, the environment; the later wins. Nothing is checked here.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use config::{Config, ConfigError, Map, Source, ValueKind};
use toml::de::{DeInteger, DeTable, DeValue};

use super::error::SettingsError;
use super::setting::{Default, Entry};
use super::table::{self, GROUPS};

/// The variable that names a file to read besides `default.toml`.
const FILE_VARIABLE: &str = "PROCESSOR_ENV";

/// What was set, by key.
pub(super) type Values = BTreeMap<String, Value>;

/// What one source holds. `config` could read files too, but prints the line of a syntax error, and so the secret in it.
#[derive(Clone, Debug)]
struct Layer(Values);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, config::Value>, ConfigError> {
        let value = |value: &Value| match value {
            Value::Text(text) => ValueKind::String(text.clone()),
            Value::Compound => ValueKind::Array(Vec::new()),
        };
        Ok(self.0.iter().map(|(key, held)| (key.clone(), config::Value::new(None, value(held)))).collect())
    }
}

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
    // `config` takes keys for paths (`a.b`, `a[0]`). So it is given only those that are settings, which are none; the others
    // are kept as they are written, to be told.
    let mut unknown = Values::new();
    let mut known = |values: Values| {
        let (known, others) = values.into_iter().partition::<Values, _>(|(key, _)| is_setting(key));
        unknown.extend(others);
        Layer(known)
    };
    let mut builder = Config::builder().add_source(known(table::all().filter_map(default).collect()));
    for file in files(folder, environment.get(FILE_VARIABLE)) {
        builder = builder.add_source(known(read(file)?));
    }
    let environment = environment.into_iter().map(|(name, text)| (name.to_lowercase(), Value::Text(text)));
    builder = builder.add_source(known(environment.filter(|(key, _)| is_ours(key)).collect()));
    let values = builder.build()?.cache.into_table()?.into_iter();
    Ok(values.map(|(key, value)| (key, Value::from(value))).chain(unknown).collect())
}

impl From<config::Value> for Value {
    fn from(value: config::Value) -> Self {
        value.into_string().map_or(Self::Compound, Self::Text)
    }
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
    // Only the syntax is read here: a value that is out of range is told by the setting that it was meant for.
    match DeTable::parse(&text) {
        Ok(table) => {
            let values = table.into_inner().into_iter();
            Ok(values
                .map(|(key, value)| (key.into_inner().into_owned(), Value::from(value.into_inner())))
                .collect())
        }
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

impl From<DeValue<'_>> for Value {
    fn from(value: DeValue<'_>) -> Self {
        Self::Text(match value {
            DeValue::String(text) => text.into_owned(),
            DeValue::Integer(number) => integer(&number),
            DeValue::Float(number) => {
                number.as_str().parse().map_or_else(|_| number.to_string(), |n: f64| n.to_string())
            }
            DeValue::Boolean(truth) => truth.to_string(),
            DeValue::Datetime(time) => time.to_string(),
            DeValue::Array(_) | DeValue::Table(_) => return Self::Compound,
        })
    }
}

/// A number in decimal; as it was written, if it is too large for that.
fn integer(number: &DeInteger<'_>) -> String {
    let decimal = i64::from_str_radix(number.as_str(), number.radix());
    decimal.map_or_else(|_| number.to_string(), |decimal| decimal.to_string())
}

/// Whether a variable of the environment is meant for this program: others are not its business.
fn is_ours(key: &str) -> bool {
    let has_prefix = GROUPS.iter().filter_map(|group| group.prefix).any(|prefix| key.starts_with(prefix));
    has_prefix || is_setting(key)
}

fn is_setting(key: &str) -> bool {
    table::all().any(|setting| setting.key() == key)
}
