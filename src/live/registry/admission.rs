//! `Admission`: how many connections there may be, in all and from one address; none more once the server drains.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use tokio::sync::Notify;

use crate::domain::ClientNetwork;
use crate::live::sync::{Mutex, MutexGuard};

/// How many sockets may shake hands at the same time while all places are taken, those of the server or of one address.
const OVER_THE_LIMIT: usize = 64;

/// Counts connections against the limits; shared by all workers. A few short locks for each connect and leave.
#[derive(Debug)]
pub(crate) struct Admission {
    max_total: usize,
    max_per_address: usize,
    counts: Mutex<Counts>,
    /// Told when the server drains and the last permit is given back.
    drained: Notify,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    /// Nobody is admitted any more.
    draining: bool,
    all: Tally,
    /// Only addresses that have any.
    per_address: HashMap<ClientNetwork, Tally>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Sockets whose handshake is under way.
    arriving: usize,
    connected: usize,
}

impl Tally {
    /// Those over the limit may arrive, so that they can be told, but only some at the same time.
    fn may_arrive(self, limit: usize) -> bool {
        self.arriving + self.connected < limit.saturating_add(OVER_THE_LIMIT)
    }
}

impl Counts {
    fn of(&self, address: IpAddr) -> Tally {
        self.per_address.get(&address.into()).copied().unwrap_or_default()
    }

    /// Changes what is counted of an address.
    fn change(&mut self, address: IpAddr, change: impl FnOnce(&mut Tally)) {
        let network = address.into();
        let tally = self.per_address.entry(network).or_default();
        change(tally);
        if *tally == Tally::default() {
            self.per_address.remove(&network);
        }
    }
}

/// Why nobody is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The server drains.
    Draining,
    /// The limit of connections in all is reached.
    ServerFull,
    /// The limit of connections from this address is reached.
    AddressFull,
}

/// A socket whose handshake is under way; dropped when that is over, well or badly.
#[derive(Debug)]
pub(crate) struct Arrival {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
}

