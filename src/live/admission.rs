//! `Admission`: how many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// How many sockets may shake hands at the same time while all places are taken.
const OVER_THE_LIMIT: usize = 64;

/// Counts connections against the limits; shared by all workers. One short lock for each connect and leave.
#[derive(Debug)]
pub(crate) struct Admission {
    max_total: usize,
    max_per_address: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Sockets whose handshake is under way.
    arriving: usize,
    total: usize,
    per_address: HashMap<IpAddr, usize>,
}

/// Which limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// Connections in all.
    Server,
    /// Connections from this address.
    Address,
}

/// A socket whose handshake is under way; dropped when that is over, well or badly.
#[derive(Debug)]
pub(crate) struct Arrival(Arc<Admission>);

/// A place among the connections, given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    pub(crate) fn new(max_total: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self { max_total, max_per_address, counts: Mutex::default() })
    }

    /// True if one more socket may be accepted: those over the limit of connections are, so that they can be told,
    /// but only some at the same time, so that descriptors are left for the rest of the server.
    pub(crate) fn has_room(&self) -> bool {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.arriving + counts.total < self.max_total.saturating_add(OVER_THE_LIMIT)
    }

    /// Counts a socket that was accepted.
    pub(crate) fn arrive(self: &Arc<Self>) -> Arrival {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).arriving += 1;
        Arrival(self.clone())
    }

    /// Takes a place for a connection from `address`.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Permit, Full> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.total >= self.max_total {
            return Err(Full::Server);
        }
        let from_here = counts.per_address.entry(address).or_insert(0);
        if *from_here >= self.max_per_address {
            return Err(Full::Address); // the entry is there already, as no limit is 0
        }
        *from_here += 1;
        counts.total += 1;
        Ok(Permit { admission: self.clone(), address })
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner).arriving -= 1;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.admission.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total -= 1;
        if let Some(from_here) = counts.per_address.get_mut(&self.address) {
            *from_here -= 1;
            if *from_here == 0 {
                counts.per_address.remove(&self.address);
            }
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
            arrivals.push(admission.arrive());
        }
        assert_eq!(arrivals.len(), OVER_THE_LIMIT);
        arrivals.pop();
        assert!(admission.has_room());
    }

    #[test]
    fn places_are_limited_and_given_back() {
        let admission = Admission::new(3, 2);
        let [a, b] = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2])];
        let first = admission.admit(a).unwrap();
        let _second = admission.admit(a).unwrap();
        assert_eq!(admission.admit(a).unwrap_err(), Full::Address);
        let _third = admission.admit(b).unwrap();
        assert_eq!(admission.admit(b).unwrap_err(), Full::Server);
        drop(first);
        drop(admission.admit(a).unwrap());
        assert_eq!(admission.counts.lock().unwrap().per_address.len(), 2);
    }
}
