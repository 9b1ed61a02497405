//! Whatever a provider gets wrong, one test each: no session, one code, no request to the portal.
//! These are the relying-party modules of the OpenID conformance suite and their neighbours, each
//! told by a provider of Microsoft's kind and by one of anybody's.

use serde_json::{Value, json};

use crate::liar::{OTHER, Signature, modulus, public_der, tell, weak};
use crate::provider::{KEYS, Reply, TENANT, base64, jwk, token_answer};
use crate::world::MORNING;

/// Each row is a test: a name, the code of its refusal, and the lie.
macro_rules! refused {
    ($($name:ident: $code:literal, $lie:expr;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                for outcome in tell($lie).await {
                    outcome.assert_refused($code).await;
                }
            }
        )*
    };
}

/// Each row is a test: a name, and what is odd and may be.
macro_rules! let_in {
    ($($name:ident: $truth:expr;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                for outcome in tell($truth).await {
                    outcome.assert_let_in().await;
                }
            }
        )*
    };
}

fn now() -> i64 {
    MORNING.unix_seconds()
}

let_in! {
    the_truth_is_believed: |_| {};
    a_token_without_nbf_is_believed: |lie| lie.without("nbf");
    our_own_azp_is_believed: |lie| lie.claim("azp", lie.claims["aud"].clone());
    an_audience_as_a_list_of_us_alone_is_believed:
        |lie| lie.claim("aud", json!([lie.claims["aud"]]));
    a_set_with_keys_that_are_not_ours_is_used_without_them: |lie| {
        lie.keys.insert(0, json!({"kty": "EC", "kid": "ec", "crv": "P-256", "x": "AA", "y": "AA"}));
        lie.keys.insert(0, json!(7));
        lie.keys.push(weak("weak", &OTHER));
    };
    the_same_key_twice_is_one_key: |lie| lie.keys.push(lie.keys[0].clone());
    oidc_18_userinfo_about_somebody_else_is_not_even_asked_for: |_| {};
}

// `iss`
refused! {
    oidc_09_iss_of_another_provider: "token-issuer",
        |lie| lie.claim("iss", json!("https://elsewhere.example"));
    oidc_09_iss_missing: "token-issuer", |lie| lie.without("iss");
    oidc_09_iss_with_a_slash_more: "token-issuer",
        |lie| lie.claim("iss", json!(format!("{}/", lie.issuer)));
    oidc_09_iss_in_capitals: "token-issuer",
        |lie| lie.claim("iss", json!(lie.issuer.to_uppercase()));
    oidc_09_iss_that_begins_with_ours: "token-issuer",
        |lie| lie.claim("iss", json!(format!("{}.elsewhere.example", lie.issuer)));
    oidc_09_iss_that_is_empty: "token-issuer", |lie| lie.claim("iss", json!(""));
    oidc_09_iss_that_is_a_list: "token-claim-type",
        |lie| lie.claim("iss", json!([lie.issuer]));
    az_01_iss_that_is_a_template: "token-issuer",
        |lie| lie.claim("iss", json!(lie.issuer.replace(TENANT, "{tenantid}")));
    oidc_04_iss_of_the_callback_is_another_providers: "login-callback-issuer",
        |lie| lie.callback = "&iss=https%3A%2F%2Felsewhere.example".to_owned();
}

// `aud` and `azp`
refused! {
    oidc_09_aud_of_another_application: "token-audience",
        |lie| lie.claim("aud", json!("0b5f7c11-9e2d-4a38-b6c4-1d7e8f9a0b2c"));
    oidc_09_aud_missing: "token-audience", |lie| lie.without("aud");
    oidc_09_aud_empty: "token-audience", |lie| lie.claim("aud", json!(""));
    oidc_09_aud_that_is_an_empty_list: "token-audience", |lie| lie.claim("aud", json!([]));
    oidc_09_aud_that_is_us_and_another: "token-audience",
        |lie| lie.claim("aud", json!([lie.claims["aud"], "another"]));
    oidc_09_aud_that_is_us_twice: "token-audience",
        |lie| lie.claim("aud", json!([lie.claims["aud"], lie.claims["aud"]]));
    oidc_09_aud_that_is_a_number: "token-audience", |lie| lie.claim("aud", json!(7));
    oidc_09_aud_in_capitals: "token-audience",
        |lie| lie.claim("aud", json!(lie.claims["aud"].as_str().unwrap().to_uppercase()));
    oidc_09_azp_of_another_application: "token-authorized-party",
        |lie| lie.claim("azp", json!("another"));
    oidc_09_azp_that_is_a_list: "token-claim-type",
        |lie| lie.claim("azp", json!([lie.claims["aud"]]));
}

