//! One call into `bodies::form_rules`, which says what must hold.

#![no_main]
#![allow(dead_code)]

#[path = "../../models/kit.rs"]
mod kit;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kit::bodies::form_rules(bytes));
