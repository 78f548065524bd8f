//! Tests of `state`.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn connection() -> (ConnectionState, Instant) {
    let now = Instant::now();
    (ConnectionState::new(Limits { body: 300 * SECOND, body_bytes: 1000 }, now), now)
}

#[test]
fn a_head_has_ten_seconds_from_connecting_or_from_its_first_byte() {
    let (connection, now) = connection();
    assert_eq!(connection.deadline(), Some((now + HEAD, CloseReason::Head)));
    connection.received(5, false, false, now + 3 * SECOND);
    assert_eq!(connection.deadline(), Some((now + HEAD, CloseReason::Head)));
    connection.request_began(false, now + 4 * SECOND);
    assert_eq!(connection.deadline(), None);
    assert!(!connection.response_made(now + 4 * SECOND));
    assert_eq!(connection.deadline(), None);
    connection.response_ended(now + 5 * SECOND);
    assert_eq!(connection.deadline(), Some((now + 5 * SECOND + IDLE, CloseReason::Idle)));
    connection.received(1, false, false, now + 20 * SECOND);
    connection.received(1, false, false, now + 25 * SECOND);
    assert_eq!(connection.deadline(), Some((now + 20 * SECOND + HEAD, CloseReason::Head)));
}

#[test]
fn part_of_a_next_request_that_came_too_early_has_its_deadline_too() {
    let (connection, now) = connection();
    connection.request_began(false, now);
    connection.holds(true);
    assert!(!connection.response_made(now + 2 * SECOND));
    connection.response_ended(now + 2 * SECOND);
    assert_eq!(connection.deadline(), Some((now + 2 * SECOND + HEAD, CloseReason::Head)));
}

#[test]
fn a_body_must_come_on_at_a_rate_and_to_its_end() {
    let (connection, now) = connection();
    connection.request_began(true, now - 20 * SECOND);
    // Nobody has asked for it yet.
    assert_eq!(connection.deadline(), None);
    assert!(!connection.takes_more(Waker::noop()));
    connection.body_wanted(now);
    assert!(connection.takes_more(Waker::noop()));
    assert_eq!(connection.deadline(), Some((now + PROGRESS, CloseReason::Body)));
    // Ten bytes a second are enough for ten seconds only.
    for second in 1..=9 {
        connection.received(10, false, false, now + second * SECOND);
    }
    let (at, _) = connection.deadline().unwrap();
    assert!(at > now + PROGRESS && at < now + PROGRESS + 2 * SECOND);
    // At a hundred a second the total ends it.
    for second in 10..=299 {
        connection.received(100, false, false, now + second * SECOND);
        assert!(connection.deadline().unwrap().0 > now + second * SECOND);
    }
    assert_eq!(connection.deadline(), Some((now + 300 * SECOND, CloseReason::Body)));
    assert_eq!(connection.over_allowance(), None);
    connection.received(OVERHEAD_BYTES, false, false, now + 299 * SECOND);
    assert_eq!(connection.over_allowance(), Some(CloseReason::BodyBytes));
    // So much is enough until it is asked for again.
    assert!(!connection.takes_more(Waker::noop()));
    connection.body_ended(now + 299 * SECOND);
    assert_eq!((connection.deadline(), connection.over_allowance()), (None, None));
    assert!(!connection.response_made(now));
}

#[test]
fn after_an_early_response_a_little_is_read_and_nothing_follows() {
    let (connection, now) = connection();
    connection.request_began(true, now);
    assert!(connection.response_made(now + SECOND));
    assert_eq!(connection.deadline(), Some((now + SECOND + EARLY, CloseReason::Early)));
    connection.received(EARLY_BYTES - 1, false, false, now + SECOND);
    assert_eq!(connection.over_allowance(), None);
    connection.request_began(false, now + SECOND);
    assert!(connection.response_made(now + SECOND));
    connection.received(1, false, false, now + SECOND);
    assert_eq!(connection.over_allowance(), Some(CloseReason::Early));
}

#[test]
fn a_response_must_be_taken() {
    let (connection, now) = connection();
    connection.request_began(false, now);
    connection.sent(false, now + SECOND);
    connection.sent(false, now + 2 * SECOND);
    assert_eq!(connection.deadline(), Some((now + SECOND + WRITE, CloseReason::Write)));
    assert!(!connection.is_quiet());
    connection.sent(true, now + 3 * SECOND);
    assert_eq!(connection.deadline(), None);
    connection.response_made(now + 3 * SECOND);
    assert!(!connection.is_quiet());
    connection.response_ended(now + 3 * SECOND);
    assert!(connection.is_quiet());
    // As long as it is taken, the next request is not waited for.
    connection.sent(true, now + 70 * SECOND);
    assert_eq!(connection.deadline(), Some((now + 70 * SECOND + IDLE, CloseReason::Idle)));
}

#[test]
fn part_of_a_next_request_that_came_with_the_one_before_has_its_deadline_too() {
    let (connection, now) = connection();
    for (has_body, reason) in [(false, CloseReason::Head), (true, CloseReason::Idle)] {
        connection.received(50, true, true, now);
        connection.request_began(has_body, now);
        connection.body_ended(now);
        assert!(!connection.response_made(now));
        connection.response_ended(now);
        assert_eq!(connection.deadline().unwrap().1, reason);
    }
}

#[test]
fn what_waits_for_a_response_to_be_taken_has_time_after_that() {
    let (connection, now) = connection();
    connection.request_began(false, now);
    connection.holds(true);
    assert!(!connection.response_made(now));
    connection.response_ended(now);
    connection.sent(false, now + SECOND);
    assert_eq!(connection.deadline(), Some((now + SECOND + WRITE, CloseReason::Write)));
    assert!(!connection.takes_more(Waker::noop()));
    connection.sent(true, now + 9 * SECOND);
    assert!(connection.takes_more(Waker::noop()));
    assert_eq!(connection.deadline(), Some((now + 9 * SECOND + HEAD, CloseReason::Head)));
}

#[test]
fn those_that_do_least_are_evicted_first() {
    let (idle, now) = connection();
    idle.request_began(false, now);
    idle.response_made(now);
    idle.response_ended(now);
    let (head, early, work, blocked) = (connection().0, connection().0, connection().0, connection().0);
    early.request_began(true, now);
    early.response_made(now + SECOND);
    work.request_began(true, now);
    blocked.request_began(false, now);
    blocked.sent(false, now);
    assert_eq!(work.eviction_rank(), None);
    let ranks = [early.eviction_rank(), idle.eviction_rank(), head.eviction_rank(), blocked.eviction_rank()];
    assert!(ranks.iter().all(Option::is_some) && ranks.is_sorted());
}
