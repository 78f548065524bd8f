//! `Reader`: takes values out of what was set, checks each, and notes every fault and every value that holds.

use std::collections::HashMap;

use super::error::{Fault, SettingsError};
use super::kind::Kind;
use super::setting::{Entry, Setting};
use super::source::{Value, Values};
use super::table;

/// Said of a list or a table, whose content may be secret.
const COMPOUND: &str = "(a list or table)";

/// Reads settings one by one.
pub(super) struct Reader {
    values: Values,
    faults: Vec<Fault>,
    /// The values that hold, as text, by variable.
    effective: HashMap<&'static str, String>,
}

impl Reader {
    /// Reads from `values`. Keys that are no settings are faults already.
    pub(super) fn new(values: Values) -> Self {
        let faults = unknown_keys(&values);
        Self { values, faults, effective: HashMap::new() }
    }

    /// The value of a setting that has one in any case.
    pub(super) fn value<K: Kind>(&mut self, setting: &Setting<K>) -> K::Value {
        self.value_or(setting, String::new)
    }

    /// The value of a setting; where it is absent, that of the text that `computed` returns.
    pub(super) fn value_or<K: Kind>(
        &mut self,
        setting: &Setting<K>,
        computed: impl FnOnce() -> String,
    ) -> K::Value {
        match self.text(setting) {
            Ok(text) => self.check(setting, &text.unwrap_or_else(computed)),
            Err(fault) => {
                self.faults.push(fault);
                K::stand_in()
            }
        }
    }

    /// The value of a setting that may be absent.
    pub(super) fn optional<K: Kind>(&mut self, setting: &Setting<K>) -> Option<K::Value> {
        self.effective.insert(setting.variable, String::new());
        match self.text(setting) {
            Ok(text) => text.map(|text| self.check(setting, &text)),
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        }
    }

    /// Says that `value` holds, and not what was set; returns it.
    pub(super) fn settle<K: Kind>(&mut self, setting: &Setting<K>, value: K::Value) -> K::Value {
        self.effective.insert(setting.variable, K::show(&value));
        value
    }

    /// True unless a fault of this setting was noted.
    pub(super) fn is_sound<K>(&self, setting: &Setting<K>) -> bool {
        self.faults.iter().all(|fault| fault.variable != setting.variable)
    }

    /// Notes that a value does not go together with others.
    pub(super) fn fault<K: Kind>(&mut self, setting: &Setting<K>, value: &K::Value, allowed: String) {
        let variable = setting.variable.to_owned();
        self.faults.push(Fault { variable, value: K::show(value), allowed });
    }

    /// The values that hold, as lines `VARIABLE=value` in the order of the table.
    ///
    /// # Errors
    /// Every fault that was noted.
    pub(super) fn finish(self) -> Result<Vec<String>, SettingsError> {
        if !self.faults.is_empty() {
            return Err(SettingsError::Faults(self.faults));
        }
        let line = |variable| Some(format!("{variable}={}", self.effective.get(variable)?));
        Ok(table::all().filter_map(|setting| line(setting.variable())).collect())
    }

    /// What was set. An empty text counts as absent, as orchestrators write "unset" so.
    fn text<K: Kind>(&self, setting: &Setting<K>) -> Result<Option<String>, Fault> {
        match self.values.get(&setting.key()) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
            Some(Value::Compound) => Err(Fault {
                variable: setting.variable.to_owned(),
                value: COMPOUND.to_owned(),
                allowed: "one text or number; several go into one text, with commas".to_owned(),
            }),
        }
    }

    fn check<K: Kind>(&mut self, setting: &Setting<K>, text: &str) -> K::Value {
        match K::read(text) {
            Ok(value) => self.settle(setting, value),
            Err(parts) => {
                let variable = setting.variable;
                let fault =
                    |value| Fault { variable: variable.to_owned(), value, allowed: setting.allowed() };
                self.faults.extend(parts.into_iter().map(fault));
                K::stand_in()
            }
        }
    }
}

fn unknown_keys(values: &Values) -> Vec<Fault> {
    let known: Vec<String> = table::all().map(|setting| setting.key()).collect();
    let unknown = values.iter().filter(|(key, _)| !known.contains(key));
    let fault = |(key, value): (&String, &Value)| Fault {
        variable: key.to_uppercase().escape_debug().to_string(),
        value: shown(value),
        allowed: format!("there is no such setting; there are: {}", alike(key, &known).join(", ")),
    };
    unknown.map(fault).collect()
}

/// Of the known keys those of the same part of the program, by the first word; all, if there are none.
fn alike<'a>(key: &str, known: &'a [String]) -> Vec<&'a str> {
    let part = |key: &str| key.split('_').next().map(str::to_owned);
    let alike: Vec<_> = known.iter().filter(|one| part(one) == part(key)).map(String::as_str).collect();
    if alike.is_empty() { known.iter().map(String::as_str).collect() } else { alike }
}

/// The value of an unknown key as it may be shown: not at all, as it may be a secret under a name with a typing error.
fn shown(value: &Value) -> String {
    match value {
        Value::Compound => COMPOUND.to_owned(),
        Value::Text(_) => "(hidden)".to_owned(),
    }
}
