//! Fuzz target `envelope`: messages from clients, read as envelopes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| processor_fuzz::envelope::check(data));
