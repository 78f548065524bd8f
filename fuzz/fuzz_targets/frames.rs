//! Fuzz target `frames`: bytes from clients, read as WebSocket frames.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| processor_fuzz::frames::check(data));
