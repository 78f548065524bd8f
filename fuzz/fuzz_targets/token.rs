//! Fuzz target `token`: tokens and their claims.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| processor_fuzz::token::check(data));
