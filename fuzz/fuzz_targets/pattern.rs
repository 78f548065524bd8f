//! Fuzz target `pattern`: patterns of topics.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| processor_fuzz::pattern::check(data));
