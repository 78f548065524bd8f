//! Fuzz target `topic`: topics.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| processor_fuzz::topic::check(data));
