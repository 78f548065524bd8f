//! `kind_and_name`, `from_kind_and_name`: what is revoked as two texts, as the stores and the log have it.

use std::borrow::Cow;

use crate::domain::{Revoked, TopicPattern};

/// The longest subject or token id, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 1024;

const SUBJECT: &str = "subject";
const TOKEN: &str = "token";
const TOPIC: &str = "topic";

/// Why something cannot be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {MAX_NAME_BYTES} bytes and no control characters")]
pub struct NameError;

/// Checks a subject or token id: all stores must be able to keep it.
///
/// # Errors
/// [`NameError`] if it is empty, too long, or has a control character. A pattern of topics never is.
pub(super) fn check(revoked: &Revoked) -> Result<(), NameError> {
    let (Revoked::Subject(name) | Revoked::Token(name)) = revoked else { return Ok(()) };
    let fits = (1..=MAX_NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(NameError) }
}

/// What is revoked, as two texts.
pub(super) fn kind_and_name(revoked: &Revoked) -> (&'static str, Cow<'_, str>) {
    match revoked {
        Revoked::Subject(subject) => (SUBJECT, Cow::Borrowed(subject)),
        Revoked::Token(id) => (TOKEN, Cow::Borrowed(id)),
        Revoked::Topic(pattern) => (TOPIC, Cow::Owned(pattern.to_string())),
    }
}

/// What these two texts say is revoked; `None` where they say nothing that this release knows.
pub(super) fn from_kind_and_name(kind: &str, name: &str) -> Option<Revoked> {
    let revoked = match kind {
        SUBJECT => Revoked::Subject(name.to_owned()),
        TOKEN => Revoked::Token(name.to_owned()),
        TOPIC => Revoked::Topic(TopicPattern::parse(name).ok()?),
        _ => return None,
    };
    check(&revoked).is_ok().then_some(revoked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_revoked_is_read_back() {
        let topic = |text| Revoked::Topic(TopicPattern::parse(text).unwrap());
        let long = "x".repeat(MAX_NAME_BYTES);
        for revoked in [
            Revoked::Subject("ann \u{e4}".into()),
            Revoked::Token(long.clone()),
            topic("*"),
            topic("event:r*"),
            topic("area:1,2,3,4"),
        ] {
            let (kind, name) = kind_and_name(&revoked);
            assert_eq!(from_kind_and_name(kind, &name), Some(revoked));
        }
    }

    #[test]
    fn what_no_store_could_keep_is_refused() {
        for name in ["", "a\0", "a\nb", &"x".repeat(MAX_NAME_BYTES + 1)] {
            assert_eq!(check(&Revoked::Subject(name.into())), Err(NameError));
            assert_eq!(check(&Revoked::Token(name.into())), Err(NameError));
            assert_eq!(from_kind_and_name("token", name), None);
        }
        for (kind, name) in [("topic", "foo:1"), ("device", "a"), ("Subject", "a"), ("", "a")] {
            assert_eq!(from_kind_and_name(kind, name), None, "{kind} {name}");
        }
    }
}
