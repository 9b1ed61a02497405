//! One call into `mapping::mapping`, which says what must hold.

#![no_main]
#![allow(dead_code)]

#[path = "../../models/kit.rs"]
mod kit;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kit::mapping::mapping(bytes));
