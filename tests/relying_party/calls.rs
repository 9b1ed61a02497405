//! What is asked of the provider, when, and what becomes of its answers. Over real sockets.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anteport::config::{Credential, Proof, ProviderKind, SecretMethod, Tenant, Tenants};
use anteport::gate::Secret;
use anteport::relying_party::{
    Call, IdTokenError, Limits, Outcome, RelyingParty, RelyingPartyError,
};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::credentials::managed_identity;
use crate::provider::{
    CLIENT, KEYS, PERSONAL, Provider, Reply, Seen, TENANT, base64, jwk, metadata, token,
    token_answer,
};
use crate::world::{NOON, REDIRECT, World, accept, begin, configured, query, quick};

const OTHER_TENANT: &str = "b7d40e9b-52a1-4f36-8e0d-91b3a6c2f4d8";

/// The workers of the server each move such futures between their tasks.
#[test]
fn its_futures_can_be_sent() {
    fn is_send<T: Send>(_: impl Fn(&'static RelyingParty) -> T) {}
    async fn log_in(rp: &'static RelyingParty) {
        let (pending, request) = begin(NOON);
        let _ = rp.authorization_url(&request, REDIRECT).await;
        let redemption = accept(pending, &request, "", NOON);
        let tokens = rp.redeem(&redemption, REDIRECT).await.unwrap();
        let _ = rp.verify(&tokens, &redemption, NOON).await;
    }
    is_send(log_in);
    fn spawnable(rp: Arc<RelyingParty>) -> impl Future + Send + 'static {
        rp.keep_fresh()
    }
    let _ = spawnable;
}

/// OIDC-01
#[tokio::test]
async fn every_login_has_code_flow_state_nonce_and_s256() {
    let world = World::start().await;
    let (_, request) = begin(NOON);
    let url = world.rp.authorization_url(&request, REDIRECT).await.unwrap();
    let base = world.provider.base();
    assert!(url.starts_with(&format!("{base}/{TENANT}/oauth2/v2.0/authorize?")));
    let query = query(&url);
    let challenge = base64(digest(&SHA256, request.verifier.expose().as_bytes()));
    for (name, value) in [
        ("client_id", CLIENT),
        ("response_type", "code"),
        ("response_mode", "query"),
        ("redirect_uri", REDIRECT),
        ("scope", "openid profile"),
        ("state", request.state.expose()),
        ("nonce", request.nonce.expose()),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(query[name], value);
    }
    assert!(!url.contains(request.verifier.expose()));
}

/// OIDC-01, OIDC-12
#[tokio::test]
async fn a_login_is_one_token_request_with_all_it_needs() {
    let world = World::start().await;
    world.log_in("one", 0).await.unwrap();
    let seen = world.provider.seen("/token");
    assert_eq!(seen.len(), 1);
    let Seen { headers, form, .. } = &seen[0];
    assert_eq!(form["client_id"], CLIENT);
    assert_eq!(form["client_secret"], "secret A");
    assert_eq!(form["grant_type"], "authorization_code");
    assert_eq!(form["code"], "0.AXYAcode");
    assert_eq!(form["redirect_uri"], REDIRECT);
    assert_eq!(form["code_verifier"].len(), 43);
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(headers["accept"], "application/json");
    assert_eq!(headers["host"], world.provider.address.to_string());
    assert_eq!(headers["client-request-id"].len(), 36);
    assert!(!headers.contains_key("origin"));
    let observed = world.observed.lock().unwrap().clone();
    let all_well = [Call::Discovery, Call::Keys, Call::Token].map(|call| (call, Outcome::Ok));
    assert_eq!(observed, all_well);
}

/// OIDC-03
#[tokio::test]
async fn nothing_is_asked_before_somebody_logs_in() {
    let world = World::start().await;
    assert!(!world.rp.is_ready());
    assert_eq!(world.rp.keys_age(NOON), None);
    assert_eq!(world.provider.count("/"), 0);
}

/// OIDC-04
#[tokio::test]
async fn a_callback_of_another_issuer_does_not_get_the_code() {
    let world = World::start().await;
    let (pending, request) = begin(NOON);
    let redemption = accept(pending, &request, "&iss=https%3A%2F%2Felsewhere.example", NOON);
    let error = world.rp.redeem(&redemption, REDIRECT).await.unwrap_err();
    assert_eq!(error.code(), "login-callback-issuer");
    assert!(!error.is_temporary());
    assert_eq!(world.provider.count("/token"), 0);

    let (pending, request) = begin(NOON);
    world.provider.issue("x".to_owned());
    let more = format!("&iss={}", world.provider.issuer());
    let redemption = accept(pending, &request, &more, NOON);
    assert!(world.rp.redeem(&redemption, REDIRECT).await.is_ok());
}

/// OIDC-04
#[tokio::test]
async fn a_promised_issuer_must_be_there() {
    let world = World::start().await;
    let mut promising = metadata(&world.provider.base());
    promising["authorization_response_iss_parameter_supported"] = json!(true);
    world.provider.set_metadata(Reply::Json(200, promising));
    let error = world.log_in("one", 0).await.unwrap_err();
    assert_eq!(error.code(), "login-callback-issuer");
}

async fn discovery_code(world: &World) -> &'static str {
    let (_, request) = begin(NOON);
    let error = world.rp.authorization_url(&request, REDIRECT).await.unwrap_err();
    assert!(error.is_temporary());
    error.code()
}

