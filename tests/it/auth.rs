//! Who may connect, who may see what, who may report.

mod asked;
mod keys;
mod life;
#[cfg(feature = "ui")]
mod page;
mod posts;
mod reach;
mod secrets;
mod ways;
