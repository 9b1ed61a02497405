//! One call into `bodies::proxy_protocol`, which says what must hold.

#![no_main]
#![allow(dead_code)]

#[path = "../../models/kit.rs"]
mod kit;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kit::bodies::proxy_protocol(bytes));