// `nonce`
refused! {
    oidc_09_nonce_of_another_login: "token-nonce", |lie| lie.claim("nonce", json!("another"));
    oidc_09_nonce_missing: "token-nonce", |lie| lie.without("nonce");
    oidc_09_nonce_empty: "token-nonce", |lie| lie.claim("nonce", json!(""));
    oidc_09_nonce_with_more_behind_it: "token-nonce",
        |lie| lie.claim("nonce", json!(format!("{}A", lie.claims["nonce"].as_str().unwrap())));
    oidc_09_nonce_that_is_a_list: "token-claim-type",
        |lie| lie.claim("nonce", json!([lie.claims["nonce"]]));
}

// `iat`, `nbf` and `exp`
refused! {
    oidc_09_iat_missing: "token-not-yet-valid", |lie| lie.without("iat");
    oidc_09_iat_in_the_future: "token-not-yet-valid",
        |lie| lie.claim("iat", json!(now() + 120));
    oidc_09_iat_of_the_day_before_yesterday: "token-too-old",
        |lie| lie.claim("iat", json!(now() - 2 * 86_400));
    oidc_09_iat_that_is_text: "token-claim-type",
        |lie| lie.claim("iat", json!((now() - 300).to_string()));
    oidc_09_nbf_in_the_future: "token-not-yet-valid",
        |lie| lie.claim("nbf", json!(now() + 120));
    oidc_09_nbf_that_is_text: "token-claim-type", |lie| lie.claim("nbf", json!("soon"));
    oidc_09_exp_that_is_over: "token-expired", |lie| lie.claim("exp", json!(now() - 61));
    oidc_09_exp_missing: "token-expired", |lie| lie.without("exp");
    oidc_09_exp_that_is_text: "token-claim-type", |lie| lie.claim("exp", json!("never"));
    oidc_09_exp_before_time_began: "token-claim-type", |lie| lie.claim("exp", json!(-1));
    oidc_09_exp_after_all_dates: "token-claim-type",
        |lie| lie.claim("exp", json!(999_999_999_999_i64));
    oidc_09_exp_with_a_fraction: "token-claim-type",
        |lie| lie.claim("exp", json!(1_800_003_600.5));
    oidc_09_exp_null: "token-claim-type", |lie| lie.claim("exp", Value::Null);
}

// `sub`, and who else a token could be about
refused! {
    oidc_09_sub_missing: "token-subject", |lie| lie.without("sub");
    oidc_09_sub_empty: "token-subject", |lie| lie.claim("sub", json!(""));
    oidc_09_sub_too_long: "token-subject", |lie| lie.claim("sub", json!("x".repeat(256)));
    oidc_09_sub_with_a_line_break: "token-subject", |lie| lie.claim("sub", json!("a\r\nb"));
    oidc_09_sub_that_is_a_number: "token-claim-type", |lie| lie.claim("sub", json!(7));
    oidc_09_sub_twice: "token-duplicate",
        |lie| lie.spell =
            |header, claims| (header, claims.replacen('{', r#"{"sub":"mallory","#, 1));
    oidc_09_sub_twice_in_two_spellings: "token-duplicate",
        |lie| lie.claim("Sub", json!("mallory"));
    oidc_09_at_hash_of_another_access_token: "token-access-token-hash",
        |lie| lie.claim("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"));
    oidc_09_at_hash_without_an_access_token: "token-access-token-hash", |lie| {
        lie.claim("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"));
        lie.answer = |token| Reply::Json(200, json!({"token_type": "Bearer", "id_token": token}));
    };
}

/// The token with something else in place of its signature.
fn signed_with(token: &str, signature: impl AsRef<[u8]>) -> String {
    let (signed, _) = token.rsplit_once('.').unwrap();
    format!("{signed}.{}", base64(signature))
}

