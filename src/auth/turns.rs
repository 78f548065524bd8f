//! `Turns`: so many at a time; those who wait have turns, a network after the other, so that one with very many takes no longer than a
//! turn from each other one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::domain::ClientNetwork;

/// On whose behalf something is done; `None`: on the server's own.
pub(super) type Whose = Option<ClientNetwork>;

/// So many at a time.
pub(super) struct Turns(Mutex<Queue>);

struct Queue {
    /// How many more may begin.
    free: usize,
    /// Those who wait, of each network the first one first. Some may have left.
    waiting: HashMap<Whose, VecDeque<oneshot::Sender<Turn>>>,
    /// The networks of those, in the order of their turns; each once.
    order: VecDeque<Whose>,
}

/// The right to do it, given on when dropped.
pub(super) struct Turn(Option<Arc<Turns>>);

impl Turns {
    pub(super) fn new(at_a_time: usize) -> Arc<Self> {
        let queue = Queue { free: at_a_time, waiting: HashMap::new(), order: VecDeque::new() };
        Arc::new(Self(Mutex::new(queue)))
    }

    /// Waits for a turn. May be dropped meanwhile.
    pub(super) async fn take(self: &Arc<Self>, whose: Whose) -> Turn {
        let receiver = {
            let mut queue = self.queue();
            if queue.free > 0 {
                queue.free -= 1;
                return Turn(Some(self.clone()));
            }
            queue.wait(whose)
        };
        // Whoever has a turn has these turns, which have the sender.
        receiver.await.unwrap_or(Turn(None))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn wait(&mut self, whose: Whose) -> oneshot::Receiver<Turn> {
        let (sender, receiver) = oneshot::channel();
        let waiting = self.waiting.entry(whose).or_default();
        if waiting.is_empty() {
            self.order.push_back(whose);
        }
        waiting.push_back(sender);
        receiver
    }

    /// Whose turn it is.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let whose = self.order.pop_front()?;
        let waiting = self.waiting.get_mut(&whose)?;
        let next = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&whose);
        } else {
            self.order.push_back(whose);
        }
        next
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else { return };
        let mut queue = turns.queue();
        while let Some(next) = queue.next() {
            match next.send(Self(Some(turns.clone()))) {
                Ok(()) => return,
                // Has left; this one is not to be given on once more.
                Err(mut turn) => drop(turn.0.take()),
            }
        }
        queue.free += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::iter;
    use std::net::IpAddr;
    use std::pin::Pin;

    use futures_util::FutureExt as _;

    use super::*;

    type Taking = Pin<Box<dyn Future<Output = Turn>>>;

    /// Somebody of this network comes, and has to wait.
    fn wait(turns: &Arc<Turns>, network: u8) -> Taking {
        let (turns, whose) = (turns.clone(), Some(IpAddr::from([192, 0, 2, network]).into()));
        let mut taking: Taking = Box::pin(async move { turns.take(whose).await });
        assert!((&mut taking).now_or_never().is_none());
        taking
    }

    /// Those of them who have a turn now: their numbers.
    fn ready(waiting: &mut [Option<Taking>]) -> Vec<(usize, Turn)> {
        let taken = waiting.iter_mut().enumerate().filter_map(|(number, one)| {
            let turn = one.as_mut()?.now_or_never()?;
            *one = None;
            Some((number, turn))
        });
        taken.collect()
    }

    /// The order of those who wait, if each gives its turn on at once.
    fn order(first: Turn, waiting: &mut [Option<Taking>]) -> Vec<usize> {
        let mut turn = first;
        let in_turn = iter::from_fn(|| {
            drop(std::mem::replace(&mut turn, Turn(None)));
            let mut ready = ready(waiting);
            assert!(ready.len() <= 1);
            let (number, next) = ready.pop()?;
            turn = next;
            Some(number)
        });
        in_turn.collect()
    }

    #[test]
    fn networks_have_turns_and_of_each_the_first_goes_first() {
        let turns = Turns::new(1);
        let first = turns.take(None).now_or_never().unwrap();
        let mut waiting = [1, 1, 1, 1, 2, 3, 2].map(|network| Some(wait(&turns, network)));
        assert_eq!(order(first, &mut waiting), [0, 4, 5, 1, 6, 2, 3]);
        assert!(turns.take(None).now_or_never().is_some());
        let queue = turns.queue();
        assert!(queue.waiting.is_empty() && queue.order.is_empty());
    }

    #[test]
    fn those_who_leave_have_no_turn_also_if_it_was_given_to_them() {
        let turns = Turns::new(1);
        let first = turns.take(None).now_or_never().unwrap();
        let mut waiting = [1, 1, 2, 3, 3].map(|network| Some(wait(&turns, network)));
        waiting[0] = None;
        waiting[3] = None;
        drop(first);
        // It is that of 1, which has not looked yet.
        waiting[1] = None;
        let next = ready(&mut waiting).pop().unwrap();
        assert_eq!(next.0, 2);
        assert_eq!(order(next.1, &mut waiting), [4]);
        assert_eq!(turns.queue().free, 1);
    }

    #[test]
    fn so_many_are_under_way_at_a_time() {
        let turns = Turns::new(2);
        let mut under_way: Vec<_> = iter::from_fn(|| turns.take(None).now_or_never()).take(3).collect();
        assert_eq!(under_way.len(), 2);
        let mut waiting = [1, 2, 3].map(|network| Some(wait(&turns, network)));
        under_way.clear();
        let ready = ready(&mut waiting);
        assert_eq!(ready.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1]);
    }
}
