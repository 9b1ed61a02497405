//! UUIDs (RFC 9562), where another gate has one.

use aws_lc_rs::digest::{SHA256, digest};

use crate::identity::SigningError;

/// One that follows from a text and says nothing of it (version 8).
pub(super) fn of(purpose: &str, text: &str) -> String {
    let hash = digest(&SHA256, format!("anteport {purpose} {text}").as_bytes());
    let mut bytes = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(hash.as_ref()) {
        *byte = *hashed;
    }
    written(bytes, 0x80)
}

/// A random one (version 4).
pub(super) fn random() -> Result<String, SigningError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| SigningError::Random)?;
    Ok(written(bytes, 0x40))
}

fn written(mut bytes: [u8; 16], version: u8) -> String {
    let [_, _, _, _, _, _, six, _, eight, ..] = &mut bytes;
    *six = (*six & 0x0f) | version;
    *eight = (*eight & 0x3f) | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
