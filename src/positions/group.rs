//! `Group`: submissions that are committed together, and what each of them is told.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::arrived::Arrived;
use super::order::Verdict;
use super::store::StoreError;
use super::submit::{Stored, SubmitError};
use crate::domain::{Position, Timestamp};

/// The way back to whoever submitted; it may have gone.
pub(super) type Reply = oneshot::Sender<Result<Stored, SubmitError>>;

/// Positions that wait to be stored, all or none.
pub(super) struct Submission {
    pub(super) positions: Vec<Position>,
    /// When they arrived, to measure by.
    pub(super) received: Instant,
    /// The same by the server's clock.
    pub(super) arrival: Timestamp,
    pub(super) reply: Reply,
}

/// Submissions that are committed together.
pub(super) struct Group {
    /// In the order in which they count.
    positions: Vec<Arrived>,
    /// For each position, the index of its submission.
    submissions: Vec<usize>,
    /// Of each submission, where its reply goes.
    replies: Vec<Reply>,
}

/// A group that is on the disk.
pub(super) struct Outcome {
    /// Positions to hand on.
    pub(super) new: Vec<Arrived>,
    /// Positions in all.
    pub(super) late: usize,
    /// Positions in all.
    pub(super) repeated: usize,
    replies: Vec<(Reply, Stored)>,
}

impl Group {
    /// Puts positions in the order in which they count. Stable, so that of two with the same device and time the one that
    /// came first is stored.
    pub(super) fn new(submissions: impl IntoIterator<Item = Submission>) -> Self {
        let mut positions = Vec::new();
        let mut replies = Vec::new();
        for Submission { positions: some, received, arrival, reply } in submissions {
            let index = replies.len();
            let arrived = |position| (Arrived { position, arrival, received }, index);
            positions.extend(some.into_iter().map(arrived));
            replies.push(reply);
        }
        positions.sort_by_key(|(arrived, _)| arrived.key());
        let (positions, submissions) = positions.into_iter().unzip();
        Self { positions, submissions, replies }
    }

    /// What is to be stored.
    pub(super) fn positions(&self) -> &[Arrived] {
        &self.positions
    }

    /// It was committed; `verdicts` say of each position what it is.
    pub(super) fn committed(self, verdicts: Vec<Verdict>) -> Outcome {
        let mut stored = vec![Stored::default(); self.replies.len()];
        let mut new = Vec::new();
        let positions = self.positions.into_iter().zip(self.submissions).zip(verdicts);
        for ((arrived, submission), verdict) in positions {
            match verdict {
                Verdict::New => new.push(arrived),
                Verdict::Late => stored[submission].late += 1,
                Verdict::Repeated => stored[submission].repeated += 1,
            }
        }
        Outcome {
            new,
            late: stored.iter().map(|stored| stored.late).sum(),
            repeated: stored.iter().map(|stored| stored.repeated).sum(),
            replies: self.replies.into_iter().zip(stored).collect(),
        }
    }

    /// It was not committed: each submission is told why.
    pub(super) fn failed(self, error: &Arc<StoreError>) {
        for reply in self.replies {
            reply.send(Err(SubmitError::Store(error.clone()))).ok();
        }
    }
}

impl Outcome {
    /// Tells each submission what became of its positions.
    pub(super) fn acknowledge(self) {
        for (reply, stored) in self.replies {
            reply.send(Ok(stored)).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn submission(
        arrival: i64,
        positions: &[(&str, i64)],
    ) -> (Submission, oneshot::Receiver<Result<Stored, SubmitError>>) {
        let (reply, receiver) = oneshot::channel();
        let position = |(device, millis): &(&str, i64)| {
            let timestamp = at(*millis);
            let json = format!(
                r#"{{"device_id":"{device}","timestamp":"{timestamp}","latitude":1,"longitude":{arrival}}}"#
            );
            Position::from_json(&json, timestamp).unwrap()
        };
        let positions = positions.iter().map(position).collect();
        (Submission { positions, received: Instant::now(), arrival: at(arrival), reply }, receiver)
    }

    #[test]
    fn positions_are_stored_in_the_order_in_which_they_count_the_first_of_the_same_time_first() {
        // The second of `a` is from the future, so it counts as of its arrival, 10.
        let (one, _one) = submission(10, &[("a", 9), ("a", 99), ("b", 5)]);
        let (other, _other) = submission(11, &[("a", 11), ("b", 5), ("a", 7)]);
        let group = Group::new([one, other]);
        let order: Vec<_> = group
            .positions()
            .iter()
            .map(|arrived| {
                let Position { device_id, timestamp, longitude, .. } = &arrived.position;
                (&**device_id, timestamp.as_millis(), *longitude)
            })
            .collect();
        let expected = [
            ("b", 5, 10.0),
            ("b", 5, 11.0),
            ("a", 7, 11.0),
            ("a", 9, 10.0),
            ("a", 99, 10.0),
            ("a", 11, 11.0),
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn each_submission_is_told_of_its_own_positions() {
        let (one, mut to_one) = submission(10, &[("a", 1), ("a", 2), ("a", 3)]);
        let (other, mut to_other) = submission(10, &[("a", 4), ("a", 5)]);
        let group = Group::new([one, other]);
        use Verdict::{Late, New, Repeated};
        let outcome = group.committed(vec![Late, Late, New, Repeated, New]);
        assert_eq!((outcome.late, outcome.repeated), (2, 1));
        let new: Vec<_> = outcome.new.iter().map(|arrived| arrived.position.timestamp.as_millis()).collect();
        assert_eq!(new, [3, 5]);
        assert!(to_one.try_recv().is_err(), "acknowledged before it was published");
        outcome.acknowledge();
        assert_eq!(to_one.try_recv().unwrap().unwrap(), Stored { late: 2, repeated: 0 });
        assert_eq!(to_other.try_recv().unwrap().unwrap(), Stored { late: 0, repeated: 1 });
    }
}
