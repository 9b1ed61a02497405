//! The signature of Standard Webhooks (its specification, version 1.0.0): HMAC-SHA256 over id, time
//! and body; and the ids, which say what is the same request.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::gate::Secret;

/// A request's id.
pub(super) struct Id(String);

impl Id {
    /// Of a request that is like no other; `None` without randomness.
    pub(super) fn random() -> Option<Self> {
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random).ok()?;
        Some(Self(format!("msg_{}", URL_SAFE_NO_PAD.encode(random))))
    }

    /// Of what is asked once of a member of a portal, by whichever process.
    pub(super) fn of(portal: &str, member: &str, kind: &str) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"anteport member");
        for part in [portal, member, kind] {
            // Lengths keep two lists of parts from being one text.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        Self(format!("msg_{}", URL_SAFE_NO_PAD.encode(context.finish())))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// `webhook-signature`.
pub(super) fn signature(key: &Secret<Vec<u8>>, id: &str, timestamp: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
    let mut context = hmac::Context::with_key(&key);
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        context.update(part);
    }
    format!("v1,{}", STANDARD.encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(
            &Secret::new(key),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn an_id_is_the_same_for_the_same_and_another_for_anything_else() {
        let id = |portal, member, kind| Id::of(portal, member, kind).as_str().to_owned();
        let one = id("https://a.example", "t.o", "provision");
        assert_eq!(one, id("https://a.example", "t.o", "provision"));
        for other in [
            id("https://b.example", "t.o", "provision"),
            id("https://a.example", "t.p", "provision"),
            id("https://a.example", "t.o", "link"),
            id("https://a.examplet", ".o", "provision"),
            id("https://a.example", "t.oprovision", ""),
        ] {
            assert_ne!(one, other);
        }
        assert!(!one.contains('.'), "a dot separates what is signed");
        assert_ne!(Id::random().unwrap().as_str(), Id::random().unwrap().as_str());
    }
}
