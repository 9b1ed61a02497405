//! What the fuzz targets of the sign-in ask of their bytes: what comes from a provider, or from
//! somebody who says so, is read in one way or not at all.

use anteport::gate::login::Callback;
use anteport::relying_party::id_token::UnverifiedToken;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// A callback that is read has one `state`, one answer, and nothing twice (OIDC-05).
pub fn callback(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(callback) = Callback::read(&text) else {
        return;
    };
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
    let count = |name: &str| pairs.iter().filter(|(known, _)| known == name).count();
    assert_eq!(count("state"), 1);
    assert_eq!(count("code") + count("id_token") + count("error"), 1);
    for name in ["error_description", "error_subcode", "iss", "session_state"] {
        assert!(count(name) <= 1, "{name}");
    }
    let state = pairs.iter().find(|(name, _)| name == "state").map(|(_, value)| value);
    assert!(callback.state().matches(state.unwrap()));
    if let Some(number) = callback.number() {
        assert_eq!(number.len(), 12);
        assert!(number.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    }
    // What it says of itself has nothing of its values in it (LOG-01).
    let shown = format!("{callback:?}");
    let long = pairs.iter().filter(|(name, _)| name == "code" || name == "id_token");
    for (_, value) in long.filter(|(_, value)| value.len() > 12) {
        assert!(!shown.contains(value.as_str()));
    }
}

/// An ID token that is read has three parts, an algorithm of our list, one key id, and no member
/// twice in any case (OIDC-06, OIDC-09).
pub fn id_token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(token) = UnverifiedToken::read(&text) else {
        return;
    };
    let parts: Vec<&str> = text.split('.').collect();
    let [header, claims, _] = parts.as_slice() else { panic!("{text}") };
    let read = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let (header, claims) = (read(header), read(claims));
    assert_eq!(header["alg"], "RS256");
    assert_eq!(header["kid"], token.key_id());
    assert!(header.get("crit").is_none());
    let names: Vec<String> =
        claims.as_object().unwrap().keys().map(|name| name.to_ascii_lowercase()).collect();
    let mut folded = names.clone();
    folded.sort();
    folded.dedup();
    assert_eq!(folded.len(), names.len());
}
