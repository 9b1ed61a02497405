//! What an operator may write about message signatures.

use super::super::kind::{Key, Kind};
use super::{DURATION, SECRET, default, optional, word};

pub(super) const SIGNATURE: &[Key] = &[
    default(
        "algorithm",
        "ed25519",
        word(&["ed25519", "ecdsa-p256-sha256", "rsa-v1_5-sha256", "hmac-sha256"]),
        "how requests are signed: by a key of `signing` (of EdDSA, ES256, RS256), or by a secret that \
         the portal has too",
    ),
    optional(
        "secret",
        Kind::Section(SECRET),
        "with `algorithm: hmac-sha256`, the secret: 32 bytes or more in base64, for this portal alone",
    ),
    default("lifetime", "60s", DURATION, "how long a signature is valid, from 5s to 60s"),
];
