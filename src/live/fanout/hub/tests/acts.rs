//! What happens in the model: its acts, chosen at random.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{AREAS, SEATS, TOPICS};

/// What happens. Devices are 0 to 15; a position goes to the events whose bits are set, its place is a whole number of
/// degrees from 0 to 4.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Publish(Vec<(u8, u8, (u8, u8))>),
    /// Client, topic, cadence, batch.
    Subscribe(usize, usize, u64, bool),
    /// Client, the area that comes, the area that goes, cadence.
    Replace(usize, usize, usize, u64),
    Unsubscribe(usize, usize),
    /// Client, the topics that it may still read, a bit for each.
    Narrow(usize, u16),
    /// Whatever is due within so many milliseconds is served.
    Tick(u64),
    Room(usize, usize),
    Leave(usize),
    /// The server closes it; the client is still there for a while.
    Close(usize),
    /// The fan-out goes on for so many strides.
    Strides(usize),
}

pub(super) fn act() -> impl Strategy<Value = Act> {
    let client = || 0..SEATS;
    let every = || prop_oneof![2 => Just(0_u64), 1 => Just(100), 1 => Just(1000)];
    let place = || (0..5_u8, 0..5_u8);
    let bits = prop_oneof![3 => Just(1_u8), 1 => 0..4_u8];
    prop_oneof![
        8 => vec((0..16_u8, bits, place()), 1..24).prop_map(Act::Publish),
        6 => (client(), 0..TOPICS.len(), every(), any::<bool>())
            .prop_map(|(client, topic, every, batch)| Act::Subscribe(client, topic, every, batch)),
        3 => (client(), AREAS, AREAS, every())
            .prop_map(|(client, comes, goes, every)| Act::Replace(client, comes, goes, every)),
        1 => (client(), 0..TOPICS.len()).prop_map(|(client, topic)| Act::Unsubscribe(client, topic)),
        1 => (client(), any::<u16>()).prop_map(|(client, topics)| Act::Narrow(client, topics)),
        6 => (client(), 0..3000_usize).prop_map(|(client, room)| Act::Room(client, room)),
        1 => client().prop_map(Act::Leave),
        1 => client().prop_map(Act::Close),
        6 => (1..4_usize).prop_map(Act::Strides),
        2 => (0..2000_u64).prop_map(Act::Tick),
    ]
}