/// AZ-01, OIDC-11
#[tokio::test]
async fn metadata_of_somebody_else_is_refused() {
    let world = World::start().await;
    let base = world.provider.base();
    for (name, value, code) in [
        ("issuer", json!(format!("{base}/{{tenantid}}/v2.0")), "provider-issuer"),
        ("issuer", json!(format!("{base}/{OTHER_TENANT}/v2.0")), "provider-issuer"),
        ("issuer", json!(format!("{base}/{TENANT}/v2.0/")), "provider-issuer"),
        ("issuer", json!(format!("https://elsewhere.example/{TENANT}/v2.0")), "provider-issuer"),
        ("issuer", json!(null), "provider-metadata-malformed"),
        ("token_endpoint", json!("https://elsewhere.example/token"), "provider-endpoint-elsewhere"),
        ("jwks_uri", json!("http://127.0.0.1:1/keys"), "provider-endpoint-elsewhere"),
        ("jwks_uri", json!(format!("{base}@elsewhere.example/")), "provider-endpoint-elsewhere"),
        ("authorization_endpoint", json!("javascript:x"), "provider-endpoint-elsewhere"),
        ("end_session_endpoint", json!("/logout"), "provider-endpoint-elsewhere"),
        ("token_endpoint", json!(7), "provider-metadata-malformed"),
    ] {
        let mut lie = metadata(&base);
        lie[name] = value;
        world.provider.set_metadata(Reply::Json(200, lie));
        assert_eq!(discovery_code(&world).await, code, "{name}");
    }
    assert_eq!(world.provider.count("/keys"), 0);
}

/// A provider whose tenant is named by its domain.
async fn of_domain() -> World {
    World::with(quick(), |provider| {
        if let ProviderKind::EntraId(entra) = &mut provider.kind {
            entra.tenants = Tenants::One(Tenant::Domain("harborclub.example".to_owned()));
        }
    })
    .await
}

/// AZ-01
#[tokio::test]
async fn a_domain_stands_for_the_tenant_of_the_issuer_for_good() {
    let world = of_domain().await;
    world.log_in("one", 0).await.unwrap();
    let paths = world.provider.seen("openid-configuration");
    assert_eq!(paths[0].path, "/harborclub.example/v2.0/.well-known/openid-configuration");

    world.clock.advance(Duration::from_secs(25 * 3600));
    let mut moved = metadata(&world.provider.base());
    moved["issuer"] = json!(world.provider.issuer().replace(TENANT, OTHER_TENANT));
    world.provider.set_metadata(Reply::Json(200, moved));
    assert_eq!(discovery_code(&world).await, "provider-tenant-changed");
}

/// AZ-01, AZ-03
#[tokio::test]
async fn a_domain_stands_for_no_alias_and_not_for_personal_accounts() {
    let world = of_domain().await;
    for (tenant, code) in [
        ("{tenantid}", "provider-issuer"),
        ("harborclub.example", "provider-issuer"),
        (PERSONAL, "provider-personal-accounts"),
    ] {
        let mut lie = metadata(&world.provider.base());
        lie["issuer"] = json!(world.provider.issuer().replace(TENANT, tenant));
        world.provider.set_metadata(Reply::Json(200, lie));
        assert_eq!(discovery_code(&world).await, code);
    }
}

