//! The token of another issuer, which somebody else writes into a file and renews there. It is read
//! anew for each request: the kubelet changes it whenever it likes.

use std::io;
use std::path::Path;

use super::CredentialError;
use crate::config::{LARGEST_TOKEN, read_bounded};
use crate::gate::Secret;

/// What is in the file now.
pub(super) async fn read(path: &Path) -> Result<Secret<String>, CredentialError> {
    let path = path.to_owned();
    // The file may be on a disk that does not answer, and other visitors are served by this thread.
    let bytes = tokio::task::spawn_blocking(move || read_bounded(&path, LARGEST_TOKEN)).await;
    let bytes = bytes.map_err(io::Error::other).flatten().map_err(CredentialError::TokenFile)?;
    token(bytes).ok_or(CredentialError::Token)
}

/// A token in the compact form (RFC 7515, section 7.1), with or without a line break behind it.
pub(super) fn token(bytes: Vec<u8>) -> Option<Secret<String>> {
    let text = String::from_utf8(bytes).ok()?;
    let token = text.trim_ascii();
    let is_part = |part: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !part.is_empty() && part.bytes().all(is_plain)
    };
    let is_token = token.split('.').count() == 3 && token.split('.').all(is_part);
    is_token.then(|| Secret::new(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_is_sent_as_one() {
        for good in ["a.b.c", "eyJ0.eyJh-_.x\n", " a.b.c \r\n"] {
            let read = token(good.as_bytes().to_vec());
            assert_eq!(read.unwrap().expose(), good.trim());
        }
        for other in ["", "\n", "a.b", "a.b.c.d", "a..c", "a.b.c d", "a.b.c\nd.e.f", "{}", "a.b.ä"]
        {
            assert!(token(other.as_bytes().to_vec()).is_none(), "{other}");
        }
        assert!(token(vec![0xff, b'.', b'a', b'.', b'b']).is_none());
    }
}
