//! `shard_of`: which of the log's streams has the positions of a device, and how they are named.

/// The stream of a device, the same in every release: FNV-1a with 64 bits, folded
/// (<http://www.isthe.com/chongo/tech/comp/fnv/>), as its halves alone hardly differ for short ids.
pub(super) fn shard_of(device: &str, shards: u32) -> u32 {
    let hash = device.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) as u32 % shards.max(1)
}

/// The name of a stream of the log. A Redis Cluster places it by what stands in the braces.
pub(super) fn stream_name(prefix: &str, shard: u32) -> String {
    format!("{prefix}:{{{shard}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_stays_where_it_is_in_every_release() {
        // Worked out by another program: instances of two releases share a log.
        let shards =
            |shards| ["", "a", "42", "bus-1", "bus-2", "\u{fc}"].map(|device| shard_of(device, shards));
        assert_eq!(shards(1), [0; 6]);
        assert_eq!(shards(4), [1, 0, 0, 1, 0, 1]);
        assert_eq!(shards(1024), [961, 192, 36, 725, 520, 493]);
        assert_eq!(stream_name("processor:log", 3), "processor:log:{3}");
    }

    #[test]
    fn devices_spread_evenly() {
        for name in [|n: u32| n.to_string(), |n: u32| format!("device-{n}"), |n: u32| format!("{n:012x}")] {
            for shards in [3, 16] {
                let mut counts = vec![0; shards as usize];
                (0..16_000).for_each(|device| counts[shard_of(&name(device), shards) as usize] += 1);
                let even = 16_000 / shards;
                let fits = |count: &u32| (even * 9 / 10..even * 11 / 10).contains(count);
                assert!(counts.iter().all(fits), "{counts:?}");
            }
        }
    }
}
