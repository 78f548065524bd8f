//! `InProcess`: the log of a single instance, whose tail gets at once what is stored.

use futures_util::future::LocalBoxFuture;

use super::{Log, Tail};
use crate::domain::Revocation;
use crate::metrics::LogMetrics;
use crate::positions::arrived::Arrived;

/// The log of a single instance.
pub(in crate::positions) struct InProcess<T> {
    tail: T,
}

impl<T: Tail> InProcess<T> {
    pub(in crate::positions) fn new(tail: T, metrics: &LogMetrics) -> Self {
        metrics.up.set(1);
        Self { tail }
    }
}

impl<T: Tail> Log for InProcess<T> {
    fn append(&mut self, positions: Vec<Arrived>) -> LocalBoxFuture<'static, ()> {
        self.tail.read(positions);
        Box::pin(std::future::ready(()))
    }

    fn revoke(&mut self, revocation: Revocation) -> LocalBoxFuture<'static, ()> {
        self.tail.revoked(vec![revocation]);
        Box::pin(std::future::ready(()))
    }

    fn close(&mut self) -> LocalBoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::Instant;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::domain::{Position, Revoked, Timestamp};
    use crate::metrics::Metrics;
    use crate::positions::log::Stored;

    struct Read(Rc<RefCell<Vec<String>>>);

    impl Tail for Read {
        fn read(&mut self, positions: Vec<Arrived>) {
            let ids = positions.iter().map(|arrived| arrived.position.device_id.to_string());
            self.0.borrow_mut().extend(ids);
        }

        fn revoked(&mut self, revocations: Vec<Revocation>) {
            let texts = revocations.iter().map(|revocation| format!("{:?}", revocation.revoked));
            self.0.borrow_mut().extend(texts);
        }

        fn stored(&self) -> Stored {
            unreachable!("nothing can be missed")
        }
    }

    #[test]
    fn what_is_appended_is_read_at_once() {
        let metrics = Metrics::new("a").unwrap();
        let read = Rc::default();
        let mut log = InProcess::new(Read(Rc::clone(&read)), &metrics.log);
        let json = r#"{"device_id":"a","timestamp":"2026-01-02T03:04:05Z","latitude":1,"longitude":2}"#;
        let arrival = Timestamp::now();
        let position = Position::from_json(json, arrival).unwrap();
        let append = log.append(vec![Arrived { position, arrival, received: Instant::now() }]);
        assert_eq!(*read.borrow(), ["a"]);
        let revoked = Revoked::Token("t".into());
        let revoke = log.revoke(Revocation { revoked, revoked_at: arrival, until: None });
        assert_eq!(read.borrow()[1], r#"Token("t")"#);
        assert!(revoke.now_or_never().is_some());
        assert!(append.now_or_never().is_some() && log.close().now_or_never().is_some());
        assert_eq!(metrics.log.up.get(), 1);
    }
}
