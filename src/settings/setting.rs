//! `Setting`: one entry of the table of settings; `Entry`: the same, whatever its kind; `Group`: those that belong together.

use std::marker::PhantomData;

use super::kind::Kind;

/// One setting, of the kind `K`.
pub(super) struct Setting<K> {
    /// Its name in the environment. The key in files is the same in lower case.
    pub(super) variable: &'static str,
    pub(super) default: Default,
    /// Unit of a number; empty for what has none.
    pub(super) unit: &'static str,
    /// What it is for, in whole sentences; Markdown.
    pub(super) help: &'static str,
    pub(super) kind: PhantomData<fn() -> K>,
}

/// What holds where a setting is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Default {
    /// This text, read as if it had been set.
    Text(&'static str),
    /// What the code that reads it works out.
    Computed {
        /// What that is, in words.
        says: &'static str,
        /// A value to show as an example.
        example: &'static str,
    },
}

/// Settings that belong together.
pub(super) struct Group {
    /// What they are about.
    pub(super) title: &'static str,
    /// A variable in the environment that starts like this and is no setting is a typing error, not someone else's.
    pub(super) prefix: Option<&'static str>,
    pub(super) settings: &'static [&'static dyn Entry],
}

/// A setting whose kind does not matter.
pub(super) trait Entry: Sync {
    /// See [`Setting::variable`].
    fn variable(&self) -> &'static str;
    /// See [`Setting::default`].
    fn default(&self) -> Default;
    /// See [`Setting::help`].
    fn help(&self) -> &'static str;
    /// What is allowed, with the unit.
    fn allowed(&self) -> String;
    /// See [`Kind::IS_BARE`].
    fn is_bare(&self) -> bool;
    /// Its name in files.
    fn key(&self) -> String {
        self.variable().to_ascii_lowercase()
    }
}

impl<K> Setting<K> {
    pub(super) const fn named(variable: &'static str) -> Self {
        Self { variable, default: Default::Text(""), unit: "", help: "", kind: PhantomData }
    }
}

impl<K: Kind> Entry for Setting<K> {
    fn variable(&self) -> &'static str {
        self.variable
    }

    fn default(&self) -> Default {
        self.default
    }

    fn help(&self) -> &'static str {
        self.help
    }

    fn allowed(&self) -> String {
        let allowed = K::allowed();
        if self.unit.is_empty() { allowed } else { format!("{allowed} ({})", self.unit) }
    }

    fn is_bare(&self) -> bool {
        K::IS_BARE
    }
}