/// OIDC-07, AZ-01
#[tokio::test]
async fn keys_of_others_do_not_sign_for_us() {
    let world = World::start().await;
    let mut personal = jwk("one", &KEYS[0]);
    personal["issuer"] = json!(format!("{}/{PERSONAL}/v2.0", world.provider.base()));
    let mut elsewhere = jwk("one", &KEYS[0]);
    elsewhere["cloud_instance_name"] = json!("microsoftonline.us");
    let mut ours = jwk("two", &KEYS[1]);
    ours["issuer"] = json!(format!("{}/{{tenantid}}/v2.0", world.provider.base()));
    for other in [personal, elsewhere] {
        world.provider.publish(&[other, ours.clone()]);
        assert_eq!(world.log_in("one", 0).await.unwrap_err().code(), "token-key-unknown");
        world.log_in("two", 1).await.unwrap();
    }
}

/// OIDC-11
#[tokio::test]
async fn lim_06_redirects_are_not_followed() {
    let world = World::start().await;
    let elsewhere = Provider::start().await;
    let good = Reply::Json(200, metadata(&world.provider.base()));
    let redirect = || Reply::Redirect(format!("{}/x/keys", elsewhere.base()));

    world.provider.set_metadata(redirect());
    assert_eq!(discovery_code(&world).await, "provider-redirect");
    world.provider.set_metadata(good);
    world.provider.set_keys(redirect());
    assert_eq!(discovery_code(&world).await, "provider-redirect");
    world.provider.publish(&[jwk("one", &KEYS[0])]);
    let (pending, request) = begin(NOON);
    let to = redirect();
    world.provider.set_token(move |_| to.clone());
    let redemption = accept(pending, &request, "", NOON);
    let error = world.rp.redeem(&redemption, REDIRECT).await.unwrap_err();
    assert_eq!(error.code(), "provider-redirect");
    assert_eq!(elsewhere.count("/"), 0);
}

/// LIM-06
#[tokio::test]
async fn lim_06_an_answer_of_more_than_a_mebibyte_is_refused() {
    let world = World::start().await;
    let mebibyte = 1024 * 1024;
    for reply in [Reply::Body(200, vec![b' '; mebibyte + 1]), Reply::Chunked(mebibyte + 1)] {
        world.provider.set_metadata(reply);
        assert_eq!(discovery_code(&world).await, "provider-answer-too-large");
    }
    world.provider.set_metadata(Reply::Chunked(mebibyte));
    assert_eq!(discovery_code(&world).await, "provider-metadata-malformed");
}

/// LIM-06
#[tokio::test]
async fn lim_06_an_answer_that_does_not_come_is_not_waited_for() {
    let limits = Limits { total: Duration::from_millis(50), ..quick() };
    let world = World::with(limits, |_| {}).await;
    world.provider.set_metadata(Reply::Silence);
    let code = timeout(Duration::from_secs(2), discovery_code(&world)).await;
    assert_eq!(code, Ok("provider-slow"));
    let observed = world.observed.lock().unwrap().clone();
    assert_eq!(observed, [(Call::Discovery, Outcome::Unreachable)]);
}

/// LIM-06: a listener whose queue nobody empties takes the connection and says no word of TLS.
#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = format!("https://{}", listener.local_addr().unwrap());
    let limits = Limits { total: Duration::from_millis(50), ..quick() };
    let mut configured = configured(&authority);
    configured.trusted = Some(vec![certificate().0]);
    let world = World::of(Provider::start().await, configured, limits);
    let code = timeout(Duration::from_secs(2), discovery_code(&world)).await;
    assert_eq!(code, Ok("provider-slow"));
}

fn certificate() -> (rustls::pki_types::CertificateDer<'static>, tokio_rustls::TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (certificate, Arc::new(config).into())
}

/// CRY-03
#[tokio::test]
async fn the_providers_certificate_is_verified() {
    let (trusted, acceptor) = certificate();
    let (another, _) = certificate();
    for (root, is_right) in [(trusted, true), (another, false)] {
        let provider = Provider::start_tls(acceptor.clone()).await;
        let mut configured = configured(&format!("https://localhost:{}", provider.address.port()));
        configured.trusted = Some(vec![root]);
        let world = World::of(provider, configured, quick());
        let (_, request) = begin(NOON);
        match world.rp.authorization_url(&request, REDIRECT).await {
            Ok(url) => assert!(is_right && url.starts_with("https://localhost:")),
            Err(error) => assert!(!is_right && error.code() == "provider-tls"),
        }
    }
}

