//! Unit tests of `catchup`.

use std::time::Instant;

use super::*;
use crate::domain::{Position, Timestamp};
use crate::live::fanout::published::Published;

fn apply(latest: &mut Latest, number: u64, device: &str, topics: &str) {
    let json = format!(
        r#"{{"device_id":"{device}","timestamp":"2026-01-02T03:04:05Z","latitude":1,"longitude":2,"topics":[{topics}]}}"#
    );
    let position = Position::from_json(&json, Timestamp::now()).unwrap();
    latest.apply(number, &Published::new(position, Instant::now()));
}

/// An event `e` with devices `0` to `count - 1`, who came as updates 1 and on.
fn event(count: u64) -> (Topic, Latest) {
    let mut latest = Latest::default();
    (0..count).for_each(|device| apply(&mut latest, device + 1, &device.to_string(), r#""event:e""#));
    (Topic::parse("event:e").unwrap(), latest)
}

fn numbers(piece: Piece) -> Vec<u64> {
    match piece {
        Piece::Updates(changes) => changes.iter().map(|change| change.number).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_snapshot_comes_in_fragments_and_then_what_changed_behind_it() {
    let (topic, mut latest) = event(10);
    latest.watch(&topic);
    let means = Means::for_tests();
    let mut catch_up = CatchUp::snapshot(&topic, SnapshotForm::Plain, br#"{"snapshot":["#.to_vec(), 10);
    let mut json = Vec::new();
    let mut firsts = Vec::new();
    for number in 11.. {
        // Device 0 is sent in the first fragment, device 9 in the third.
        apply(&mut latest, number, if number % 2 == 0 { "0" } else { "9" }, r#""event:e""#);
        let piece = catch_up.next(&topic, &mut latest, number, &means);
        let Piece::Fragment { frame: Frame { head, tail }, last } = piece else {
            panic!("no fragment");
        };
        firsts.push(head[0]);
        let header = if head[1] == 126 { 4 } else { 2 };
        json.extend_from_slice(&head[header..]);
        json.extend_from_slice(&tail);
        if last {
            break;
        }
    }
    assert_eq!(firsts, [0x01, 0x00, 0x80]);
    let snapshot: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(snapshot["snapshot"].as_array().unwrap().len(), 10);
    assert_eq!(numbers(catch_up.next(&topic, &mut latest, 13, &means)), [12]);
    assert!(matches!(catch_up.next(&topic, &mut latest, 13, &means), Piece::Done));
}

#[test]
fn devices_that_move_all_the_time_do_not_keep_others_waiting() {
    let (topic, mut latest) = event(12);
    let means = Means::for_tests();
    let mut catch_up = CatchUp::since(&topic, 0);
    assert_eq!(numbers(catch_up.next(&topic, &mut latest, 12, &means)), [1, 2, 3, 4]);
    apply(&mut latest, 13, "0", r#""event:e""#);
    assert_eq!(numbers(catch_up.next(&topic, &mut latest, 13, &means)), [5, 6, 7, 8]);
    apply(&mut latest, 14, "0", r#""event:e""#);
    assert_eq!(numbers(catch_up.next(&topic, &mut latest, 14, &means)), [9, 10, 11, 12]);
    assert_eq!(numbers(catch_up.next(&topic, &mut latest, 14, &means)), [14]);
    // Someone comes who opens a new slice.
    apply(&mut latest, 15, "new", r#""event:e""#);
    assert_eq!(numbers(catch_up.next(&topic, &mut latest, 15, &means)), [15]);
    assert!(matches!(catch_up.next(&topic, &mut latest, 15, &means), Piece::Done));
}

#[test]
fn a_device_s_topic_has_one_slice_and_one_that_nobody_reports_to_none() {
    let (_, mut latest) = event(1);
    let means = Means::for_tests();
    let device = Topic::parse("device:0").unwrap();
    assert_eq!(numbers(CatchUp::since(&device, 0).next(&device, &mut latest, 1, &means)), [1]);
    let nobody = Topic::parse("event:nobody").unwrap();
    assert!(matches!(CatchUp::since(&nobody, 0).next(&nobody, &mut latest, 1, &means), Piece::Done));
}