/// A place among the connections, given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    pub(crate) fn new(max_total: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self { max_total, max_per_address, counts: Mutex::default(), drained: Notify::new() })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if one more socket may be accepted. The bound leaves descriptors for the rest of the server.
    pub(crate) fn has_room(&self) -> bool {
        self.counts().all.may_arrive(self.max_total)
    }

    /// Counts a socket that was accepted, and against the limit of its address if there is one. `None` if too many of
    /// that address are there.
    pub(crate) fn arrive(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Arrival> {
        let mut counts = self.counts();
        if let Some(address) = address {
            if !counts.of(address).may_arrive(self.max_per_address) {
                return None;
            }
            counts.change(address, |tally| tally.arriving += 1);
        }
        counts.all.arriving += 1;
        Some(Arrival { admission: self.clone(), address })
    }

    /// Says whether there is a place for a connection from `address` now; it may be gone when it is asked for.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Closed> {
        self.check_counts(&self.counts(), address)
    }

    fn check_counts(&self, counts: &Counts, address: IpAddr) -> Result<(), Closed> {
        if counts.draining {
            return Err(Closed::Draining);
        }
        if counts.all.connected >= self.max_total {
            return Err(Closed::ServerFull);
        }
        if counts.of(address).connected >= self.max_per_address {
            return Err(Closed::AddressFull);
        }
        Ok(())
    }

    /// Takes a place for a connection from `address`.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Permit, Closed> {
        let mut counts = self.counts();
        self.check_counts(&counts, address)?;
        counts.change(address, |tally| tally.connected += 1);
        counts.all.connected += 1;
        Ok(Permit { admission: self.clone(), address })
    }

    /// Admits nobody from now on: whoever has no permit yet gets none.
    pub(crate) fn drain(&self) {
        self.counts().draining = true;
    }

    /// Waits until the last permit is given back, after [`Admission::drain`].
    pub(crate) async fn drained(&self) {
        // Made before the count is read, so that nothing is missed between the two.
        let drained = self.drained.notified();
        if self.connected() > 0 {
            drained.await;
        }
    }

    /// How many permits are out.
    pub(crate) fn connected(&self) -> usize {
        self.counts().all.connected
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        counts.all.arriving -= 1;
        if let Some(address) = self.address {
            counts.change(address, |tally| tally.arriving -= 1);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        counts.all.connected -= 1;
        counts.change(self.address, |tally| tally.connected -= 1);
        if counts.draining && counts.all.connected == 0 {
            self.admission.drained.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_more_may_arrive_than_there_are_places() {
        let admission = Admission::new(1, 1);
        let _place = admission.admit(IpAddr::from([127, 0, 0, 1])).unwrap();
        let mut arrivals = Vec::new();
        while admission.has_room() {
            arrivals.push(admission.arrive(None));
        }
        assert_eq!(arrivals.len(), OVER_THE_LIMIT);
        arrivals.pop();
        assert!(admission.has_room());
    }

    #[test]
    fn those_of_one_address_leave_room_for_others() {
        let admission = Admission::new(1000, 1);
        let [a, b] = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2])];
        let place = admission.admit(a).unwrap();
        let mut arrivals: Vec<_> = std::iter::from_fn(|| admission.arrive(Some(a))).collect();
        assert_eq!(arrivals.len(), OVER_THE_LIMIT);
        arrivals.push(admission.arrive(Some(b)).unwrap());
        drop(place);
        assert!(admission.arrive(Some(a)).is_some());
        drop(arrivals);
        assert_eq!(admission.counts().per_address.len(), 0);
        assert_eq!(admission.counts().all, Tally::default());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let admission = Admission::new(10, 1);
        let admit = |address: &str| admission.admit(address.parse().unwrap());
        let _place = admit("2001:db8:0:1::1").unwrap();
        assert_eq!(admit("2001:db8:0:1:ffff::2").unwrap_err(), Closed::AddressFull);
        let _other = admit("2001:db8:0:2::1").unwrap();
        let _mapped = admit("::ffff:192.0.2.1").unwrap();
        assert_eq!(admit("192.0.2.1").unwrap_err(), Closed::AddressFull);
    }

    #[test]
    fn places_are_limited_and_given_back() {
        let admission = Admission::new(3, 2);
        let [a, b] = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2])];
        let first = admission.admit(a).unwrap();
        let _second = admission.admit(a).unwrap();
        assert_eq!(admission.admit(a).unwrap_err(), Closed::AddressFull);
        let _third = admission.admit(b).unwrap();
        assert_eq!(admission.admit(b).unwrap_err(), Closed::ServerFull);
        drop(first);
        drop(admission.admit(a).unwrap());
        assert_eq!(admission.counts().per_address.len(), 2);
    }

    #[test]
    fn nobody_is_admitted_after_the_drain_began_and_its_end_is_told() {
        let admission = Admission::new(10, 10);
        let address = IpAddr::from([127, 0, 0, 1]);
        let [first, second] = [(); 2].map(|()| admission.admit(address).unwrap());
        admission.drain();
        assert_eq!(admission.admit(address).unwrap_err(), Closed::Draining);
        let mut drained = std::pin::pin!(admission.drained());
        let mut is_drained = || futures_util::FutureExt::now_or_never(&mut drained).is_some();
        assert!(!is_drained());
        drop(first);
        assert!(!is_drained());
        drop(second);
        assert!(is_drained());
        assert!(futures_util::FutureExt::now_or_never(admission.drained()).is_some());
    }
}

#[cfg(test)]
#[cfg(feature = "shuttle")]
mod models {
    use shuttle::thread;

    use super::*;

    /// Connections come and go on two workers while the server drains.
    fn drain_beside_connections() {
        let admission = Admission::new(2, 2);
        let clients: Vec<_> = (0..3_u8)
            .map(|number| {
                let admission = admission.clone();
                thread::spawn(move || {
                    let permit = admission.admit(IpAddr::from([127, 0, 0, number]));
                    thread::yield_now();
                    permit.is_ok()
                })
            })
            .collect();
        admission.drain();
        shuttle::future::block_on(admission.drained());
        assert_eq!(admission.connected(), 0, "drained while a permit is out");
        assert_eq!(admission.admit(IpAddr::from([127, 0, 0, 9])).err(), Some(Closed::Draining));
        for client in clients {
            client.join().unwrap();
        }
        assert_eq!(*admission.counts(), Counts { draining: true, ..Counts::default() });
    }

    #[test]
    fn a_drain_ends_when_the_last_permit_is_back_and_nobody_is_admitted_behind_it() {
        shuttle::check_random(drain_beside_connections, 5_000);
        shuttle::check_pct(drain_beside_connections, 5_000, 3);
    }
}