/// CRY-03
#[tokio::test]
async fn the_certificate_of_an_identitys_endpoint_is_verified_by_the_same() {
    let (trusted, acceptor) = certificate();
    let (another, _) = certificate();
    for (root, asked) in [(trusted, 2), (another, 0)] {
        let provider = Provider::start_tls(acceptor.clone()).await;
        let origin = format!("https://localhost:{}", provider.address.port());
        // The provider itself has no TLS, so that the endpoint alone is in question.
        let plain = Provider::start().await;
        let mut configured = configured(&plain.base());
        configured.credentials = vec![managed_identity(&origin)];
        configured.trusted = Some(vec![root]);
        let world = World::of(plain, configured, quick());
        let ends = 4_000_000_000_u64;
        provider.set_token(move |_| {
            Reply::Json(200, json!({"access_token": "a.b.c", "expires_on": ends}))
        });
        let (pending, request) = begin(NOON);
        let redemption = accept(pending, &request, "", NOON);
        let error = world.rp.redeem(&redemption, REDIRECT).await.unwrap_err();
        let sent = provider.count("/metadata/identity") + world.provider.count("/token");
        assert_eq!(sent, asked, "{error:?}");
    }
}

/// CRY-03: what this machine trusts is not what a test made up, if it trusts anything.
#[tokio::test]
async fn without_a_ca_of_its_own_the_systems_are_trusted() {
    let provider = Provider::start_tls(certificate().1).await;
    let configured = configured(&format!("https://localhost:{}", provider.address.port()));
    let world = World::of(provider, configured, quick());
    let code = discovery_code(&world).await;
    assert!(["provider-tls", "provider-no-trusted-roots"].contains(&code), "{code}");
}

/// AZ-06, REL-01
#[tokio::test]
async fn a_provider_that_is_down_at_the_start_is_used_once_it_is_back() {
    let world = World::start().await;
    world.provider.set_down(true);
    assert_eq!(discovery_code(&world).await, "provider-exchange");
    assert!(!world.rp.is_ready());
    world.provider.set_down(false);
    world.log_in("one", 0).await.unwrap();
    assert!(world.rp.is_ready());
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_said_so() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let configured = configured(&format!("http://{nobody}"));
    let world = World::of(Provider::start().await, configured, quick());
    assert_eq!(discovery_code(&world).await, "provider-not-connected");
}

/// REL-01: visitors do not add to the load of a provider that is down.
#[tokio::test]
async fn a_failure_is_shared_for_a_moment() {
    let world = World::with(Limits::default(), |_| {}).await;
    world.provider.set_metadata(Reply::Body(503, Vec::new()));
    for _ in 0..5 {
        assert_eq!(discovery_code(&world).await, "provider-status");
    }
    assert_eq!(world.provider.count("openid-configuration"), 1);
}

/// AZ-06
#[tokio::test]
async fn the_last_good_copy_outlives_an_outage_of_a_day() {
    let world = World::start().await;
    world.log_in("one", 0).await.unwrap();
    world.provider.set_metadata(Reply::Body(500, Vec::new()));
    world.provider.set_keys(Reply::Body(500, Vec::new()));
    world.clock.advance(Duration::from_secs(24 * 3600 - 1));
    world.log_in("one", 0).await.unwrap();
    assert_eq!(world.rp.keys_age(world.clock.now()), Some(Duration::from_secs(24 * 3600 - 1)));
    world.clock.advance(Duration::from_secs(1));
    assert!(!world.rp.is_ready());
    assert_eq!(discovery_code(&world).await, "provider-status");
}

/// AZ-06, SUP-02
#[tokio::test]
async fn a_bad_key_set_does_not_replace_a_good_one() {
    let world = World::start().await;
    world.log_in("one", 0).await.unwrap();
    world.provider.publish(&[]);
    let error = world.log_in("two", 1).await.unwrap_err();
    assert_eq!(error.code(), "provider-keys-refused");
    world.log_in("one", 0).await.unwrap();
}

/// REL-02
#[tokio::test]
async fn no_login_fails_when_keys_are_replaced_and_each_time_is_one_fetch() {
    let world = World::start().await;
    world.log_in("one", 0).await.unwrap();
    for round in 0..100 {
        let kid = format!("round {round}");
        world.provider.publish(&[jwk(&kid, &KEYS[round % 2])]);
        world.log_in(&kid, round % 2).await.unwrap();
        world.log_in(&kid, round % 2).await.unwrap();
    }
    assert_eq!(world.provider.count("/keys"), 101);
    assert_eq!(world.provider.count("openid-configuration"), 1);
}