// Signatures
refused! {
    oidc_07_a_signature_with_another_bit: "token-signature", |lie| lie.finish = |token| {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        format!("{signed}.{first}{}", &signature[1..])
    };
    oidc_07_a_signature_that_is_empty: "token-signature",
        |lie| lie.finish = |token| signed_with(&token, b"");
    oidc_07_a_signature_of_zeros: "token-signature",
        |lie| lie.finish = |token| signed_with(&token, [0; 256]);
    oidc_07_a_signature_that_is_short: "token-signature",
        |lie| lie.finish = |token| signed_with(&token, [1; 255]);
    oidc_07_a_signature_of_other_claims: "token-signature", |lie| lie.finish = |token| {
        let parts: Vec<_> = token.split('.').collect();
        let claims = String::from_utf8(decoded(parts[1])).unwrap();
        let others = claims.replace("Ines Caldera", "Mallory Imposter");
        format!("{}.{}.{}", parts[0], base64(others), parts[2])
    };
    oidc_07_a_signature_by_another_key_of_the_same_id: "token-signature",
        |lie| lie.key = &OTHER;
    oidc_07_no_signature_at_all: "token-malformed",
        |lie| lie.finish = |token| token.rsplit_once('.').unwrap().0.to_owned();
    a_token_of_five_parts: "token-malformed", |lie| lie.finish = |token| format!("{token}.a.b");
    a_token_with_padding: "token-malformed",
        |lie| lie.finish = |token| token.replacen('.', "==.", 1);
    a_token_that_is_no_token: "token-malformed", |lie| lie.finish = |_| "hello".to_owned();
    a_token_that_is_far_too_long: "token-too-long",
        |lie| lie.claim("filler", json!("x".repeat(70_000)));
    claims_that_are_a_list: "token-malformed",
        |lie| lie.spell = |header, claims| (header, format!("[{claims}]"));
}

fn decoded(part: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()
}

