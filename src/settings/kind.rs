//! `Kind`: what a setting may be, and how its text becomes a value and the value text again.

use std::fmt::Display;
use std::marker::PhantomData;
use std::time::Duration;

use super::secret::Secret;

/// The longest time a setting may name, in milliseconds (one day).
const MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// One kind of setting.
pub(super) trait Kind {
    /// What the server works with.
    type Value;

    /// Whether it is written without quotes in a file.
    const IS_BARE: bool = false;

    /// What is allowed, as errors and documents say it.
    fn allowed() -> String;

    /// Reads `text`, which begins and ends without spaces and may be empty.
    ///
    /// # Errors
    /// Those parts of the text that are not allowed, in a form that may be shown: a secret never is.
    fn read(text: &str) -> Result<Self::Value, Vec<String>>;

    /// The value as text that reads back to it. A secret is only said to be set.
    fn show(value: &Self::Value) -> String;

    /// What to go on with when the text is not allowed, so that the other faults are found too. No server starts with it.
    fn stand_in() -> Self::Value;
}

/// A whole number.
pub(super) struct Number<T, const FROM: u64, const TO: u64>(PhantomData<T>);

/// A port; 0 takes any free one.
pub(super) type Port = Number<u16, 0, 65535>;

impl<T: TryFrom<u64> + Display + Default, const FROM: u64, const TO: u64> Kind for Number<T, FROM, TO> {
    type Value = T;

    const IS_BARE: bool = true;

    fn allowed() -> String {
        format!("a whole number from {FROM} to {TO}")
    }

    fn read(text: &str) -> Result<T, Vec<String>> {
        let number = text.parse().ok().filter(|number| (FROM..=TO).contains(number));
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| vec![text.to_owned()])
    }

    fn show(value: &T) -> String {
        value.to_string()
    }

    fn stand_in() -> T {
        T::default()
    }
}

/// A time of at least `FROM` and at most a day, in milliseconds.
pub(super) struct Millis<const FROM: u64>;

impl<const FROM: u64> Kind for Millis<FROM> {
    type Value = Duration;

    const IS_BARE: bool = true;

    fn allowed() -> String {
        Number::<u64, FROM, MAX_MS>::allowed()
    }

    fn read(text: &str) -> Result<Duration, Vec<String>> {
        Number::<u64, FROM, MAX_MS>::read(text).map(Duration::from_millis)
    }

    fn show(value: &Duration) -> String {
        value.as_millis().to_string()
    }

    fn stand_in() -> Duration {
        Duration::ZERO
    }
}

/// One of several things that have names.
pub(super) trait Choice: Copy + 'static {
    /// All of them; the first stands in where what was given is none of them.
    const ALL: &'static [Self];

    /// What is allowed, for people.
    const ALLOWED: &'static str;

    /// Its name in settings.
    fn name(self) -> &'static str;
}

impl<C: Choice> Kind for C {
    type Value = C;

    fn allowed() -> String {
        C::ALLOWED.into()
    }

    fn read(text: &str) -> Result<C, Vec<String>> {
        let found = C::ALL.iter().copied().find(|choice| choice.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| vec![text.to_owned()])
    }

    fn show(value: &C) -> String {
        value.name().to_owned()
    }

    fn stand_in() -> C {
        C::ALL[0]
    }
}

/// Something that is on or off.
pub(super) struct Switch;

impl Kind for Switch {
    type Value = bool;

    const IS_BARE: bool = true;

    fn allowed() -> String {
        "true or false".into()
    }

    fn read(text: &str) -> Result<bool, Vec<String>> {
        text.parse().map_err(|_| vec![text.to_owned()])
    }

    fn show(value: &bool) -> String {
        value.to_string()
    }

    fn stand_in() -> bool {
        false
    }
}

/// The value of a label in metrics.
pub(super) struct Label;

impl Kind for Label {
    type Value = String;

    fn allowed() -> String {
        "at most 128 bytes without control characters".into()
    }

    fn read(text: &str) -> Result<String, Vec<String>> {
        let is_label = text.len() <= 128 && !text.chars().any(char::is_control);
        if is_label { Ok(text.to_owned()) } else { Err(vec![text.to_owned()]) }
    }

    fn show(value: &String) -> String {
        value.clone()
    }

    fn stand_in() -> String {
        String::new()
    }
}

/// A text that is never printed.
pub(super) struct SecretText;

impl Kind for SecretText {
    type Value = Secret;

    fn allowed() -> String {
        "any text".into()
    }

    fn read(text: &str) -> Result<Secret, Vec<String>> {
        Ok(Secret::new(text))
    }

    fn show(value: &Secret) -> String {
        format!("{value:?}")
    }

    fn stand_in() -> Secret {
        Secret::new("")
    }
}
