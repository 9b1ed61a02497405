//! Which proofs of the app registration the token endpoint takes: client secrets, certificates,
//! and tokens of other issuers (azure.md, sections 3.2 and 5.2).

mod assertion;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;

use super::errors::AadError;
use super::tenants::{Place, Product};
use super::{Call, Microsoft};

/// What the registration has besides client secrets.
#[derive(Debug, Default)]
pub struct Proofs {
    /// Its certificates, as DER.
    pub certificates: Vec<Vec<u8>>,
    /// Its federated credentials.
    pub federated: Vec<FederatedCredential>,
    /// The managed identities of the machine that asks; those that the registration trusts are
    /// among its federated credentials as well.
    pub identities: Vec<Identity>,
    /// Whether any token is taken for one of a federated credential, whoever signed it: a
    /// configuration names a file, and not who writes it.
    pub any_federated: bool,
    /// Whether an assertion is taken once only.
    pub once: bool,
    /// Whether it may read itself in Graph (`Application.Read.All`).
    pub reads_applications: bool,
}

/// A federated credential: tokens of another issuer that stand for the application. All three are
/// compared to the letter.
#[derive(Debug)]
pub struct FederatedCredential {
    /// `iss`; this emulator itself where there is none.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: String,
    /// `aud`.
    pub audience: String,
    /// The issuer's keys, each an `RSAPublicKey` (RFC 8017, appendix A.1.1); those of this emulator
    /// are known.
    pub keys: Vec<Vec<u8>>,
}

/// A user-assigned managed identity.
#[derive(Debug)]
pub struct Identity {
    /// By which it is asked for.
    pub client_id: String,
    /// `sub` of its tokens.
    pub principal_id: String,
}

/// Checks who asks: its client id, and the method by which it proved it.
pub(super) async fn authenticate(
    microsoft: &Microsoft,
    place: Place,
    call: &Call,
) -> Result<(String, &'static str), AadError> {
    let (client_id, secret, method) = match basic_credentials(call) {
        Some((client_id, secret)) => (client_id, Some(secret), "client_secret_basic"),
        None => (
            super::token::required(call, "client_id")?.to_owned(),
            call.form.get("client_secret").map(str::to_owned),
            "client_secret_post",
        ),
    };
    if !microsoft.knows_client(&client_id) {
        return Err(AadError::unknown_client(&client_id));
    }
    // The registration is of the platform Web, whose codes no script of a page redeems.
    if call.has_origin() {
        let text = "Cross-origin token redemption is permitted only for the 'Single-Page \
                    Application' client-type.";
        return Err(AadError::new(9_002_326, "invalid_request", text));
    }
    let proven = match (secret, call.form.get("client_assertion")) {
        (Some(secret), None) => known_secret(microsoft, &client_id, &secret).map(|()| method),
        (None, Some(_)) if place.product() == Product::AzureAdB2c => {
            let text = "The parameter 'client_assertion' is not supported.";
            Err(AadError::new(99_027, "invalid_client", text))
        }
        (None, Some(assertion)) => {
            assertion::check(microsoft, place, call, &client_id, assertion).await
        }
        (Some(_), Some(_)) => {
            let text = "The request has more than one proof of the client.";
            Err(AadError::new(90_023, "invalid_request", text))
        }
        (None, None) => {
            let text = "The request body must contain the following parameter: \
                        'client_assertion' or 'client_secret'.";
            Err(AadError::new(7_000_218, "invalid_client", text))
        }
    };
    proven.map(|method| (client_id, method))
}

fn known_secret(microsoft: &Microsoft, client_id: &str, secret: &str) -> Result<(), AadError> {
    let mut secrets = microsoft.options.secrets.iter();
    match secrets.find(|known| known.value.matches(secret)) {
        None => {
            let text = format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is \
                 the client secret value, not the client secret ID, for a secret added to app \
                 '{client_id}'."
            );
            Err(AadError::new(7_000_215, "invalid_client", text))
        }
        Some(known) if known.expires.is_some_and(|end| microsoft.now() >= end) => {
            Err(secret_expired(client_id))
        }
        Some(_) => Ok(()),
    }
}

pub(super) fn secret_expired(client_id: &str) -> AadError {
    let text = format!("The provided client secret keys for app '{client_id}' are expired.");
    AadError::new(7_000_222, "invalid_client", text)
}

/// RFC 6749, section 2.3.1: both parts are form-encoded before they are joined.
fn basic_credentials(call: &Call) -> Option<(String, String)> {
    let field = call.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = field.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let joined = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (client_id, secret) = joined.split_once(':')?;
    Some((form_decoded(client_id), form_decoded(secret)))
}

fn form_decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}