/// OIDC-07: a key that is no longer published is no longer believed.
#[tokio::test]
async fn a_withdrawn_key_is_forgotten_with_the_next_fetch() {
    let world = World::start().await;
    world.log_in("one", 0).await.unwrap();
    world.provider.publish(&[jwk("two", &KEYS[1])]);
    world.log_in("two", 1).await.unwrap();
    assert_eq!(world.log_in("one", 0).await.unwrap_err().code(), "token-key-unknown");
}

/// OIDC-08
#[tokio::test]
async fn fifty_tokens_with_an_unknown_key_are_one_fetch() {
    let world = Arc::new(World::start().await);
    world.log_in("one", 0).await.unwrap();
    let (pending, request) = begin(NOON);
    let claims = world.claims(request.nonce.expose());
    world.provider.issue(token("forged", &claims, &KEYS[1]));
    let redemption = Arc::new(accept(pending, &request, "", NOON));
    let tokens = Arc::new(world.rp.redeem(&redemption, REDIRECT).await.unwrap());
    let before = world.provider.count("/keys");
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (rp, tokens) = (Arc::clone(&world.rp), Arc::clone(&tokens));
        let redemption = Arc::clone(&redemption);
        all.spawn(async move { rp.verify(&tokens, &redemption, NOON).await });
    }
    while let Some(verdict) = all.join_next().await {
        let error = verdict.unwrap().unwrap_err();
        assert!(matches!(error, RelyingPartyError::IdToken(IdTokenError::KeyUnknown)));
    }
    assert_eq!(world.provider.count("/keys") - before, 1);

    // For five minutes, forged ids make us fetch nothing more, and slow nobody down.
    world.clock.advance(Duration::from_secs(299));
    assert!(world.log_in("forged again", 1).await.is_err());
    world.log_in("one", 0).await.unwrap();
    assert_eq!(world.provider.count("/keys") - before, 1);
    world.clock.advance(Duration::from_secs(1));
    assert!(world.log_in("forged later", 1).await.is_err());
    assert_eq!(world.provider.count("/keys") - before, 2);
}

/// OIDC-08, GEN-03: a key that could not be looked for is not a key that does not exist.
#[tokio::test]
async fn an_unknown_key_during_an_outage_is_a_temporary_failure() {
    let world = World::start().await;
    world.log_in("one", 0).await.unwrap();
    world.provider.set_keys(Reply::Body(503, Vec::new()));
    let error = world.log_in("two", 1).await.unwrap_err();
    assert_eq!(error.code(), "provider-status");
    assert!(error.is_temporary());
    world.provider.publish(&[jwk("two", &KEYS[1])]);
    world.log_in("two", 1).await.unwrap();
}

/// Lets the others go on until `done`.
async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}

/// Runs the background task beside `story`, to the end of the story.
async fn kept_fresh(world: &World, story: impl Future<Output = ()>) {
    tokio::select! {
        () = Arc::clone(&world.rp).keep_fresh() => unreachable!("it never returns"),
        told = timeout(Duration::from_secs(30), story) => told.expect("the story has an end"),
    }
}

/// OIDC-08: a real key that comes right after a forged one is known soon, without anybody's help.
#[tokio::test]
async fn a_miss_makes_the_background_task_look_a_second_time() {
    let limits = Limits { second_look: Duration::from_millis(1), ..quick() };
    let world = World::with(limits, |_| {}).await;
    kept_fresh(&world, async {
        until(|| world.rp.is_ready()).await;
        let before = world.provider.count("/keys");
        assert!(world.log_in("forged", 1).await.is_err());
        world.provider.publish(&[jwk("two", &KEYS[1])]);
        until(|| world.provider.count("/keys") == before + 2).await;
        world.log_in("two", 1).await.unwrap();
    })
    .await;
}

/// OIDC-08: further misses of logins, too, make it look, though no login fetches by itself.
#[tokio::test]
async fn each_miss_of_a_login_brings_a_second_look() {
    let limits = Limits { second_look: Duration::from_millis(1), ..quick() };
    let world = World::with(limits, |_| {}).await;
    kept_fresh(&world, async {
        until(|| world.rp.is_ready()).await;
        let before = world.provider.count("/keys");
        assert!(world.log_in("forged", 1).await.is_err());
        until(|| world.provider.count("/keys") == before + 2).await;
        world.provider.publish(&[jwk("two", &KEYS[1])]);
        assert_eq!(world.log_in("two", 1).await.unwrap_err().code(), "token-key-unknown");
        until(|| world.provider.count("/keys") == before + 3).await;
        until_known(&world, "two", 1).await;
    })
    .await;
}

