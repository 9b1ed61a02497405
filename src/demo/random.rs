//! What the partners draw at random: codes, session ids, request ids.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// `N` random bytes.
pub(super) fn bytes<const N: usize>() -> [u8; N] {
    let mut drawn = [0; N];
    aws_lc_rs::rand::fill(&mut drawn).expect("the operating system has randomness");
    drawn
}

/// `length` random bytes in base64url, without padding.
pub(super) fn token(length: usize) -> String {
    let mut drawn = vec![0; length];
    aws_lc_rs::rand::fill(&mut drawn).expect("the operating system has randomness");
    URL_SAFE_NO_PAD.encode(drawn)
}

/// A random GUID (version 4).
pub(super) fn guid() -> String {
    as_guid(u128::from_be_bytes(bytes()))
}

/// A number in the form of a GUID (version 4).
pub(super) fn as_guid(mut number: u128) -> String {
    number = (number & !(0xf << 76)) | (0x4 << 76);
    number = (number & !(0x3 << 62)) | (0x2 << 62);
    let hex = format!("{number:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    let parts = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_guid_has_its_form() {
        let guid = super::guid();
        assert_eq!(guid.len(), 36);
        assert_eq!(&guid[14..15], "4");
        assert!("89ab".contains(&guid[19..20]));
    }
}
