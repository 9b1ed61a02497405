//! `Content-Digest` (RFC 9530): what binds a body to a signature. Only a body that is here already
//! gets one; none is waited for.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

/// The largest body that is hashed: the worker does nothing else meanwhile, for some tens of
/// microseconds.
pub(super) const LARGEST: usize = 64 * 1024;

/// The header's value; `None` for a body that is too large, and for none.
pub(super) fn of(body: &[u8]) -> Option<HeaderValue> {
    if body.is_empty() || body.len() > LARGEST {
        return None;
    }
    let digest = digest(&SHA256, body);
    let mut value = String::with_capacity(64);
    value.push_str("sha-256=:");
    STANDARD.encode_string(digest, &mut value);
    value.push(':');
    HeaderValue::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9530, appendix D, has this body and digest.
    #[test]
    fn a_digest_is_that_of_rfc_9530() {
        let value = of(b"{\"hello\": \"world\"}\n").unwrap();
        assert_eq!(value, "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:");
        assert!(of(b"").is_none());
        assert!(of(&vec![b'a'; LARGEST]).is_some());
        assert!(of(&vec![b'a'; LARGEST + 1]).is_none());
    }
}