/// Logs in until the key is known.
async fn until_known(world: &World, kid: &str, key: usize) {
    while world.log_in(kid, key).await.is_err() {
        tokio::task::yield_now().await;
    }
}

/// A logout token that names this key.
fn forged(kid: &str) -> String {
    token(kid, &json!({ "sub": "anybody" }), &KEYS[1])
}

/// OIDC-08: anybody can post a logout token; what it names keeps nobody from signing in.
#[tokio::test]
async fn oidc_08_a_forged_logout_token_does_not_keep_a_login_from_looking() {
    let limits = Limits { second_look: Duration::from_millis(1), ..quick() };
    let world = World::with(limits, |_| {}).await;
    kept_fresh(&world, async {
        until(|| world.rp.is_ready()).await;
        let before = world.provider.count("/keys");
        let verdict = world.rp.logout_token(&forged("invented"), NOON).await;
        assert_eq!(verdict.unwrap_err().code(), "token-key-unknown");
        until(|| world.provider.count("/keys") == before + 2).await;
        // The second look is over, and nothing else will look for a long time.
        world.provider.publish(&[jwk("two", &KEYS[1])]);
        world.log_in("two", 1).await.unwrap();
    })
    .await;
}

/// OIDC-08: what logout tokens make us fetch is bounded, and by no login's misses.
#[tokio::test]
async fn oidc_08_logout_tokens_have_five_minutes_of_their_own() {
    let world = World::start().await;
    world.log_in("one", 0).await.unwrap();
    let before = world.provider.count("/keys");
    for number in 0..50 {
        let verdict = world.rp.logout_token(&forged(&number.to_string()), NOON).await;
        assert_eq!(verdict.unwrap_err().code(), "token-key-unknown");
    }
    assert_eq!(world.provider.count("/keys") - before, 1);
    assert!(world.log_in("forged", 1).await.is_err());
    assert_eq!(world.provider.count("/keys") - before, 2);
    assert!(world.log_in("forged again", 1).await.is_err());
    assert!(world.rp.logout_token(&forged("more"), NOON).await.is_err());
    assert_eq!(world.provider.count("/keys") - before, 2);
    world.clock.advance(Duration::from_secs(300));
    assert!(world.rp.logout_token(&forged("later"), NOON).await.is_err());
    assert_eq!(world.provider.count("/keys") - before, 3);
    world.provider.publish(&[jwk("two", &KEYS[1])]);
    world.log_in("two", 1).await.unwrap();
}

/// REL-02: keys are fetched before anybody needs them.
#[tokio::test]
async fn the_background_task_fetches_again_and_again() {
    let limits = Limits { refresh: Duration::from_millis(1), ..quick() };
    let world = World::with(limits, |_| {}).await;
    kept_fresh(&world, async {
        until(|| world.provider.count("/keys") >= 3).await;
    })
    .await;
}

/// LIM-06, OIDC-08, AZ-06
#[test]
fn the_bounds_are_those_of_the_rules() {
    let limits = Limits::default();
    assert_eq!(limits.connect, Duration::from_secs(2));
    assert_eq!(limits.total, Duration::from_secs(5));
    assert_eq!(limits.answer_bytes, 1024 * 1024);
    assert_eq!(limits.missed_key, Duration::from_secs(300));
    assert_eq!(limits.outage, Duration::from_secs(24 * 3600));
    assert!(limits.longest_pause < Duration::from_secs(5));
}

/// REL-01
#[tokio::test]
async fn the_background_task_comes_back_with_the_provider() {
    let limits = Limits { longest_pause: Duration::from_millis(1), ..quick() };
    let world = World::with(limits, |_| {}).await;
    world.provider.set_down(true);
    kept_fresh(&world, async {
        until(|| world.observed.lock().unwrap().len() >= 3).await;
        let all_down = (Call::Discovery, Outcome::Unreachable);
        assert_eq!(world.observed.lock().unwrap()[..3], [all_down; 3]);
        assert!(!world.rp.is_ready());
        world.provider.set_down(false);
        until(|| world.rp.is_ready()).await;
    })
    .await;
}

