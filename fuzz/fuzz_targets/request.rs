//! Fuzz target `request`: messages from clients, read as requests.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| processor_fuzz::request::check(data));
