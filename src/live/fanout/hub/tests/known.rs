//! `Known`: what a client makes of what it is sent, by the rules of `docs/wire.md`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::{Bounds, Point, Topic};

/// What a client knows.
#[derive(Default)]
pub(super) struct Known {
    /// For each event or device that it is subscribed to, the time of each device's position.
    named: BTreeMap<String, BTreeMap<String, String>>,
    /// The areas that it is subscribed to.
    areas: BTreeMap<String, Bounds>,
    /// It had several at a time.
    had_several: bool,
    /// The time and the place of each device in them. They are one set, as a position inside of them names none of them.
    inside: BTreeMap<String, (String, Point)>,
}

pub(super) fn area(topic: &str) -> Option<Bounds> {
    match Topic::parse(topic) {
        Ok(Topic::Area(area)) => Some(area.bounds()),
        _ => None,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

impl Known {
    pub(super) fn topics(&self) -> usize {
        self.named.len() + self.areas.len()
    }

    /// The devices of a topic, with the times of their positions.
    pub(super) fn of(&self, topic: &str) -> BTreeMap<String, String> {
        let Some(area) = self.areas.get(topic) else { return self.named[topic].clone() };
        let inside = self.inside.iter().filter(|(_, (_, place))| area.contains(*place));
        inside.map(|(device, (time, _))| (device.clone(), time.clone())).collect()
    }

    pub(super) fn apply(&mut self, message: &Value) {
        let topic = text(&message["topic"]);
        match message["type"].as_str().unwrap() {
            "subscribed" => self.subscribed(topic, message),
            "position" => self.position(&topic, message),
            "positions" => {
                let positions = message["positions"].as_array().unwrap();
                assert!(!positions.is_empty());
                positions.iter().for_each(|one| self.position(&topic, one));
            }
            "left" => self.left(&topic, &text(&message["device_id"]), &text(&message["timestamp"])),
            "unsubscribed" => self.end(&topic),
            "error" => {
                assert!(
                    ["too-many-devices", "forbidden"].contains(&message["code"].as_str().unwrap()),
                    "{message}"
                );
                // Of a snapshot that was to come in pieces, none may have been sent.
                self.end(&topic);
            }
            other => panic!("{other}"),
        }
    }

    fn subscribed(&mut self, topic: String, message: &Value) {
        let snapshot = message["snapshot"].as_array().unwrap();
        let Some(area) = area(&topic) else {
            let devices: BTreeMap<_, _> = snapshot.iter().map(device_and_time).collect();
            for (device, before) in self.named.get(&topic).into_iter().flatten() {
                assert!(devices.get(device).is_none_or(|now| now >= before), "the snapshot went back");
            }
            self.named.insert(topic, devices);
            return;
        };
        match message["replaces"].as_str() {
            Some(replaced) => {
                let replaced = self.areas.remove(replaced).expect("the area that is replaced");
                for device in message["left"].as_array().unwrap() {
                    let device = device.as_str().unwrap();
                    let is_gone = |(_, place): &(String, Point)| {
                        area.contains(*place) || !self.areas.values().any(|other| other.contains(*place))
                    };
                    if self.inside.get(device).is_some_and(is_gone) {
                        self.inside.remove(device);
                    }
                }
                self.inside.retain(|_, (_, place)| !area.contains(*place) || replaced.contains(*place));
            }
            None => self.inside.retain(|_, (_, place)| !area.contains(*place)),
        }
        self.areas.insert(topic, area);
        self.had_several |= self.areas.len() > 1;
        snapshot.iter().for_each(|one| {
            let (device, now, place) = self.inside(one);
            if self.inside.get(&device).is_none_or(|(before, _)| *before <= now) {
                self.inside.insert(device, (now, place));
            }
        });
        self.forget_those_outside();
    }

    fn position(&mut self, topic: &str, position: &Value) {
        let (device, now) = device_and_time(position);
        if topic != "area" {
            let before = self.named.get_mut(topic).expect("subscribed").insert(device, now.clone());
            return assert!(before.is_none_or(|before| before < now), "{position} is not new");
        }
        let (device, now, place) = self.inside(position);
        if self.inside.get(&device).is_none_or(|(before, _)| *before < now) {
            self.inside.insert(device, (now, place));
        } else {
            // Only another area that overlaps may have brought it, or something newer.
            assert!(self.had_several, "{position} is not new");
        }
    }

    /// A position inside of an area: device, time, place.
    fn inside(&self, position: &Value) -> (String, String, Point) {
        let (device, now) = device_and_time(position);
        let degrees = |name: &str| position[name].as_f64().unwrap();
        let place = Point { longitude: degrees("longitude"), latitude: degrees("latitude") };
        let around = self.areas.values().any(|area| area.contains(place));
        assert!(around, "{position} is inside of no area");
        (device, now, place)
    }

    fn left(&mut self, topic: &str, device: &str, time: &str) {
        let Some(area) = self.areas.get(topic) else {
            return drop(self.named.get_mut(topic).expect("subscribed").remove(device));
        };
        let is_gone = |(before, place): &(String, Point)| &**before <= time && area.contains(*place);
        if self.inside.get(device).is_some_and(is_gone) {
            self.inside.remove(device);
        }
    }

    fn end(&mut self, topic: &str) {
        self.named.remove(topic);
        self.areas.remove(topic);
        self.forget_those_outside();
    }

    fn forget_those_outside(&mut self) {
        self.inside.retain(|_, (_, place)| self.areas.values().any(|area| area.contains(*place)));
    }
}

fn device_and_time(position: &Value) -> (String, String) {
    (text(&position["device_id"]), text(&position["timestamp"]))
}