fn refused(code: u64) -> Reply {
    Reply::Json(
        401,
        json!({
            "error": "invalid_client",
            "error_description": format!("AADSTS{code}: canary-description 'secret A'\r\nTrace ID: x"),
            "error_codes": [code],
            "trace_id": "0d1f0b7a-0000-4000-8000-000000000001",
            "correlation_id": "<script>",
        }),
    )
}

/// OIDC-12
#[tokio::test]
async fn a_refused_secret_is_passed_over_and_the_good_one_remembered() {
    for code in [7_000_215, 7_000_222] {
        let world = World::with(quick(), |provider| {
            provider.credentials.push(Credential::secret("secret B".to_owned()));
        })
        .await;
        let nonces: Arc<Mutex<String>> = Arc::default();
        let issuer = world.provider.issuer();
        let nonce = Arc::clone(&nonces);
        world.provider.set_token(move |seen| match &*seen.form["client_secret"] {
            "secret B" => {
                let claims = crate::world::claims(&issuer, &nonce.lock().unwrap(), NOON);
                Reply::Json(200, token_answer(&token("one", &claims, &KEYS[0])))
            }
            _ => refused(code),
        });
        for requests in [2, 3] {
            let (pending, request) = begin(NOON);
            nonces.lock().unwrap().clone_from(request.nonce.expose());
            let redemption = accept(pending, &request, "", NOON);
            let tokens = world.rp.redeem(&redemption, REDIRECT).await.unwrap();
            world.rp.verify(&tokens, &redemption, NOON).await.unwrap();
            assert_eq!(world.provider.count("/token"), requests);
        }
    }
}

/// OIDC-12: Entra judges the credential before the code, which the first try may have used up.
#[tokio::test]
async fn a_secret_that_got_as_far_as_the_code_is_the_good_one() {
    let world = World::with(quick(), |provider| {
        provider.credentials.push(Credential::secret("secret B".to_owned()));
    })
    .await;
    for requests in [2, 3] {
        world.provider.set_token(|seen| match &*seen.form["client_secret"] {
            "secret B" => Reply::Json(400, json!({"error": "invalid_grant"})),
            _ => refused(7_000_222),
        });
        let (pending, request) = begin(NOON);
        let redemption = accept(pending, &request, "", NOON);
        let error = world.rp.redeem(&redemption, REDIRECT).await.unwrap_err();
        assert_eq!(error.code(), "token-request-refused");
        assert_eq!(world.provider.count("/token"), requests);
    }
}

/// RFC 6749, section 2.3.1.
#[tokio::test]
async fn a_secret_can_be_sent_in_a_header_and_is_then_nowhere_else() {
    let world = World::with(quick(), |provider| {
        let value = Secret::new("a+b/c: %ä".to_owned());
        provider.credentials[0].proof = Proof::Secret { value, method: SecretMethod::Basic };
    })
    .await;
    world.log_in("one", 0).await.unwrap();
    let Seen { headers, form, .. } = &world.provider.seen("/token")[0];
    let joined = format!("{CLIENT}:a%2Bb%2Fc%3A+%25%C3%A4");
    assert_eq!(headers["authorization"], format!("Basic {}", STANDARD.encode(joined)));
    assert!(!form.contains_key("client_secret") && !form.contains_key("client_id"));
}

async fn refusal(world: &World, reply: Reply) -> RelyingPartyError {
    world.provider.set_token(move |_| reply.clone());
    let (pending, request) = begin(NOON);
    let redemption = accept(pending, &request, "", NOON);
    world.rp.redeem(&redemption, REDIRECT).await.unwrap_err()
}

/// OIDC-12, LOG-01
#[tokio::test]
async fn when_every_secret_is_refused_each_was_tried_once() {
    let world = World::with(quick(), |provider| {
        provider.credentials.push(Credential::secret("secret B".to_owned()));
    })
    .await;
    let error = refusal(&world, refused(7_000_222)).await;
    assert_eq!(world.provider.count("/token"), 2);
    assert_eq!(error.code(), "client-secret-refused");
    assert!(error.is_temporary());
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("AADSTS7000222") && shown.contains("0d1f0b7a-0000"));
    for hidden in ["canary", "script", "secret A", "secret B", "0.AXYAcode"] {
        assert!(!shown.contains(hidden), "{hidden}");
    }
}

