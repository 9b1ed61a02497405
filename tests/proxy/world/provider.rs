//! An OpenID provider that is told as any other, played by a user flow, and the logout tokens
//! that it signs.

use anteport::demo::CLIENT_ID;
use anteport::demo::microsoft::Microsoft;
use anteport::demo::microsoft::tenants::Product;
use anteport::gate::Timestamp;
use serde_json::{Value, json};

/// It, as `corporate`.
pub const OIDC: &str = r#"
    kind: oidc
    issuer: "http://AUTHORITY/c7d40e9b-52a1-4f36-8e0d-91b3a6c2f4d8/v2.0/"
    metadata_url: "http://AUTHORITY/harbormembers.onmicrosoft.com/B2C_1_SignUpSignIn/v2.0/.well-known/openid-configuration""#;
/// Somebody whom it knows.
pub const INES: &str = "ines@mail.example";
/// Where it sends logout tokens.
pub const BACK: &str = "/.auth/back-channel-logout/corporate";
/// What they are about.
pub const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A logout token that is in order, with these changes; `null` takes a claim away.
pub async fn logout_token(microsoft: &Microsoft, now: Timestamp, changes: &Value) -> String {
    let now = now.unix_seconds();
    let mut claims = json!({
        "iss": format!("{}/c7d40e9b-52a1-4f36-8e0d-91b3a6c2f4d8/v2.0/", microsoft.base_url()),
        "aud": CLIENT_ID,
        "iat": now,
        "exp": now + 120,
        "jti": format!("id-{changes}"),
        "events": { EVENT: {} },
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    microsoft.signed(Product::AzureAdB2c, &claims).await
}
