//! Topics of a position as a text, one a line, and what reads them back.

use std::collections::HashSet;

use crate::domain::Topic;

/// The topics as a text; `None` if there are none.
pub(super) fn lines(topics: &[Topic]) -> Option<String> {
    let names: Vec<String> = topics.iter().map(Topic::to_string).collect();
    (!names.is_empty()).then(|| names.join("\n"))
}

/// Topics that were read: devices of one event share its name.
#[derive(Default)]
pub(super) struct Topics(HashSet<Topic>);

impl Topics {
    /// The topics of these names; `None` if one of them is none.
    pub(super) fn read<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> Option<Vec<Topic>> {
        names.into_iter().map(|name| self.topic(name)).collect()
    }

    fn topic(&mut self, text: &str) -> Option<Topic> {
        let topic = Topic::parse(text).ok()?;
        if let Some(known) = self.0.get(&topic) {
            return Some(known.clone());
        }
        self.0.insert(topic.clone());
        Some(topic)
    }
}