/// OIDC-12
#[tokio::test]
async fn a_refused_exchange_is_not_repeated() {
    let world = World::with(quick(), |provider| {
        provider.credentials.push(Credential::secret("secret B".to_owned()));
    })
    .await;
    let error = |error: &str, code: u64| json!({"error": error, "error_codes": [code]});
    let described = json!({"error": "invalid_grant", "error_description": "AADSTS54005: again"});
    for (status, body, code, is_temporary) in [
        (400, described, "token-request-refused", false),
        (400, error("invalid_grant", 70008), "token-request-refused", false),
        (401, error("invalid_client", 700_016), "token-request-refused", false),
        (400, error("unauthorized_client", 7_000_215), "token-request-refused", false),
        (400, error("temporarily_unavailable", 90006), "provider-busy", true),
        (400, error("invalid_request", 90033), "provider-busy", true),
        (429, json!("slow down"), "provider-busy", true),
        (503, json!(null), "provider-busy", true),
        (200, json!({"token_type": "Bearer"}), "token-answer-malformed", true),
        (200, json!({"token_type": "DPoP", "id_token": "x"}), "token-answer-malformed", true),
        (200, json!({"token_type": "Bearer", "id_token": 7}), "token-answer-malformed", true),
        (200, json!([]), "token-answer-malformed", true),
        (201, token_answer("x"), "token-request-refused", false),
    ] {
        let before = world.provider.count("/token");
        let error = refusal(&world, Reply::Json(status, body)).await;
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(error.is_temporary(), is_temporary, "{error}");
        assert_eq!(world.provider.count("/token"), before + 1);
    }
}

/// OIDC-09
#[tokio::test]
async fn a_token_of_another_login_is_refused() {
    let world = World::start().await;
    let (_, request) = begin(NOON);
    let claims = world.claims(request.nonce.expose());
    world.provider.issue(token("one", &claims, &KEYS[0]));
    let (pending, request) = begin(NOON);
    let redemption = accept(pending, &request, "", NOON);
    let tokens = world.rp.redeem(&redemption, REDIRECT).await.unwrap();
    let error = world.rp.verify(&tokens, &redemption, NOON).await.unwrap_err();
    assert_eq!(error.code(), "token-nonce");
    assert_eq!(format!("{tokens:?}"), "Tokens(…)");
}

/// REL-03
#[tokio::test]
async fn no_login_fails_while_clocks_differ_by_a_minute() {
    let world = World::start().await;
    for seconds in [-60, 60] {
        let (pending, request) = begin(NOON);
        let mut claims: Value = world.claims(request.nonce.expose());
        for name in ["iat", "nbf"] {
            claims[name] = json!(NOON.unix_seconds() + seconds);
        }
        claims["exp"] = json!(NOON.unix_seconds() + seconds + 60);
        world.provider.issue(token("one", &claims, &KEYS[0]));
        let redemption = accept(pending, &request, "", NOON);
        let tokens = world.rp.redeem(&redemption, REDIRECT).await.unwrap();
        world.rp.verify(&tokens, &redemption, NOON).await.unwrap();
    }
}

#[tokio::test]
async fn a_logout_leads_to_the_provider_with_a_hint_and_without_a_call() {
    let world = World::start().await;
    let claims = world.log_in("one", 0).await.unwrap();
    let before = world.provider.count("/");
    let done = "https://members.example.org/.auth/logout/done";
    let url = world.rp.end_session_url(&claims, None, done, "sealed&state").unwrap();
    let base = world.provider.base();
    assert!(url.starts_with(&format!("{base}/{TENANT}/oauth2/v2.0/logout?")));
    let query = query(&url);
    assert_eq!(query["post_logout_redirect_uri"], done);
    assert_eq!(query["logout_hint"], "O.Ciopaque");
    assert_eq!(query["state"], "sealed&state");
    assert_eq!(world.provider.count("/"), before);

    let unknown = World::start().await;
    assert_eq!(unknown.rp.end_session_url(&claims, None, done, ""), None);
}

/// A visitor who leaves while everybody waits for their fetch takes nobody's login along.
#[tokio::test]
async fn whoever_leaves_while_fetching_makes_way_for_the_next() {
    let world = World::start().await;
    world.provider.set_metadata(Reply::Silence);
    let (_, request) = begin(NOON);
    tokio::select! {
        _ = world.rp.authorization_url(&request, REDIRECT) => unreachable!("there is no answer"),
        () = until(|| world.provider.count("openid-configuration") == 1) => {}
    }
    world.provider.set_metadata(Reply::Json(200, metadata(&world.provider.base())));
    world.log_in("one", 0).await.unwrap();
}