// `kid`, and what else a header could say of keys
refused! {
    oidc_08_kid_that_nobody_has: "token-key-unknown", |lie| {
        lie.key = &OTHER;
        lie.header["kid"] = json!("unknown");
    };
    oidc_07_kid_absent: "token-key-missing", |lie| {
        lie.header.as_object_mut().unwrap().remove("kid");
    };
    oidc_07_kid_empty: "token-malformed", |lie| lie.header["kid"] = json!("");
    oidc_07_kid_that_is_a_number: "token-malformed", |lie| lie.header["kid"] = json!(1);
    oidc_07_kid_twice: "token-duplicate",
        |lie| lie.spell = |header, claims| (header.replacen('{', r#"{"kid":"two","#, 1), claims);
    oidc_07_kid_in_capitals: "token-key-unknown", |lie| lie.header["kid"] = json!("ONE");
    oidc_07_a_key_in_the_header: "token-key-unknown", |lie| {
        lie.key = &OTHER;
        lie.header["kid"] = json!("own");
        lie.header["jwk"] = jwk("own", &OTHER);
    };
    oidc_07_a_key_in_the_header_under_a_known_id: "token-signature", |lie| {
        lie.key = &OTHER;
        lie.header["jwk"] = jwk("one", &OTHER);
    };
    oidc_07_a_url_of_keys_in_the_header: "token-signature", |lie| {
        lie.key = &OTHER;
        lie.header["jku"] = json!("http://127.0.0.1:1/keys");
        lie.header["x5u"] = json!("http://127.0.0.1:1/certificate");
    };
    a_critical_extension_in_the_header: "token-critical-header", |lie| {
        lie.header["crit"] = json!(["b64"]);
        lie.header["b64"] = json!(false);
    };
}

// `alg`
refused! {
    oidc_06_alg_none: "token-algorithm", |lie| {
        lie.header["alg"] = json!("none");
        lie.signature = Signature::None;
    };
    oidc_06_alg_none_in_other_letters: "token-algorithm", |lie| {
        lie.header["alg"] = json!("nOnE");
        lie.signature = Signature::None;
    };
    oidc_06_alg_none_with_a_good_signature: "token-algorithm",
        |lie| lie.header["alg"] = json!("none");
    oidc_06_alg_that_is_right_without_a_signature: "token-signature",
        |lie| lie.signature = Signature::None;
    oidc_06_alg_hs256_with_the_public_key_in_der: "token-algorithm", |lie| {
        lie.header["alg"] = json!("HS256");
        lie.signature = Signature::Hs256(public_der(&KEYS[0]));
    };
    oidc_06_alg_hs256_with_the_modulus: "token-algorithm", |lie| {
        lie.header["alg"] = json!("HS256");
        lie.signature = Signature::Hs256(modulus(&KEYS[0]));
    };
    oidc_06_alg_hs256_with_the_client_secret: "token-algorithm", |lie| {
        lie.header["alg"] = json!("HS256");
        lie.signature = Signature::Hs256(b"the secret of the tests".to_vec());
    };
    oidc_06_alg_rs512: "token-algorithm", |lie| {
        lie.header["alg"] = json!("RS512");
        lie.signature = Signature::Rs512;
    };
    oidc_06_alg_ps256: "token-algorithm", |lie| {
        lie.header["alg"] = json!("PS256");
        lie.signature = Signature::Ps256;
    };
    oidc_06_alg_that_is_not_what_signed: "token-signature",
        |lie| lie.signature = Signature::Ps256;
    oidc_06_alg_es256: "token-algorithm", |lie| lie.header["alg"] = json!("ES256");
    oidc_06_alg_in_small_letters: "token-algorithm", |lie| lie.header["alg"] = json!("rs256");
    oidc_06_alg_missing: "token-algorithm", |lie| {
        lie.header.as_object_mut().unwrap().remove("alg");
    };
    oidc_06_alg_twice: "token-duplicate",
        |lie| lie.spell = |header, claims| (header.replacen('{', r#"{"alg":"none","#, 1), claims);
    oidc_06_alg_that_is_a_list: "token-algorithm",
        |lie| lie.header["alg"] = json!(["RS256"]);
}

// The key set: each bad key beside a good one
refused! {
    oidc_07_a_key_of_another_type: "token-key-unknown",
        |lie| lie.bad_key(|key| key["kty"] = json!("EC"));
    oidc_07_a_key_that_is_a_shared_secret: "token-key-unknown",
        |lie| lie.bad_key(|key| *key = json!({"kty": "oct", "kid": "one", "k": "c2VjcmV0"}));
    oidc_07_a_key_without_a_type: "token-key-unknown",
        |lie| lie.bad_key(|key| drop(key.as_object_mut().unwrap().remove("kty")));
    oidc_07_a_key_for_encryption: "token-key-unknown",
        |lie| lie.bad_key(|key| key["use"] = json!("enc"));
    oidc_07_a_key_for_another_algorithm: "token-key-unknown",
        |lie| lie.bad_key(|key| key["alg"] = json!("RS512"));
    oidc_07_a_key_for_hs256: "token-key-unknown",
        |lie| lie.bad_key(|key| key["alg"] = json!("HS256"));
    oidc_07_a_key_without_a_modulus: "token-key-unknown",
        |lie| lie.bad_key(|key| drop(key.as_object_mut().unwrap().remove("n")));
    oidc_07_a_key_without_an_exponent: "token-key-unknown",
        |lie| lie.bad_key(|key| drop(key.as_object_mut().unwrap().remove("e")));
    oidc_07_a_key_that_is_not_base64url: "token-key-unknown",
        |lie| lie.bad_key(|key| key["n"] = json!("a+/="));
    oidc_07_a_key_with_an_exponent_of_one: "token-key-unknown",
        |lie| lie.bad_key(|key| key["e"] = json!("AQ"));
    oidc_07_a_key_with_an_exponent_of_three: "token-key-unknown",
        |lie| lie.bad_key(|key| key["e"] = json!("Aw"));
    oidc_07_a_key_without_an_id: "token-key-unknown",
        |lie| lie.bad_key(|key| drop(key.as_object_mut().unwrap().remove("kid")));
    oidc_07_a_key_that_is_weak: "token-key-unknown", |lie| {
        lie.bad_key(|key| *key = weak("one", &KEYS[0]));
    };
    oidc_07_two_keys_of_one_id: "token-key-unknown", |lie| {
        lie.bad_key(|_| {});
        lie.keys.push(jwk("one", &KEYS[1]));
    };
    az_01_a_key_of_another_issuer: "token-key-unknown",
        |lie| lie.bad_key(|key| key["issuer"] = json!("https://elsewhere.example"));
    az_01_a_key_of_another_cloud: "token-key-unknown",
        |lie| lie.bad_key(|key| key["cloud_instance_name"] = json!("microsoftonline.us"));
}

// The key set as a whole: nobody is sent away to sign in
refused! {
    oidc_07_no_key_that_can_be_used: "provider-keys-refused",
        |lie| lie.keys = vec![weak("one", &KEYS[0])];
    oidc_07_no_key_at_all: "provider-keys-refused", |lie| lie.keys = vec![];
    oidc_07_more_keys_than_anybody_has: "provider-keys-refused",
        |lie| lie.keys = (0..300).map(|id| jwk(&id.to_string(), &KEYS[0])).collect();
    a_key_set_that_is_none: "provider-keys-refused",
        |lie| lie.key_set = Some(Reply::Json(200, json!({"keys": "none"})));
    a_key_set_that_is_a_page: "provider-keys-refused",
        |lie| lie.key_set = Some(Reply::Body(200, b"<html>sign in</html>".to_vec()));
    a_key_set_that_is_an_error: "provider-status",
        |lie| lie.key_set = Some(Reply::Json(500, json!({"error": "server_error"})));
    a_key_set_that_leads_elsewhere: "provider-redirect",
        |lie| lie.key_set = Some(Reply::Redirect("http://127.0.0.1:1/keys".to_owned()));
    a_key_set_that_breaks_off: "provider-exchange",
        |lie| lie.key_set = Some(Reply::Cut(b"{\"keys\":[".to_vec()));
    a_key_set_that_is_far_too_long: "provider-answer-too-large",
        |lie| lie.key_set = Some(Reply::Chunked(2 * 1024 * 1024));
}

fn error(status: u16, error: &str) -> Reply {
    Reply::Json(status, json!({"error": error, "error_description": "no"}))
}

// The token endpoint
refused! {
    oidc_12_the_token_endpoint_answers_500: "provider-busy",
        |lie| lie.answer = |_| Reply::Body(500, b"<html>oops</html>".to_vec());
    oidc_12_the_token_endpoint_answers_503_with_tokens: "provider-busy",
        |lie| lie.answer = |token| Reply::Json(503, token_answer(&token));
    oidc_12_the_token_endpoint_refuses_the_grant: "token-request-refused",
        |lie| lie.answer = |_| error(400, "invalid_grant");
    oidc_12_the_token_endpoint_refuses_with_tokens: "token-request-refused",
        |lie| lie.answer = |token| Reply::Json(400, token_answer(&token));
    oidc_12_the_token_endpoint_answers_an_error_with_200: "token-answer-malformed",
        |lie| lie.answer = |_| error(200, "invalid_grant");
    oidc_12_the_token_endpoint_answers_201: "token-request-refused",
        |lie| lie.answer = |token| Reply::Json(201, token_answer(&token));
    oidc_12_the_token_endpoint_answers_a_page: "token-answer-malformed",
        |lie| lie.answer = |_| Reply::Typed("text/html", b"<html>sign in</html>".to_vec());
    oidc_12_the_token_endpoint_answers_tokens_as_a_page: "token-answer-malformed",
        |lie| lie.answer =
            |token| Reply::Typed("text/html", token_answer(&token).to_string().into_bytes());
    oidc_12_the_token_endpoint_does_not_say_what_it_answers: "token-answer-malformed",
        |lie| lie.answer = |token| Reply::Body(200, token_answer(&token).to_string().into_bytes());
    oidc_12_the_token_endpoint_answers_half_of_it: "token-answer-malformed",
        |lie| lie.answer = |token| {
            let whole = token_answer(&token).to_string();
            Reply::Typed("application/json", whole.as_bytes()[..whole.len() / 2].to_vec())
        };
    oidc_12_the_token_endpoint_breaks_off: "provider-exchange",
        |lie| lie.answer = |token| Reply::Cut(token_answer(&token).to_string().into_bytes());
    oidc_12_the_token_endpoint_hangs_up: "provider-exchange",
        |lie| lie.answer = |_| Reply::Hangup;
    oidc_12_the_token_endpoint_never_answers: "provider-slow",
        |lie| lie.answer = |_| Reply::Silence;
    oidc_12_the_token_endpoint_answers_nothing: "token-answer-malformed",
        |lie| lie.answer = |_| Reply::Json(200, json!({}));
    oidc_11_the_token_endpoint_leads_elsewhere: "provider-redirect",
        |lie| lie.answer = |_| Reply::Redirect("http://127.0.0.1:1/token".to_owned());
    oidc_12_the_token_endpoint_answers_far_too_much: "provider-answer-too-large",
        |lie| lie.answer = |_| Reply::Chunked(2 * 1024 * 1024);
    oidc_21_the_token_endpoint_gives_an_access_token_only: "token-answer-malformed",
        |lie| lie.answer =
            |token| Reply::Json(200, json!({"token_type": "Bearer", "access_token": token}));
    oidc_12_the_token_endpoint_gives_a_list_of_tokens: "token-answer-malformed",
        |lie| lie.answer =
            |token| Reply::Json(200, json!({"token_type": "Bearer", "id_token": [token]}));
    oidc_12_the_token_endpoint_gives_tokens_of_no_type: "token-answer-malformed",
        |lie| lie.answer = |token| Reply::Json(200, json!({"id_token": token}));
    oidc_12_the_token_endpoint_gives_tokens_of_another_type: "token-answer-malformed",
        |lie| lie.answer =
            |token| Reply::Json(200, json!({"token_type": "DPoP", "id_token": token}));
    oidc_12_the_token_endpoint_gives_two_id_tokens: "token-answer-malformed",
        |lie| lie.answer = |token| {
            let body = format!(
                r#"{{"token_type":"Bearer","id_token":"{token}","id_token":"{token}"}}"#
            );
            Reply::Typed("application/json", body.into_bytes())
        };
}
