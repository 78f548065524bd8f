//! Fuzz target `position`: reports from devices, as JSON and NDJSON, and their timestamps.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| processor_fuzz::position::check(data));
