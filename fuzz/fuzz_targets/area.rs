//! Fuzz target `area`: areas and points.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| processor_fuzz::area::check(data));
