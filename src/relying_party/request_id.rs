//! Ids that are new each time.

use http::{HeaderName, HeaderValue};

/// A fresh id by which Microsoft's support finds the request (azure.md, section 3.6).
pub(super) fn request_id() -> Vec<(HeaderName, HeaderValue)> {
    let id = guid().and_then(|id| HeaderValue::from_str(&id).ok());
    id.into_iter()
        .map(|id| (HeaderName::from_static("client-request-id"), id))
        .chain([(
            HeaderName::from_static("return-client-request-id"),
            HeaderValue::from_static("true"),
        )])
        .collect()
}

/// A random GUID (RFC 9562, section 5.4: version 4, variant 10). `None` without randomness.
pub(super) fn guid() -> Option<String> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).ok()?;
    let id = u128::from_be_bytes(random) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    Some(format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        id >> 96,
        (id >> 80) & 0xffff,
        (id >> 64) & 0xffff,
        (id >> 48) & 0xffff,
        id & 0xffff_ffff_ffff
    ))
}
