//! Behaviour from outside: the real binary, or a real `LiveServer`, on random ports.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test relies on and is not there fails the test"
)]

mod alerts;
mod areas;
mod asyncapi;
mod auth;
mod browser;
mod deflate;
#[cfg(all(feature = "simulate", feature = "ui"))]
mod demo;
mod docs;
mod door;
mod drain;
mod durability;
mod ends;
mod fanout;
mod faults;
mod frames;
mod handlers;
mod handshake;
#[path = "../harness/mod.rs"]
mod harness;
mod harness_fails;
mod ingest;
mod limits;
mod logging;
mod made_pages;
mod ops;
mod options;
#[cfg(feature = "ui")]
mod pipelining;
mod restart;
mod running;
mod spread;
mod subscriptions;
mod tidy;
#[cfg(feature = "ui")]
mod web;
mod wscat;
