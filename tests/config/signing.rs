//! What portals are signed for with. Its mistakes are in `fixtures/config/signing*.yaml`.

use std::path::Path;

use anteport::config::{self, SignedBy};

use super::{MINIMAL, NOON, SESSION_KEY, environment};

/// CFG-05: whom an emulator signs in must be nobody to the real portals.
#[test]
fn cfg_05_an_emulated_configuration_signs_with_keys_of_its_own() {
    let path = std::env::temp_dir().join(format!("signing-{}.yaml", std::process::id()));
    let text = format!(
        "{MINIMAL}    identity:\n      assertion: {{ algorithm: HS256, secret: {{ env: SESSION_KEY }} \
         }}\n      signature: {{ algorithm: hmac-sha256, secret: {{ file: /nonexistent }} }}\nsigning: \
         {{ keys: [{{ env: SIGNING_KEYS }}] }}\n"
    );
    std::fs::write(&path, text).unwrap();
    let emulated =
        config::emulated(Path::new(&path), "http://127.0.0.1:8081", None, crate::members::HERE)
            .unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(!emulated.contains("SIGNING_KEYS") && !emulated.contains("SESSION_KEY"), "{emulated}");
    let loaded = config::parse("emulated.yaml", &emulated, &environment, NOON).unwrap();
    assert!(loaded.config.signing.is_empty());
    let identity = &loaded.config.portals[0].identity;
    let secret = |signed_by: &SignedBy| match signed_by {
        SignedBy::Secret(secret) => secret.expose().clone(),
        SignedBy::Key(algorithm) => panic!("{algorithm:?}"),
    };
    let assertion = secret(&identity.assertion.as_ref().unwrap().signed_by);
    let signature = secret(&identity.signature.as_ref().unwrap().signed_by);
    assert!(assertion.len() == 32 && signature.len() == 32 && assertion != signature);
    assert!(!emulated.contains(SESSION_KEY));
}
