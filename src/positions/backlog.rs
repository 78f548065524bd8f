//! `Backlog`: submissions that wait for the store, bounded by their positions.

use std::time::Duration;

use super::group::{Group, Submission};

/// Most positions in one commit; more wait for the next, so that no post waits long behind a flood.
pub(super) const MAX_COMMIT: usize = 8192;

/// So many positions that wait are committed beside another commit, where the store can do that. Fewer make a group that costs more for
/// each, and wait for the next, but not for longer than [`LONG`].
const WORTH_ANOTHER: usize = 1000;

/// Longer than commits take where nothing holds them up.
const LONG: Duration = Duration::from_millis(500);

/// Submissions that wait for the store, the oldest first.
pub(super) struct Backlog {
    submissions: Vec<Submission>,
    /// Positions of these, and of the groups that are being committed.
    positions: usize,
    /// How many there may be.
    max: usize,
}

impl Backlog {
    /// An empty one, for at most `max` positions.
    pub(super) fn new(max: usize) -> Self {
        Self { submissions: Vec::new(), positions: 0, max }
    }

    /// True if so many more positions may wait. One submission always may, however large, when nothing else waits.
    pub(super) fn has_room(&self, positions: usize) -> bool {
        self.positions == 0 || self.positions + positions <= self.max
    }

    pub(super) fn push(&mut self, submission: Submission) {
        self.positions += submission.positions.len();
        self.submissions.push(submission);
    }

    /// The next group to commit: as many whole submissions as fit into a commit, at least one. `None` if none waits.
    pub(super) fn next_group(&mut self) -> Option<Group> {
        let sizes = self.submissions.iter().map(|submission| submission.positions.len());
        let count = how_many_fit(sizes, MAX_COMMIT);
        (count > 0).then(|| Group::new(self.submissions.drain(..count)))
    }

    /// True if so much waits to be committed that it is not worth waiting for the commit that is under way.
    pub(super) fn is_worth_another(&self) -> bool {
        let Some(oldest) = self.submissions.first() else { return false };
        let sizes = self.submissions.iter().map(|submission| submission.positions.len());
        oldest.received.elapsed() >= LONG || sizes.sum::<usize>() >= WORTH_ANOTHER
    }

    /// True if no submission waits to be committed.
    pub(super) fn is_empty(&self) -> bool {
        self.submissions.is_empty()
    }

    /// So many positions of a group do not wait any more.
    pub(super) fn remove(&mut self, positions: usize) {
        self.positions -= positions;
    }

    /// How many positions wait, those that are being committed among them.
    pub(super) fn positions(&self) -> usize {
        self.positions
    }
}

/// How many of the first things of these sizes are `max` together at most; at least one, if there is one.
pub(super) fn how_many_fit(sizes: impl Iterator<Item = usize>, max: usize) -> usize {
    let mut sum = 0;
    let fits = sizes.take_while(|size| {
        let first = sum == 0;
        sum += size;
        first || sum <= max
    });
    fits.count()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::sync::oneshot;

    use super::*;
    use crate::domain::{Position, Timestamp};

    fn submission(positions: usize) -> Submission {
        let json = r#"{"device_id":"a","timestamp":"2026-01-02T03:04:05Z","latitude":1,"longitude":2}"#;
        let arrival = Timestamp::now();
        let position = Position::from_json(json, arrival).unwrap();
        let reply = oneshot::channel().0;
        Submission { positions: vec![position; positions], received: Instant::now(), arrival, reply }
    }

    #[test]
    fn a_group_has_whole_submissions_and_at_most_what_one_commit_takes_or_one_submission() {
        let mut backlog = Backlog::new(1_000_000);
        for positions in [5_000, 3_000, 192, 1, 10_000, 8_192, 8_192] {
            backlog.push(submission(positions));
        }
        let mut sizes = Vec::new();
        while let Some(group) = backlog.next_group() {
            sizes.push(group.positions().len());
        }
        assert_eq!(sizes, [MAX_COMMIT, 1, 10_000, 8_192, 8_192]);
        assert_eq!(backlog.positions(), sizes.iter().sum::<usize>());
    }

    #[test]
    fn what_is_being_committed_still_takes_room() {
        let mut backlog = Backlog::new(10);
        assert!(backlog.has_room(1_000));
        backlog.push(submission(8));
        assert!(backlog.has_room(2) && !backlog.has_room(3));
        assert!(backlog.next_group().is_some() && backlog.next_group().is_none());
        assert!(!backlog.has_room(3));
        backlog.remove(8);
        assert!(backlog.has_room(1_000));
    }
}
